/*-------------------------------------------------------------------------
 *
 * convert_out.c
 *	  One Datum into JSON text.
 *
 * Numbers, booleans, json and jsonb are themselves, arrays are arrays, and
 * all else is a string.  Numbers keep the digits they have: no value goes
 * through a floating-point number on the way.
 *
 * What a value may be for the API is not decided here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert_out.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "rows/convert.h"

typedef enum OutForm
{
	OUT_BOOLEAN,
	OUT_NUMBER,
	OUT_JSON,
	OUT_TIME,					/* dates and timestamps, in ISO 8601 */
	OUT_ARRAY,
	OUT_STRING
} OutForm;

struct ImpiloOutConverter
{
	OutForm		form;
	Oid			type;			/* domains looked through */
	FmgrInfo	output;

	/* of arrays */
	ImpiloOutConverter *element;
	int16		typlen;
	bool		typbyval;
	char		typalign;
};

static OutForm
form_of(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return OUT_BOOLEAN;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return OUT_NUMBER;
		case JSONOID:
		case JSONBOID:
			return OUT_JSON;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return OUT_TIME;
		default:
			return OidIsValid(get_element_type(type)) ? OUT_ARRAY : OUT_STRING;
	}
}

/*
 * impilo_out_converter
 *		Prepare to write values of a type as JSON, in `context`.
 */
ImpiloOutConverter *
impilo_out_converter(Oid type, MemoryContext context)
{
	ImpiloOutConverter *converter = MemoryContextAllocZero(context,
														   sizeof(ImpiloOutConverter));
	Oid			function;
	bool		varlena;

	converter->type = getBaseType(type);
	converter->form = form_of(converter->type);
	if (converter->form == OUT_ARRAY)
	{
		Oid			element = get_element_type(converter->type);

		converter->element = impilo_out_converter(element, context);
		get_typlenbyvalalign(element, &converter->typlen,
							 &converter->typbyval, &converter->typalign);
	}
	getTypeOutputInfo(converter->type, &function, &varlena);
	fmgr_info_cxt(function, &converter->output, context);
	return converter;
}

/*
 * Text of the database's encoding in UTF-8.
 */
static char *
utf8_of(char *string)
{
	return pg_server_to_any(string, strlen(string), PG_UTF8);
}

static void
append_number(ImpiloOutConverter *converter, Datum value, StringInfo json)
{
	char	   *number = OutputFunctionCall(&converter->output, value);

	if (strspn(number, "+-.0123456789e") != strlen(number))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("NaN and infinity cannot be written as JSON")));
	appendStringInfoString(json, number);
}

static void
append_time(ImpiloOutConverter *converter, Datum value, StringInfo json)
{
	char		buffer[MAXDATELEN + 1];

	appendStringInfo(json, "\"%s\"",
					 JsonEncodeDateTime(buffer, value, converter->type,
										NULL));
}

static void
append_array(ImpiloOutConverter *converter, Datum value, StringInfo json)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an array of %d dimensions cannot be written as JSON",
						ARR_NDIM(array)),
				 errhint("Use an array of one dimension, or jsonb.")));
	deconstruct_array(array, converter->element->type, converter->typlen,
					  converter->typbyval, converter->typalign,
					  &elements, &nulls, &count);
	appendStringInfoChar(json, '[');
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoChar(json, ',');
		if (nulls[i])
			appendStringInfoString(json, "null");
		else
			impilo_convert_out(converter->element, elements[i], json);
	}
	appendStringInfoChar(json, ']');
}

/*
 * impilo_convert_out
 *		Append a value that is not NULL as JSON text in UTF-8.
 *
 * Uses CurrentMemoryContext for what it needs in between.  Raises an error
 * for what JSON cannot say: NaN, infinity, arrays of several dimensions.
 */
void
impilo_convert_out(ImpiloOutConverter *converter, Datum value,
				   StringInfo json)
{
	switch (converter->form)
	{
		case OUT_BOOLEAN:
			appendStringInfoString(json, DatumGetBool(value) ? "true" : "false");
			break;
		case OUT_NUMBER:
			append_number(converter, value, json);
			break;
		case OUT_JSON:
			appendStringInfoString(json,
								   utf8_of(OutputFunctionCall(&converter->output,
															  value)));
			break;
		case OUT_TIME:
			append_time(converter, value, json);
			break;
		case OUT_ARRAY:
			append_array(converter, value, json);
			break;
		case OUT_STRING:
			escape_json(json, utf8_of(OutputFunctionCall(&converter->output,
														 value)));
			break;
	}
}
