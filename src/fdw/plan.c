/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The route of a scan, and its cost.
 *
 * The API can list all orders and fetch one by its id; it filters by nothing
 * else.  So only conditions on the order's id matter, with values that are
 * known when the scan starts (keys.c), or that another relation of the query
 * supplies (a parameterised path).  Every condition is also checked locally,
 * and LIMIT, ORDER BY and the rest are left to the executor.
 *
 * The unit of cost is the request.  A key costs one request, and so does a
 * page.  Requests that are in flight together cost as much as one.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_opfamily.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/connection.h"
#include "catalog/table.h"
#include "compat.h"
#include "fdw/scan.h"
#include "read/prefetch.h"

/*
 * Pages of the list of which nothing is known: enough that some keys are
 * looked up, few enough that many are not.
 */
#define UNKNOWN_PAGES 100

/* microseconds that planning waits for the number of orders */
#define ESTIMATE_WAIT (2 * INT64CONST(1000000))

/* milliseconds without another attempt after one that failed */
#define ESTIMATE_PAUSE 30000

/* elements in an array of an order of which nothing is known */
#define ELEMENTS_PER_ORDER 3

/* RelOptInfo.fdw_private of a foreign table. */
typedef struct RelInfo
{
	ImpiloTableOptions options;
	AttrNumber	id_column;		/* the one that is the order's id, or
								 * InvalidAttrNumber */
	bool		is_orders;		/* a row is an order */
	bool		correlated;		/* in a subquery that may be run again */
	bool		impossible;		/* no order satisfies the conditions */
	ImpiloKeys	keys;			/* ids that the conditions name */
	ImpiloKeys	pages;			/* the same of list_page */
	List	   *join_clauses;	/* by which other relations supply ids */
	double		orders;			/* in the list, estimated */
	double		rows_per_order;
} RelInfo;

/* ------------------------------------------------------------------------
 * The number of orders
 * ------------------------------------------------------------------------
 */

/*
 * Returns the number of orders as the API states it, or IMPILO_UNKNOWN.
 *
 * Unless it is `required`, waits for ESTIMATE_WAIT only, and ignores an error
 * of the API: the scan will report it.
 */
static int64
ask_total(Oid userid, Oid serverid, bool required)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw estimate",
												  ALLOCSET_SMALL_SIZES);
	ImpiloConnection *connection = impilo_connection(userid, serverid, context);
	TimestampTz now = GetCurrentTimestamp();
	int64		total = IMPILO_UNKNOWN;

	if (required || now >= connection->no_estimate_until)
	{
		total = impilo_fetch_total(connection->api, required,
								   required ? IMPILO_HTTP_FOREVER : ESTIMATE_WAIT,
								   NULL);
		if (total == IMPILO_UNKNOWN)
			connection->no_estimate_until =
				TimestampTzPlusMilliseconds(now, ESTIMATE_PAUSE);
	}
	MemoryContextDelete(context);
	return total;
}

/*
 * Estimate the number of orders: the total that the API reports, if option
 * use_remote_estimate says so; else the last total of this connection, else
 * what ANALYZE counted, else a guess.  With `auto`, the API is asked only if
 * nothing else is known and the number decides whether a join looks up orders.
 */
static void
estimate_orders(PlannerInfo *root, RelOptInfo *baserel, RelInfo *info)
{
	Oid			serverid = info->options.serverid;
	Oid			userid = OidIsValid(baserel->userid) ? baserel->userid : GetUserId();
	int64		total = impilo_connection_last_total(userid, serverid);

	if (info->options.use_remote_estimate == IMPILO_ESTIMATE_ALWAYS)
		total = ask_total(userid, serverid, true);
	else if (info->options.use_remote_estimate == IMPILO_ESTIMATE_AUTO &&
			 total == IMPILO_UNKNOWN && baserel->tuples <= 0 &&
			 info->join_clauses != NIL &&
			 impilo_match_keys(root, baserel, info->id_column,
							   baserel->baserestrictinfo, false).exprs == NIL &&
			 impilo_has_key(userid, serverid))
		total = ask_total(userid, serverid, false);

	if (total >= 0)
		info->orders = total;
	else if (baserel->tuples > 0 && info->is_orders)
		info->orders = baserel->tuples;
	else
		info->orders = UNKNOWN_PAGES * (double) info->options.fetch_size;

	if (info->is_orders)
		info->rows_per_order = 1;
	else if (baserel->tuples > 0 && total > 0)
		info->rows_per_order = baserel->tuples / total;
	else
	{
		info->rows_per_order = ELEMENTS_PER_ORDER;
		if (baserel->tuples > 0)
			info->orders = Max(1, baserel->tuples / ELEMENTS_PER_ORDER);
	}
}

