/*-------------------------------------------------------------------------
 *
 * convert.c
 *	  One JSON value into one Datum.
 *
 * A converter is made once for each column and knows everything that can be
 * known before the first value.  The types of nearly all columns are read
 * here and in scalar.c.  All others go through their input function, which
 * gets the characters of a string and the JSON text of anything else, under
 * fixed settings if it might read any.  Arrays and domains use the converter
 * of their element or base type.
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

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "json/text.h"
#include "rows/convert.h"

/* ------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------
 */

/*
 * impilo_refuse, impilo_refuse_kind, impilo_refuse_escape,
 * impilo_refuse_character
 *		Fill in an error; return false for the caller to return.
 */
bool
impilo_refuse(ImpiloConvertError *error, int sqlstate, const char *what)
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

bool
impilo_refuse_kind(ImpiloConvertError *error, const ImpiloJsonSlice *value)
{
	return impilo_refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
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

bool
impilo_refuse_escape(ImpiloConvertError *error, const ImpiloJsonSlice *value,
					 ImpiloJsonText outcome)
{
	return impilo_refuse(error, ERRCODE_UNTRANSLATABLE_CHARACTER,
						 psprintf("%s with %s", impilo_json_kind(value),
								  outcome == IMPILO_JSON_TEXT_NUL
								  ? "the character \\u0000"
								  : "half of a surrogate pair"));
}

bool
impilo_refuse_character(ImpiloConvertError *error,
						const ImpiloJsonSlice *value)
{
	return impilo_refuse(error, ERRCODE_UNTRANSLATABLE_CHARACTER,
						 psprintf("%s with a character that encoding %s does not have",
								  impilo_json_kind(value),
								  GetDatabaseEncodingName()));
}

/*
 * impilo_check_utf8
 *		Check bytes of a value.
 */
bool
impilo_check_utf8(const ImpiloJsonSlice *value, const char *utf8, size_t length,
				  ImpiloConvertError *error)
{
	if (likely(pg_verify_mbstr(PG_UTF8, utf8, (int) length, true)))
		return true;
	return impilo_refuse(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
						 psprintf("%s that is not valid UTF-8",
								  impilo_json_kind(value)));
}

/*
 * The text of a value in the database's encoding: of a string its characters,
 * of anything else, or with `as_json`, its JSON.  A NUL follows it, so that
 * VARDATA is a C string, too.
 */
static bool
read_text(ImpiloConverter *converter, const ImpiloJsonSlice *value,
		  bool as_json, text **result, ImpiloConvertError *error)
{
	bool		string = value->kind == IMPILO_JSON_STRING && !as_json;
	text	   *utf8 = palloc(VARHDRSZ + value->length + 1);
	size_t		length = value->length - (string ? 2 : 0);
	ImpiloJsonText outcome = IMPILO_JSON_TEXT_OK;

	if (string && value->escaped)
		outcome = impilo_json_unescape(value, VARDATA(utf8), &length);
	else
		memcpy(VARDATA(utf8), value->data + (string ? 1 : 0), length);
	if (outcome != IMPILO_JSON_TEXT_OK)
		return impilo_refuse_escape(error, value, outcome);
	VARDATA(utf8)[length] = '\0';
	SET_VARSIZE(utf8, VARHDRSZ + length);
	*result = utf8;

	if (value->kind == IMPILO_JSON_NUMBER || value->kind == IMPILO_JSON_BOOL)
		return true;
	if (!impilo_check_utf8(value, VARDATA(utf8), length, error))
		return false;
	if (!OidIsValid(converter->conversion))
		return true;
	*result = impilo_text_convert(VARDATA(utf8), length,
								  converter->conversion);
	return *result != NULL || impilo_refuse_character(error, value);
}

static bool
convert_to_text(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				Datum *result, ImpiloConvertError *error)
{
	text	   *string;

	if (!read_text(converter, value, converter->type == JSONOID, &string,
				   error))
		return false;
	*result = PointerGetDatum(string);
	return true;
}

/*
 * character(n) and character varying(n).  As in an assignment, a string is
 * too long unless only spaces are cut.
 */
static bool
convert_to_limited(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				   Datum *result, ImpiloConvertError *error)
{
	text	   *string;
	int			length;
	int			kept;

	if (!read_text(converter, value, false, &string, error))
		return false;
	length = VARSIZE(string) - VARHDRSZ;
	kept = pg_mbcharcliplen(VARDATA(string), length,
							converter->typmod - VARHDRSZ);
	if (strspn(VARDATA(string) + kept, " ") != length - kept)
		return impilo_refuse(error, ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
							 "a value that is too long");
	*result = InputFunctionCall(&converter->input, VARDATA(string),
								converter->ioparam, converter->typmod);
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

	if (!read_text(converter, value, false, &string, error))
		return false;
	if (converter->check && !converter->check(VARDATA(string)))
		return impilo_refuse(error,
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
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError broken;
	int			room = 8;
	int			count = 0;
	int			lower = 1;
	Datum	   *values;
	bool	   *nulls;

	if (value->kind != IMPILO_JSON_ARRAY)
		return impilo_refuse_kind(error, value);
	values = palloc(room * sizeof(Datum));
	nulls = palloc(room * sizeof(bool));
	impilo_json_begin(&cursor, value, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &broken) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (count == room)
		{
			room *= 2;
			values = repalloc(values, room * sizeof(Datum));
			nulls = repalloc(nulls, room * sizeof(bool));
		}
		if (!impilo_convert(converter->element, &element, &values[count],
							&nulls[count], error))
		{
			error->what = psprintf("an array with %s in it", error->what);
			return false;
		}
		count++;
	}
	*result = PointerGetDatum(count == 0
							  ? construct_empty_array(converter->element->type)
							  : construct_md_array(values, nulls, 1, &count,
												   &lower,
												   converter->element->type,
												   converter->typlen,
												   converter->typbyval,
												   converter->typalign));
	return true;
}

static bool
convert_to_domain(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				  Datum *result, ImpiloConvertError *error)
{
	if (!converter->base->convert(converter->base, value, result, error))
		return false;
	if (guard(converter, NULL, result, false, error))
		return true;
	error->what = psprintf("%s that the constraints of the domain exclude",
						   impilo_json_kind(value));
	return false;
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
	Oid			function;
	char		category;
	bool		preferred;

	getTypeInputInfo(converter->type, &function, &converter->ioparam);
	fmgr_info_cxt(function, &converter->input, converter->context);
	get_type_category_preferred(converter->type, &category, &preferred);
	converter->check = impilo_form_check(converter->type);
	converter->fix_settings = category != TYPCATEGORY_NUMERIC &&
		category != TYPCATEGORY_STRING && category != TYPCATEGORY_ENUM;
	if (converter->convert == NULL)
	{
		converter->convert = convert_by_input;
		converter->soft = IMPILO_SOFT_INPUT || converter->type == UUIDOID;
	}
}

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
	converter->convert = impilo_scalar_function(type, typmod);
	if (type == TEXTOID || type == JSONOID)
		converter->convert = convert_to_text;
	else if (type == VARCHAROID || type == BPCHAROID)
		converter->convert = typmod < VARHDRSZ ? convert_to_text
			: convert_to_limited;
	converter->soft = true;
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		Oid			base = getBaseTypeAndTypmod(type, &typmod);

		converter->convert = convert_to_domain;
		converter->base = impilo_converter(base, typmod, context);
		converter->soft = IMPILO_SOFT_DOMAINS && converter->base->soft;
	}
	else if (OidIsValid(element))
	{
		converter->convert = convert_to_array;
		converter->element = impilo_converter(element, typmod, context);
		get_typlenbyvalalign(element, &converter->typlen,
							 &converter->typbyval, &converter->typalign);
		converter->soft = converter->element->soft;
	}
	else if (converter->convert == NULL ||
			 converter->convert == convert_to_limited)
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
	if (likely(value->kind > IMPILO_JSON_NULL))
	{
		*isnull = false;
		return converter->convert(converter, value, result, error);
	}
	*result = (Datum) 0;
	*isnull = true;
	if (converter->base == NULL || guard(converter, NULL, result, true, error))
		return true;
	error->what = impilo_json_kind(value);
	return false;
}
