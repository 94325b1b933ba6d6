/*-------------------------------------------------------------------------
 *
 * modify.c
 *	  Execution of INSERT and COPY: rows in, orders out.
 *
 * Core's own batches lose RETURNING: rows are posted, and nothing is returned.
 * But core lets a wrapper run a whole modification, INSERT included.  So the
 * plan that makes the rows is put below a ForeignScan node:
 *
 *	ModifyTable					computes RETURNING, fires statement triggers
 *	  -> ForeignScan			"direct": rows in, orders out, in batches
 *		   -> the rows' plan	VALUES, SELECT, a CTE …
 *
 * There the rows' plan is run to its end, and every row is checked, before
 * the first order is created.  A plan that fails or a row that is wrong leaves
 * nothing behind, and a statement that reads the list of the server it posts
 * to does not read its own orders.
 *
 * Core does not offer this where each row has to pass through its hands: row
 * triggers, stored generated columns, WITH CHECK OPTION, and partitions.  Such
 * rows come one by one, or in core's batches where nothing looks at the order
 * that a row became.  The rows of COPY are checked as they come, kept, and
 * sent after the last one, so that an input that breaks in the middle creates
 * nothing; unless a trigger needs the orders before.
 *
 * A row becomes an order request (rows/write.c).  Option post_at decides
 * whether it is posted now (create/create.c), kept for the commit, or only
 * shown.  What is refused at the start of a statement is in modify_plan.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/modify.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "create/conflict.h"
#include "create/create.h"
#include "create/error.h"
#include "fdw/modify.h"
#include "fdw/scan.h"
#include "rows/write.h"

/* One target table of one statement. */
typedef struct InsertState
{
	Relation	relation;
	ImpiloTable *table;
	ImpiloTableOptions options;
	bool		do_nothing;		/* ON CONFLICT DO NOTHING */
	MemoryContext context;		/* the executor run's */
	MemoryContext batch;		/* requests of one batch */
	MemoryContext responses;	/* of its requests that were sent last */
	MemoryContext row;			/* values of the row returned last */
	ImpiloRequestBuilder *builder;
	ImpiloRowReader *reader;	/* of the orders; NULL: no column is needed */
	ImpiloCreator *creator;
	ImpiloKnownOrders *known;	/* with do_nothing, from the first row on */

	/* counts of rows */
	int64		nchecked;		/* by check_row */
	int64		nsent;			/* by send_rows */
	int64		nskipped;		/* orders that exist already */
	List	   *new_rows;		/* with do_nothing, the numbers of the rows
								 * that check_row found new */

	/* rows kept until the last one has come: direct, and COPY */
	Tuplestorestate *kept;		/* NULL: rows are sent as they come */
	TupleTableSlot *in;			/* a row in the table's shape */
	TupleTableSlot **slots;		/* [batch_size] the batch read back from kept */
	TupleTableSlot **sent;		/* the same, orders first; see send_rows */

	/* the batch sent last */
	ImpiloOrderRequest **requests;
	int			nrequests;
	int			posted;			/* of these, in calls of impilo_create before
								 * the last */
	ImpiloOrder *orders;		/* of the last; NULL unless posted now */
	int			norders;
	int			next;			/* direct: order to be returned next */

	/* direct */
	bool		set_processed;	/* count rows for the command's tag */
	bool		system_columns; /* RETURNING needs some */

	/* through core */
	ModifyTableState *mtstate;	/* counts conflicts for EXPLAIN */
} InsertState;

/* A request that waits for the commit. */
typedef struct KeptRequest
{
	ImpiloCreator *creator;
	int			batch_size;
	ImpiloOrderRequest *request;
} KeptRequest;


/* ------------------------------------------------------------------------
 * Begin
 * ------------------------------------------------------------------------
 */

/*
 * Requests kept for the commit are posted with what the statement had: the
 * user mapping, the address, the key and the options of its time.
 */
