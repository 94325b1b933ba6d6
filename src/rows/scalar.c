/*-------------------------------------------------------------------------
 *
 * scalar.c
 *	  Numbers, booleans, dates, times and jsonb from JSON values, without
 *	  input functions.
 *
 * Nothing here raises an error because of a value.  Numbers and booleans may
 * also be strings that hold one.  Dates and times must be written as ISO
 * 8601, and no zone means UTC: nothing depends on the session's settings.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/scalar.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "compat.h"
#include "json/text.h"
#include "rows/convert.h"

/* digits that numeric can hold before and after the point */
#define NUMERIC_WHOLE_DIGITS 131072
#define NUMERIC_FRACTION_DIGITS 16383

/* a greater exponent counts as this one */
#define MAX_EXPONENT 1000000000

/* numbers of fewer characters need no allocation */
#define SHORT_NUMBER 64

static bool
refuse_range(ImpiloConvertError *error)
{
	return impilo_refuse(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						 "a number out of range");
}

static bool
refuse_whole(ImpiloConvertError *error)
{
	return impilo_refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
						 "a number that is not whole");
}

/* ------------------------------------------------------------------------
 * Numbers and booleans
 * ------------------------------------------------------------------------
 */

/*
 * The characters of a scalar as a C string, in `buffer` (of SHORT_NUMBER
 * bytes) if it fits; NULL if it is not a scalar or does not decode.
 */
static char *
scalar_string(const ImpiloJsonSlice *value, char *buffer)
{
	bool		quoted = value->kind == IMPILO_JSON_STRING;
	size_t		length = value->length - (quoted ? 2 : 0);
	char	   *string = length < SHORT_NUMBER ? buffer : palloc(length + 1);

	if (value->kind >= IMPILO_JSON_ARRAY)
		return NULL;
	if (!value->escaped)
		memcpy(string, value->data + (quoted ? 1 : 0), length);
	else
	{
		string = palloc(value->length);
		if (impilo_json_unescape(value, string, &length) !=
			IMPILO_JSON_TEXT_OK)
			return NULL;
	}
	string[length] = '\0';
	return string;
}

/* A number taken apart. */
typedef struct Number
{
	char	   *string;
	bool		zero;
	int64		whole;			/* digits before the point, and behind it, */
	int64		fraction;		/* with the exponent applied; may be negative */
} Number;

/*
 * Read a number, or a string that holds one: digits with an optional sign,
 * fraction and exponent.
 */
static bool
read_number(const ImpiloJsonSlice *value, char *buffer, Number *number,
			ImpiloConvertError *error)
{
	static const char digits[] = "0123456789";
	char	   *p = value->kind == IMPILO_JSON_BOOL ? NULL :
	scalar_string(value, buffer);
	char	   *end;
	int64		exponent = 0;

	if (p == NULL)
		return impilo_refuse_kind(error, value);
	number->string = p;
	p += *p == '-' || *p == '+';
	number->zero = strcspn(p, "123456789") >= strcspn(p, "eE");
	number->whole = strspn(p, digits);
	number->fraction = 0;
	end = p + number->whole;
	if (number->whole > 0 && *end == '.')
	{
		number->fraction = strspn(end + 1, digits);
		end += number->fraction == 0 ? 0 : 1 + number->fraction;
	}
	if (number->whole > 0 && (*end == 'e' || *end == 'E'))
	{
		char	   *start = end + 1 + (end[1] == '-' || end[1] == '+');

		if (strspn(start, digits) > 0)
		{
			/* strtol stops at the greatest value that it can return */
			exponent = strtol(end + 1, &end, 10);
			exponent = Max(Min(exponent, MAX_EXPONENT), -MAX_EXPONENT);
		}
	}
	if (number->whole == 0 || *end != '\0')
		return impilo_refuse_kind(error, value);
	number->whole += exponent;
	number->fraction -= exponent;
	return true;
}

/*
 * A number as numeric, with all of its digits.  Within these limits
 * numeric_in() cannot fail.
 */
static bool
read_numeric(const Number *number, Datum *result, ImpiloConvertError *error)
{
	if (number->whole > NUMERIC_WHOLE_DIGITS ||
		number->fraction > NUMERIC_FRACTION_DIGITS)
		return refuse_range(error);
	*result = DirectFunctionCall3(numeric_in,
								  CStringGetDatum(number->string),
								  ObjectIdGetDatum(InvalidOid),
								  Int32GetDatum(-1));
	return true;
}

/*
 * bigint, integer and smallint.  A number may have a fraction or an exponent
 * (42.0, 4.2e1), but it is not rounded.
 */
