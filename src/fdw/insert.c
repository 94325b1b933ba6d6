/*-------------------------------------------------------------------------
 *
 * insert.c
 *	  Executor callbacks of INSERT and COPY.
 *
 * These are for what core runs itself: an INSERT with row triggers, stored
 * generated columns or WITH CHECK OPTION, one that is routed to a partition,
 * and COPY.  Any other INSERT is in direct_insert.c.
 *
 * Row by row wherever somebody looks at each row as it was created
 * (RETURNING, AFTER triggers), or before the next one is made (BEFORE
 * triggers); else in core's batches.
 *
 * The rows of COPY are only checked as they come, and kept: they are sent
 * when the last of them has been read.  An input that breaks in the middle
 * has created nothing then.
 *
 * UPDATE and DELETE are refused: the API has no such call.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/insert.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "compat.h"
#include "create/error.h"
#include "fdw/insert_plan.h"
#include "fdw/rowstore.h"

bool		impilo_allow_create = true;

/* One target of a statement that core runs. */
typedef struct InsertState
{
	ImpiloInserter *inserter;
	ModifyTableState *mtstate;	/* of core, which counts conflicts for EXPLAIN */
	ImpiloRowStore *kept;		/* rows of COPY; NULL: rows are sent as they
								 * come */
	bool		captures;		/* for a transition table */
} InsertState;

/*
 * Is this a table of relation "orders"?  Nothing else of it is looked at, and
 * nothing raised: the catalog's views ask for every table that there is, be it
 * wrong or not.
 */
static bool
shows_orders(Relation relation, const ForeignTable *foreign)
{
	const char *name = impilo_given_option(foreign->options, "relation");
	const ImpiloSchemaRelation *found;

	if (name == NULL)
		name = RelationGetRelationName(relation);
	found = impilo_schema_relation(name);
	return found && found->array == NULL;
}

/*
 * impiloIsForeignRelUpdatable
 *		Orders can be inserted, unless option updatable forbids it.
 */
int
impiloIsForeignRelUpdatable(Relation relation)
{
	ForeignTable *foreign = GetForeignTable(RelationGetRelid(relation));
	ImpiloTableOptions options;

	impilo_table_options(foreign, GetForeignServer(foreign->serverid),
						 &options);
	if (!options.updatable || !shows_orders(relation, foreign))
		return 0;
	return 1 << CMD_INSERT;
}

/*
 * impiloAddForeignUpdateTargets
 *		The first callback of UPDATE and DELETE: refuse them.
 */
void
impiloAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
							  RangeTblEntry *target_rte,
							  Relation target_relation)
{
	bool		update = root->parse->commandType == CMD_UPDATE;

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot %s foreign table \"%s\"",
					update ? "update" : "delete from",
					RelationGetRelationName(target_relation)),
			 errdetail("The API has no call to change or remove an order."),
			 errhint("Orders can be read and created only.")));
}

/*
 * impiloPlanForeignModify
 *		Plan an INSERT that core runs.
 */
List *
impiloPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
						Index resultRelation, int subplan_index)
{
	return impilo_insert_plan(root, plan, resultRelation, subplan_index);
}

/*
 * Why do rows go one at a time?  NULL if they need not.
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
 * Does core look at the row that an insertion gives?  Not known before the
 * first row: RETURNING and WITH CHECK OPTION are set up after the callback
 * that begins an INSERT.
 */
static bool
is_looked_at(const InsertState *state, const ResultRelInfo *rinfo)
{
	return rinfo->ri_projectReturning || rinfo->ri_WithCheckOptions ||
		state->captures ||
		(rinfo->ri_TrigDesc && rinfo->ri_TrigDesc->trig_insert_after_row);
}

/*
 * Rows that come out of a scan of the same server can not be drained before
 * the first is sent here, so the statement would read what it creates.
 */
static void
refuse_feedback(EState *estate, ResultRelInfo *rinfo)
{
	if (!impilo_insert_reads_server(estate, rinfo))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot insert into foreign table \"%s\" while reading from its server",
					RelationGetRelationName(rinfo->ri_RelationDesc)),
			 errdetail("The table has row triggers, stored generated columns or WITH CHECK OPTION, or is a partition: rows are sent while others are read, and the statement would read the orders that it creates."),
			 errhint("Copy the rows into a temporary table first, and insert from that.")));
}

static InsertState *
begin(ModifyTableState *mtstate, ResultRelInfo *rinfo, bool do_nothing)
{
	EState	   *estate = mtstate->ps.state;
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	InsertState *state = palloc0(sizeof(InsertState));
	Bitmapset  *columns = impilo_insert_all_columns(rinfo->ri_RelationDesc);

	state->mtstate = mtstate;
	state->captures = mtstate->mt_transition_capture != NULL;
	state->inserter = impilo_insert_begin(estate, rinfo, do_nothing, columns);
	MemoryContextSwitchTo(caller);
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
	bool		do_nothing;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	do_nothing = boolVal(list_nth(fdw_private, IMPILO_INSERT_DO_NOTHING));
	refuse_feedback(mtstate->ps.state, rinfo);
	rinfo->ri_FdwState = begin(mtstate, rinfo, do_nothing);
}