static ImpiloCreator *
make_creator(InsertState *state, Oid userid, CommandId command)
{
	Oid			relid = RelationGetRelid(state->relation);
	bool		keeps = state->options.post_at == IMPILO_POST_AT_COMMIT;
	ImpiloConnection *connection = impilo_connection(userid,
													 GetForeignServerIdByRelId(relid),
													 state->context);
	MemoryContext context = keeps ? TopTransactionContext : state->context;
	MemoryContext caller = MemoryContextSwitchTo(context);
	const char *ids_column = impilo_external_ids_column(state->table);
	ImpiloCreateTarget target = {
		.connection = connection,
		.userid = GetUserId(),
		.caller = GetOuterUserId(),
		.schema = get_namespace_name(RelationGetNamespace(state->relation)),
		.name = pstrdup(state->table->name),
		.ids_column = ids_column ? pstrdup(quote_identifier(ids_column)) : NULL,
		.max_concurrency = state->options.max_concurrency,
		.fetch_size = state->options.fetch_size,
		.command = command
	};

	target.relation = quote_qualified_identifier(target.schema, target.name);
	MemoryContextSwitchTo(caller);
	if (keeps)
		impilo_connection_pin(connection, InvalidOid, context);
	return impilo_creator(&target, context);
}

/*
 * Make ready to insert, as the role that core has checked for it.  Sends
 * nothing.  `returned` are the columns to read from the orders; NULL: none.
 */
static InsertState *
begin_insert(EState *estate, ResultRelInfo *rinfo, bool do_nothing,
			 const Bitmapset *returned)
{
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	InsertState *state = palloc0(sizeof(InsertState));
	ForeignTable *foreign;

	/* options that forbid to create count at once, also in a transaction */
	AcceptInvalidationMessages();
	state->relation = rinfo->ri_RelationDesc;
	foreign = GetForeignTable(RelationGetRelid(state->relation));
	state->table = impilo_table_bind(state->relation);
	impilo_insert_options(foreign, &state->options);
	state->do_nothing = do_nothing;
	impilo_check_insert(state->table, foreign, &state->options, do_nothing);

	state->context = estate->es_query_cxt;
	state->batch = AllocSetContextCreate(state->context, "impilo_fdw batch",
										 ALLOCSET_DEFAULT_SIZES);
	state->responses = AllocSetContextCreate(state->context,
											 "impilo_fdw responses",
											 ALLOCSET_DEFAULT_SIZES);
	state->row = AllocSetContextCreate(state->context, "impilo_fdw row",
									   ALLOCSET_DEFAULT_SIZES);
	state->builder = impilo_request_builder(state->table, state->context);
	if (returned)
		state->reader = impilo_row_reader(state->table, NULL, returned,
										  state->context);
	state->creator = make_creator(state, impilo_check_as_user(rinfo, estate),
								  estate->es_output_cid);
	MemoryContextSwitchTo(caller);
	return state;
}

/* ------------------------------------------------------------------------
 * Rows become requests, requests become orders
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether the request is to be sent: always, unless ON CONFLICT DO
 * NOTHING finds that its order exists.
 */
static bool
is_new(InsertState *state, const ImpiloOrderRequest *request)
{
	if (!state->do_nothing)
		return true;
	if (state->known == NULL)
	{
		state->known = impilo_read_known_orders(state->creator, state->context);
		state->creator->before = state->known;
	}
	if (impilo_add_row(state->known, request))
		return true;
	state->nskipped++;
	return false;
}

/*
 * Check a row that is kept; raises an error if it makes no order.  Returns
 * false if ON CONFLICT DO NOTHING skips it.  Either no row or every row of a
 * statement is checked by this, before the first is sent.
 */
static bool
check_row(InsertState *state, TupleTableSlot *slot)
{
	ImpiloOrderRequest *request = impilo_build_request(state->builder, slot,
													   ++state->nchecked);
	bool		new = is_new(state, request);

	if (new && state->do_nothing)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);

		state->new_rows = lappend_int(state->new_rows, state->nchecked);
		MemoryContextSwitchTo(caller);
	}
	pfree(request);
	return new;
}

