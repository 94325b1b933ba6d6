/*-------------------------------------------------------------------------
 *
 * convert_scalar.c
 *	  The types that JSON values are converted to without an input function.
 *
 * These are the types of nearly all columns, and two reasons forbid their
 * input functions: an error of theirs shows the value, which may be a
 * patient's, and they read what a session's settings make of a text.  They
 * are slower, too.  Nothing in this file raises an error because of a value;
 * what a value cannot be converted to is said in `error`.
 *
 * Numbers and booleans are also accepted as strings that hold one, and text
 * takes any scalar as it is written.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert_scalar.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "rows/convert_scalar.h"
#include "rows/iso8601.h"
#include "rows/number.h"

/* numbers of up to so many characters need no allocation */
#define SHORT_NUMBER 64

/* ------------------------------------------------------------------------
 * What is wrong
 * ------------------------------------------------------------------------
 */

/*
 * impilo_convert_refuse
 *		Fill in an error; returns false for the caller to return.
 */
bool
impilo_convert_refuse(ImpiloConvertError *error, int sqlstate,
					  const char *what)
{
	error->sqlstate = sqlstate;
	error->what = what;
	error->hard = false;
	return false;
}

/*
 * impilo_convert_kind
 *		What a value is, as a noun phrase in static memory.
 */
const char *
impilo_convert_kind(const ImpiloJsonSlice *value)
{
	switch (value->kind)
	{
		case IMPILO_JSON_ABSENT:
			return "nothing";
		case IMPILO_JSON_NULL:
			return "null";
		case IMPILO_JSON_BOOL:
			return "a boolean";
		case IMPILO_JSON_NUMBER:
			return "a number";
		case IMPILO_JSON_STRING:
			return "a string";
		case IMPILO_JSON_ARRAY:
			return "an array";
		case IMPILO_JSON_OBJECT:
			return "an object";
	}
	return "something else";
}

static bool
refuse_kind(ImpiloConvertError *error, const ImpiloJsonSlice *value)
{
	return impilo_convert_refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
								 impilo_convert_kind(value));
}

static bool
refuse_fit(ImpiloConvertError *error, ImpiloNumberFit fit)
{
	if (fit == IMPILO_NUMBER_FRACTION)
		return impilo_convert_refuse(error,
									 ERRCODE_INVALID_TEXT_REPRESENTATION,
									 "a number that is not whole");
	return impilo_convert_refuse(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
								 "a number out of range");
}

/* ------------------------------------------------------------------------
 * Numbers and booleans
 * ------------------------------------------------------------------------
 */

/*
 * The bytes of a scalar.  An escaped string is decoded into memory of its
 * own; false if it cannot be, or if the value is no scalar.
 */
static bool
scalar_bytes(const ImpiloJsonSlice *value, const char **bytes, size_t *length)
{
	char	   *decoded;

	if (value->kind == IMPILO_JSON_ARRAY || value->kind == IMPILO_JSON_OBJECT)
		return false;
	*bytes = value->data;
	*length = value->length;
	if (value->kind != IMPILO_JSON_STRING)
		return true;
	if (!value->escaped)
	{
		*bytes += 1;
		*length -= 2;
		return true;
	}
	decoded = palloc(value->length);
	*bytes = decoded;
	return impilo_json_unescape(value, decoded, length) == IMPILO_JSON_TEXT_OK;
}

static bool
read_number(const ImpiloJsonSlice *value, const char **bytes, size_t *length,
			ImpiloNumber *number, ImpiloConvertError *error)
{
	if (value->kind == IMPILO_JSON_BOOL ||
		!scalar_bytes(value, bytes, length) ||
		!impilo_number_parse(*bytes, *length, number))
		return refuse_kind(error, value);
	return true;
}

static bool
read_integer(const ImpiloJsonSlice *value, int64 min, int64 max,
			 int64 *integer, ImpiloConvertError *error)
{
	const char *bytes;
	size_t		length;
	ImpiloNumber number;
	ImpiloNumberFit fit = IMPILO_NUMBER_OK;
	int64_t		read;

	if (!impilo_json_int64(value, &read))
	{
		if (!read_number(value, &bytes, &length, &number, error))
			return false;
		fit = impilo_number_int64(&number, &read);
	}
	*integer = read;
	if (fit == IMPILO_NUMBER_OK && (read < min || read > max))
		fit = IMPILO_NUMBER_RANGE;
	return fit == IMPILO_NUMBER_OK || refuse_fit(error, fit);
}