/* ------------------------------------------------------------------------
 * Conditions on the id
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether no order satisfies the conditions.  An order without an id
 * is an error, so "id IS NULL" finds nothing.
 */
static bool
is_impossible(const RelOptInfo *baserel, AttrNumber id_column)
{
	ListCell   *cell;

	foreach(cell, baserel->baserestrictinfo)
	{
		const NullTest *test = (NullTest *) lfirst_node(RestrictInfo, cell)->clause;

		if (IsA(test, NullTest) && test->nulltesttype == IS_NULL &&
			impilo_is_column(baserel, id_column, (const Node *) test->arg))
			return true;
	}
	return false;
}

/*
 * For generate_implied_equalities_for_column: returns whether this member of
 * an equivalence class is the id.
 */
static bool
is_id_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			 EquivalenceMember *em, void *arg)
{
	return impilo_is_column(rel, *(AttrNumber *) arg, (const Node *) em->em_expr);
}

/*
 * Returns the conditions by which other relations supply ids.
 */
static List *
find_join_clauses(PlannerInfo *root, RelOptInfo *baserel, AttrNumber id_column)
{
	List	   *clauses = NIL;
	List	   *matching = NIL;
	ListCell   *cell;

	if (baserel->has_eclass_joins)
		clauses = generate_implied_equalities_for_column(root, baserel,
														 is_id_member, &id_column,
														 baserel->lateral_referencers);
	foreach(cell, baserel->joininfo)
		if (join_clause_is_movable_to(lfirst_node(RestrictInfo, cell), baserel))
		clauses = lappend(clauses, lfirst(cell));
	foreach(cell, clauses)
		if (impilo_match_keys(root, baserel, id_column,
							  list_make1(lfirst(cell)), true).exprs != NIL)
		matching = lappend(matching, lfirst(cell));
	return matching;
}

/* ------------------------------------------------------------------------
 * Size and paths
 * ------------------------------------------------------------------------
 */

/*
 * Returns the attribute numbers of the user columns in these expressions: all
 * of them if there is a whole-row variable.
 */