/*
 * Post what statements of this transaction have kept: a list of KeptRequest
 * in the order of the rows.
 */
static void
post_kept(List *work)
{
	MemoryContext batch = AllocSetContextCreate(TopTransactionContext,
												"impilo_fdw batch at commit",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	ImpiloCreator *last = NULL;
	int			next = 0;

	while (next < list_length(work))
	{
		const KeptRequest *first = list_nth(work, next);
		ImpiloOrderRequest **requests = palloc(first->batch_size * sizeof(ImpiloOrderRequest *));
		ImpiloOrder *orders = palloc(first->batch_size * sizeof(ImpiloOrder));
		int			n = 0;

		while (next < list_length(work) && n < first->batch_size)
		{
			const KeptRequest *one = list_nth(work, next);

			if (one->creator != first->creator)
				break;
			requests[n++] = one->request;
			next++;
		}
		if (first->creator != last)
			first->creator->created = next - n;
		last = first->creator;
		(void) impilo_create(last, requests, n, orders);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

static void
keep_for_commit(InsertState *state, const ImpiloOrderRequest *request)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	KeptRequest *kept = palloc(sizeof(KeptRequest));

	kept->creator = state->creator;
	kept->batch_size = state->options.batch_size;
	kept->request = impilo_copy_request(request);
	MemoryContextSwitchTo(caller);
	state->creator->last_row = request->row;
	impilo_journal_keep(kept, post_kept);
}

static void
show_request(const ImpiloOrderRequest *request)
{
	ereport(NOTICE,
			(errmsg("dry run: no order created for row " INT64_FORMAT,
					request->row),
			 errdetail_internal("%s %s", IMPILO_CREATE_REQUEST,
								pg_any_to_server(request->body, request->length,
												 PG_UTF8))));
}

/*
 * Post the next requests of the batch; sets norders to how many became
 * orders.
 */
static void
post_batch(InsertState *state)
{
	MemoryContext caller;

	MemoryContextReset(state->responses);
	caller = MemoryContextSwitchTo(state->responses);
	state->posted += state->norders;
	state->norders = impilo_create(state->creator,
								   state->requests + state->posted,
								   state->nrequests - state->posted,
								   state->orders);
	MemoryContextSwitchTo(caller);
}

/*
 * Do with some rows what option post_at says.  `looks` says that the caller
 * looks at the orders.
 *
 * All rows are checked before anything is sent.  The slots of those that are
 * skipped are moved to the end of the array, so that slots[i] is the row of
 * order number i, counted from the begin of the batch.  Sets norders to how
 * many rows became, or will become, orders; there may be more to post if the
 * caller looks at the orders (see posted).
 */
static void
send_rows(InsertState *state, TupleTableSlot **slots, int n, bool looks)
{
	MemoryContext caller;
	int			nnew = 0;

	MemoryContextReset(state->batch);
	caller = MemoryContextSwitchTo(state->batch);
	state->orders = NULL;
	state->next = state->posted = state->norders = 0;
	state->requests = palloc(n * sizeof(ImpiloOrderRequest *));
	for (int i = 0; i < n; i++)
	{
		int64		row = state->nsent++;

		row = state->new_rows ? list_nth_int(state->new_rows, row) : row + 1;
		state->requests[i] = impilo_build_request(state->builder, slots[i], row);
	}
	for (int i = 0; i < n; i++)
	{
		TupleTableSlot *skipped;

		if (state->nchecked == 0)
		{
			if (!is_new(state, state->requests[i]))
				continue;
		}
		else if (state->do_nothing &&
				 impilo_created_meanwhile(state->known, state->requests[i]))
		{
			state->nskipped++;
			continue;
		}

		/* swapped, not overwritten: the array can be core's */
		skipped = slots[nnew];
		slots[nnew] = slots[i];
		slots[i] = skipped;
		state->requests[nnew++] = state->requests[i];
	}
	state->nrequests = nnew;

	switch (state->options.post_at)
	{
		case IMPILO_POST_AT_STATEMENT:
			state->orders = palloc(n * sizeof(ImpiloOrder));
			state->creator->keep_documents = looks && state->reader;
			if (nnew > 0)
				post_batch(state);
			break;
		case IMPILO_POST_AT_COMMIT:
			for (int i = 0; i < nnew; i++)
				keep_for_commit(state, state->requests[i]);
			state->norders = nnew;
			break;
		case IMPILO_POST_AT_NEVER:
			for (int i = 0; i < nnew; i++)
				show_request(state->requests[i]);
			break;
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Fill a slot with order number `i` of the batch that was sent last.  Only
 * the columns that are needed are filled, the others are NULL.  The values
 * live until the next call.
 */
static void
show_order(InsertState *state, int i, TupleTableSlot *slot)
{
	const ImpiloOrder *order = &state->orders[i];
	MemoryContext caller;

	MemoryContextReset(state->row);
	caller = MemoryContextSwitchTo(state->row);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	if (state->reader)
	{
		impilo_row_reader_order(state->reader, order->id, &order->document,
								order->request);
		if (!impilo_row_reader_next(state->reader))
			elog(ERROR, "impilo_fdw: an order has no row");
		impilo_row_reader_filter(state->reader, slot->tts_values,
								 slot->tts_isnull);
		impilo_row_reader_rest(state->reader, slot->tts_values,
							   slot->tts_isnull);
	}
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(caller);
}

/* ------------------------------------------------------------------------
 * Rows kept until the last one has come
 * ------------------------------------------------------------------------
 */

static void
begin_kept_rows(InsertState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	TupleDesc	descriptor = CreateTupleDescCopy(RelationGetDescr(state->relation));
	int			n = state->options.batch_size;

	state->kept = tuplestore_begin_heap(false, false, work_mem);
	state->in = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);
	state->slots = palloc(n * sizeof(TupleTableSlot *));
	state->sent = palloc(n * sizeof(TupleTableSlot *));
	for (int i = 0; i < n; i++)
		state->slots[i] = MakeSingleTupleTableSlot(descriptor,
												   &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(caller);
}

/*
 * Check a row, and keep it if it is to become an order.  The slot may have
 * more columns than the table (resjunk ones, behind the row's own).
 */
static void
keep_row(InsertState *state, TupleTableSlot *slot)
{
	TupleTableSlot *in = state->in;
	int			natts = in->tts_tupleDescriptor->natts;

	slot_getsomeattrs(slot, natts);
	ExecClearTuple(in);
	memcpy(in->tts_values, slot->tts_values, natts * sizeof(Datum));
	memcpy(in->tts_isnull, slot->tts_isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(in);
	if (check_row(state, in))
		tuplestore_puttupleslot(state->kept, in);
}

/*
 * Send the next batch of kept rows; returns false if there is none.
 */
static bool
send_kept_rows(InsertState *state, bool looks)
{
	/* what the slots free has to live as long as they do */
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	int			n = 0;

	CHECK_FOR_INTERRUPTS();
	while (n < state->options.batch_size &&
		   tuplestore_gettupleslot(state->kept, true, true, state->slots[n]))
	{
		state->sent[n] = state->slots[n];
		n++;
	}
	MemoryContextSwitchTo(caller);
	if (n == 0)
		return false;
	send_rows(state, state->sent, n, looks);
	return true;
}

/*
 * The regular end; after an error the transaction frees all of it.
 */
static void
end_kept_rows(InsertState *state)
{
	for (int i = 0; i < state->options.batch_size; i++)
		ExecDropSingleTupleTableSlot(state->slots[i]);
	ExecDropSingleTupleTableSlot(state->in);
	tuplestore_end(state->kept);
}

/* ------------------------------------------------------------------------
 * INSERT that the wrapper runs as a whole
 * ------------------------------------------------------------------------
 */

/*
 * Check what RETURNING needs once more: a cached plan can be older than the
 * setting impilo_fdw.post_at.
 */
static void
check_returned(const InsertState *state, List *private)
{
	ListCell   *lc;

	if (state->options.post_at != IMPILO_POST_AT_COMMIT)
		return;
	foreach(lc, (List *) list_nth(private, IMPILO_INSERT_RETURNED))
		impilo_require_known(state->table, lfirst_int(lc));
}

/*
 * impiloBeginDirectModify
 *		Start an INSERT that was taken over.
 */
void
impiloBeginDirectModify(ForeignScanState *node, int eflags)
{
	List	   *private = castNode(ForeignScan, node->ss.ps.plan)->fdw_private;
	Bitmapset  *returned = NULL;
	InsertState *state;
	ListCell   *lc;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	foreach(lc, (List *) list_nth(private, IMPILO_INSERT_RETURNED))
		returned = bms_add_member(returned, lfirst_int(lc));
	state = begin_insert(node->ss.ps.state, node->resultRelInfo,
						 boolVal(list_nth(private, IMPILO_INSERT_DO_NOTHING)),
						 returned);
	check_returned(state, private);
	state->set_processed = boolVal(list_nth(private,
											IMPILO_INSERT_SET_PROCESSED));
	state->system_columns = boolVal(list_nth(private,
											 IMPILO_INSERT_SYSTEM_COLUMNS));
	node->fdw_state = state;
}

/*
 * Run the plan of the rows to its end, and keep the rows.
 */
static void
take_rows(ForeignScanState *node, InsertState *state)
{
	PlanState  *source = outerPlanState(node);

	/* core calls in the memory of one row, in which no plan can run */
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	begin_kept_rows(state);
	for (;;)
	{
		TupleTableSlot *slot = ExecProcNode(source);

		CHECK_FOR_INTERRUPTS();
		if (TupIsNull(slot))
			break;
		keep_row(state, slot);
	}
	state->creator->last_row = state->nchecked;
	MemoryContextSwitchTo(caller);
}

/*
 * Count rows for the command's tag and for EXPLAIN ANALYZE.  Rows that are
 * returned are counted one by one: a caller may stop before the last.
 */
static void
count_rows(ForeignScanState *node, InsertState *state, int n, bool returned)
{
	if (state->set_processed)
		node->ss.ps.state->es_processed += n;
	if (node->ss.ps.instrument && !returned)
		node->ss.ps.instrument->tuplecount += n;
}

/*
 * impiloIterateDirectModify
 *		The next row for RETURNING; without RETURNING, all rows at once.
 */
TupleTableSlot *
impiloIterateDirectModify(ForeignScanState *node)
{
	InsertState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ResultRelInfo *rinfo = node->resultRelInfo;
	bool		returning = rinfo->ri_projectReturning != NULL;

	if (state->kept == NULL)
		take_rows(node, state);
	while (!returning || state->next >= state->norders)
	{
		if (state->orders && state->posted + state->norders < state->nrequests)
		{
			post_batch(state);
			state->next = 0;
		}
		else if (!send_kept_rows(state, returning))
			return ExecClearTuple(slot);
		if (!returning)
			count_rows(node, state, state->norders, false);
	}

	if (state->orders)
		show_order(state, state->next, slot);
	else
		ExecCopySlot(slot, state->sent[state->posted + state->next]);
	state->next++;
	count_rows(node, state, 1, true);
	if (state->system_columns)
		impilo_set_system_columns(slot);
	/* core does this for RETURNING too, but only before 18 */
	slot->tts_tableOid = RelationGetRelid(rinfo->ri_RelationDesc);
	rinfo->ri_projectReturning->pi_exprContext->ecxt_scantuple = slot;
	return slot;
}

/*
 * impiloEndDirectModify
 *		The regular end of a direct modification.
 */
void
impiloEndDirectModify(ForeignScanState *node)
{
	InsertState *state = node->fdw_state;

	if (state && state->kept)
		end_kept_rows(state);
}

/* ------------------------------------------------------------------------
 * INSERT and COPY that core runs
 * ------------------------------------------------------------------------
 */

/*
 * The reason why rows go one at a time, or NULL if they need not.
 */
static const char *
why_single(const ResultRelInfo *rinfo)
{
	const TriggerDesc *triggers = rinfo->ri_TrigDesc;

	if (triggers && (triggers->trig_insert_before_row ||
					 triggers->trig_insert_after_row))
		return "row triggers";
	if (rinfo->ri_WithCheckOptions)
		return "WITH CHECK OPTION";
	if (rinfo->ri_projectReturning)
		return "RETURNING";
	return NULL;
}

/*
 * Returns whether something looks at the order that a row became.  Not known
 * before the first row: RETURNING and WITH CHECK OPTION are set up after the
 * callback that begins an INSERT.
 */
static bool
is_looked_at(const InsertState *state, const ResultRelInfo *rinfo)
{
	return rinfo->ri_projectReturning || rinfo->ri_WithCheckOptions ||
		state->mtstate->mt_transition_capture != NULL ||
		(rinfo->ri_TrigDesc && rinfo->ri_TrigDesc->trig_insert_after_row);
}

/*
 * Refuse an INSERT of rows that come out of a scan of the same server: they
 * cannot all be read before the first is sent, so the statement would read
 * the orders that it creates.
 */
static void
refuse_feedback(EState *estate, ResultRelInfo *rinfo)
{
	Oid			relid = RelationGetRelid(rinfo->ri_RelationDesc);
	Oid			serverid = GetForeignServerIdByRelId(relid);
	Index		rti = 0;
	ListCell   *lc;

	foreach(lc, estate->es_range_table)
	{
		RangeTblEntry *rte = lfirst(lc);

		rti++;
		if (rte->rtekind == RTE_RELATION &&
			rte->relkind == RELKIND_FOREIGN_TABLE &&
			rti != rinfo->ri_RangeTableIndex &&
			GetForeignServerIdByRelId(rte->relid) == serverid)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot insert into foreign table \"%s\" while scanning tables of the same server",
							RelationGetRelationName(rinfo->ri_RelationDesc)),
					 errdetail("The table has row triggers, stored generated columns or WITH CHECK OPTION, or is a partition: rows are sent while others are read, and the statement would read the orders that it creates."),
					 errhint("Copy the rows into a temporary table first, and insert from that.")));
	}
}

static InsertState *
begin_through_core(ModifyTableState *mtstate, ResultRelInfo *rinfo,
				   bool do_nothing)
{
	int			natts = RelationGetNumberOfAttributes(rinfo->ri_RelationDesc);
	InsertState *state = begin_insert(mtstate->ps.state, rinfo, do_nothing,
									  bms_add_range(NULL, 1, natts));

	state->mtstate = mtstate;
	rinfo->ri_FdwState = state;
	return state;
}

/*
 * impiloBeginForeignModify
 *		Start an INSERT that core runs.
 */
void
impiloBeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
						 List *fdw_private, int subplan_index, int eflags)
{
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	refuse_feedback(mtstate->ps.state, rinfo);
	check_returned(begin_through_core(mtstate, rinfo,
									  boolVal(list_nth(fdw_private, IMPILO_INSERT_DO_NOTHING))),
				   fdw_private);
}

/*
 * Refuse what planning could not, as it does not see partitions: an UPDATE
 * that would move a row here, and RETURNING of system columns, which the slot
 * of a routed row cannot hold.
 */
static void
check_partition(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	const ModifyTable *plan = (ModifyTable *) mtstate->ps.plan;
	const char *name = RelationGetRelationName(rinfo->ri_RelationDesc);

	if (mtstate->operation != CMD_INSERT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move a row into foreign table \"%s\"", name),
				 errdetail("The row would become an order, which cannot be taken back if the rest of the statement fails."),
				 errhint("Use INSERT to create the order.")));
	if (plan->returningLists &&
		impilo_returns_system_columns(linitial(plan->returningLists),
									  linitial_int(plan->resultRelations)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot return system columns of partition \"%s\"", name),
				 errdetail("It is a foreign table.")));
	refuse_feedback(mtstate->ps.state, rinfo);
}

