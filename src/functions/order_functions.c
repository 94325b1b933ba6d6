/*-------------------------------------------------------------------------
 *
 * order_functions.c
 *	  SQL functions that build the items and kits of an order.
 *
 * impilo_order_item and impilo_order_kit return an array of one element;
 * arrays are concatenated with ||.  The aggregates impilo_order_items and
 * impilo_order_kits build one array from many rows.  They are written in C
 * because an aggregate in SQL or PL/pgSQL copies its state for each row, so
 * that its time grows with the square of the number of rows.
 *
 * No function here is strict: a NULL is an error, not an order without that
 * item.  An aggregate over no rows is NULL.  An id that occurs twice stays
 * two elements.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/order_functions.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(impilo_order_item_1_0);
PG_FUNCTION_INFO_V1(impilo_order_kit_1_0);
PG_FUNCTION_INFO_V1(impilo_order_items_step_1_0);
PG_FUNCTION_INFO_V1(impilo_order_kits_step_1_0);
PG_FUNCTION_INFO_V1(impilo_order_parts_final_1_0);

/*
 * Returns an argument, which must be a number from 1 to `max`.
 */
static int64
positive_arg(FunctionCallInfo fcinfo, int number, const char *name,
			 const char *part, int64 max)
{
	int64		value;

	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of order %s must not be null", name, part)));
	value = PG_GETARG_INT64(number);
	if (value < 1 || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of order %s must be between 1 and " INT64_FORMAT ", not " INT64_FORMAT,
						name, part, max, value)));
	return value;
}

/*
 * Appends {"item": {"id": n}, "count": m}, from two arguments.
 */
static void
append_part(StringInfo json, FunctionCallInfo fcinfo, int first,
			const char *part)
{
	int64		id = positive_arg(fcinfo, first, "id", part, PG_INT64_MAX);
	int64		count = positive_arg(fcinfo, first + 1, "count", part,
									 PG_INT32_MAX);

	appendStringInfo(json, "%c{\"%s\": {\"id\": " INT64_FORMAT "}, \"count\": " INT64_FORMAT "}",
					 json->len == 0 ? '[' : ',', part, id, count);
}

static Datum
array_of_one(FunctionCallInfo fcinfo, const char *part)
{
	StringInfoData json;

	initStringInfo(&json);
	append_part(&json, fcinfo, 0, part);
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/*
 * impilo_order_item(id bigint, count bigint) returns jsonb
 */
Datum
impilo_order_item_1_0(PG_FUNCTION_ARGS)
{
	return array_of_one(fcinfo, "item");
}

/*
 * impilo_order_kit(id bigint, count bigint) returns jsonb
 */
Datum
impilo_order_kit_1_0(PG_FUNCTION_ARGS)
{
	return array_of_one(fcinfo, "kit");
}

/*
 * Transition: the state is the text of the array without its last bracket.
 */
static Datum
add_part(FunctionCallInfo fcinfo, const char *part)
{
	MemoryContext aggregate;
	StringInfo	json;

	if (!AggCheckCallContext(fcinfo, &aggregate))
		elog(ERROR, "impilo_fdw: aggregate function called in non-aggregate context");
	if (PG_ARGISNULL(0))
	{
		MemoryContext caller = MemoryContextSwitchTo(aggregate);

		json = makeStringInfo();
		MemoryContextSwitchTo(caller);
	}
	else
		json = (StringInfo) PG_GETARG_POINTER(0);
	append_part(json, fcinfo, 1, part);
	PG_RETURN_POINTER(json);
}

/*
 * impilo_order_items_step(internal, id bigint, count bigint)
 */
Datum
impilo_order_items_step_1_0(PG_FUNCTION_ARGS)
{
	return add_part(fcinfo, "item");
}

/*
 * impilo_order_kits_step(internal, id bigint, count bigint)
 */
Datum
impilo_order_kits_step_1_0(PG_FUNCTION_ARGS)
{
	return add_part(fcinfo, "kit");
}

/*
 * impilo_order_parts_final(internal) returns jsonb
 *		Leaves the state as it is, as a window frame may continue with it.
 */
Datum
impilo_order_parts_final_1_0(PG_FUNCTION_ARGS)
{
	char	   *json;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	json = psprintf("%s]", ((StringInfo) PG_GETARG_POINTER(0))->data);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}