static Bitmapset *
columns_in(const RelOptInfo *rel, void *expressions)
{
	Bitmapset  *offsets = NULL;
	Bitmapset  *columns = NULL;
	int			member = -1;

	pull_varattnos((Node *) expressions, rel->relid, &offsets);
	while ((member = bms_next_member(offsets, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			columns = bms_add_member(columns, attnum);
		else if (attnum == 0)
			columns = bms_add_range(columns, 1, rel->max_attr);
	}
	return columns;
}

/*
 * Returns whether the scan is in a subquery that may be run again for each
 * row of an outer query, or in a recursion.  The executor's flags do not
 * include these cases, and when the plan is made core has forgotten them.
 */
static bool
is_correlated(const PlannerInfo *root)
{
	for (root = root->parent_root; root; root = root->parent_root)
		if (root->plan_params != NIL || root->wt_param_id >= 0)
			return true;
	return false;
}

/*
 * Add a hypothetical unique index on the id.  Without statistics, the planner
 * would expect many orders for each key of a join.
 */
static void
add_unique_id(RelOptInfo *baserel, Oid relid, AttrNumber id_column)
{
	Oid			type = get_atttype(relid, id_column);
	IndexOptInfo *index;

	if (!impilo_is_integer(type))
		return;
	index = makeNode(IndexOptInfo);
	index->rel = baserel;
	index->ncolumns = index->nkeycolumns = 1;
	index->indexkeys = palloc(sizeof(int));
	index->indexkeys[0] = id_column;
	index->indexcollations = palloc0(sizeof(Oid));
	index->opfamily = palloc(sizeof(Oid));
	index->opfamily[0] = INTEGER_BTREE_FAM_OID;
	index->opcintype = palloc(sizeof(Oid));
	index->opcintype[0] = type;
	index->relam = BTREE_AM_OID;
	index->unique = index->immediate = index->hypothetical = true;
	baserel->indexlist = lappend(baserel->indexlist, index);
}

/*
 * impiloGetForeignRelSize
 *		Bind the columns, raise an error if one that is used is unknown, and
 *		estimate the number of rows.  Sends at most the request for the number
 *		of orders.
 */
void
impiloGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
						Oid foreigntableid)
{
	RelInfo    *info = palloc0(sizeof(RelInfo));
	Relation	relation = table_open(foreigntableid, NoLock);
	ImpiloTable *bound = impilo_table_bind(relation);
	Bitmapset  *used = columns_in(baserel, list_make2(baserel->reltarget->exprs,
													  extract_actual_clauses(baserel->baserestrictinfo,
																			 false)));
	Bitmapset  *list_columns = NULL;
	AttrNumber	page_column = InvalidAttrNumber;

	table_close(relation, NoLock);
	impilo_table_check(bound, used);
	impilo_table_options(foreigntableid, &info->options);
	for (int i = 0; i < bound->natts; i++)
	{
		if (bound->columns[i].source >= IMPILO_SOURCE_LIST_PAGE)
			list_columns = bms_add_member(list_columns, i + 1);
		if (bound->columns[i].source == IMPILO_SOURCE_LIST_PAGE)
			page_column = i + 1;
	}
	info->id_column = impilo_table_order_id(bound);
	info->is_orders = bound->relation->array == NULL;
	info->correlated = is_correlated(root);
	info->pages = impilo_match_keys(root, baserel, page_column,
									baserel->baserestrictinfo, true);

	/* a page without orders is a row without an id */
	info->impossible = info->pages.exprs == NIL &&
		is_impossible(baserel, info->id_column);
	info->join_clauses = find_join_clauses(root, baserel, info->id_column);
	baserel->fdw_private = info;
	if (info->pages.exprs == NIL && bms_overlap(list_columns, used))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" needs a condition on list_page",
						bound->name),
				 errdetail("The columns list_page, list_place, list_total and list_size exist only for pages that are read by number."),
				 errhint("Add list_page = number or list_page = ANY (numbers).")));
	if (info->pages.exprs == NIL && info->is_orders)
		add_unique_id(baserel, foreigntableid, info->id_column);

	estimate_orders(root, baserel, info);
	baserel->tuples = Max(1, info->orders * info->rows_per_order);
	set_baserel_size_estimates(root, baserel);

	/* a range of unknown length is a share of the tuples */
	info->keys = impilo_match_keys(root, baserel, info->id_column,
								   baserel->baserestrictinfo, false);

	/* the number of ids or pages is exact, and statistics are not */
	if (info->impossible)
		baserel->rows = 1;
	else if (info->pages.exprs != NIL)
		baserel->rows = clamp_row_est(info->pages.count * info->options.fetch_size);
	else if (info->keys.exprs != NIL)
		baserel->rows = clamp_row_est(Min(baserel->tuples,
										  info->keys.count * info->rows_per_order));
}

/*
 * impilo_cost_requests
 *		Compute the cost of reading the orders of `keys` distinct ids.
 *
 * The requests after the first overlap.  If there are fewer requests than
 * keys, they read the list.
 */
void
impilo_cost_requests(const RelOptInfo *baserel, double requests, double keys,
					 Cost *startup, Cost *total)
{
	const RelInfo *info = baserel->fdw_private;
	QualCost	quals = baserel->baserestrictcost;

	*startup = info->options.fdw_startup_cost * Min(requests, 1) + quals.startup;
	*total = *startup +
		info->options.fdw_startup_cost * Max(requests - 1, 0) /
		info->options.max_concurrency +
		info->options.fdw_tuple_cost * (requests < keys ? info->orders : keys) +
		(cpu_tuple_cost + quals.per_tuple) * keys * info->rows_per_order;
}

/*
 * Add a path.  A scan of more ids than the list has pages reads the list.
 */
static void
add_scan_path(PlannerInfo *root, RelOptInfo *baserel, ImpiloRoute route,
			  ImpiloKeys keys, double rows, Relids required_outer)
{
	const RelInfo *info = baserel->fdw_private;
	double		pages = Max(1, ceil(info->orders / info->options.fetch_size));
	double		requests = keys.count;
	Cost		startup,
				total;

	if (route == IMPILO_ROUTE_LIST)
		requests = pages;
	else if (route == IMPILO_ROUTE_LOOKUP &&
			 requests > info->options.max_concurrency)
		requests = Min(requests, pages);
	impilo_cost_requests(baserel, requests, keys.count, &startup, &total);
	add_path(baserel, (Path *)
			 impilo_create_scan_path(root, baserel, rows, startup, total,
									 required_outer,
									 list_make3(makeInteger(route), keys.exprs,
												keys.kinds)));
}

/*
 * Add a path that looks up the ids which another relation supplies through
 * this join clause.
 */