/*
 * impiloBeginForeignInsert
 *		Start COPY, or an INSERT of a partitioned table into this partition.
 */
void
impiloBeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	const ModifyTable *plan = (ModifyTable *) mtstate->ps.plan;
	const TriggerDesc *triggers = rinfo->ri_TrigDesc;
	InsertState *state;

	if (plan)
		check_partition(mtstate, rinfo);
	state = begin_through_core(mtstate, rinfo,
							   plan && plan->onConflictAction == ONCONFLICT_NOTHING);

	/* core fires statement triggers before the callback that ends COPY */
	if (plan == NULL && !is_looked_at(state, rinfo) &&
		!(triggers && triggers->trig_insert_after_statement))
		begin_kept_rows(state);
}

/*
 * impiloGetForeignModifyBatchSize
 *		How many rows core may hand over together.
 */
int
impiloGetForeignModifyBatchSize(ResultRelInfo *rinfo)
{
	ImpiloTableOptions options;

	if (why_single(rinfo))
		return 1;
	impilo_insert_options(GetForeignTable(RelationGetRelid(rinfo->ri_RelationDesc)),
						  &options);
	return options.batch_size;
}

/*
 * Check a row against WITH CHECK OPTION of the views that it came through.
 *
 * Core does that too, but only after the row was inserted, when it is too
 * late, and its message shows the whole row with what the API knows of a
 * patient.  So it is checked here before the row is sent, and once more with
 * the values that the API returned.
 */
