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
 * whether it is posted now (create/create.c), kept for the commit
 * (create/commit.c), or only shown.  What is refused at the start of a
 * statement is in modify_plan.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/modify.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "create/create.h"
#include "fdw/modify.h"
#include "rows/read.h"

/* One target table of one statement. */
typedef struct InsertState
{
	Relation	relation;
	ImpiloTable *table;
	ImpiloTableOptions options;
	bool		do_nothing;		/* ON CONFLICT DO NOTHING */
	bool		set_processed;	/* direct: count rows for the command's tag */
	ModifyTableState *mtstate;	/* through core: counts conflicts for EXPLAIN */
	MemoryContext context;		/* the executor run's */
	MemoryContext batch;		/* requests of one batch */
	MemoryContext responses;	/* of its requests that were sent last */
	MemoryContext row;			/* values of the row returned last */
	ImpiloRequestBuilder *builder;
	ImpiloRowReader *reader;	/* of the orders; NULL: no column is needed,
								 * or through core: none was looked at yet */
	ImpiloCreator *creator;
	int64		nrows;			/* rows that have come */
	int64		nskipped;		/* of these, orders that exist already */

	/*
	 * Rows kept until the last one has come: direct, and COPY.  All of them
	 * are checked before the first is sent.
	 */
	Tuplestorestate *kept;		/* NULL: rows are sent as they come */
	TupleTableSlot *kept_row;	/* one of them, and its number as the last
								 * column */

	/* a batch */
	ImpiloOrderRequest **requests;	/* not sent yet */
	int			nrequests;
	ImpiloOrder *orders;		/* of those sent last; NULL unless posted now */
	int			norders;		/* rows of those sent last that became, or
								 * will become, orders */
	int			next;			/* direct: order to be returned next */
} InsertState;

/* ------------------------------------------------------------------------
 * Begin
 * ------------------------------------------------------------------------
 */

/*
 * Requests kept for the commit are posted with what the statement had: the
 * user mapping, the address, the key and the options of its time.
 */
static ImpiloCreator *
make_creator(const InsertState *state, ImpiloConnection *connection,
			 CommandId command)
{
	bool		keeps = state->options.post_at == IMPILO_POST_AT_COMMIT;
	MemoryContext context = keeps ? TopTransactionContext : state->context;
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloCreator *creator = palloc0(sizeof(ImpiloCreator));
	const char *ids_column = impilo_external_ids_column(state->table);

	creator->context = context;
	creator->connection = connection;
	creator->userid = GetUserId();
	creator->caller = GetOuterUserId();
	creator->schema = pstrdup(state->table->schema);
	creator->name = pstrdup(state->table->name);
	creator->relation = quote_qualified_identifier(creator->schema,
												   creator->name);
	if (ids_column)
		creator->ids_column = pstrdup(quote_identifier(ids_column));
	creator->max_concurrency = state->options.max_concurrency;
	creator->batch_size = state->options.batch_size;
	creator->fetch_size = state->options.fetch_size;
	creator->command = command;
	MemoryContextSwitchTo(caller);
	if (keeps)
		impilo_connection_pin(connection, InvalidOid, context);
	return creator;
}

/*
 * Make ready to insert, as the role that core has checked for it.  Sends
 * nothing.  `returned` are the columns that the plan's RETURNING needs, and
 * the only ones that are read from the orders, unless core runs the INSERT
 * (`mtstate`): see read_all_columns.
 */
static InsertState *
begin_insert(EState *estate, ResultRelInfo *rinfo, bool do_nothing,
			 List *returned, ModifyTableState *mtstate)
{
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	InsertState *state = palloc0(sizeof(InsertState));
	Bitmapset  *columns;
	ForeignTable *foreign;

	/* options that forbid to create count at once, also in a transaction */
	AcceptInvalidationMessages();
	state->relation = rinfo->ri_RelationDesc;
	foreign = GetForeignTable(RelationGetRelid(state->relation));
	state->table = impilo_table_bind(state->relation);
	impilo_table_options(foreign->relid, &state->options);
	state->do_nothing = do_nothing;
	state->mtstate = mtstate;
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
	state->creator = make_creator(state,
								  impilo_connection(impilo_check_as_user(rinfo, estate),
													state->options.serverid,
													state->context),
								  estate->es_output_cid);
	columns = impilo_returned_columns(state->table, returned, state->options.post_at);
	if (columns && mtstate == NULL)
		state->reader = impilo_row_reader(state->table, NULL, columns, NULL,
										  state->context);
	MemoryContextSwitchTo(caller);
	return state;
}

