/*-------------------------------------------------------------------------
 *
 * join.c
 *	  The lookahead node: the lookups of a join, in flight together.
 *
 * Core joins rows with orders by their id through a Nested Loop whose inner
 * side is a Foreign Scan with a parameter.  It asks for one key at a time, so
 * K keys cost K round trips.  The node of this file is a pass-through around
 * the outer side of the same Nested Loop: it reads outer rows ahead, sends
 * the lookups of their keys, and returns the rows unchanged and in order.
 * The inner scan then finds the orders already fetched (read/shared.c).  Join
 * types, conditions, row locks and EvalPlanQual remain core's own.
 *
 * Reading ahead must not be visible.  Keys are never volatile.  Where the
 * plan may stop early (LIMIT, EXISTS, a cursor) the window begins at one key
 * and grows with the rows consumed, and a key that could raise an error is
 * not evaluated ahead: no path is offered for it.  There, a join of orders
 * with a child relation of the same orders does without the node: each lookup
 * finds an order that the outer scan has read.
 *
 * Not offered for partitioned foreign tables, whose join core plans with the
 * parent, which has no foreign data wrapper.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/join.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
#include "utils/guc.h"
#include "utils/ruleutils.h"
#include "utils/selfuncs.h"

#include "compat.h"
#include "fdw/scan.h"
#include "read/shared.h"

/*
 * Rows that queue at most.  Rows with a NULL or repeated key send nothing,
 * so without a limit a single new key could make the node read all rows.
 */
#define MAX_QUEUED_ROWS 1000

/*
 * Where the number of outer rows is a guess, the node is to win against the
 * same join without it, which costs the same for one row.
 */
#define COST_FACTOR 0.98

/* Members of CustomScan.custom_private; custom_exprs holds the key. */
typedef enum LookaheadPrivate
{
	LOOKAHEAD_RELID,			/* Integer: OID of the foreign table */
	LOOKAHEAD_USERID,			/* Integer: OID of the user whose mapping
								 * counts, or InvalidOid: the current user */
	LOOKAHEAD_STOPS_EARLY		/* Boolean: the plan may not read every row */
} LookaheadPrivate;

typedef struct Lookahead
{
	CustomScanState css;		/* custom_ps holds the outer plan */
	ExprState  *key;
	Oid			key_type;
	ImpiloTableOptions options;
	ImpiloLookahead *ahead;		/* NULL: EXPLAIN only */
	MemoryContext context;		/* of the queued rows */
	MinimalTuple queue[MAX_QUEUED_ROWS];	/* a ring */
	int			first;
	int			queued;
	bool		outer_done;
} Lookahead;

static bool enable_lookahead = true;
static set_join_pathlist_hook_type previous_hook = NULL;

static const CustomPathMethods path_methods;
static const CustomScanMethods scan_methods;
static const CustomExecMethods exec_methods;


/* ------------------------------------------------------------------------
 * Planning
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether rows of the join may remain unread.  A subquery, or the
 * inner side of EXISTS and NOT EXISTS, can be read in part.
 */
static bool
may_stop_early(const PlannerInfo *root)
{
	ListCell   *cell;

	if (root->tuple_fraction > 0 || root->query_level > 1)
		return true;
	foreach(cell, root->join_info_list)
	{
		JoinType	jointype = lfirst_node(SpecialJoinInfo, cell)->jointype;

		if (jointype == JOIN_SEMI || jointype == JOIN_ANTI)
			return true;
	}
	return false;
}

/*
 * Returns whether the node can compute the key from the rows of the outer
 * path, before core does, without a visible difference.
 */
static bool
can_look_ahead(PlannerInfo *root, Path *outer_path, Node *key)
{
	List	   *vars;
	ListCell   *cell;

	if (!bms_is_subset(pull_varnos(root, key), outer_path->parent->relids) ||
		contain_volatile_functions(key) || contain_subplans(key) ||
		(may_stop_early(root) && contain_leaked_vars(key)))
		return false;

	/* also with the same nulling relations, as the plan requires */
	vars = pull_var_clause(key, PVC_INCLUDE_PLACEHOLDERS);
	foreach(cell, vars)
		if (!list_member(outer_path->pathtarget->exprs, lfirst(cell)))
		return false;
	return vars != NIL;
}

