/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  The executor's callbacks of a scan, and EXPLAIN of it.
 *
 * The plan contains the route.  The scan evaluates the keys and converts
 * orders to rows.  It also evaluates the filter, instead of the executor: first
 * it converts the columns that the filter needs, and the other columns only
 * for rows that pass.
 *
 * Nothing is sent before the executor asks for the first row.  Options are
 * read when the scan begins, and are not part of the plan.
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
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "create/create.h"
#include "fdw/scan.h"
#include "read/pages.h"
#include "read/shared.h"
#include "rows/read.h"

/* State of a scan; EXPLAIN without ANALYZE has none. */
typedef struct ImpiloScan
{
	ImpiloRoute route;
	ImpiloTableOptions options;
	MemoryContext context;		/* child of the executor run's */
	ImpiloConnection *connection;	/* NULL for IMPILO_ROUTE_NOTHING */
	ImpiloReader *reader;		/* of routes List, Lookup and Count */
	ImpiloRowReader *rows;		/* NULL for IMPILO_ROUTE_COUNT */
	ExprState  *filter;			/* taken from the plan state; NULL: none */
	List	   *keys;			/* of ExprState; of routes Lookup and Pages */

	/* of IMPILO_ROUTE_PAGES */
	ImpiloPages *pages;
	MemoryContext pages_context;
	ImpiloListed listed;
	ImpiloReaderStats pages_stats;

	CommandId	command;		/* of the statement's snapshot */
	bool		started;		/* the keys are evaluated */
	bool		at_order;		/* rows holds an order */
	bool		done;
} ImpiloScan;


/* ------------------------------------------------------------------------
 * Begin
 * ------------------------------------------------------------------------
 */

static int
private_integer(const ForeignScan *plan, ImpiloScanPrivate member)
{
	return intVal(list_nth(plan->fdw_private, member));
}

static Bitmapset *
column_set(const ForeignScan *plan, ImpiloScanPrivate member)
{
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	foreach(cell, (List *) list_nth(plan->fdw_private, member))
		columns = bms_add_member(columns, lfirst_int(cell));
	return columns;
}

/*
 * Open the reader, for the account of the user whose rights the scan has.
 */
static void
open_reader(ForeignScanState *node, ImpiloScan *state, int eflags)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	int			rtindex = bms_next_member(plan->fs_relids, -1);
	Oid			userid = impilo_scan_check_as_user(plan, rtindex, estate);

	impilo_table_options(exec_rt_fetch(rtindex, estate)->relid, &state->options);
	state->connection = impilo_connection(OidIsValid(userid) ? userid : GetUserId(),
										  state->options.serverid,
										  estate->es_query_cxt);
	if (state->route == IMPILO_ROUTE_PAGES)
		state->pages_context = AllocSetContextCreate(state->context,
													 "impilo_fdw pages",
													 ALLOCSET_DEFAULT_SIZES);
	else
		state->reader =
			impilo_reader_open(state->connection, estate->es_query_cxt,
							   &state->options,
							   state->route == IMPILO_ROUTE_LIST ? IMPILO_READS_LIST
							   : state->route == IMPILO_ROUTE_COUNT ? IMPILO_READS_COUNT
							   : IMPILO_READS_IDS,
							   (eflags & EXEC_FLAG_REWIND) ||
							   private_integer(plan, IMPILO_SCAN_REREAD),
							   private_integer(plan, IMPILO_SCAN_READS_ALL));
}

/*
 * impiloBeginForeignScan
 *		Prepare the scan; sends nothing.
 */
void
impiloBeginForeignScan(ForeignScanState *node, int eflags)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation	relation = node->ss.ss_currentRelation;
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
	state->route = private_integer(plan, IMPILO_SCAN_ROUTE);
	state->command = node->ss.ps.state->es_snapshot->curcid;
	node->fdw_state = state;

	if (state->route != IMPILO_ROUTE_NOTHING)
		open_reader(node, state, eflags);
	if (state->route != IMPILO_ROUTE_COUNT)
	{
		state->rows = impilo_row_reader(impilo_table_bind(relation),
										column_set(plan, IMPILO_SCAN_FILTER_COLUMNS),
										column_set(plan, IMPILO_SCAN_REST_COLUMNS),
										state->route == IMPILO_ROUTE_PAGES
										? &state->listed.page : NULL,
										context);

		/* core does so after this callback: too late for the filter */
		node->ss.ss_ScanTupleSlot->tts_tableOid = RelationGetRelid(relation);
		state->filter = node->ss.ps.qual;
		node->ss.ps.qual = NULL;
	}
	MemoryContextSwitchTo(caller);

	state->keys = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
}

/*
 * Start to read: the executor asks for the first row, and parameters have
 * their values.
 */
