/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  The executor's callbacks of a scan, and EXPLAIN of it.
 *
 * The plan says which way to take; here the parameters get their values, the
 * orders become rows, and rows that the filter refuses cost no more than the
 * columns that the filter needs: it is evaluated here, between the two
 * portions of columns, instead of by the executor behind us.
 *
 * Nothing is sent before the first row is asked for.  Options are read when
 * the scan begins, never from the plan.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "create/journal.h"
#include "fdw/keys.h"
#include "fdw/route.h"
#include "fdw/scan.h"
#include "read/pages.h"
#include "read/shared.h"
#include "rows/read.h"

/* A scan that is more than explained. */
typedef struct ImpiloScan
{
	ImpiloRoute route;
	ImpiloTableOptions options;
	MemoryContext context;		/* child of the executor run's */
	ImpiloReader *reader;		/* NULL for IMPILO_ROUTE_NOTHING */
	ImpiloRowReader *rows;		/* NULL for IMPILO_ROUTE_COUNT */
	ExprState  *filter;			/* taken from the plan state; NULL: none */
	List	   *keys;			/* of ExprState; of routes Lookup and Pages */

	/* of IMPILO_ROUTE_PAGES */
	ImpiloApi  *api;
	ImpiloPages *pages;
	MemoryContext pages_context;
	ImpiloListed listed;
	ImpiloReaderStats pages_stats;

	Oid			serverid;
	CommandId	command;		/* of the statement's snapshot */

	bool		started;		/* the keys are evaluated */
	bool		at_order;		/* rows holds an order */
	bool		done;
} ImpiloScan;


/* ------------------------------------------------------------------------
 * Begin
 * ------------------------------------------------------------------------
 */

static ImpiloRoute
route_of(const ForeignScan *plan)
{
	return intVal(list_nth(plan->fdw_private, IMPILO_SCAN_ROUTE));
}

/*
 * A range table index of the scan: its own, or for a pushed-down aggregate
 * that of the relation below it.
 */
static int
rtindex_of(const ForeignScan *plan)
{
	if (plan->scan.scanrelid > 0)
		return plan->scan.scanrelid;
	return bms_next_member(plan->fs_relids, -1);
}

static Bitmapset *
column_set(const ForeignScan *plan, ImpiloScanPrivate member)
{
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	foreach(cell, (List *) list_nth(plan->fdw_private, member))
		columns = bms_add_member(columns, intVal(lfirst(cell)));
	return columns;
}

/*
 * Find the account: that of the user whose rights count for the scan.
 */
static void
open_reader(ForeignScanState *node, ImpiloScan *state, int eflags)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	int			rtindex = rtindex_of(plan);
	Oid			userid = impilo_scan_check_as_user(plan, rtindex, estate);
	ForeignTable *table =
	GetForeignTable(exec_rt_fetch(rtindex, estate)->relid);
	ForeignServer *server = GetForeignServer(table->serverid);
	ImpiloConnection *connection;
	bool		again;

	if (!OidIsValid(userid))
		userid = GetUserId();
	state->serverid = server->serverid;
	impilo_table_options(table, server, &state->options);
	connection = impilo_connection(userid, server->serverid, estate->es_query_cxt);
	state->api = connection->api;
	again = (eflags & EXEC_FLAG_REWIND) ||
		intVal(list_nth(plan->fdw_private, IMPILO_SCAN_REREAD));
	state->reader = impilo_reader_open(connection, estate->es_query_cxt,
									   &state->options,
									   state->route == IMPILO_ROUTE_LIST ? IMPILO_READS_LIST
									   : state->route == IMPILO_ROUTE_COUNT ? IMPILO_READS_COUNT
									   : IMPILO_READS_IDS, again,
									   intVal(list_nth(plan->fdw_private,
													   IMPILO_SCAN_READS_ALL)));
}

/*
 * impiloBeginForeignScan
 *		Make ready; sends nothing.
 */
void
impiloBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	MemoryContext context;
	MemoryContext caller;
	ImpiloScan *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	context = AllocSetContextCreate(node->ss.ps.state->es_query_cxt,
									"impilo_fdw scan", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(ImpiloScan));
	state->context = context;
	state->route = route_of(plan);
	state->command = node->ss.ps.state->es_snapshot->curcid;
	node->fdw_state = state;

	if (state->route != IMPILO_ROUTE_NOTHING)
		open_reader(node, state, eflags);
	if (state->route != IMPILO_ROUTE_COUNT)
	{
		ImpiloTable *table = impilo_table_bind(node->ss.ss_currentRelation);

		state->rows = impilo_row_reader(table,
										column_set(plan, IMPILO_SCAN_FILTER_COLUMNS),
										column_set(plan, IMPILO_SCAN_REST_COLUMNS),
										context);

		/*
		 * core gives the row its table's OID only behind us: too late for the
		 * filter
		 */
		node->ss.ss_ScanTupleSlot->tts_tableOid =
			RelationGetRelid(node->ss.ss_currentRelation);
		state->filter = node->ss.ps.qual;
		node->ss.ps.qual = NULL;
	}
	MemoryContextSwitchTo(caller);

	state->keys = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
}