static bool
convert_to_int8(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	int64		integer;

	if (!read_integer(value, PG_INT64_MIN, PG_INT64_MAX, &integer, error))
		return false;
	*result = Int64GetDatum(integer);
	return true;
}

static bool
convert_to_int4(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	int64		integer;

	if (!read_integer(value, PG_INT32_MIN, PG_INT32_MAX, &integer, error))
		return false;
	*result = Int32GetDatum((int32) integer);
	return true;
}

static bool
convert_to_int2(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	int64		integer;

	if (!read_integer(value, PG_INT16_MIN, PG_INT16_MAX, &integer, error))
		return false;
	*result = Int16GetDatum((int16) integer);
	return true;
}

/*
 * A number as a C string: in `buffer` (of SHORT_NUMBER bytes) if it fits.
 */
static char *
number_string(const char *bytes, size_t length, char *buffer)
{
	char	   *string = length < SHORT_NUMBER ? buffer : palloc(length + 1);

	memcpy(string, bytes, length);
	string[length] = '\0';
	return string;
}

/*
 * As PostgreSQL does, a number too small to be told from zero is out of
 * range as well as one too large.
 */
static bool
convert_to_float8(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				  Datum *result, ImpiloConvertError *error)
{
	char		buffer[SHORT_NUMBER];
	const char *bytes;
	size_t		length;
	ImpiloNumber number;
	double		real;

	if (!read_number(value, &bytes, &length, &number, error))
		return false;
	real = strtod(number_string(bytes, length, buffer), NULL);
	if (isinf(real) || (real == 0 && !impilo_number_zero(&number)))
		return refuse_fit(error, IMPILO_NUMBER_RANGE);
	*result = Float8GetDatum(real);
	return true;
}

static bool
convert_to_float4(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				  Datum *result, ImpiloConvertError *error)
{
	char		buffer[SHORT_NUMBER];
	const char *bytes;
	size_t		length;
	ImpiloNumber number;
	float		real;

	if (!read_number(value, &bytes, &length, &number, error))
		return false;
	real = strtof(number_string(bytes, length, buffer), NULL);
	if (isinf(real) || (real == 0 && !impilo_number_zero(&number)))
		return refuse_fit(error, IMPILO_NUMBER_RANGE);
	*result = Float4GetDatum(real);
	return true;
}

/*
 * numeric_in() cannot fail on a number that impilo_number_numeric() lets
 * through, as long as no precision is asked for.
 */
static bool
convert_to_numeric(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				   Datum *result, ImpiloConvertError *error)
{
	char		buffer[SHORT_NUMBER];
	const char *bytes;
	size_t		length;
	ImpiloNumber number;
	ImpiloNumberFit fit;

	if (!read_number(value, &bytes, &length, &number, error))
		return false;
	fit = impilo_number_numeric(&number);
	if (fit != IMPILO_NUMBER_OK)
		return refuse_fit(error, fit);
	*result = DirectFunctionCall3(numeric_in,
								  CStringGetDatum(number_string(bytes, length,
																buffer)),
								  ObjectIdGetDatum(InvalidOid),
								  Int32GetDatum(-1));
	return true;
}

static bool
convert_to_bool(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	const char *bytes;
	size_t		length;
	bool		truth;

	if (value->kind == IMPILO_JSON_BOOL)
		truth = value->data[0] == 't';
	else if (!scalar_bytes(value, &bytes, &length) || length == 0 ||
			 !parse_bool_with_len(bytes, length, &truth))
		return refuse_kind(error, value);
	*result = BoolGetDatum(truth);
	return true;
}

/* ------------------------------------------------------------------------
 * Dates, times, identifiers
 * ------------------------------------------------------------------------
 */

static bool
read_time(const ImpiloJsonSlice *value, ImpiloIsoTime *time,
		  ImpiloConvertError *error)
{
	const char *bytes;
	size_t		length;

	if (value->kind == IMPILO_JSON_STRING &&
		scalar_bytes(value, &bytes, &length) &&
		impilo_iso8601_parse(bytes, length, time))
		return true;
	return impilo_convert_refuse(error, ERRCODE_INVALID_DATETIME_FORMAT,
								 impilo_convert_kind(value));
}

