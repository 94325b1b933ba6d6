/*-------------------------------------------------------------------------
 *
 * order_functions.c
 *	  SQL functions that build the items and kits of an order.
 *
 * impilo_order_item and impilo_order_kit give an array of one element, to be
 * put together with ||; the aggregates impilo_order_items and
 * impilo_order_kits make one array out of many rows.
 *
 * None of them is strict, and each checks what it is given: NULL where a
 * value belongs is an error, not an order without that item.  An aggregate
 * over no rows is NULL, as of other aggregates: an order with nothing else in
 * it is refused then.  The same id given twice stays two elements; whether
 * these are one order line or two is the API's to say.
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
 * Append {"item": {"id": n}, "count": m} from arguments `first` and the one
 * behind it.
 */
static void
append_part(StringInfo json, FunctionCallInfo fcinfo, int first,
			const char *part)
{
	int64		id;
	int32		count;

	if (PG_ARGISNULL(first))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("id of %s must not be null", part)));
	if (PG_ARGISNULL(first + 1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("count of %s must not be null", part)));
	id = PG_GETARG_INT64(first);
	count = PG_GETARG_INT32(first + 1);
	if (id < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("id of %s must be above 0", part)));
	if (count < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("count of %s must be above 0", part),
				 errdetail("Its id is " INT64_FORMAT ", its count is %d.",
						   id, count)));
	appendStringInfo(json, "{\"%s\": {\"id\": " INT64_FORMAT "}, \"count\": %d}",
					 part, id, count);
}

static Datum
as_jsonb(const StringInfoData *json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json->data));
}

static Datum
one_part(FunctionCallInfo fcinfo, const char *part)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	append_part(&json, fcinfo, 0, part);
	appendStringInfoChar(&json, ']');
	return as_jsonb(&json);
}

/*
 * impilo_order_item(id bigint, count integer) returns jsonb
 */
Datum
impilo_order_item_1_0(PG_FUNCTION_ARGS)
{
	return one_part(fcinfo, "item");
}

/*
 * impilo_order_kit(id bigint, count integer) returns jsonb
 */
Datum
impilo_order_kit_1_0(PG_FUNCTION_ARGS)
{
	return one_part(fcinfo, "kit");
}

/*
 * The state is the array's text so far, without its closing bracket.
 */
static Datum
step(FunctionCallInfo fcinfo, const char *part)
{
	MemoryContext aggregate;
	MemoryContext caller;
	StringInfo	json;

	if (!AggCheckCallContext(fcinfo, &aggregate))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (PG_ARGISNULL(0))
	{
		caller = MemoryContextSwitchTo(aggregate);
		json = makeStringInfo();
		MemoryContextSwitchTo(caller);
		appendStringInfoChar(json, '[');
	}
	else
	{
		json = (StringInfo) PG_GETARG_POINTER(0);
		appendStringInfoString(json, ", ");
	}
	append_part(json, fcinfo, 1, part);
	PG_RETURN_POINTER(json);
}

/*
 * impilo_order_items_step(internal, id bigint, count integer)
 */
Datum
impilo_order_items_step_1_0(PG_FUNCTION_ARGS)
{
	return step(fcinfo, "item");
}

/*
 * impilo_order_kits_step(internal, id bigint, count integer)
 */
Datum
impilo_order_kits_step_1_0(PG_FUNCTION_ARGS)
{
	return step(fcinfo, "kit");
}

/*
 * impilo_order_parts_final(internal) returns jsonb
 *
 * Leaves the state as it is, so that a moving frame can go on with it.
 */
Datum
impilo_order_parts_final_1_0(PG_FUNCTION_ARGS)
{
	const StringInfoData *state;
	StringInfoData json;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (const StringInfoData *) PG_GETARG_POINTER(0);
	initStringInfo(&json);
	appendBinaryStringInfo(&json, state->data, state->len);
	appendStringInfoChar(&json, ']');
	return as_jsonb(&json);
}