/* ------------------------------------------------------------------------
 * Rows become requests, requests become orders
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether a request is to be sent: always, unless ON CONFLICT DO
 * NOTHING finds that its order exists.  `again` says that the row was checked
 * before; then its order can have been created meanwhile only.
 */
static bool
is_new(InsertState *state, const ImpiloOrderRequest *request, bool again)
{
	if (!state->do_nothing || impilo_is_new(state->creator, request, again))
		return true;
	state->nskipped++;
	if (state->mtstate)
		InstrCountTuples2(state->mtstate, 1);
	return false;
}

/*
 * Begin a batch of `n` rows.
 */
static void
begin_batch(InsertState *state, int n)
{
	MemoryContextReset(state->batch);
	state->requests = MemoryContextAlloc(state->batch,
										 n * sizeof(ImpiloOrderRequest *));
	state->nrequests = 0;
}

/*
 * Add row number `number` to the batch; raises an error if it makes no order.
 * Returns false if ON CONFLICT DO NOTHING skips it.
 */
static bool
add_row(InsertState *state, TupleTableSlot *slot, int64 number)
{
	MemoryContext caller = MemoryContextSwitchTo(state->batch);
	ImpiloOrderRequest *request = impilo_build_request(state->builder, slot,
													   number);
	bool		new = is_new(state, request, state->kept != NULL);

	if (new)
		state->requests[state->nrequests++] = request;
	MemoryContextSwitchTo(caller);
	return new;
}

/*
 * Do with the requests of the batch what option post_at says.  `looks` says
 * that the caller looks at the orders; then some requests may be left for the
 * next call, because of the memory that responses take.
 */
static void
send_batch(InsertState *state, bool looks)
{
	int			n = state->nrequests;
	MemoryContext caller;

	MemoryContextReset(state->responses);
	caller = MemoryContextSwitchTo(state->responses);
	state->orders = NULL;
	state->norders = state->next = 0;
	switch (state->options.post_at)
	{
		case IMPILO_POST_AT_STATEMENT:
			if (n == 0)
				break;
			state->creator->keep_documents = looks && state->reader;
			state->orders = palloc(n * sizeof(ImpiloOrder));
			n = state->norders = impilo_create(state->creator, state->requests,
											   n, state->orders);
			break;
		case IMPILO_POST_AT_COMMIT:
			for (int i = 0; i < n; i++)
				impilo_commit_keep(state->creator, state->requests[i]);
			state->norders = n;
			break;
		case IMPILO_POST_AT_NEVER:
			for (int i = 0; i < n; i++)
			{
				const ImpiloOrderRequest *request = state->requests[i];

				ereport(NOTICE,
						(errmsg("dry run: no order created for row " INT64_FORMAT,
								request->row),
						 errdetail_internal("%s %s", IMPILO_CREATE_REQUEST,
											pg_any_to_server(request->body,
															 request->length,
															 PG_UTF8))));
			}
			break;
	}
	state->requests += n;
	state->nrequests -= n;
	MemoryContextSwitchTo(caller);
}

/*
 * Fill a slot with order number `i` of those sent last.  Only the columns
 * that are needed are filled, the others are NULL.  The values live until the
 * next call.
 */
static void
show_order(InsertState *state, int i, TupleTableSlot *slot)
{
	const ImpiloOrder *order = &state->orders[i];
	MemoryContext caller;

	MemoryContextReset(state->row);
	caller = MemoryContextSwitchTo(state->row);
	ExecStoreAllNullTuple(slot);
	if (state->reader)
	{
		impilo_row_reader_order(state->reader, order->id, &order->document,
								order->request);
		(void) impilo_row_reader_next(state->reader);
		impilo_row_reader_fill(state->reader, true, slot->tts_values,
							   slot->tts_isnull);
	}
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
	int			natts = state->table->natts;
	TupleDesc	descriptor = CreateTemplateTupleDesc(natts + 1);

	for (int i = 1; i <= natts; i++)
		TupleDescCopyEntry(descriptor, i, RelationGetDescr(state->relation), i);
	TupleDescInitEntry(descriptor, natts + 1, "row", INT8OID, -1, 0);
	state->kept = tuplestore_begin_heap(false, false, work_mem);
	state->kept_row = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(caller);
}

/*
 * Fill a slot with the columns of the table.  Both slots may have more
 * columns behind these.
 */
static void
copy_row(const InsertState *state, TupleTableSlot *to, TupleTableSlot *from)
{
	int			natts = state->table->natts;

	slot_getsomeattrs(from, natts);
	ExecStoreAllNullTuple(to);
	memcpy(to->tts_values, from->tts_values, natts * sizeof(Datum));
	memcpy(to->tts_isnull, from->tts_isnull, natts * sizeof(bool));
}

/*
 * Check a row, and keep it if it is to become an order.
 */