static void
add_parameterised_path(PlannerInfo *root, RelOptInfo *baserel,
					   const RelInfo *info, RestrictInfo *rinfo)
{
	ImpiloKeys	keys;
	Relids		outer;
	ParamPathInfo *param_info;

	outer = bms_union(bms_difference(rinfo->clause_relids, baserel->relids),
					  baserel->lateral_relids);
	if (bms_is_empty(outer))
		return;
	param_info = get_baserel_parampathinfo(root, baserel, outer);

	/*
	 * The executor checks ppi_clauses, which may have several keys.  Without
	 * any, the path would have nothing to look up.
	 */
	keys = impilo_match_keys(root, baserel, info->id_column,
							 param_info->ppi_clauses, true);
	if (keys.exprs != NIL)
		add_scan_path(root, baserel, IMPILO_ROUTE_LOOKUP, keys,
					  clamp_row_est(Min(param_info->ppi_rows,
										keys.count * info->rows_per_order)),
					  outer);
}

/*
 * impiloGetForeignPaths
 *		Add a path for each route that returns the rows.
 */
void
impiloGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
					  Oid foreigntableid)
{
	const RelInfo *info = baserel->fdw_private;
	Relids		lateral = baserel->lateral_relids;
	const ImpiloKeys none = {0};
	const ImpiloKeys all = {.count = info->orders};
	ListCell   *cell;

	if (info->impossible)
		add_scan_path(root, baserel, IMPILO_ROUTE_NOTHING, none, 1, lateral);
	else if (info->pages.exprs != NIL)
		add_scan_path(root, baserel, IMPILO_ROUTE_PAGES, info->pages,
					  baserel->rows, lateral);
	else
	{
		/* of two equal paths, the planner keeps the first */
		if (info->keys.exprs != NIL)
			add_scan_path(root, baserel, IMPILO_ROUTE_LOOKUP, info->keys,
						  baserel->rows, lateral);
		add_scan_path(root, baserel, IMPILO_ROUTE_LIST, all, baserel->rows,
					  lateral);
		foreach(cell, info->join_clauses)
			add_parameterised_path(root, baserel, info,
								   lfirst_node(RestrictInfo, cell));
	}
}

/*
 * impiloReparameterizeForeignPathByChild
 *		Returns the private list of a path whose keys come from a partition
 *		instead of its partitioned table.
 */
List *
impiloReparameterizeForeignPathByChild(PlannerInfo *root, List *fdw_private,
									   RelOptInfo *child_rel)
{
	List	   *private = list_copy(fdw_private);

	lsecond(private) = impilo_adjust_for_child(root, (Node *) lsecond(private),
											   child_rel);
	return private;
}

static bool
is_ours(const RelOptInfo *rel)
{
	return rel && rel->fdwroutine &&
		rel->fdwroutine->GetForeignRelSize == impiloGetForeignRelSize;
}

/*
 * impilo_lookup_key
 *		Returns the key of a path that looks up one order for each row of other
 *		relations, else NULL.
 */
Expr *
impilo_lookup_key(const Path *path)
{
	const ForeignPath *scan = (const ForeignPath *) path;
	Expr	   *key;

	if (!IsA(path, ForeignPath) || !is_ours(path->parent) ||
		PATH_REQ_OUTER(path) == NULL ||
		intVal(linitial(scan->fdw_private)) != IMPILO_ROUTE_LOOKUP)
		return NULL;
	key = linitial(lsecond(scan->fdw_private));
	return OidIsValid(get_element_type(getBaseType(exprType((Node *) key))))
		? NULL : key;
}

/*
 * impilo_key_is_read
 *		Returns whether a key is the id of orders that another scan of the same
 *		account returns.  A lookup of such a key sends nothing.
 */
bool
impilo_key_is_read(PlannerInfo *root, const RelOptInfo *baserel,
				   const Node *key)
{
	const RelOptInfo *other;
	const RelInfo *info;

	if (!IsA(key, Var))
		return false;
	other = root->simple_rel_array[((const Var *) key)->varno];
	if (!is_ours(other) || other->serverid != baserel->serverid ||
		other->userid != baserel->userid)
		return false;
	info = other->fdw_private;
	return info->pages.exprs == NIL &&
		impilo_is_column(other, info->id_column, key);
}

/* ------------------------------------------------------------------------
 * count(*)
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether this is count(*), or the count of what is never NULL, over
 * all rows.
 */