static bool
convert_to_integer(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				   Datum *result, ImpiloConvertError *error)
{
	int64		max = converter->type == INT8OID ? PG_INT64_MAX :
	converter->type == INT4OID ? PG_INT32_MAX : PG_INT16_MAX;
	int64_t		integer;

	if (unlikely(!impilo_json_int64(value, &integer)))
	{
		char		buffer[SHORT_NUMBER];
		Number		number;
		Datum		numeric = (Datum) 0;
		ImpiloJsonSlice plain = {NULL, 0, IMPILO_JSON_NUMBER, false};

		if (!read_number(value, buffer, &number, error))
			return false;
		if (number.fraction > NUMERIC_FRACTION_DIGITS)
			return refuse_whole(error);
		if (!read_numeric(&number, &numeric, error))
			return false;
		numeric = DirectFunctionCall1(numeric_trim_scale, numeric);
		plain.data = DatumGetCString(DirectFunctionCall1(numeric_out, numeric));
		plain.length = strlen(plain.data);
		if (strchr(plain.data, '.'))
			return refuse_whole(error);
		if (!impilo_json_int64(&plain, &integer))
			return refuse_range(error);
	}
	if (integer > max || integer < -max - 1)
		return refuse_range(error);
	*result = converter->type == INT8OID ? Int64GetDatum(integer) :
		converter->type == INT4OID ? Int32GetDatum((int32) integer) :
		Int16GetDatum((int16) integer);
	return true;
}

static bool
convert_to_numeric(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				   Datum *result, ImpiloConvertError *error)
{
	char		buffer[SHORT_NUMBER];
	Number		number;

	return read_number(value, buffer, &number, error) &&
		read_numeric(&number, result, error);
}

/*
 * As PostgreSQL does, a number too close to zero is out of range like one
 * that is too large.
 */
static bool
convert_to_float(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	char		buffer[SHORT_NUMBER];
	Number		number;
	double		real;

	if (!read_number(value, buffer, &number, error))
		return false;
	real = converter->type == FLOAT4OID ? strtof(number.string, NULL)
		: strtod(number.string, NULL);
	if (isinf(real) || (real == 0 && !number.zero))
		return refuse_range(error);
	*result = converter->type == FLOAT4OID ? Float4GetDatum((float4) real)
		: Float8GetDatum(real);
	return true;
}

static bool
convert_to_bool(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	char		buffer[SHORT_NUMBER];
	char	   *string = scalar_string(value, buffer);
	bool		truth;

	if (string == NULL || string[0] == '\0' || !parse_bool(string, &truth))
		return impilo_refuse_kind(error, value);
	*result = BoolGetDatum(truth);
	return true;
}

/* ------------------------------------------------------------------------
 * Dates and times
 * ------------------------------------------------------------------------
 */

/* Exactly so many digits */
static bool
read_digits(const char **p, int count, int *number)
{
	*number = 0;
	for (; count > 0; count--, (*p)++)
	{
		if (!isdigit((unsigned char) **p))
			return false;
		*number = *number * 10 + (**p - '0');
	}
	return true;
}

static bool
read_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/*
 * HH:MM[:SS[.fraction]] and optionally Z, +HH, +HH:MM or +HHMM.  The time is
 * returned in microseconds of the day in UTC.
 */
static bool
read_clock(const char *p, int64 *microseconds)
{
	int			hour;
	int			minute;
	int			second = 0;
	int			sign;

	if (!read_digits(&p, 2, &hour) || !read_char(&p, ':') ||
		!read_digits(&p, 2, &minute) ||
		(read_char(&p, ':') && !read_digits(&p, 2, &second)))
		return false;
	*microseconds = (hour * 60 + minute) * INT64CONST(60000000) +
		second * INT64CONST(1000000);
	if (p[-3] == ':' && *p == '.')
	{
		size_t		length = strspn(p + 1, "0123456789");

		if (length == 0)
			return false;
		*microseconds += (int64) rint(strtod(p, NULL) * 1000000);
		p += 1 + length;
	}
	if (minute > 59 || second > 60 || *microseconds > USECS_PER_DAY)
		return false;

	if (read_char(&p, 'Z') || read_char(&p, 'z') || *p == '\0')
		return *p == '\0';
	sign = *p == '+' ? 1 : *p == '-' ? -1 : 0;
	p++;
	minute = 0;
	if (sign == 0 || !read_digits(&p, 2, &hour) ||
		((read_char(&p, ':') || *p != '\0') && !read_digits(&p, 2, &minute)))
		return false;
	*microseconds -= sign * (hour * 60 + minute) * INT64CONST(60000000);
	return hour <= 23 && minute <= 59 && *p == '\0';
}