/*
 * impiloBeginForeignInsert
 *		Start COPY, or an INSERT of a partitioned table into this partition.
 */
void
impiloBeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	ModifyTable *plan = castNode(ModifyTable, mtstate->ps.plan);
	InsertState *state;

	if (plan)
		refuse_feedback(mtstate->ps.state, rinfo);
	state = begin(mtstate, rinfo,
				  plan && plan->onConflictAction == ONCONFLICT_NOTHING);
	if (plan == NULL && !is_looked_at(state, rinfo))
		state->kept = impilo_row_store(RelationGetDescr(rinfo->ri_RelationDesc),
									   mtstate->ps.state->es_query_cxt);
	rinfo->ri_FdwState = state;
}

/*
 * impiloGetForeignModifyBatchSize
 *		How many rows core may hand over together.
 */
int
impiloGetForeignModifyBatchSize(ResultRelInfo *rinfo)
{
	ForeignTable *foreign;
	ImpiloTableOptions options;

	if (why_single(rinfo))
		return 1;
	foreign = GetForeignTable(RelationGetRelid(rinfo->ri_RelationDesc));
	impilo_table_options(foreign, GetForeignServer(foreign->serverid),
						 &options);
	return options.batch_size;
}

/*
 * Check a row against WITH CHECK OPTION of the views that it came through.
 *
 * Core does that too, but only after the row was inserted, when it is too
 * late, and then its message shows the whole row, with what the API knows of
 * a patient.  So it is checked here before the row is sent, and once more
 * with what the API made of it.
 */
static void
check_options(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
			  bool created)
{
	ExprContext *context = GetPerTupleExprContext(estate);
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
				 created ? errdetail("The order was created, but the API made something else of the row.")
				 : errdetail("No order was created. A column that only the API sets is still NULL.")));
	}
}

/*
 * Do with rows what the table's options say; returns how many become orders.
 */
static int
send_rows(const InsertState *state, TupleTableSlot **slots, int n)
{
	int64		before = impilo_inserter_skipped(state->inserter);
	int			sent = impilo_inserter_send(state->inserter, slots, n);

	InstrCountTuples2(state->mtstate,
					  impilo_inserter_skipped(state->inserter) - before);
	return sent;
}

/*
 * impiloExecForeignInsert
 *		One row.  NULL: it did not become an order, which is no error.
 */
TupleTableSlot *
impiloExecForeignInsert(EState *estate, ResultRelInfo *rinfo,
						TupleTableSlot *slot, TupleTableSlot *planSlot)
{
	InsertState *state = rinfo->ri_FdwState;

	if (state->kept)
	{
		if (impilo_inserter_check(state->inserter, slot))
			impilo_row_store_put(state->kept, slot);
		return slot;
	}

	check_options(estate, rinfo, slot, false);
	if (send_rows(state, &slot, 1) == 0)
		return NULL;
	if (is_looked_at(state, rinfo) && impilo_inserter_posts_now(state->inserter))
	{
		impilo_inserter_show(state->inserter, 0, slot);
		check_options(estate, rinfo, slot, true);
	}
	return slot;
}

/*
 * impiloExecForeignBatchInsert
 *		Several rows, at whose answers nobody looks.
 */
TupleTableSlot **
impiloExecForeignBatchInsert(EState *estate, ResultRelInfo *rinfo,
							 TupleTableSlot **slots,
							 TupleTableSlot **planSlots, int *numSlots)
{
	InsertState *state = rinfo->ri_FdwState;

	if (state->kept)
	{
		for (int i = 0; i < *numSlots; i++)
			(void) impiloExecForeignInsert(estate, rinfo, slots[i],
										   planSlots ? planSlots[i] : NULL);
		return slots;
	}
	*numSlots = send_rows(state, slots, *numSlots);
	return slots;
}

/*
 * impiloEndForeignModify
 *		Nothing is left: all memory belongs to the query.
 */
void
impiloEndForeignModify(EState *estate, ResultRelInfo *rinfo)
{
}

/*
 * impiloEndForeignInsert
 *		All rows of COPY have been read and checked: send them.
 */
void
impiloEndForeignInsert(EState *estate, ResultRelInfo *rinfo)
{
	InsertState *state = rinfo->ri_FdwState;
	TupleTableSlot **slots;
	int			n;

	if (state == NULL || state->kept == NULL)
		return;
	while ((slots = impilo_row_store_get(state->kept,
										 impilo_inserter_batch_size(state->inserter),
										 &n)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		(void) impilo_inserter_send(state->inserter, slots, n);
	}
	impilo_row_store_end(state->kept);
}

/*
 * impiloExplainForeignModify
 *		Say what is sent and how.
 */
void
impiloExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
						   List *fdw_private, int subplan_index,
						   ExplainState *es)
{
	const InsertState *state = rinfo->ri_FdwState;

	impilo_insert_explain(rinfo->ri_RelationDesc, rinfo->ri_BatchSize,
						  why_single(rinfo), es);
	if (state)
		impilo_insert_explain_stats(state->inserter, es);
}