static void
check_views(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
			bool created)
{
	ExprContext *context = GetPerTupleExprContext(estate);
	bool		others = impilo_journal_may_have_created();
	ListCell   *option;
	ListCell   *expression;

	context->ecxt_scantuple = slot;
	forboth(option, rinfo->ri_WithCheckOptions,
			expression, rinfo->ri_WithCheckOptionExprs)
	{
		const WithCheckOption *check = lfirst(option);

		if (check->kind != WCO_VIEW_CHECK ||
			ExecQual((ExprState *) lfirst(expression), context))
			continue;
		ereport(ERROR,
				(errcode(created ? IMPILO_ERRCODE_ORDERS_EXIST
						 : ERRCODE_WITH_CHECK_OPTION_VIOLATION),
				 errmsg("new row violates check option for view \"%s\"",
						check->relname),
				 created ? errdetail("The order was created, but the values returned by the API violate the check option.")
				 : others ? errdetail("The row was not sent; columns that the API sets are still NULL. The transaction has created orders before, which a rollback does not cancel.")
				 : errdetail("No order was created; columns that the API sets are still NULL."),
				 created || others
				 ? errhint("Use impilo_created_orders() to list the orders.") : 0));
	}
}

/*
 * impiloExecForeignInsert
 *		One row.  Returns NULL if it did not become an order, which is not an error.
 */
