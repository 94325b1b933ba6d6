/*-------------------------------------------------------------------------
 *
 * convert.c
 *	  One JSON value into one Datum.
 *
 * A converter is made once for each column and knows everything that can be
 * known before the first value.  The types of nearly all columns are read
 * here, by functions that never throw because of a value.  Numbers and
 * booleans may also be strings that hold one.  Dates and times must be
 * written as ISO 8601, and no zone means UTC.  All other types go through
 * their input function, which gets the characters of a string and the JSON
 * text of anything else, under fixed settings if it might read any.  Arrays
 * and domains use the converter of their element or base type.
 *
 * No message may show a value, because it may be a patient's, but input
 * functions and constraints show it in their errors.  So their errors are
 * returned to the caller, which reports them without the value.  If the error
 * was thrown rather than reported softly, the caller must raise one in any
 * case: going on would need a subtransaction, which is impossible below
 * Gather.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "json/text.h"
#include "rows/convert.h"

/* digits that numeric can hold before and after the point */
#define NUMERIC_WHOLE_DIGITS 131072
#define NUMERIC_FRACTION_DIGITS 16383

/* a greater exponent counts as this one */
#define MAX_EXPONENT 1000000000

#define TWO_DIGITS(p) (((p)[0] - '0') * 10 + ((p)[1] - '0'))

/* ------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------
 */

/*
 * Fill in an error; return false for the caller to return.
 */
static bool
refuse(ImpiloConvertError *error, int sqlstate, const char *what)
{
	error->sqlstate = sqlstate;
	error->what = what;
	error->thrown = false;
	return false;
}

/*
 * impilo_json_kind
 *		What a value is, as a noun phrase in static memory.
 */
const char *
impilo_json_kind(const ImpiloJsonSlice *value)
{
	static const char *const kinds[] = {
		"nothing", "null", "a boolean", "a number", "a string", "an array",
		"an object"
	};

	return kinds[value->kind];
}

static bool
refuse_kind(ImpiloConvertError *error, const ImpiloJsonSlice *value)
{
	return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
				  impilo_json_kind(value));
}

/*
 * The SQLSTATE to report for an error of an input function or a constraint;
 * 0 for an error of the server, which shows no value and is not changed.
 * Some types call an invalid value a syntax error or an unknown name, from
 * which a client would conclude that the statement is wrong.
 */
static int
value_sqlstate(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK):
		case ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES):
		case ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED):
		case ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR):
			return 0;
		case ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION):
			return sqlstate;
		default:
			return sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE ? sqlstate
				: ERRCODE_INVALID_TEXT_REPRESENTATION;
	}
}

/*
 * Call the input function with a string, or without one check the constraints
 * of a domain for *result (or for NULL).  Returns false and sets `sqlstate`
 * and `thrown` of the error, but not `what`, if the value is invalid.
 */
static bool
guard(ImpiloConverter *converter, char *string, Datum *result, bool isnull,
	  ImpiloConvertError *error)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorSaveContext escontext = {T_ErrorSaveContext};
	volatile bool done = false;

	escontext.details_wanted = true;
	error->thrown = false;
	PG_TRY();
	{
		if (string)
			done = InputFunctionCallSafe(&converter->input, string,
										 converter->ioparam,
										 converter->typmod,
										 (Node *) &escontext, result);
		else
			done = domain_check_safe(isnull ? (Datum) 0 : *result, isnull,
									 converter->type,
									 &converter->constraints,
									 converter->context,
									 (Node *) &escontext);
		if (!done)
			error->sqlstate =
				value_sqlstate(escontext.error_data->sqlerrcode);
	}
	PG_CATCH();
	{
		error->sqlstate = value_sqlstate(geterrcode());
		error->thrown = true;
		if (error->sqlstate == 0)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	return done;
}

/*
 * impilo_fix_settings
 *		Give the settings that input and output functions read fixed values,
 *		until AtEOXact_GUC(true, the nest level returned).
 */