static void
keep_row(InsertState *state, TupleTableSlot *slot)
{
	TupleTableSlot *row = state->kept_row;
	int			natts = state->table->natts;
	ImpiloOrderRequest *request;

	copy_row(state, row, slot);
	row->tts_values[natts] = Int64GetDatum(++state->nrows);
	row->tts_isnull[natts] = false;
	request = impilo_build_request(state->builder, row, state->nrows);
	if (is_new(state, request, false))
		tuplestore_puttupleslot(state->kept, row);
	pfree(request);
}

/*
 * Make a batch of at most `n` kept rows; returns false if none is left.
 */
static bool
read_batch(InsertState *state, int n)
{
	/* what the slot frees has to live as long as the slot */
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	TupleTableSlot *row = state->kept_row;
	int			nread = 0;
	bool		isnull;

	begin_batch(state, n);
	while (nread < n && tuplestore_gettupleslot(state->kept, true, false, row))
	{
		CHECK_FOR_INTERRUPTS();
		add_row(state, row,
				DatumGetInt64(slot_getattr(row, state->table->natts + 1,
										   &isnull)));
		nread++;
	}
	MemoryContextSwitchTo(caller);
	return nread > 0;
}

/* ------------------------------------------------------------------------
 * INSERT that the wrapper runs as a whole
 * ------------------------------------------------------------------------
 */

/*
 * impiloBeginDirectModify
 *		Start an INSERT that was taken over.
 */
void
impiloBeginDirectModify(ForeignScanState *node, int eflags)
{
	List	   *private = castNode(ForeignScan, node->ss.ps.plan)->fdw_private;
	InsertState *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state = begin_insert(node->ss.ps.state, node->resultRelInfo,
						 boolVal(list_nth(private, IMPILO_INSERT_DO_NOTHING)),
						 list_nth(private, IMPILO_INSERT_RETURNED), NULL);
	state->set_processed = boolVal(list_nth(private, IMPILO_INSERT_SET_PROCESSED));
	node->fdw_state = state;
}

/*
 * Run the plan of the rows to its end, and keep the rows.
 */
static void
take_rows(ForeignScanState *node, InsertState *state)
{
	/* core calls in the memory of one row, in which no plan can run */
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	TupleTableSlot *slot;

	begin_kept_rows(state);
	while (slot = ExecProcNode(outerPlanState(node)), !TupIsNull(slot))
	{
		CHECK_FOR_INTERRUPTS();
		keep_row(state, slot);
	}
	state->creator->last_row = state->nrows;
	MemoryContextSwitchTo(caller);
}

/*
 * impiloIterateDirectModify
 *		The next row for RETURNING; without RETURNING, all rows at once.
 *
 * Rows are counted for the command's tag and for EXPLAIN ANALYZE here.  Those
 * that are returned are counted one by one: a caller may stop before the last.
 */
TupleTableSlot *
impiloIterateDirectModify(ForeignScanState *node)
{
	InsertState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ResultRelInfo *rinfo = node->resultRelInfo;
	bool		returning = rinfo->ri_projectReturning != NULL;
	int			size = state->options.batch_size;

	/* a row that is returned as it came stays in the slot of kept rows */
	if (returning && state->options.post_at == IMPILO_POST_AT_COMMIT)
		size = 1;
	if (state->kept == NULL)
		take_rows(node, state);
	while (!returning || state->next >= state->norders)
	{
		if (state->nrequests == 0 && !read_batch(state, size))
			return ExecClearTuple(slot);
		send_batch(state, returning);
		if (returning)
			continue;
		if (state->set_processed)
			node->ss.ps.state->es_processed += state->norders;
		if (node->ss.ps.instrument)
			node->ss.ps.instrument->tuplecount += state->norders;
	}

	if (state->orders)
		show_order(state, state->next, slot);
	else
		copy_row(state, slot, state->kept_row);
	state->next++;
	if (state->set_processed)
		node->ss.ps.state->es_processed++;
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
		tuplestore_end(state->kept);
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
is_looked_at(const ResultRelInfo *rinfo)
{
	return rinfo->ri_projectReturning || rinfo->ri_WithCheckOptions ||
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
	rinfo->ri_FdwState = begin_insert(mtstate->ps.state, rinfo,
									  boolVal(list_nth(fdw_private, IMPILO_INSERT_DO_NOTHING)),
									  list_nth(fdw_private, IMPILO_INSERT_RETURNED),
									  mtstate);
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
	Bitmapset  *attributes = NULL;
	int			first;

	if (mtstate->operation != CMD_INSERT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move a row into foreign table \"%s\"", name),
				 errdetail("The row would become an order, which cannot be taken back if the rest of the statement fails."),
				 errhint("Use INSERT to create the order.")));
	if (plan->returningLists)
		pull_varattnos(linitial(plan->returningLists),
					   linitial_int(plan->resultRelations), &attributes);
	/* core fills in tableoid itself */
	attributes = bms_del_member(attributes, TableOidAttributeNumber -
								FirstLowInvalidHeapAttributeNumber);
	first = bms_next_member(attributes, -1);
	if (first >= 0 && first + FirstLowInvalidHeapAttributeNumber < 0)
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
	const ResultRelInfo *root = rinfo->ri_RootResultRelInfo
	? rinfo->ri_RootResultRelInfo : rinfo;
	InsertState *state;

	if (plan)
		check_partition(mtstate, rinfo);
	/* core would raise its error only after the row has become an order */
	if (mtstate->mt_transition_capture)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot insert into foreign table \"%s\" for a trigger with a transition table",
						RelationGetRelationName(rinfo->ri_RelationDesc)),
				 errdetail("An AFTER trigger of table \"%s\" uses REFERENCING NEW TABLE, which cannot contain rows of a foreign partition.",
						   RelationGetRelationName(root->ri_RelationDesc))));
	state = begin_insert(mtstate->ps.state, rinfo,
						 plan && plan->onConflictAction == ONCONFLICT_NOTHING,
						 NIL, mtstate);
	rinfo->ri_FdwState = state;

	/* core fires those of the table named, before the callback that ends COPY */
	if (plan == NULL && !is_looked_at(rinfo) &&
		!(root->ri_TrigDesc && root->ri_TrigDesc->trig_insert_after_statement))
		begin_kept_rows(state);
}

