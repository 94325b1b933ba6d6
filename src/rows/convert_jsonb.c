/*-------------------------------------------------------------------------
 *
 * convert_jsonb.c
 *	  jsonb from the bytes of a JSON value.
 *
 * jsonb_in() would do, but for two things.  Its errors show what they are
 * about, so each value would have to be searched for what it refuses before;
 * and it reads the value letter by letter, into copies.  Here the bytes were
 * checked before, so strings are passed many bytes at a time, and those
 * without escapes are taken from where they stand.  A page of orders with
 * their arrays takes half the time.
 *
 * Only for databases in UTF-8, which is what JSON is; in others the bytes go
 * through the input function.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert_jsonb.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "json/scan.h"
#include "rows/convert_scalar.h"
#include "rows/number.h"

/* The value to convert, and what has been built of it */
typedef struct Builder
{
	const ImpiloJsonSlice *value;
	ImpiloConvertError *error;
	JsonbParseState *state;
	JsonbValue *built;			/* the container closed last */
} Builder;

static bool
refuse_number(const Builder *builder)
{
	return impilo_convert_refuse(builder->error,
								 ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
								 builder->value->kind == IMPILO_JSON_NUMBER
								 ? "a number out of range"
								 : psprintf("%s with a number out of range",
											impilo_convert_kind(builder->value)));
}

/*
 * A number with all of its digits.  numeric_in() cannot fail on one that
 * impilo_number_numeric() lets through.
 */
static bool
build_number(const Builder *builder, const ImpiloJsonSlice *number,
			 JsonbValue *result)
{
	ImpiloNumber parts;
	int64_t		integer;
	Datum		numeric;

	result->type = jbvNumeric;
	if (impilo_json_int64(number, &integer))
	{
		result->val.numeric = int64_to_numeric(integer);
		return true;
	}
	if (!impilo_number_parse(number->data, number->length, &parts) ||
		impilo_number_numeric(&parts) != IMPILO_NUMBER_OK)
		return refuse_number(builder);
	numeric = DirectFunctionCall3(numeric_in,
								  CStringGetDatum(pnstrdup(number->data,
														   number->length)),
								  ObjectIdGetDatum(InvalidOid),
								  Int32GetDatum(-1));
	result->val.numeric = DatumGetNumeric(numeric);
	return true;
}

/*
 * A string: the bytes where they are, or decoded into new ones.
 */
static bool
build_string(const Builder *builder, const ImpiloJsonSlice *string,
			 JsonbValue *result)
{
	char	   *decoded;
	size_t		length;
	ImpiloJsonText outcome;

	result->type = jbvString;
	result->val.string.val = unconstify(char *, string->data + 1);
	result->val.string.len = (int) (string->length - 2);
	if (string->escaped)
	{
		decoded = palloc(string->length);
		outcome = impilo_json_unescape(string, decoded, &length);
		if (outcome != IMPILO_JSON_TEXT_OK)
			return impilo_convert_accept(builder->error,
										 outcome == IMPILO_JSON_TEXT_NUL
										 ? IMPILO_TEXT_NUL
										 : IMPILO_TEXT_SURROGATE,
										 builder->value);
		result->val.string.val = decoded;
		result->val.string.len = (int) length;
	}
	if (result->val.string.len > JENTRY_OFFLENMASK)
		return impilo_convert_refuse(builder->error,
									 ERRCODE_PROGRAM_LIMIT_EXCEEDED,
									 psprintf("%s that is too long for type jsonb",
											  impilo_convert_kind(builder->value)));
	return true;
}

static bool
build_scalar(const Builder *builder, const ImpiloJsonSlice *scalar,
			 JsonbValue *result)
{
	switch (scalar->kind)
	{
		case IMPILO_JSON_STRING:
			return build_string(builder, scalar, result);
		case IMPILO_JSON_NUMBER:
			return build_number(builder, scalar, result);
		case IMPILO_JSON_BOOL:
			result->type = jbvBool;
			result->val.boolean = scalar->data[0] == 't';
			return true;
		default:
			result->type = jbvNull;
			return true;
	}
}

/*
 * Add an element, a member's name or its value, with all that is in it.
 * Returns false for what jsonb cannot hold.
 */
static bool
push_value(Builder *builder, JsonbIteratorToken token,
		   const ImpiloJsonSlice *value)
{
	bool		object = value->kind == IMPILO_JSON_OBJECT;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice element;
	ImpiloJsonError broken;
	JsonbValue	scalar;

	if (!object && value->kind != IMPILO_JSON_ARRAY)
	{
		if (!build_scalar(builder, value, &scalar))
			return false;
		(void) pushJsonbValue(&builder->state, token, &scalar);
		return true;
	}
	(void) pushJsonbValue(&builder->state,
						  object ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY, NULL);
	impilo_json_begin(&cursor, value, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, object ? &name : NULL, &element,
							&broken) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (object && !push_value(builder, WJB_KEY, &name))
			return false;
		if (!push_value(builder, object ? WJB_VALUE : WJB_ELEM, &element))
			return false;
	}
	builder->built = pushJsonbValue(&builder->state,
									object ? WJB_END_OBJECT : WJB_END_ARRAY,
									NULL);
	return true;
}

/*
 * jsonb holds a scalar as an array of a special kind.
 */
static bool
build_lone_scalar(Builder *builder)
{
	JsonbValue	array;
	JsonbValue	scalar;

	if (!build_scalar(builder, builder->value, &scalar))
		return false;
	array.type = jbvArray;
	array.val.array.rawScalar = true;
	array.val.array.nElems = 1;
	(void) pushJsonbValue(&builder->state, WJB_BEGIN_ARRAY, &array);
	(void) pushJsonbValue(&builder->state, WJB_ELEM, &scalar);
	builder->built = pushJsonbValue(&builder->state, WJB_END_ARRAY, NULL);
	return true;
}

/*
 * impilo_convert_to_jsonb
 *		Type jsonb; see ImpiloConvertFunction.
 *
 * jsonb decodes what it holds, so it refuses what type json may keep: strings
 * that are no text and numbers that are no numeric.  Of members with the same
 * name it keeps the last.
 */
bool
impilo_convert_to_jsonb(ImpiloConverter *converter, const ImpiloJsonSlice *value,
						Datum *result, ImpiloConvertError *error)
{
	Builder		builder;

	if (!pg_verify_mbstr(PG_UTF8, value->data, (int) value->length, true))
		return impilo_convert_accept(error, IMPILO_TEXT_NOT_UTF8, value);
	builder.value = value;
	builder.error = error;
	builder.state = NULL;
	builder.built = NULL;
	if (value->kind == IMPILO_JSON_OBJECT || value->kind == IMPILO_JSON_ARRAY)
	{
		if (!push_value(&builder, WJB_ELEM, value))
			return false;
	}
	else if (!build_lone_scalar(&builder))
		return false;
	*result = JsonbPGetDatum(JsonbValueToJsonb(builder.built));
	return true;
}