/*
 * Make the path of the node.  Its cost is that of the outer path, and of a
 * lookup for each distinct key.
 */
static Path *
make_lookahead_path(PlannerInfo *root, Path *outer_path, RelOptInfo *innerrel,
					Node *key)
{
	CustomPath *path = makeNode(CustomPath);
	double		keys = estimate_num_groups(root, list_make1(key),
										   outer_path->rows, NULL, NULL);
	Cost		startup;
	Cost		total;

	/* also copies what later releases add, such as disabled_nodes */
	path->path = *outer_path;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->path.parallel_aware = false;
	path->path.parallel_safe = false;
	path->path.parallel_workers = 0;
	path->custom_paths = list_make1(outer_path);
	path->custom_private = list_make2(key, innerrel);
	path->methods = &path_methods;

	impilo_cost_requests(innerrel, keys, keys, &startup, &total);
	path->path.startup_cost += startup * COST_FACTOR;
	path->path.total_cost += total * COST_FACTOR +
		cpu_tuple_cost * outer_path->rows;
	return &path->path;
}

/*
 * Offer the Nested Loop of one outer and one inner path, with the node; or
 * without it if `read`, where the outer rows come with the orders.
 */
static void
add_lookahead_path(PlannerInfo *root, RelOptInfo *joinrel, JoinType jointype,
				   JoinPathExtraData *extra, Path *outer_path,
				   ForeignPath *inner_path, Node *key, bool read)
{
	RelOptInfo *innerrel = inner_path->path.parent;
	ForeignPath *fetched;
	JoinCostWorkspace workspace;
	List	   *pathkeys = build_join_pathkeys(root, joinrel, jointype,
											   outer_path->pathkeys);
	Relids		required;

	required = calc_nestloop_required_outer(outer_path->parent->relids,
											PATH_REQ_OUTER(outer_path),
											innerrel->relids,
											PATH_REQ_OUTER(&inner_path->path));
	if (required && (!bms_overlap(required, extra->param_source_rels) ||
					 root->placeholder_list != NIL))
		return;

	/* the node pays for the requests, so the inner scan costs next to nothing */
	fetched = makeNode(ForeignPath);
	*fetched = *inner_path;
	fetched->path.startup_cost = 0;
	fetched->path.total_cost = cpu_tuple_cost * fetched->path.rows;

	if (!read)
		outer_path = make_lookahead_path(root, outer_path, innerrel, key);
	initial_cost_nestloop(root, &workspace, jointype, outer_path,
						  &fetched->path, extra);
	add_path(joinrel, (Path *)
			 create_nestloop_path(root, joinrel, jointype, &workspace, extra,
								  outer_path, &fetched->path,
								  extra->restrictlist, pathkeys, required));
}

/*
 * set_join_pathlist_hook: offer the node for each pair of an outer path and a
 * lookup by a key of its rows.
 */
static void
add_lookahead_paths(PlannerInfo *root, RelOptInfo *joinrel,
					RelOptInfo *outerrel, RelOptInfo *innerrel,
					JoinType jointype, JoinPathExtraData *extra)
{
	bool		unique = jointype == JOIN_UNIQUE_OUTER;
	ListCell   *outer;
	ListCell   *inner;

	if (previous_hook)
		previous_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	if (!enable_lookahead || innerrel->reloptkind != RELOPT_BASEREL)
		return;
	if (unique)
		jointype = JOIN_INNER;
	if (jointype != JOIN_INNER && jointype != JOIN_LEFT &&
		jointype != JOIN_SEMI && jointype != JOIN_ANTI)
		return;

	foreach(inner, innerrel->pathlist)
	{
		Path	   *inner_path = lfirst(inner);
		Node	   *key = (Node *) impilo_lookup_key(inner_path);
		bool		read;

		if (key == NULL ||
			!bms_is_subset(PATH_REQ_OUTER(inner_path), outerrel->relids))
			continue;

		/* below a LIMIT, reading ahead would read pages that are not needed */
		read = root->tuple_fraction > 0 &&
			impilo_key_is_read(root, innerrel, key);
		foreach(outer, outerrel->pathlist)
		{
			Path	   *outer_path = lfirst(outer);

			if (bms_overlap(PATH_REQ_OUTER(outer_path), innerrel->relids) ||
				!can_look_ahead(root, outer_path, key))
				continue;
			if (unique)
				outer_path = (Path *) create_unique_path(root, outerrel,
														 outer_path,
														 extra->sjinfo);
			if (outer_path)
				add_lookahead_path(root, joinrel, jointype, extra, outer_path,
								   (ForeignPath *) inner_path, key, read);
		}
	}
}