/*
 * impiloGetForeignModifyBatchSize
 *		How many rows core may hand over together.
 */
int
impiloGetForeignModifyBatchSize(ResultRelInfo *rinfo)
{
	const InsertState *state = rinfo->ri_FdwState;

	/* it is NULL for EXPLAIN */
	return state && why_single(rinfo) == NULL ? state->options.batch_size : 1;
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
	bool		others = impilo_running_orders > 0;
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
 * Make ready to read whole rows from the orders.  Raises an error if the
 * table has an unknown column.
 */
static void
read_all_columns(InsertState *state)
{
	if (state->reader == NULL)
		state->reader = impilo_row_reader(state->table, NULL,
										  bms_add_range(NULL, 1, state->table->natts),
										  NULL, state->context);
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
	looks = is_looked_at(rinfo);
	if (looks && state->options.post_at == IMPILO_POST_AT_STATEMENT)
		read_all_columns(state);
	begin_batch(state, 1);
	add_row(state, slot, ++state->nrows);
	send_batch(state, looks);
	if (state->norders == 0)
		return NULL;
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
	int			n = 0;

	if (state->kept)
	{
		for (int i = 0; i < *numSlots; i++)
			keep_row(state, slots[i]);
		return slots;
	}
	begin_batch(state, *numSlots);
	for (int i = 0; i < *numSlots; i++)
	{
		TupleTableSlot *slot = slots[i];

		if (!add_row(state, slot, ++state->nrows))
			continue;
		/* swapped, not overwritten: the array is core's */
		slots[i] = slots[n];
		slots[n++] = slot;
	}
	send_batch(state, false);
	*numSlots = state->norders;
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
	state->creator->last_row = state->nrows;
	while (read_batch(state, state->options.batch_size))
		send_batch(state, false);
	tuplestore_end(state->kept);
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

	impilo_table_options(RelationGetRelid(relation), &options);
	batch = single ? 1 : options.batch_size;
	ExplainPropertyText("Remote Request", IMPILO_CREATE_REQUEST, es);
	ExplainPropertyInteger("Batch Size", NULL, batch, es);
	if (single)
		ExplainPropertyText("Batching Disabled", single, es);
	else
		ExplainPropertyInteger("Concurrency", NULL,
							   Min(batch, options.max_concurrency), es);
	if (options.post_at != IMPILO_POST_AT_STATEMENT)
		ExplainPropertyText("Post At", options.post_at == IMPILO_POST_AT_COMMIT
							? "commit" : "never", es);
	if (!es->analyze || state == NULL)
		return;

	stats = &state->creator->stats;
	/* core counts conflicts too, but not those of a direct modification */
	if (state->do_nothing)
		ExplainPropertyInteger("Existing Orders", NULL, state->nskipped, es);
	ExplainPropertyInteger("Requests", NULL, stats->requests, es);
	if (stats->retries > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyInteger("Retries", NULL, stats->retries, es);
	ExplainPropertyInteger("Response Bytes", "bytes", stats->bytes, es);
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