/* ------------------------------------------------------------------------
 * Keys
 * ------------------------------------------------------------------------
 */

/*
 * The first row is asked for: now the parameters have their values.
 */
static void
start(ForeignScanState *node, ImpiloScan *state)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int64	   *keys = NULL;
	int			nkeys = 0;
	bool		few;

	state->started = true;
	if (state->keys == NIL)
		return;
	few = impilo_keys_evaluate(plan->fdw_exprs,
							   list_nth(plan->fdw_private, IMPILO_SCAN_KEY_KINDS),
							   state->keys, node->ss.ps.ps_ExprContext,
							   &keys, &nkeys);
	if (state->route == IMPILO_ROUTE_LOOKUP)
	{
		if (few)
			impilo_reader_lookup(state->reader, keys, nkeys);
		else
			impilo_reader_list(state->reader);
		return;
	}
	if (state->pages_context == NULL)
		state->pages_context = AllocSetContextCreate(state->context,
													 "impilo_fdw pages",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(state->pages_context);
	state->pages = impilo_pages_open(state->api, state->pages_context,
									 keys, nkeys, state->options.fetch_size,
									 state->options.max_concurrency,
									 &state->pages_stats.http);
	impilo_row_reader_listed(state->rows, &state->listed.page);
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

/*
 * The next order that the statement may see.  As with PostgreSQL's own rows,
 * what it has created itself is not there yet.
 */
static bool
next_order(ImpiloScan *state, ImpiloOrder *order)
{
	if (state->route == IMPILO_ROUTE_PAGES)
	{
		int64		page = state->listed.page;

		if (!impilo_pages_next(state->pages, order, &state->listed))
			return false;
		state->pages_stats.pages += state->listed.page != page;
		state->pages_stats.orders += order->document.kind != IMPILO_JSON_NULL;
		return true;
	}
	while (impilo_reader_next(state->reader, order))
	{
		CHECK_FOR_INTERRUPTS();
		if (!impilo_journal_hides(state->serverid, order->id, state->command))
			return true;
	}
	return false;
}

/*
 * How many orders the statement may see: all that there are, unless it has
 * created some of them.
 */
static int64
count_orders(ImpiloScan *state)
{
	ImpiloOrder order;
	int64		count = 0;

	if (!impilo_journal_hides_any(state->serverid, state->command))
		return impilo_reader_count(state->reader);
	while (next_order(state, &order))
		count++;
	return count;
}

static TupleTableSlot *
count_row(ForeignScanState *node, ImpiloScan *state)
{
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	int64		count;

	state->done = true;
	count = count_orders(state);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		slot->tts_values[i] = Int64GetDatum(count);
		slot->tts_isnull[i] = false;
	}
	return ExecStoreVirtualTuple(slot);
}

/*
 * The next row before the filter; false at the end.
 */
static bool
next_row(ImpiloScan *state)
{
	ImpiloOrder order;

	for (;;)
	{
		if (state->at_order && impilo_row_reader_next(state->rows))
			return true;
		state->at_order = false;
		if (!next_order(state, &order))
			return false;
		impilo_row_reader_order(state->rows, order.id, &order.document,
								order.request);
		state->at_order = true;
	}
}

/*
 * impilo_set_system_columns
 *		Give a row the system columns that it would have in postgres_fdw: no
 *		transaction, no place, and the table's OID.
 *
 * To be called once all columns that are needed are filled in.  Rows of
 * partitioned tables can come in slots without system columns.
 */
void
impilo_set_system_columns(TupleTableSlot *slot)
{
	HeapTuple	tuple;

	if (!TTS_IS_HEAPTUPLE(slot))
		return;
	tuple = ExecFetchSlotHeapTuple(slot, true, NULL);
	HeapTupleHeaderSetXmin(tuple->t_data, InvalidTransactionId);
	HeapTupleHeaderSetXmax(tuple->t_data, InvalidTransactionId);
	HeapTupleHeaderSetCmin(tuple->t_data, FirstCommandId);
}

/*
 * impiloIterateForeignScan
 *		The next row that passes the filter, or an empty slot.
 *
 * Called in the memory context of one row, which is emptied before the next
 * one; so it is here after a row that did not pass.
 */
TupleTableSlot *
impiloIterateForeignScan(ForeignScanState *node)
{
	ImpiloScan *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	bool		system_columns = castNode(ForeignScan, node->ss.ps.plan)->fsSystemCol;

	ExecClearTuple(slot);
	if (state->done || state->route == IMPILO_ROUTE_NOTHING)
		return slot;
	if (!state->started)
		start(node, state);
	if (state->route == IMPILO_ROUTE_COUNT)
		return count_row(node, state);

	while (next_row(state))
	{
		CHECK_FOR_INTERRUPTS();
		impilo_row_reader_filter(state->rows, slot->tts_values, slot->tts_isnull);
		if (system_columns)
			impilo_row_reader_rest(state->rows, slot->tts_values,
								   slot->tts_isnull);
		ExecStoreVirtualTuple(slot);
		if (system_columns)
			impilo_set_system_columns(slot);
		econtext->ecxt_scantuple = slot;
		if (ExecQual(state->filter, econtext))
		{
			if (!system_columns)
				impilo_row_reader_rest(state->rows, slot->tts_values,
									   slot->tts_isnull);
			return slot;
		}
		InstrCountFiltered1(node, 1);
		ExecClearTuple(slot);
		ResetExprContext(econtext);
	}
	state->done = true;
	return slot;
}

