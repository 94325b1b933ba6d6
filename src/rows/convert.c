/*-------------------------------------------------------------------------
 *
 * convert.c
 *	  One JSON value into one Datum.
 *
 * A converter is made once for each column of a scan and knows all that can
 * be known before a value is seen.  The common types are read by
 * convert_scalar.c and convert_text.c.  An array is made of its elements'
 * converter, a domain of its base type's and its constraints, and every other
 * type goes through its input function, which is given the characters of a
 * string and the JSON text of anything else.
 *
 * Input functions and constraints raise errors that show the value, and no
 * message may show what may be a patient's.  So their errors are caught here
 * and told to the caller, who says anew what is wrong.  Where PostgreSQL
 * reports such an error softly, that is all.  Where it throws one, the caller
 * has to raise an error in any case (`hard`): catching without a
 * subtransaction is safe only on the way to the transaction's end.
 *
 * What the error says, and whether there is one, is decided in rows.c.
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
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "rows/convert_scalar.h"

/* What may throw: see guard(). */
typedef bool (*GuardedAction) (ImpiloConverter *converter, char *string,
							   Datum *result, Node *escontext);

/*
 * Is this an error of the server rather than of the value?  Such an error is
 * left alone: clients know what to do about it, and it shows no value.
 */
static bool
is_server_error(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK):
		case ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES):
		case ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED):
		case ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR):
			return true;
		default:
			return false;
	}
}

/*
 * The SQLSTATE to tell.  Some types call what is no value of theirs a syntax
 * error or an unknown name, by which a client would take the statement to be
 * wrong.
 */
static int
sqlstate_of_value(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION):
			return sqlstate;
		default:
			return sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE ? sqlstate
				: ERRCODE_INVALID_TEXT_REPRESENTATION;
	}
}

/*
 * Run what may throw.  Returns false and fills in sqlstate and hard of the
 * error if it failed; what was wrong is the caller's to say.
 */