static bool
is_plain_count(const RelOptInfo *input_rel, const Aggref *aggref)
{
	const RelInfo *info = input_rel->fdw_private;
	const Const *filter;
	const Const *argument;

	if (!IsA(aggref, Aggref))
		return false;
	filter = (const Const *) aggref->aggfilter;
	if (filter && (!IsA(filter, Const) || filter->constisnull ||
				   !DatumGetBool(filter->constvalue)))
		return false;
	if (aggref->aggfnoid != F_COUNT_ANY)
		return aggref->aggfnoid == F_COUNT_;
	argument = (const Const *) linitial_node(TargetEntry, aggref->args)->expr;

	/* each id once: DISTINCT makes no difference */
	return (IsA(argument, Var) &&
			impilo_is_column(input_rel, info->id_column, (const Node *) argument)) ||
		(aggref->aggdistinct == NIL && IsA(argument, Const) &&
		 !argument->constisnull);
}

/*
 * impiloGetForeignUpperPaths
 *		Add a path for count(*) that returns the total that the API reports.
 *
 * The query needs only the number of orders if it has one group, which GROUP
 * BY () makes too, and no other aggregates.
 */
void
impiloGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
						   RelOptInfo *input_rel, RelOptInfo *output_rel,
						   void *extra)
{
	const RelInfo *info = input_rel->fdw_private;
	const Query *query = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_GROUP_AGG];
	List	   *counts;
	ListCell   *cell;

	if (stage != UPPERREL_GROUP_AGG || info == NULL || !info->is_orders ||
		input_rel->reloptkind != RELOPT_BASEREL ||
		input_rel->baserestrictinfo != NIL || query->groupClause != NIL ||
		list_length(query->groupingSets) > 1 || !query->hasAggs)
		return;
	counts = pull_var_clause((Node *) list_make2(target->exprs, query->havingQual),
							 PVC_INCLUDE_AGGREGATES | PVC_RECURSE_PLACEHOLDERS);
	foreach(cell, counts)
		if (!is_plain_count(input_rel, lfirst(cell)))
		return;
	if (counts != NIL)
		add_path(output_rel, (Path *)
				 impilo_create_upper_path(root, output_rel, target, 1,
										  info->options.fdw_startup_cost,
										  info->options.fdw_startup_cost +
										  cpu_tuple_cost,
										  list_make2(makeInteger(IMPILO_ROUTE_COUNT),
													 counts)));
}

/* ------------------------------------------------------------------------
 * The plan
 * ------------------------------------------------------------------------
 */

static List *
attribute_list(const Bitmapset *attributes)
{
	List	   *list = NIL;
	int			member = -1;

	while ((member = bms_next_member(attributes, member)) >= 0)
		list = lappend_int(list, member);
	return list;
}

/*
 * impiloGetForeignPlan
 *		Make the plan of the chosen path.
 */
ForeignScan *
impiloGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid foreigntableid,
					 ForeignPath *best_path, List *tlist, List *scan_clauses,
					 Plan *outer_plan)
{
	ImpiloRoute route = intVal(linitial(best_path->fdw_private));
	const PathTarget *target = best_path->path.pathtarget;
	const RelInfo *info = rel->fdw_private;
	Bitmapset  *filter;
	Bitmapset  *rest;
	List	   *private;

	/* HAVING is the filter of a count */
	if (route == IMPILO_ROUTE_COUNT)
		return make_foreignscan(tlist, (List *) root->parse->havingQual, 0, NIL,
								list_make5(makeInteger(route), makeInteger(0),
										   makeInteger(1), NIL, NIL),
								add_to_flat_tlist(NIL, lsecond(best_path->fdw_private)),
								NIL, NULL);

	/*
	 * Not the columns of tlist: it can have all columns of the table, as the
	 * planner avoids projections.
	 */
	scan_clauses = extract_actual_clauses(scan_clauses, false);
	filter = columns_in(rel, scan_clauses);
	rest = bms_difference(columns_in(rel, list_make2(rel->reltarget->exprs,
													 target->exprs)),
						  filter);

	/*
	 * The scan evaluates the conditions itself, before it converts the other
	 * columns.  EvalPlanQual has its own rows: for these the conditions are
	 * also recheck conditions.
	 */
	private = list_make5(makeInteger(route),
						 makeInteger(info->correlated ||
									 best_path->path.param_info != NULL),
						 makeInteger(root->tuple_fraction <= 0),
						 attribute_list(filter),
						 attribute_list(rest));
	return make_foreignscan(tlist, scan_clauses, rel->relid,
							lsecond(best_path->fdw_private),
							lappend(private, lthird(best_path->fdw_private)),
							NIL, scan_clauses, NULL);
}