/*
 * impiloReScanForeignScan
 *		Start again, perhaps with other parameters.
 */
void
impiloReScanForeignScan(ForeignScanState *node)
{
	ImpiloScan *state = node->fdw_state;

	if (state == NULL || !state->started)
		return;
	state->started = false;
	state->at_order = false;
	state->done = false;
	if (state->route == IMPILO_ROUTE_LIST || state->route == IMPILO_ROUTE_COUNT)
		impilo_reader_rewind(state->reader);
}

/*
 * impiloEndForeignScan
 *		The regular end; what an error leaves goes with memory contexts.
 */
void
impiloEndForeignScan(ForeignScanState *node)
{
	ImpiloScan *state = node->fdw_state;

	if (state == NULL)
		return;
	if (state->reader)
		impilo_reader_close(state->reader);
	MemoryContextDelete(state->context);
	node->fdw_state = NULL;
}

/* ------------------------------------------------------------------------
 * EXPLAIN
 * ------------------------------------------------------------------------
 */

static const char *
route_name(ImpiloRoute route)
{
	switch (route)
	{
		case IMPILO_ROUTE_LIST:
			return "List";
		case IMPILO_ROUTE_LOOKUP:
			return "Lookup";
		case IMPILO_ROUTE_PAGES:
			return "Pages";
		case IMPILO_ROUTE_COUNT:
			return "Count";
		case IMPILO_ROUTE_NOTHING:
			return "None";
	}
	return "";					/* keep compiler quiet */
}

/*
 * The request that a route makes, as far as the plan tells.
 */
static char *
show_request(const ForeignScan *plan, const char *base_url,
			 const ImpiloTableOptions *options)
{
	int64		id;

	switch (route_of(plan))
	{
		case IMPILO_ROUTE_LIST:
		case IMPILO_ROUTE_PAGES:
			return psprintf("GET %s/order?page={page}&size=%d", base_url,
							options->fetch_size);
		case IMPILO_ROUTE_COUNT:
			return psprintf("GET %s/order?page=1&size=1", base_url);
		case IMPILO_ROUTE_LOOKUP:
			if (impilo_keys_constant(plan->fdw_exprs, &id))
				return psprintf("GET %s/order/" INT64_FORMAT, base_url, id);
			return psprintf("GET %s/order/{id}", base_url);
		case IMPILO_ROUTE_NOTHING:
			break;
	}
	return NULL;
}

static void
explain_stats(const ImpiloScan *state, ExplainState *es)
{
	ImpiloReaderStats stats;

	if (state->reader == NULL)
		return;
	if (state->route == IMPILO_ROUTE_PAGES)
		stats = state->pages_stats;
	else
		impilo_reader_stats(state->reader, &stats);
	if (stats.by_list)
		ExplainPropertyText("Read Instead", route_name(IMPILO_ROUTE_LIST), es);
	if (state->route == IMPILO_ROUTE_LIST || state->route == IMPILO_ROUTE_PAGES ||
		stats.by_list)
		ExplainPropertyInteger("Pages", NULL, stats.pages, es);
	ExplainPropertyInteger("Requests", NULL, stats.http.requests, es);
	if (stats.http.retries > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyInteger("Retries", NULL, stats.http.retries, es);
	if (state->route != IMPILO_ROUTE_COUNT)
		ExplainPropertyInteger("Orders", NULL, stats.orders, es);
	ExplainPropertyInteger("Response Bytes", "bytes", stats.http.bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Network Wait", "ms",
							 INSTR_TIME_GET_MILLISEC(stats.http.waited), 3, es);
	if (stats.shared)
		ExplainPropertyBool("Shared List", true, es);
}

/*
 * impiloExplainForeignScan
 *		Name the route and the request, and what it cost if it was run.
 */
void
impiloExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Oid			relid = exec_rt_fetch(rtindex_of(plan), node->ss.ps.state)->relid;
	ForeignTable *table = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(table->serverid);
	ImpiloServerOptions server_options;
	ImpiloTableOptions options;
	char	   *request;

	impilo_server_options(server, &server_options);
	impilo_table_options(table, server, &options);
	ExplainPropertyText("Route", route_name(route_of(plan)), es);
	request = show_request(plan, server_options.base_url, &options);
	if (request)
		ExplainPropertyText("Remote Request", request, es);
	if (es->analyze && node->fdw_state)
		explain_stats(node->fdw_state, es);
}
