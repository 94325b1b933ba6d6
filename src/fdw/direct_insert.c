/*-------------------------------------------------------------------------
 *
 * direct_insert.c
 *	  INSERT in batches, RETURNING included.
 *
 * Core's own batches lose RETURNING: the rows are posted, and nothing is
 * returned.  But core lets a wrapper run a whole modification by itself, and
 * asks for INSERT, too.  So the plan that makes the rows is put below a
 * ForeignScan node that takes the INSERT over:
 *
 *	ModifyTable					computes RETURNING, fires statement triggers
 *	  -> ForeignScan			this file: rows in, orders out
 *		   -> the rows' plan	VALUES, SELECT, a CTE …
 *
 * Core does not ask if each row has to pass through its hands: row triggers,
 * stored generated columns, WITH CHECK OPTION, and partitions, for which
 * insert.c is there.
 *
 * The rows' plan is run to its end, and every row is checked, before the
 * first order is created.  So a plan that fails or a row that is wrong leaves
 * nothing behind, and a statement that reads the list of the server it posts
 * to does not read its own orders.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/direct_insert.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/insert_plan.h"
#include "fdw/rowstore.h"

typedef struct DirectState
{
	ImpiloInserter *inserter;
	ImpiloRowStore *rows;		/* NULL until the rows' plan was run */
	int			batch_size;
	bool		set_processed;	/* count rows for the command's tag */

	/* the batch at hand */
	TupleTableSlot **slots;
	int			n;				/* rows of it that are orders */
	int			next;			/* row to be returned next */
} DirectState;

/*
 * impiloPlanDirectModify
 *		Take an INSERT over.
 */
bool
impiloPlanDirectModify(PlannerInfo *root, ModifyTable *plan,
					   Index resultRelation, int subplan_index)
{
	Plan	   *rows = outerPlan(plan);
	RangeTblEntry *rte = planner_rt_fetch(resultRelation, root);
	ForeignScan *scan;

	if (plan->operation != CMD_INSERT)
		return false;

	scan = makeNode(ForeignScan);
	scan->scan.plan.startup_cost = rows->startup_cost;
	scan->scan.plan.total_cost = rows->total_cost;
	scan->scan.plan.plan_rows = rows->plan_rows;
	scan->scan.plan.plan_width = rows->plan_width;
	scan->scan.plan.lefttree = rows;
	scan->scan.scanrelid = resultRelation;
	scan->operation = CMD_INSERT;
	scan->resultRelation = resultRelation;
	scan->fs_server = GetForeignTable(rte->relid)->serverid;
	scan->fdw_private = impilo_insert_plan(root, plan, resultRelation,
										   subplan_index);
	outerPlan(plan) = &scan->scan.plan;
	return true;
}

/*
 * impiloBeginDirectModify
 *		Start an INSERT that was taken over.
 */
void
impiloBeginDirectModify(ForeignScanState *node, int eflags)
{
	EState	   *estate = node->ss.ps.state;
	List	   *private = castNode(ForeignScan, node->ss.ps.plan)->fdw_private;
	Bitmapset  *returned = NULL;
	DirectState *state;
	ListCell   *lc;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	foreach(lc, (List *) list_nth(private, IMPILO_INSERT_RETURNED))
		returned = bms_add_member(returned, lfirst_int(lc));

	state = palloc0(sizeof(DirectState));
	state->inserter = impilo_insert_begin(estate, node->resultRelInfo,
										  boolVal(list_nth(private, IMPILO_INSERT_DO_NOTHING)),
										  returned);
	state->batch_size = impilo_inserter_batch_size(state->inserter);
	state->set_processed = boolVal(list_nth(private,
											IMPILO_INSERT_SET_PROCESSED));
	node->fdw_state = state;
}

/*
 * Run the rows' plan to its end, and check each row.
 */
static void
take_rows(ForeignScanState *node, DirectState *state)
{
	PlanState  *source = outerPlanState(node);
	MemoryContext query = node->ss.ps.state->es_query_cxt;
	MemoryContext caller;

	/* core calls us in memory of one row, in which no plan can run */
	caller = MemoryContextSwitchTo(query);
	state->rows = impilo_row_store(RelationGetDescr(node->ss.ss_currentRelation),
								   query);
	for (;;)
	{
		TupleTableSlot *slot = ExecProcNode(source);

		CHECK_FOR_INTERRUPTS();
		if (TupIsNull(slot))
			break;
		slot = impilo_row_store_shape(state->rows, slot);
		if (impilo_inserter_check(state->inserter, slot))
			impilo_row_store_put(state->rows, slot);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Make the next batch orders; false if there is none.
 */
static bool
next_batch(ForeignScanState *node, DirectState *state)
{
	EState	   *estate = node->ss.ps.state;
	int			n;

	CHECK_FOR_INTERRUPTS();
	state->slots = impilo_row_store_get(state->rows, state->batch_size, &n);
	if (state->slots == NULL)
		return false;
	state->n = impilo_inserter_send(state->inserter, state->slots, n);
	state->next = 0;
	if (state->set_processed)
		estate->es_processed += state->n;
	/* rows that nobody returns are counted here, for EXPLAIN ANALYZE */
	if (node->ss.ps.instrument &&
		node->resultRelInfo->ri_projectReturning == NULL)
		node->ss.ps.instrument->tuplecount += state->n;
	return true;
}

/*
 * impiloIterateDirectModify
 *		The next row for RETURNING; without RETURNING, all rows at once.
 */
TupleTableSlot *
impiloIterateDirectModify(ForeignScanState *node)
{
	DirectState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ResultRelInfo *rinfo = node->resultRelInfo;

	if (state->rows == NULL)
		take_rows(node, state);
	while (rinfo->ri_projectReturning == NULL || state->next >= state->n)
	{
		if (!next_batch(node, state))
			return ExecClearTuple(slot);
	}

	if (impilo_inserter_posts_now(state->inserter))
		impilo_inserter_show(state->inserter, state->next, slot);
	else
		ExecCopySlot(slot, state->slots[state->next]);
	state->next++;
	/* core does this for RETURNING too, but only before 18 */
	slot->tts_tableOid = RelationGetRelid(rinfo->ri_RelationDesc);
	rinfo->ri_projectReturning->pi_exprContext->ecxt_scantuple = slot;
	return slot;
}

/*
 * impiloEndDirectModify
 *		Give back the kept rows; other memory belongs to the query.
 */
void
impiloEndDirectModify(ForeignScanState *node)
{
	DirectState *state = node->fdw_state;

	if (state && state->rows)
		impilo_row_store_end(state->rows);
}

/*
 * impiloExplainDirectModify
 *		Say what is sent and how.
 */
void
impiloExplainDirectModify(ForeignScanState *node, ExplainState *es)
{
	Relation	relation = node->ss.ss_currentRelation;
	ForeignTable *foreign = GetForeignTable(RelationGetRelid(relation));
	const DirectState *state = node->fdw_state;
	ImpiloTableOptions options;

	impilo_table_options(foreign, GetForeignServer(foreign->serverid),
						 &options);
	impilo_insert_explain(relation, options.batch_size, NULL, es);
	if (state)
		impilo_insert_explain_stats(state->inserter, es);
}