TupleTableSlot *
impiloExecForeignInsert(EState *estate, ResultRelInfo *rinfo,
						TupleTableSlot *slot, TupleTableSlot *planSlot)
{
	InsertState *state = rinfo->ri_FdwState;
	int64		skipped = state->nskipped;
	bool		looks;

	if (state->kept)
	{
		keep_row(state, slot);
		return slot;
	}

	if (rinfo->ri_WithCheckOptions)
	{
		/* core checks policies for its own tables only */
		ExecWithCheckOptions(WCO_RLS_INSERT_CHECK, rinfo, slot, estate);
		check_views(estate, rinfo, slot, false);
	}
	looks = is_looked_at(state, rinfo);
	send_rows(state, &slot, 1, looks);
	if (state->norders == 0)
	{
		InstrCountTuples2(state->mtstate, state->nskipped - skipped);
		return NULL;
	}
	if (looks)
	{
		if (state->orders)
		{
			show_order(state, 0, slot);
			check_views(estate, rinfo, slot, true);
		}
		impilo_set_system_columns(slot);
	}
	return slot;
}

/*
 * impiloExecForeignBatchInsert
 *		Several rows, whose orders nothing looks at.
 */
TupleTableSlot **
impiloExecForeignBatchInsert(EState *estate, ResultRelInfo *rinfo,
							 TupleTableSlot **slots,
							 TupleTableSlot **planSlots, int *numSlots)
{
	InsertState *state = rinfo->ri_FdwState;
	int64		skipped = state->nskipped;

	if (state->kept)
	{
		for (int i = 0; i < *numSlots; i++)
			keep_row(state, slots[i]);
		return slots;
	}
	send_rows(state, slots, *numSlots, false);
	*numSlots = state->norders;
	InstrCountTuples2(state->mtstate, state->nskipped - skipped);
	return slots;
}