/*
 * A date with a time is the date as written: the API's old form of a birth
 * date is midnight in UTC.
 */
static bool
convert_to_date(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	ImpiloIsoTime time;

	if (!read_time(value, &time, error))
		return false;
	*result = DateADTGetDatum(date2j(time.year, time.month, time.day) -
							  POSTGRES_EPOCH_JDATE);
	return true;
}

/*
 * Round as AdjustTimestampForTypmod() does, whose signature differs between
 * releases.
 */
static int64
round_time(int64 microseconds, int32 precision)
{
	static const int64 units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
	int64		unit;
	int64		size;

	if (precision < 0 || precision >= lengthof(units))
		return microseconds;
	unit = units[precision];
	size = (microseconds < 0 ? -microseconds : microseconds) + unit / 2;
	size -= size % unit;
	return microseconds < 0 ? -size : size;
}

/*
 * Both kinds of timestamp: the API's times are UTC, and one without a zone
 * shows the clock there.
 */
static bool
convert_to_timestamp(ImpiloConverter *converter, const ImpiloJsonSlice *value,
					 Datum *result, ImpiloConvertError *error)
{
	ImpiloIsoTime time;
	int64		days;
	int64		microseconds;

	if (!read_time(value, &time, error))
		return false;
	days = date2j(time.year, time.month, time.day) - POSTGRES_EPOCH_JDATE;
	microseconds = days * USECS_PER_DAY +
		(int64) (time.second - time.offset) * USECS_PER_SEC +
		time.microsecond;
	*result = TimestampTzGetDatum(round_time(microseconds, converter->typmod));
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * 32 hexadecimal digits, with or without hyphens behind every fourth.
 */
static bool
read_uuid(const char *bytes, size_t length, pg_uuid_t *uuid)
{
	int			digits = 0;

	for (size_t i = 0; i < length; i++)
	{
		int			digit = hex_digit(bytes[i]);

		if (bytes[i] == '-' && digits > 0 && digits % 4 == 0 &&
			digits < 2 * UUID_LEN && bytes[i - 1] != '-')
			continue;
		if (digit < 0 || digits == 2 * UUID_LEN)
			return false;
		if (digits % 2 == 0)
			uuid->data[digits / 2] = digit << 4;
		else
			uuid->data[digits / 2] |= digit;
		digits++;
	}
	return digits == 2 * UUID_LEN;
}

static bool
convert_to_uuid(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	const char *bytes;
	size_t		length;
	pg_uuid_t  *uuid = palloc0(sizeof(pg_uuid_t));

	if (value->kind != IMPILO_JSON_STRING ||
		!scalar_bytes(value, &bytes, &length) ||
		!read_uuid(bytes, length, uuid))
		return refuse_kind(error, value);
	*result = UUIDPGetDatum(uuid);
	return true;
}

/*
 * impilo_convert_scalar
 *		The function for a type, or NULL if it has to go through its input
 *		function.
 *
 * That is the case for numeric with a precision, whose overflow only the
 * input function knows, and for jsonb where it decodes into an encoding
 * other than UTF-8.
 */
ImpiloConvertFunction
impilo_convert_scalar(Oid type, int32 typmod)
{
	switch (type)
	{
		case INT8OID:
			return convert_to_int8;
		case INT4OID:
			return convert_to_int4;
		case INT2OID:
			return convert_to_int2;
		case FLOAT8OID:
			return convert_to_float8;
		case FLOAT4OID:
			return convert_to_float4;
		case NUMERICOID:
			return typmod < 0 ? convert_to_numeric : NULL;
		case BOOLOID:
			return convert_to_bool;
		case TEXTOID:
			return impilo_convert_to_text;
		case VARCHAROID:
			return typmod < VARHDRSZ ? impilo_convert_to_text : impilo_convert_to_varchar;
		case BPCHAROID:
			return typmod < VARHDRSZ ? impilo_convert_to_text : impilo_convert_to_bpchar;
		case DATEOID:
			return convert_to_date;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return convert_to_timestamp;
		case UUIDOID:
			return convert_to_uuid;
		case JSONOID:
			return impilo_convert_to_json;
		case JSONBOID:
			return GetDatabaseEncoding() == PG_UTF8 ? impilo_convert_to_jsonb : NULL;
		default:
			return NULL;
	}
}