static bool
guard(ImpiloConverter *converter, GuardedAction action, char *string,
	  Datum *result, ImpiloConvertError *error)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorSaveContext escontext = {T_ErrorSaveContext};
	volatile bool done = false;

	escontext.details_wanted = true;
	error->hard = false;
	PG_TRY();
	{
		done = action(converter, string, result, (Node *) &escontext);
		if (!done)
			error->sqlstate =
				sqlstate_of_value(escontext.error_data->sqlerrcode);
	}
	PG_CATCH();
	{
		ErrorData  *thrown;

		MemoryContextSwitchTo(caller);
		thrown = CopyErrorData();
		if (is_server_error(thrown->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		error->sqlstate = sqlstate_of_value(thrown->sqlerrcode);
		error->hard = true;
		done = false;
	}
	PG_END_TRY();
	return done;
}

/* ------------------------------------------------------------------------
 * Settings
 * ------------------------------------------------------------------------
 */

/*
 * impilo_fix_settings
 *		Give the settings that input and output functions read fixed values,
 *		until AtEOXact_GUC(true, nest level returned).
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
 * Input functions
 * ------------------------------------------------------------------------
 */

static bool
call_input(ImpiloConverter *converter, char *string, Datum *result,
		   Node *escontext)
{
	return InputFunctionCallSafe(&converter->input, string,
								 converter->ioparam, converter->typmod,
								 escontext, result);
}

static bool
convert_by_input(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				 Datum *result, ImpiloConvertError *error)
{
	text	   *string;

	if (!impilo_convert_text(converter, value,
							 converter->type == JSONBOID
							 ? IMPILO_TEXT_OF_JSON : IMPILO_TEXT_OF_VALUE,
							 &string, error))
		return false;
	if (guard(converter, call_input, VARDATA(string), result, error))
		return true;
	error->what = impilo_convert_kind(value);
	return false;
}

/* ------------------------------------------------------------------------
 * Arrays
 * ------------------------------------------------------------------------
 */

/*
 * JSON arrays become arrays of one dimension.  One inside another is an
 * element like any other: of text[] its JSON, of jsonb[] itself, of bigint[]
 * an error.  SQL's own arrays of arrays would have to be rectangular.
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
		return impilo_convert_refuse(error,
									 ERRCODE_INVALID_TEXT_REPRESENTATION,
									 impilo_convert_kind(value));
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

/* ------------------------------------------------------------------------
 * Domains
 * ------------------------------------------------------------------------
 */

static bool
check_constraints(ImpiloConverter *converter, char *string, Datum *result,
				  Node *escontext)
{
	return domain_check_safe(*result, false, converter->type,
							 &converter->constraints, converter->context,
							 escontext);
}

static bool
check_constraints_of_null(ImpiloConverter *converter, char *string,
						  Datum *result, Node *escontext)
{
	return domain_check_safe((Datum) 0, true, converter->type,
							 &converter->constraints, converter->context,
							 escontext);
}

static bool
refuse_domain(const ImpiloJsonSlice *value, ImpiloConvertError *error)
{
	const char *kind = impilo_convert_kind(value);

	error->what = value->kind <= IMPILO_JSON_NULL ? kind
		: psprintf("%s that the constraints of the domain exclude", kind);
	return false;
}

static bool
convert_to_domain(ImpiloConverter *converter, const ImpiloJsonSlice *value,
				  Datum *result, ImpiloConvertError *error)
{
	if (!converter->base->convert(converter->base, value, result, error))
		return false;
	return guard(converter, check_constraints, NULL, result, error) ||
		refuse_domain(value, error);
}

/* ------------------------------------------------------------------------
 * Converters
 * ------------------------------------------------------------------------
 */

static void
prepare_domain(ImpiloConverter *converter)
{
	int32		typmod = converter->typmod;
	Oid			base = getBaseTypeAndTypmod(converter->type, &typmod);

	converter->convert = convert_to_domain;
	converter->base = impilo_converter(base, typmod, converter->context);
	converter->soft = IMPILO_SOFT_DOMAINS && converter->base->soft;
}

static void
prepare_array(ImpiloConverter *converter, Oid element)
{
	converter->convert = convert_to_array;
	converter->element = impilo_converter(element, converter->typmod,
										  converter->context);
	get_typlenbyvalalign(element, &converter->typlen, &converter->typbyval,
						 &converter->typalign);
	converter->soft = converter->element->soft;
}

static void
prepare_input(ImpiloConverter *converter)
{
	Oid			function;

	converter->convert = convert_by_input;
	getTypeInputInfo(converter->type, &function, &converter->ioparam);
	fmgr_info_cxt(function, &converter->input, converter->context);
	converter->soft = IMPILO_SOFT_INPUT;
}

/*
 * impilo_converter
 *		Prepare to convert values to a type, in `context`, where the converter
 *		lives and what its functions remember.
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
	converter->convert = impilo_convert_scalar(type, typmod);
	converter->soft = true;
	if (converter->convert == NULL)
	{
		if (get_typtype(type) == TYPTYPE_DOMAIN)
			prepare_domain(converter);
		else if (OidIsValid(element))
			prepare_array(converter, element);
		else
			prepare_input(converter);
	}
	MemoryContextSwitchTo(caller);
	return converter;
}

/*
 * impilo_converter_soft
 *		Can values that do not convert be read as something else (on_invalid)?
 *
 * Not so where PostgreSQL has no way to find out but to raise an error.  Even
 * where it has, a function of an extension may still throw.
 */
bool
impilo_converter_soft(const ImpiloConverter *converter)
{
	return converter->soft;
}

/*
 * impilo_convert
 *		Convert one value, which has passed the check of scan.h.
 *
 * Absent values and null become SQL's NULL, which a domain may refuse.  The
 * result is allocated in CurrentMemoryContext.  Returns false if the value
 * does not convert, and says in `error` what it is without showing it; if it
 * is a `hard` error the caller must raise one and do nothing before that
 * needs the catalog.
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
	return converter->base == NULL ||
		guard(converter, check_constraints_of_null, NULL, result, error) ||
		refuse_domain(value, error);
}