/*
 * impiloEndForeignInsert
 *		All rows of COPY have been read and checked: send them.
 */
void
impiloEndForeignInsert(EState *estate, ResultRelInfo *rinfo)
{
	InsertState *state = rinfo->ri_FdwState;

	if (state == NULL || state->kept == NULL)
		return;
	state->creator->last_row = state->nchecked;
	while (send_kept_rows(state, false))
		;
	end_kept_rows(state);
}

/* ------------------------------------------------------------------------
 * EXPLAIN
 * ------------------------------------------------------------------------
 */

/*
 * Show what is sent, how rows go together, and what requests have cost.
 * `single` is the reason for sending rows one at a time, or NULL.
 */
static void
explain_insert(Relation relation, const InsertState *state,
			   const char *single, ExplainState *es)
{
	ImpiloTableOptions options;
	const ImpiloHttpStats *stats;
	int			batch;

	impilo_insert_options(GetForeignTable(RelationGetRelid(relation)), &options);
	batch = single ? 1 : options.batch_size;
	ExplainPropertyText("Remote Request", IMPILO_CREATE_REQUEST, es);
	ExplainPropertyInteger("Batch Size", NULL, batch, es);
	if (single)
		ExplainPropertyText("Batching Disabled", single, es);
	else
		ExplainPropertyInteger("Concurrency", NULL,
							   Min(batch, options.max_concurrency), es);
	if (options.post_at == IMPILO_POST_AT_COMMIT)
		ExplainPropertyText("Post At", "commit", es);
	else if (options.post_at == IMPILO_POST_AT_NEVER)
		ExplainPropertyText("Post At", "never", es);
	if (!es->analyze || state == NULL)
		return;

	stats = &state->creator->stats;
	/* core counts conflicts too, but not those of a direct modification */
	if (state->do_nothing)
		ExplainPropertyInteger("Existing Orders", NULL, state->nskipped, es);
	ExplainPropertyInteger("Requests", NULL, stats->requests, es);
	if (stats->retries > 0)
		ExplainPropertyInteger("Retries", NULL, stats->retries, es);
	ExplainPropertyInteger("Response Bytes", NULL, stats->bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Network Wait", "ms",
							 INSTR_TIME_GET_MILLISEC(stats->waited), 3, es);
}

/*
 * impiloExplainForeignModify
 *		EXPLAIN of an INSERT that core runs.
 */
void
impiloExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
						   List *fdw_private, int subplan_index,
						   ExplainState *es)
{
	explain_insert(rinfo->ri_RelationDesc, rinfo->ri_FdwState,
				   why_single(rinfo), es);
}

/*
 * impiloExplainDirectModify
 *		EXPLAIN of an INSERT that was taken over.
 */
void
impiloExplainDirectModify(ForeignScanState *node, ExplainState *es)
{
	explain_insert(node->ss.ss_currentRelation, node->fdw_state, NULL, es);
}
