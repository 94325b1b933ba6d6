/*-------------------------------------------------------------------------
 *
 * orders.c
 *	  SQL functions for users that create orders: the items and kits of an
 *	  order, and the journal.
 *
 * impilo_order_item and impilo_order_kit return an array of one element.  The
 * aggregates impilo_order_items and impilo_order_kits build one array from
 * many rows.  They are written in C because an aggregate in SQL or PL/pgSQL
 * copies its state for each row, so that its time grows with the square of
 * the number of rows.  An aggregate over no rows is NULL.  An id that occurs
 * twice stays two elements.
 *
 * The functions for the journal show and empty the current user's own orders
 * of this session only.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/orders.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "create/create.h"

PG_FUNCTION_INFO_V1(impilo_order_item_1_0);
PG_FUNCTION_INFO_V1(impilo_order_kit_1_0);
PG_FUNCTION_INFO_V1(impilo_order_parts_final_1_0);
PG_FUNCTION_INFO_V1(impilo_created_orders_1_0);
PG_FUNCTION_INFO_V1(impilo_forget_created_orders_1_0);


/* ------------------------------------------------------------------------
 * Items and kits
 *
 * No function is strict: a NULL is an error, not an order without that item.
 * ------------------------------------------------------------------------
 */

/*
 * Appends {"item": {"id": n}, "count": m}, from two arguments.
 */
static void
append_part(StringInfo json, FunctionCallInfo fcinfo, int first,
			const char *part)
{
	static const char *const names[] = {"id", "count"};
	static const int64 limits[] = {PG_INT64_MAX, PG_INT32_MAX};

	for (int i = 0; i < 2; i++)
	{
		if (PG_ARGISNULL(first + i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of order %s must not be null", names[i], part)));
		if (PG_GETARG_INT64(first + i) < 1 ||
			PG_GETARG_INT64(first + i) > limits[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s of order %s must be between 1 and " INT64_FORMAT ", not " INT64_FORMAT,
							names[i], part, limits[i],
							PG_GETARG_INT64(first + i))));
	}
	appendStringInfo(json, "%c{\"%s\": {\"id\": " INT64_FORMAT "}, \"count\": " INT64_FORMAT "}",
					 json->len == 0 ? '[' : ',', part, PG_GETARG_INT64(first),
					 PG_GETARG_INT64(first + 1));
}

/*
 * Returns an array as jsonb, from its text without the last bracket.
 */
static Datum
array_of(StringInfo json)
{
	return DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(psprintf("%s]", json->data)));
}

/*
 * Returns an array of one element, from an id and a count; or, with a state in
 * front of them, the next state of an aggregate, which is the text that
 * array_of takes.
 */
static Datum
add_part(FunctionCallInfo fcinfo, const char *part)
{
	bool		is_step = PG_NARGS() == 3;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext aggregate = caller;
	StringInfo	json;

	if (is_step && !AggCheckCallContext(fcinfo, &aggregate))
		elog(ERROR, "impilo_fdw: aggregate function called in non-aggregate context");
	MemoryContextSwitchTo(aggregate);
	json = is_step && !PG_ARGISNULL(0)
		? (StringInfo) PG_GETARG_POINTER(0) : makeStringInfo();
	append_part(json, fcinfo, is_step ? 1 : 0, part);
	MemoryContextSwitchTo(caller);
	return is_step ? PointerGetDatum(json) : array_of(json);
}

/*
 * impilo_order_item([internal,] id bigint, count bigint) returns jsonb
 */
Datum
impilo_order_item_1_0(PG_FUNCTION_ARGS)
{
	return add_part(fcinfo, "item");
}

/*
 * impilo_order_kit([internal,] id bigint, count bigint) returns jsonb
 */
Datum
impilo_order_kit_1_0(PG_FUNCTION_ARGS)
{
	return add_part(fcinfo, "kit");
}

/*
 * impilo_order_parts_final(internal) returns jsonb
 *		Does not change the state, with which a window frame may continue.
 */
Datum
impilo_order_parts_final_1_0(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return array_of((StringInfo) PG_GETARG_POINTER(0));
}

/* ------------------------------------------------------------------------
 * The journal
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether an entry is shown to the current user: the role that
 * inserted, or the one that ran the statement, if a SECURITY DEFINER function
 * inserted.
 */
static bool
is_shown(const ImpiloJournalEntry *entry)
{
	return !entry->forgotten && (entry->userid == GetUserId() ||
								 entry->caller == GetUserId());
}

/*
 * impilo_created_orders() returns setof (state, id, external_order_ids,
 * relation, row_number, posted_at)
 *		What this session's current user created.
 */
Datum
impilo_created_orders_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	dlist_iter	iter;

	InitMaterializedSRF(fcinfo, 0);
	dlist_foreach(iter, &impilo_journal)
	{
		const ImpiloJournalEntry *entry = impilo_journal_entry(iter);
		const ImpiloOrderRequest *row = entry->row;
		Datum	   *ids;
		Datum		values[6];
		bool		nulls[6] = {false};

		if (!is_shown(entry))
			continue;
		ids = palloc(row->nids * sizeof(Datum));
		for (int i = 0; i < row->nids; i++)
			ids[i] = CStringGetTextDatum(pg_any_to_server(row->ids[i],
														  strlen(row->ids[i]),
														  PG_UTF8));
		values[0] = CStringGetTextDatum(entry->state == IMPILO_ORDER_CREATED ? "created"
										: entry->state == IMPILO_ORDER_ROLLED_BACK ? "rolled back"
										: "unknown");
		values[1] = Int64GetDatum(entry->id);
		nulls[1] = entry->state < IMPILO_ORDER_CREATED;
		values[2] = PointerGetDatum(construct_array(ids, row->nids, TEXTOID,
													-1, false, TYPALIGN_INT));
		values[3] = CStringGetTextDatum(entry->relation);
		values[4] = Int64GetDatum(row->row);
		values[5] = TimestampTzGetDatum(entry->posted_at);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * impilo_forget_created_orders() returns bigint
 *		Empties the list, except for the running transaction's orders, and
 *		returns how many were removed.
 */
Datum
impilo_forget_created_orders_1_0(PG_FUNCTION_ARGS)
{
	dlist_mutable_iter iter;
	int64		forgotten = 0;

	dlist_foreach_modify(iter, &impilo_journal)
	{
		ImpiloJournalEntry *entry = impilo_journal_entry(iter);

		if (!is_shown(entry) || entry->subid != InvalidSubTransactionId)
			continue;
		forgotten++;

		/* an order that exists still counts for ON CONFLICT DO NOTHING */
		if (entry->state == IMPILO_ORDER_UNKNOWN)
			impilo_journal_drop(entry);
		else
			entry->forgotten = true;
	}
	PG_RETURN_INT64(forgotten);
}