static Plan *
plan_lookahead(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
			   List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan	   *outer = linitial(custom_plans);
	Node	   *key = linitial(path->custom_private);
	RelOptInfo *innerrel = lsecond(path->custom_private);

	scan->scan.plan.targetlist = tlist;
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist = copyObject(outer->targetlist);
	scan->custom_exprs = list_make1(copyObject(key));
	scan->custom_private =
		list_make3(makeInteger(planner_rt_fetch(innerrel->relid, root)->relid),
				   makeInteger(innerrel->userid),
				   makeBoolean(root->tuple_fraction > 0));
	scan->custom_relids = bms_copy(rel->relids);
	scan->methods = &scan_methods;
	return &scan->scan.plan;
}

/* ------------------------------------------------------------------------
 * Execution
 * ------------------------------------------------------------------------
 */

static Node *
create_lookahead_state(CustomScan *scan)
{
	Lookahead  *state = (Lookahead *) newNode(sizeof(Lookahead), T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

/*
 * Start the outer plan, and announce the lookups, for the account of the user
 * whose rights count for the inner scan; sends nothing.
 */
static void
begin_lookahead(CustomScanState *node, EState *estate, int eflags)
{
	Lookahead  *state = (Lookahead *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	Expr	   *key = linitial(scan->custom_exprs);
	Oid			relid = intVal(list_nth(scan->custom_private, LOOKAHEAD_RELID));
	Oid			userid = intVal(list_nth(scan->custom_private, LOOKAHEAD_USERID));
	ImpiloConnection *connection;

	/* rows are queued here, so the outer plan need not be able to go back */
	eflags &= ~(EXEC_FLAG_REWIND | EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK);
	node->custom_ps = list_make1(ExecInitNode(linitial(scan->custom_plans),
											  estate, eflags));
	state->key = ExecInitExpr(key, &node->ss.ps);
	state->key_type = exprType((Node *) key);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state->context = AllocSetContextCreate(estate->es_query_cxt,
										   "impilo_fdw lookahead rows",
										   ALLOCSET_DEFAULT_SIZES);
	impilo_table_options(relid, &state->options);
	connection = impilo_connection(OidIsValid(userid) ? userid : GetUserId(),
								   state->options.serverid, estate->es_query_cxt);
	state->ahead = impilo_lookahead_open(connection, estate->es_query_cxt,
										 &state->options,
										 boolVal(list_nth(scan->custom_private,
														  LOOKAHEAD_STOPS_EARLY)));
}

/*
 * Read outer rows until enough lookups are unanswered or enough rows queue.
 */
static void
read_ahead(Lookahead *state)
{
	PlanState  *outer = linitial(state->css.custom_ps);
	TupleTableSlot *scan_slot = state->css.ss.ss_ScanTupleSlot;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	int64		most = MAX_QUEUED_ROWS;

	if (state->ahead->stops_early)
		most = Min(most, state->ahead->rows + 1);
	while (!state->outer_done && state->queued < most &&
		   (state->queued == 0 || impilo_lookahead_has_room(state->ahead)))
	{
		TupleTableSlot *slot = ExecProcNode(outer);
		MemoryContext caller;
		Datum		key;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (TupIsNull(slot))
		{
			state->outer_done = true;
			break;
		}

		/*
		 * The key is compiled for the scan slot, which is always virtual.
		 * EvalPlanQual brings the order of its row.
		 */
		ExecCopySlot(scan_slot, slot);
		ResetExprContext(econtext);
		econtext->ecxt_scantuple = scan_slot;
		key = ExecEvalExprSwitchContext(state->key, econtext, &isnull);
		if (!isnull && state->css.ss.ps.state->es_epq_active == NULL)
			impilo_lookahead_push(state->ahead,
								  impilo_key_to_id(key, state->key_type));

		caller = MemoryContextSwitchTo(state->context);
		state->queue[(state->first + state->queued++) % MAX_QUEUED_ROWS] =
			ExecCopySlotMinimalTuple(slot);
		MemoryContextSwitchTo(caller);
	}
}

static TupleTableSlot *
exec_lookahead(CustomScanState *node)
{
	Lookahead  *state = (Lookahead *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	read_ahead(state);
	if (state->queued == 0)
		return ExecClearTuple(slot);

	ExecForceStoreMinimalTuple(state->queue[state->first], slot, true);
	state->first = (state->first + 1) % MAX_QUEUED_ROWS;
	state->queued--;
	state->ahead->rows++;
	if (node->ss.ps.ps_ProjInfo == NULL)
		return slot;
	ResetExprContext(node->ss.ps.ps_ExprContext);
	node->ss.ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecProject(node->ss.ps.ps_ProjInfo);
}

/*
 * Forget the queued rows.  What was fetched is kept: the keys may come again.
 */
static void
rescan_lookahead(CustomScanState *node)
{
	Lookahead  *state = (Lookahead *) node;
	PlanState  *outer = linitial(node->custom_ps);

	MemoryContextReset(state->context);
	state->first = state->queued = 0;
	state->outer_done = false;
	state->ahead->rows = 0;

	/* core does this for the left and right plan only */
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(outer, node->ss.ps.chgParam);
	if (outer->chgParam == NULL)
		ExecReScan(outer);
}

static void
end_lookahead(CustomScanState *node)
{
	Lookahead  *state = (Lookahead *) node;

	if (state->ahead)
		impilo_shared_leave(state->ahead->shared);
	ExecEndNode(linitial(node->custom_ps));
}

static void
explain_lookahead(CustomScanState *node, List *ancestors, ExplainState *es)
{
	Lookahead  *state = (Lookahead *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   &scan->scan.plan, ancestors);

	ExplainPropertyText("Key",
						deparse_expression(linitial(scan->custom_exprs), context,
										   list_length(es->rtable) > 1 ||
										   es->verbose, false), es);
	if (es->analyze && state->ahead)
	{
		if (state->ahead->by_list)
			ExplainPropertyText("Read Instead", "List", es);
		ExplainPropertyInteger("Keys", NULL, state->ahead->keys, es);
		ExplainPropertyInteger("Requests", NULL, state->ahead->stats.requests, es);
		ExplainPropertyInteger("Largest Window", NULL, state->ahead->largest_window, es);
	}
}

static const CustomPathMethods path_methods = {
	.CustomName = "Impilo Lookahead",
	.PlanCustomPath = plan_lookahead
};

static const CustomScanMethods scan_methods = {
	.CustomName = "Impilo Lookahead",
	.CreateCustomScanState = create_lookahead_state
};

static const CustomExecMethods exec_methods = {
	.CustomName = "Impilo Lookahead",
	.BeginCustomScan = begin_lookahead,
	.ExecCustomScan = exec_lookahead,
	.EndCustomScan = end_lookahead,
	.ReScanCustomScan = rescan_lookahead,
	.ExplainCustomScan = explain_lookahead
};

/*
 * impilo_join_init
 *		Install the hook; called once, from _PG_init.
 */
void
impilo_join_init(void)
{
	DefineCustomBoolVariable("impilo_fdw.enable_lookahead",
							 "Enables the planner's use of lookahead nodes for joins on the id of an order.",
							 NULL,
							 &enable_lookahead, true, PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	RegisterCustomScanMethods(&scan_methods);
	previous_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = add_lookahead_paths;
}