int
impilo_fix_settings(void)
{
	static const char *const fixed[][2] = {
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"}
	};
	int			nestlevel = NewGUCNestLevel();

	for (int i = 0; i < lengthof(fixed); i++)
		(void) set_config_option(fixed[i][0], fixed[i][1],
								 PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------
 */

static bool
check_utf8(const char *kind, const char *utf8, size_t length,
		   ImpiloConvertError *error)
{
	if (likely(pg_verify_mbstr(PG_UTF8, utf8, (int) length, true)))
		return true;
	return refuse(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
				  psprintf("%s that is not valid UTF-8", kind));
}

/*
 * The text of a value in the database's encoding: of a string its characters,
 * of anything else, or with `as_json`, its JSON.  A NUL follows it, so that
 * VARDATA is a C string, too.  `kind` is what an error is about.
 */
static bool
read_text(ImpiloConverter *converter, const ImpiloJsonSlice *value,
		  bool as_json, const char *kind, text **result,
		  ImpiloConvertError *error)
{
	bool		string = value->kind == IMPILO_JSON_STRING && !as_json;
	text	   *utf8 = palloc(VARHDRSZ + value->length + 1);
	size_t		length = value->length - (string ? 2 : 0);
	const char *wrong = NULL;

	if (string && value->escaped)
		wrong = impilo_json_unescape(value, VARDATA(utf8), &length);
	else
		memcpy(VARDATA(utf8), value->data + (string ? 1 : 0), length);
	if (wrong)
		return refuse(error, ERRCODE_UNTRANSLATABLE_CHARACTER,
					  psprintf("%s with %s", kind, wrong));
	VARDATA(utf8)[length] = '\0';
	SET_VARSIZE(utf8, VARHDRSZ + length);
	*result = utf8;

	if (value->kind == IMPILO_JSON_NUMBER || value->kind == IMPILO_JSON_BOOL)
		return true;
	if (!check_utf8(kind, VARDATA(utf8), length, error))
		return false;
	if (!OidIsValid(converter->conversion))
		return true;
	*result = impilo_text_convert(VARDATA(utf8), length,
								  converter->conversion);
	if (*result)
		return true;
	return refuse(error, ERRCODE_UNTRANSLATABLE_CHARACTER,
				  psprintf("%s with a character that encoding %s does not have",
						   kind, GetDatabaseEncodingName()));
}

/*
 * text, json, and character types.  As in an assignment, a string is too long
 * for character(n) and character varying(n) unless only spaces are cut.
 */
static bool
convert_to_text(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	text	   *string;
	int			length;
	int			kept;

	if (!read_text(converter, value, converter->type == JSONOID,
				   impilo_json_kind(value), &string, error))
		return false;
	*result = PointerGetDatum(string);
	if (converter->typmod < VARHDRSZ)
		return true;

	length = VARSIZE(string) - VARHDRSZ;
	kept = pg_mbcharcliplen(VARDATA(string), length,
							converter->typmod - VARHDRSZ);
	if (strspn(VARDATA(string) + kept, " ") != length - kept)
		return refuse(error, ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
					  "a value that is too long");
	*result = DirectFunctionCall3(converter->type == BPCHAROID ? bpchar
								  : varchar,
								  *result,
								  Int32GetDatum(converter->typmod),
								  BoolGetDatum(true));
	return true;
}

/*
 * impilo_scalar_string
 *		Returns the characters of a scalar as a C string, in UTF-8, or NULL if
 *		it is not a scalar or does not decode.
 */
char *
impilo_scalar_string(const ImpiloJsonSlice *value)
{
	size_t		quotes = value->kind == IMPILO_JSON_STRING ? 2 : 0;
	size_t		length = value->length - quotes;
	char	   *string;

	if (value->kind >= IMPILO_JSON_ARRAY)
		return NULL;
	string = pnstrdup(value->data + quotes / 2, length);
	if (value->escaped &&
		impilo_json_unescape(value, string, &length) != NULL)
		return NULL;
	string[length] = '\0';
	return string;
}

/* ------------------------------------------------------------------------
 * Numbers and booleans
 * ------------------------------------------------------------------------
 */

static bool
refuse_range(ImpiloConvertError *error)
{
	return refuse(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
				  "a number out of range");
}

/*
 * Read a number, or a string that holds one: digits with an optional sign,
 * fraction and exponent.  Returns it as a C string with its exponent, or NULL.
 */
static char *
read_number(const ImpiloJsonSlice *value, long *exponent,
			ImpiloConvertError *error)
{
	static const char digits[] = "0123456789";
	char	   *string = value->kind == IMPILO_JSON_BOOL ? NULL :
	impilo_scalar_string(value);
	char	   *p = string ? string + (*string == '-' || *string == '+') : "";
	bool		valid = isdigit((unsigned char) *p);

	p += strspn(p, digits);
	if (*p == '.')
	{
		valid &= isdigit((unsigned char) p[1]) != 0;
		p += 1 + strspn(p + 1, digits);
	}
	*exponent = 0;
	if (*p == 'e' || *p == 'E')
	{
		p += 1 + (p[1] == '-' || p[1] == '+');
		valid &= isdigit((unsigned char) *p) != 0;
		/* strtol stops at the greatest value that it can return */
		*exponent = strtol(p[-1] == '-' ? p - 1 : p, &p, 10);
		*exponent = Max(Min(*exponent, MAX_EXPONENT), -MAX_EXPONENT);
	}
	if (valid && *p == '\0')
		return string;
	refuse_kind(error, value);
	return NULL;
}

/*
 * A number as numeric, with all of its digits.  Within these limits
 * numeric_in() cannot fail.
 */
static bool
convert_to_numeric(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				   Datum *result, ImpiloConvertError *error)
{
	long		exponent;
	char	   *string;
	long		whole;
	long		fraction;
	int64_t		integer;

	if (impilo_json_int64(value, &integer))
	{
		*result = NumericGetDatum(int64_to_numeric(integer));
		return true;
	}
	string = read_number(value, &exponent, error);
	if (string == NULL)
		return false;
	whole = strcspn(string, ".eE");
	fraction = strcspn(string + whole, "eE");
	if (whole + exponent > NUMERIC_WHOLE_DIGITS ||
		fraction - exponent > NUMERIC_FRACTION_DIGITS)
		return refuse_range(error);
	*result = DirectFunctionCall3(numeric_in, CStringGetDatum(string),
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
		ImpiloJsonSlice plain = {NULL, 0, IMPILO_JSON_NUMBER, false};
		Datum		numeric;

		if (!convert_to_numeric(converter, value, &numeric, error))
			return false;
		numeric = DirectFunctionCall1(numeric_trim_scale, numeric);
		plain.data = DatumGetCString(DirectFunctionCall1(numeric_out, numeric));
		plain.length = strlen(plain.data);
		if (strchr(plain.data, '.'))
			return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
						  "a number that is not whole");
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

/*
 * real and double precision.  As PostgreSQL does, a number too close to zero
 * is out of range like one that is too large.
 */
static bool
convert_to_float(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	long		exponent;
	char	   *string = read_number(value, &exponent, error);
	double		real;

	if (string == NULL)
		return false;
	errno = 0;
	real = converter->type == FLOAT4OID ? strtof(string, NULL)
		: strtod(string, NULL);
	if (errno == ERANGE && (isinf(real) || real == 0))
		return refuse_range(error);
	*result = converter->type == FLOAT4OID ? Float4GetDatum((float4) real)
		: Float8GetDatum(real);
	return true;
}

static bool
convert_to_bool(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	char	   *string = impilo_scalar_string(value);
	bool		truth;

	if (string == NULL || string[0] == '\0' || !parse_bool(string, &truth))
		return refuse_kind(error, value);
	*result = BoolGetDatum(truth);
	return true;
}

/* ------------------------------------------------------------------------
 * Forms of strings: dates, times and identifiers
 * ------------------------------------------------------------------------
 */

/*
 * Returns the position behind the text at p that has the form of the pattern,
 * in which a 9 stands for any digit; or NULL.
 */
static const char *
match(const char *p, const char *pattern)
{
	for (; *pattern; pattern++, p++)
	{
		if (*pattern == '9' ? !isdigit((unsigned char) *p) : *p != *pattern)
			return NULL;
	}
	return p;
}

/*
 * HH:MM[:SS[.fraction]] and optionally Z, +HH, +HH:MM or +HHMM.  The time is
 * returned in microseconds of the day in UTC.
 */
static bool
read_clock(const char *start, int64 *microseconds)
{
	const char *p = match(start, "99:99");
	const char *zone;
	double		seconds = 0;
	int			minutes = 0;

	if (p && *p == ':')
	{
		const char *point = match(p, ":99");

		if (point == NULL || (*point == '.' && !match(point, ".9")))
			return false;
		seconds = strtod(p + 1, NULL);
		p = *point == '.' ? point + 1 + strspn(point + 1, "0123456789") : point;
	}
	if (p == NULL || TWO_DIGITS(start + 3) > 59 || seconds >= 61)
		return false;
	*microseconds = rint(seconds * USECS_PER_SEC) +
		TWO_DIGITS(start) * USECS_PER_HOUR +
		TWO_DIGITS(start + 3) * USECS_PER_MINUTE;
	if (*microseconds > USECS_PER_DAY)
		return false;

	if (*p == 'Z' || *p == 'z' || *p == '\0')
		return *p == '\0' || p[1] == '\0';
	zone = *p == '+' || *p == '-' ? match(p + 1, "99") : NULL;
	if (zone && *zone)
	{
		zone += *zone == ':';
		minutes = match(zone, "99") ? TWO_DIGITS(zone) : 0;
		zone = match(zone, "99");
	}
	if (zone == NULL || *zone != '\0' || minutes > 59 ||
		TWO_DIGITS(p + 1) > 23)
		return false;
	*microseconds -= (*p == '+' ? 1 : -1) *
		(TWO_DIGITS(p + 1) * USECS_PER_HOUR + minutes * USECS_PER_MINUTE);
	return true;
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

/*
 * impilo_read_timestamp
 *		Read a string as a time, and as the date that is written in it, if
 *		`date` is not NULL; false if it is not in ISO 8601: YYYY-MM-DD,
 *		optionally with T or a space and a time.
 */
bool
impilo_read_timestamp(const ImpiloJsonSlice *value, TimestampTz *result,
					  DateADT *date)
{
	const char *string = value->kind == IMPILO_JSON_STRING
	? impilo_scalar_string(value) : NULL;
	const char *p = string ? match(string, "9999-99-99") : NULL;
	int64		microseconds = 0;
	int			year;
	int			month;
	int			day;

	if (p == NULL)
		return false;
	year = (int) strtol(string, NULL, 10);
	month = TWO_DIGITS(string + 5);
	day = TWO_DIGITS(string + 8);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > day_tab[isleap(year)][month - 1] ||
		(*p != '\0' && (strchr("Tt ", *p) == NULL ||
						!read_clock(p + 1, &microseconds))))
		return false;
	day = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	*result = day * USECS_PER_DAY + microseconds;
	if (date)
		*date = day;
	return true;
}

/*
 * A date, a timestamp or a timestamptz.  The date of a time is the date as
 * written: the API's old form of a birth date is midnight in UTC.
 */
static bool
convert_to_time(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	TimestampTz timestamp;
	DateADT		date;

	if (!impilo_read_timestamp(value, &timestamp, &date))
		return refuse(error, ERRCODE_INVALID_DATETIME_FORMAT,
					  impilo_json_kind(value));
	*result = converter->type == DATEOID ? DateADTGetDatum(date)
		: TimestampTzGetDatum(timestamp);
	if (converter->type != DATEOID && converter->typmod >= 0)
		*result = DirectFunctionCall2(timestamptz_scale, *result,
									  Int32GetDatum(converter->typmod));
	return true;
}

/* ------------------------------------------------------------------------
 * jsonb
 * ------------------------------------------------------------------------
 */

/* The value to convert, and what is being built of it. */
typedef struct JsonbBuild
{
	ImpiloConverter *converter;
	const char *kind;			/* of the value */
	ImpiloConvertError *error;
	JsonbParseState *state;
} JsonbBuild;

/*
 * A scalar: of a string the bytes where they are, or decoded; a number with
 * all of its digits.
 */
static bool
build_scalar(const JsonbBuild *build, const ImpiloJsonSlice *scalar,
			 JsonbValue *result)
{
	Datum		numeric;
	size_t		length = scalar->length - 2;
	text	   *string;

	switch (scalar->kind)
	{
		case IMPILO_JSON_STRING:
			result->type = jbvString;
			result->val.string.val = unconstify(char *, scalar->data + 1);
			if (scalar->escaped || OidIsValid(build->converter->conversion))
			{
				if (!read_text(build->converter, scalar, false, build->kind,
							   &string, build->error))
					return false;
				result->val.string.val = VARDATA(string);
				length = VARSIZE(string) - VARHDRSZ;
			}
			if (length > JENTRY_OFFLENMASK)
				return refuse(build->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
							  psprintf("%s that is too long for type jsonb",
									   build->kind));
			result->val.string.len = (int) length;
			return true;
		case IMPILO_JSON_NUMBER:
			result->type = jbvNumeric;
			if (!convert_to_numeric(build->converter, scalar, &numeric,
									build->error))
				return false;
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
 * An array or an object; returns in *end where it ends.  Returns NULL for
 * what jsonb cannot hold.
 */
static JsonbValue *
build_container(JsonbBuild *build, const ImpiloJsonSlice *value,
				const char **end)
{
	bool		object = value->kind == IMPILO_JSON_OBJECT;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice item;
	ImpiloJsonError broken;
	JsonbValue	scalar;

	CHECK_FOR_INTERRUPTS();
	(void) pushJsonbValue(&build->state,
						  object ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY, NULL);
	impilo_json_begin(&cursor, value, IMPILO_JSON_OPEN);
	while (impilo_json_next(&cursor, object ? &name : NULL, &item, &broken) > 0)
	{
		if (object)
		{
			if (!build_scalar(build, &name, &scalar))
				return NULL;
			(void) pushJsonbValue(&build->state, WJB_KEY, &scalar);
		}
		if (item.kind >= IMPILO_JSON_ARRAY)
		{
			if (build_container(build, &item, &cursor.at) == NULL)
				return NULL;
			continue;
		}
		if (!build_scalar(build, &item, &scalar))
			return NULL;
		(void) pushJsonbValue(&build->state, object ? WJB_VALUE : WJB_ELEM,
							  &scalar);
	}
	*end = cursor.at;
	return pushJsonbValue(&build->state,
						  object ? WJB_END_OBJECT : WJB_END_ARRAY, NULL);
}

/*
 * The bytes have been checked, so they are read faster than by jsonb_in(),
 * whose errors would show them.
 */
static bool
convert_to_jsonb(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	JsonbBuild	build = {converter, impilo_json_kind(value), error};
	bool		container = value->kind >= IMPILO_JSON_ARRAY;
	JsonbValue	scalar;
	JsonbValue *built = NULL;
	const char *end;

	if (!check_utf8(build.kind, value->data, value->length, error))
		return false;
	if (container)
		built = build_container(&build, value, &end);
	else if (build_scalar(&build, value, &scalar))
		built = &scalar;
	if (built == NULL)
	{
		if (error->sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE && container)
			error->what = psprintf("%s with %s", build.kind, error->what);
		return false;
	}
	*result = JsonbPGetDatum(JsonbValueToJsonb(built));
	return true;
}

/* ------------------------------------------------------------------------
 * Other types
 * ------------------------------------------------------------------------
 */

static bool
convert_by_input(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	text	   *string;
	bool		done;
	int			nestlevel = 0;

	if (!read_text(converter, value, false, impilo_json_kind(value), &string,
				   error))
		return false;
	if (converter->has_form && !converter->has_form(VARDATA(string)))
		return refuse(error,
					  converter->type == UUIDOID
					  ? ERRCODE_INVALID_TEXT_REPRESENTATION
					  : ERRCODE_INVALID_DATETIME_FORMAT,
					  impilo_json_kind(value));
	if (converter->fix_settings)
		nestlevel = impilo_fix_settings();
	done = guard(converter, VARDATA(string), result, false, error);
	if (converter->fix_settings)
		AtEOXact_GUC(true, nestlevel);
	if (!done)
		error->what = impilo_json_kind(value);
	return done;
}

/*
 * JSON arrays become arrays of one dimension.  An array in an array is an
 * element like any other: of text[] its JSON, of jsonb[] itself, of bigint[]
 * an error.
 */
static bool
convert_to_array(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	Oid			type = converter->element->type;
	ArrayBuildState *array;
	Datum		element;
	bool		isnull;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice item;
	ImpiloJsonError broken;

	if (value->kind != IMPILO_JSON_ARRAY)
		return refuse_kind(error, value);
	array = initArrayResult(type, CurrentMemoryContext, false);
	impilo_json_begin(&cursor, value, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &item, &broken) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (!impilo_convert(converter->element, &item, &element, &isnull,
							error))
		{
			error->what = psprintf("an array with %s in it", error->what);
			return false;
		}
		(void) accumArrayResult(array, element, isnull, type,
								CurrentMemoryContext);
	}
	*result = makeArrayResult(array, CurrentMemoryContext);
	return true;
}

/* ------------------------------------------------------------------------
 * Converters
 * ------------------------------------------------------------------------
 */

/*
 * Prepare to call the input function.  Numbers, strings and enums do not read
 * settings; of other types this is not known.
 */
static void
prepare_input(ImpiloConverter *converter)
{
	Oid			type = converter->type;
	Oid			function;
	char		category;
	bool		preferred;

	getTypeInputInfo(type, &function, &converter->ioparam);
	fmgr_info_cxt(function, &converter->input, converter->context);
	get_type_category_preferred(type, &category, &preferred);
	converter->fix_settings = category != TYPCATEGORY_NUMERIC &&
		category != TYPCATEGORY_STRING && category != TYPCATEGORY_ENUM;
	converter->convert = convert_by_input;
	converter->soft = IMPILO_SOFT_INPUT || type == UUIDOID;
	if (type == TIMEOID || type == TIMETZOID)
		converter->has_form = is_clock;
	else if (type == INTERVALOID)
		converter->has_form = is_duration;
	else if (type == UUIDOID)
		converter->has_form = is_uuid;
	if (type_is_multirange(type))
		type = get_multirange_range(type);
	if (type_is_range(type))
	{
		type = get_range_subtype(type);
		if (type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID)
			converter->has_form = is_range;
	}
}

/* The types that are read without their input function. */
static const struct
{
	Oid			type;
	bool		(*convert) (ImpiloConverter *converter,
							const ImpiloJsonSlice *value, Datum *result,
							ImpiloConvertError *error);
}			functions[] = {
	{INT2OID, convert_to_integer},
	{INT4OID, convert_to_integer},
	{INT8OID, convert_to_integer},
	{FLOAT4OID, convert_to_float},
	{FLOAT8OID, convert_to_float},
	{NUMERICOID, convert_to_numeric},
	{BOOLOID, convert_to_bool},
	{DATEOID, convert_to_time},
	{TIMESTAMPOID, convert_to_time},
	{TIMESTAMPTZOID, convert_to_time},
	{TEXTOID, convert_to_text},
	{JSONOID, convert_to_text},
	{VARCHAROID, convert_to_text},
	{BPCHAROID, convert_to_text},
	{JSONBOID, convert_to_jsonb}
};

/*
 * impilo_converter
 *		Prepare to convert values to a type.
 *
 * The converter and what its functions remember live in `context`.
 */
ImpiloConverter *
impilo_converter(Oid type, int32 typmod, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloConverter *converter = palloc0(sizeof(ImpiloConverter));
	Oid			element = get_element_type(type);

	converter->type = type;
	converter->typmod = typmod;
	converter->context = context;
	converter->conversion = impilo_text_conversion();
	converter->soft = true;
	for (int i = 0; i < lengthof(functions); i++)
	{
		if (functions[i].type == type)
			converter->convert = functions[i].convert;
	}
	if (type == NUMERICOID && typmod >= VARHDRSZ)
		converter->convert = NULL;
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		Oid			base = getBaseTypeAndTypmod(type, &typmod);

		converter->base = impilo_converter(base, typmod, context);
		converter->soft = IMPILO_SOFT_DOMAINS && converter->base->soft;
	}
	else if (OidIsValid(element))
	{
		converter->convert = convert_to_array;
		converter->element = impilo_converter(element, typmod, context);
		converter->soft = converter->element->soft;
	}
	else if (converter->convert == NULL)
		prepare_input(converter);
	MemoryContextSwitchTo(caller);
	return converter;
}

/*
 * impilo_convert
 *		Convert one value, which has passed the check of json/scan.h.
 *
 * Absent values and null become NULL, which a domain may reject.  The result
 * is allocated in CurrentMemoryContext.  Returns false and `error` if the
 * value does not convert; if the error was `thrown`, the caller must raise
 * one without looking into the catalog before.
 */
bool
impilo_convert(ImpiloConverter *converter, const ImpiloJsonSlice *value,
			   Datum *result, bool *isnull, ImpiloConvertError *error)
{
	ImpiloConverter *base = converter->base ? converter->base : converter;

	*isnull = value->kind <= IMPILO_JSON_NULL;
	*result = (Datum) 0;
	if (!*isnull && !base->convert(base, value, result, error))
		return false;
	if (likely(base == converter) ||
		guard(converter, NULL, result, *isnull, error))
		return true;
	error->what = *isnull ? impilo_json_kind(value)
		: psprintf("%s that the constraints of the domain exclude",
				   impilo_json_kind(value));
	return false;
}