static bool
is_clock(const char *string)
{
	int64		ignored;

	return read_clock(string, &ignored);
}

/*
 * An interval, as P1DT12H
 */
static bool
is_duration(const char *string)
{
	return *string == 'P' &&
		strspn(string, "PTYMWDHS0123456789.,+-:") == strlen(string);
}

/*
 * A range of dates or times: at least no words, such as tomorrow
 */
static bool
is_range(const char *string)
{
	return strcmp(string, "empty") == 0 ||
		strspn(string, "{}[](),\"0123456789-+:.TtZz ") == strlen(string);
}

/*
 * YYYY-MM-DD, optionally with T or a space and a time.
 */
static bool
read_iso8601(const ImpiloJsonSlice *value, int32 *date,
			 int64 *microseconds)
{
	char		buffer[SHORT_NUMBER];
	const char *p = value->kind != IMPILO_JSON_STRING ? NULL :
	scalar_string(value, buffer);
	int			year;
	int			month;
	int			day;

	if (p == NULL || !read_digits(&p, 4, &year) || !read_char(&p, '-') ||
		!read_digits(&p, 2, &month) || !read_char(&p, '-') ||
		!read_digits(&p, 2, &day) || year < 1 || month < 1 || month > 12 ||
		day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	*date = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	*microseconds = 0;
	if (*p == '\0')
		return true;
	return (read_char(&p, 'T') || read_char(&p, 't') || read_char(&p, ' ')) &&
		read_clock(p, microseconds);
}

/*
 * A date, a timestamp or a timestamptz.  The date of a time is the date as
 * written: the API's old form of a birth date is midnight in UTC.
 */
static bool
convert_to_time(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	int32		date;
	int64		microseconds;

	if (!read_iso8601(value, &date, &microseconds))
		return impilo_refuse(error, ERRCODE_INVALID_DATETIME_FORMAT,
							 impilo_json_kind(value));
	if (converter->type == DATEOID)
	{
		*result = DateADTGetDatum(date);
		return true;
	}
	*result = TimestampTzGetDatum(date * USECS_PER_DAY + microseconds);
	if (converter->typmod >= 0)
		*result = DirectFunctionCall2(timestamptz_scale, *result,
									  Int32GetDatum(converter->typmod));
	return true;
}

/*
 * impilo_read_timestamp
 *		Read a string as a time; false if it is not in ISO 8601.
 */
bool
impilo_read_timestamp(const ImpiloJsonSlice *value, TimestampTz *result)
{
	int32		date;
	int64		microseconds;

	if (!read_iso8601(value, &date, &microseconds))
		return false;
	*result = date * USECS_PER_DAY + microseconds;
	return true;
}

/*
 * A uuid that uuid_in() accepts without an error: 32 digits, with or without
 * a hyphen behind every fourth
 */
static bool
is_uuid(const char *string)
{
	for (int i = 0; i < 32; i++)
	{
		if (!isxdigit((unsigned char) *string++))
			return false;
		if (*string == '-' && i % 4 == 3 && i < 31)
			string++;
	}
	return *string == '\0';
}

/* ------------------------------------------------------------------------
 * jsonb
 * ------------------------------------------------------------------------
 */

/* The value to convert, and what has been built of it. */
typedef struct JsonbBuild
{
	const ImpiloJsonSlice *value;
	Oid			conversion;
	ImpiloConvertError *error;
	JsonbParseState *state;
	JsonbValue *built;			/* the container closed last */
} JsonbBuild;

/*
 * A scalar: of a string the bytes where they are, or decoded; a number with
 * all of its digits.
 */
static bool
build_scalar(const JsonbBuild *build, const ImpiloJsonSlice *scalar,
			 JsonbValue *result)
{
	const char *kind = impilo_json_kind(build->value);
	char		buffer[SHORT_NUMBER];
	Number		number;
	Datum		numeric = (Datum) 0;
	int64_t		integer;
	size_t		length;
	ImpiloJsonText outcome = IMPILO_JSON_TEXT_OK;

	switch (scalar->kind)
	{
		case IMPILO_JSON_STRING:
			result->type = jbvString;
			result->val.string.val = unconstify(char *, scalar->data + 1);
			length = scalar->length - 2;
			if (scalar->escaped)
			{
				result->val.string.val = palloc(scalar->length);
				outcome = impilo_json_unescape(scalar, result->val.string.val,
											   &length);
			}
			if (outcome != IMPILO_JSON_TEXT_OK)
				return impilo_refuse_escape(build->error, build->value, outcome);
			if (OidIsValid(build->conversion))
			{
				text	   *converted = impilo_text_convert(result->val.string.val,
															length,
															build->conversion);

				if (converted == NULL)
					return impilo_refuse_character(build->error,
												   build->value);
				result->val.string.val = VARDATA(converted);
				length = VARSIZE(converted) - VARHDRSZ;
			}
			if (length > JENTRY_OFFLENMASK)
				return impilo_refuse(build->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
									 psprintf("%s that is too long for type jsonb",
											  kind));
			result->val.string.len = (int) length;
			return true;
		case IMPILO_JSON_NUMBER:
			result->type = jbvNumeric;
			if (impilo_json_int64(scalar, &integer))
			{
				result->val.numeric = int64_to_numeric(integer);
				return true;
			}
			if (!read_number(scalar, buffer, &number, build->error) ||
				!read_numeric(&number, &numeric, build->error))
			{
				if (build->value->kind != IMPILO_JSON_NUMBER)
					build->error->what = psprintf("%s with %s", kind,
												  build->error->what);
				return false;
			}
			result->val.numeric = DatumGetNumeric(numeric);
			return true;
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
 * An array or an object, token by token.  Returns false for what jsonb cannot
 * hold.
 */
static bool
build_container(JsonbBuild *build)
{
	const char *p = build->value->data;
	const char *end = p + build->value->length;
	uint64		objects = 0;	/* one bit per level, the innermost lowest */
	int			depth = 0;
	bool		key = false;	/* the next string is a member's name */
	ImpiloJsonSlice token;
	JsonbValue	scalar;

	do
	{
		CHECK_FOR_INTERRUPTS();
		if (!impilo_json_token(&p, end, &token))
			elog(ERROR, "impilo_fdw: JSON has not been checked");
		if (*token.data == '{' || *token.data == '[')
		{
			key = *token.data == '{';
			objects = (objects << 1) | key;
			depth++;
			(void) pushJsonbValue(&build->state,
								  key ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY,
								  NULL);
			continue;
		}
		if (*token.data == '}' || *token.data == ']')
		{
			build->built = pushJsonbValue(&build->state,
										  objects & 1 ? WJB_END_OBJECT
										  : WJB_END_ARRAY, NULL);
			objects >>= 1;
			depth--;
			key = objects & 1;
			continue;
		}
		if (!build_scalar(build, &token, &scalar))
			return false;
		(void) pushJsonbValue(&build->state,
							  key ? WJB_KEY : objects & 1 ? WJB_VALUE
							  : WJB_ELEM, &scalar);
		key = !key && (objects & 1);
	} while (depth > 0);
	return true;
}

/*
 * The bytes have been checked, so they are read faster than by jsonb_in(),
 * whose errors would show them.
 */
static bool
convert_to_jsonb(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	JsonbBuild	build = {.value = value,.conversion = converter->conversion,.error = error};
	JsonbValue	scalar;

	if (!impilo_check_utf8(value, value->data, value->length, error))
		return false;
	if (value->kind >= IMPILO_JSON_ARRAY)
	{
		if (!build_container(&build))
			return false;
		*result = JsonbPGetDatum(JsonbValueToJsonb(build.built));
		return true;
	}
	if (!build_scalar(&build, value, &scalar))
		return false;
	*result = JsonbPGetDatum(JsonbValueToJsonb(&scalar));
	return true;
}

/* ------------------------------------------------------------------------
 * Types
 * ------------------------------------------------------------------------
 */

/*
 * impilo_scalar_function
 *		The function of this file for a type, or NULL.
 */
ImpiloConvertFunction
impilo_scalar_function(Oid type, int32 typmod)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return convert_to_integer;
		case FLOAT4OID:
		case FLOAT8OID:
			return convert_to_float;
		case NUMERICOID:
			return typmod < 0 ? convert_to_numeric : NULL;
		case BOOLOID:
			return convert_to_bool;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return convert_to_time;
		case JSONBOID:
			return convert_to_jsonb;
		default:
			return NULL;
	}
}

/*
 * impilo_form_check
 *		The function that checks the form in which strings of a type must be
 *		written before its input function reads them, or NULL.
 */
ImpiloFormCheck
impilo_form_check(Oid type)
{
	Oid			subtype = type_is_multirange(type)
	? get_multirange_range(type) : type;

	subtype = type_is_range(subtype) ? get_range_subtype(subtype) : InvalidOid;
	if (type == TIMEOID || type == TIMETZOID)
		return is_clock;
	if (type == UUIDOID)
		return is_uuid;
	if (type == INTERVALOID)
		return is_duration;
	if (subtype == DATEOID || subtype == TIMESTAMPOID ||
		subtype == TIMESTAMPTZOID)
		return is_range;
	return NULL;
}