static void
start(ForeignScanState *node, ImpiloScan *state)
{
	int64	   *keys = NULL;
	int			nkeys = 0;
	bool		few;

	state->started = true;
	if (state->keys == NIL)
		return;
	few = impilo_keys_evaluate((ForeignScan *) node->ss.ps.plan, state->keys,
							   node->ss.ps.ps_ExprContext, &keys, &nkeys);
	if (state->route == IMPILO_ROUTE_PAGES)
	{
		MemoryContextReset(state->pages_context);
		state->pages = impilo_pages_open(state->connection->api,
										 state->pages_context, keys, nkeys,
										 state->options.fetch_size,
										 state->options.max_concurrency,
										 &state->pages_stats.http,
										 &state->pages_stats.pages);
	}
	else if (few)
		impilo_reader_lookup(state->reader, keys, nkeys);
	else
		impilo_reader_list(state->reader);
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

/*
 * Get the next order that is visible to the statement; false at the end.  As
 * with PostgreSQL's own tables, what the statement itself creates is not.
 */
static bool
next_order(ImpiloScan *state, ImpiloOrder *order)
{
	if (state->route == IMPILO_ROUTE_PAGES)
	{
		if (!impilo_pages_next(state->pages, order, &state->listed))
			return false;
		state->pages_stats.orders += order->document.kind != IMPILO_JSON_NULL;
		return true;
	}
	while (impilo_reader_next(state->reader, order))
	{
		CHECK_FOR_INTERRUPTS();
		if (!impilo_journal_hides(state->connection, order->id, state->command))
			return true;
	}
	return false;
}

/*
 * Returns the row of a count.  The total of the API is right unless the
 * statement has created orders.
 */
static TupleTableSlot *
count_row(ForeignScanState *node, ImpiloScan *state)
{
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ImpiloOrder order;
	int64		count = 0;

	if (impilo_journal_hides_any(state->connection->serverid, state->command))
		while (next_order(state, &order))
			count++;
	else
		count = impilo_reader_count(state->reader);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		slot->tts_values[i] = Int64GetDatum(count);
		slot->tts_isnull[i] = false;
	}
	state->done = true;
	return ExecStoreVirtualTuple(slot);
}

/*
 * Go to the next row, before the filter; false at the end.
 */
static bool
next_row(ImpiloScan *state)
{
	ImpiloOrder order;

	while (!state->at_order || !impilo_row_reader_next(state->rows))
	{
		state->at_order = next_order(state, &order);
		if (!state->at_order)
			return false;
		impilo_row_reader_order(state->rows, order.id, &order.document,
								order.request);
	}
	return true;
}

/*
 * impiloIterateForeignScan
 *		Returns the next row that passes the filter, or an empty slot.
 *
 * Called in a memory context that the executor resets before each row.  After
 * a row that does not pass, it is reset here.
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
		impilo_row_reader_fill(state->rows, false, slot->tts_values, slot->tts_isnull);
		if (system_columns)
			impilo_row_reader_fill(state->rows, true, slot->tts_values,
								   slot->tts_isnull);
		ExecStoreVirtualTuple(slot);
		if (system_columns)
			impilo_set_system_columns(slot);
		econtext->ecxt_scantuple = slot;
		if (ExecQual(state->filter, econtext))
		{
			if (!system_columns)
				impilo_row_reader_fill(state->rows, true, slot->tts_values,
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
 *		Restart the scan, with other parameters if they have changed.
 */
void
impiloReScanForeignScan(ForeignScanState *node)
{
	ImpiloScan *state = node->fdw_state;

	if (state == NULL || !state->started)
		return;
	state->started = state->at_order = state->done = false;
	if (state->route == IMPILO_ROUTE_LIST || state->route == IMPILO_ROUTE_COUNT)
		impilo_reader_rewind(state->reader);
}

/*
 * impiloEndForeignScan
 *		End the scan.  After an error it is not called: memory contexts release
 *		everything.
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

static const char *const route_names[] = {
	[IMPILO_ROUTE_LIST] = "List",
	[IMPILO_ROUTE_LOOKUP] = "Lookup",
	[IMPILO_ROUTE_PAGES] = "Pages",
	[IMPILO_ROUTE_COUNT] = "Count",
	[IMPILO_ROUTE_NOTHING] = "None"
};

/*
 * Show the request of a plan, with placeholders for what is known only at
 * execution.
 */
static void
explain_request(ForeignScanState *node, const ImpiloTableOptions *options,
				ExplainState *es)
{
	const char *base_url = options->base_url;
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	ImpiloRoute route = private_integer(plan, IMPILO_SCAN_ROUTE);
	char	   *request;

	if (route == IMPILO_ROUTE_NOTHING)
		return;
	if (route == IMPILO_ROUTE_COUNT)
		request = psprintf("GET %s/order?page=1&size=1", base_url);
	else if (route == IMPILO_ROUTE_LOOKUP)
	{
		int64	   *ids;
		int			nids = 0;

		if (IsA(linitial(plan->fdw_exprs), Const) &&
			list_length(plan->fdw_exprs) == 1)
			(void) impilo_keys_evaluate(plan,
										ExecInitExprList(plan->fdw_exprs, &node->ss.ps),
										node->ss.ps.ps_ExprContext, &ids, &nids);
		request = nids == 1
			? psprintf("GET %s/order/" INT64_FORMAT, base_url, ids[0])
			: psprintf("GET %s/order/{id}", base_url);
	}
	else
		request = psprintf("GET %s/order?page={page}&size=%d", base_url,
						   options->fetch_size);
	ExplainPropertyText("Remote Request", request, es);
}

static void
explain_stats(const ImpiloScan *state, ExplainState *es)
{
	ImpiloReaderStats stats = state->pages_stats;

	if (state->route == IMPILO_ROUTE_NOTHING)
		return;
	if (state->reader)
		impilo_reader_stats(state->reader, &stats);
	if (stats.by_list)
		ExplainPropertyText("Read Instead", "List", es);
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
 *		Show the route and the request, with ANALYZE also what was sent.
 */
void
impiloExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	const ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	int			rtindex = bms_next_member(plan->fs_relids, -1);
	Oid			relid = exec_rt_fetch(rtindex, node->ss.ps.state)->relid;
	ImpiloTableOptions options;

	impilo_table_options(relid, &options);
	ExplainPropertyText("Route", route_names[private_integer(plan, IMPILO_SCAN_ROUTE)],
						es);
	explain_request(node, &options, es);
	if (es->analyze && node->fdw_state)
		explain_stats(node->fdw_state, es);
}
