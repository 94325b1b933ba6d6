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
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
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
#include "utils/rel.h"

#include "catalog/connection.h"
#include "catalog/table.h"
#include "compat.h"
#include "fdw/keys.h"
#include "fdw/plan.h"
#include "fdw/route.h"

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
	ImpiloServerOptions server;
	ImpiloTableOptions options;
	AttrNumber	id_column;		/* the one that is the order's id, or
								 * InvalidAttrNumber */
	Bitmapset  *list_columns;	/* list_page to list_size */
	AttrNumber	page_column;	/* list_page, or InvalidAttrNumber */
	bool		is_orders;		/* a row is an order */
	bool		correlated;		/* in a sub-query that may be run again */
	double		orders;			/* in the list, estimated */
	double		rows_per_order;
} RelInfo;

static List *join_clauses(PlannerInfo *root, RelOptInfo *baserel,
						  const RelInfo *info);

/* ------------------------------------------------------------------------
 * The number of orders
 * ------------------------------------------------------------------------
 */

/*
 * Returns the number of orders as the API states it, or IMPILO_UNKNOWN.
 *
 * With `attempt`, waits for ESTIMATE_WAIT only, and ignores an error of the
 * API: the scan will report it.
 */
static int64
ask_total(Oid userid, Oid serverid, bool attempt)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw estimate",
												  ALLOCSET_SMALL_SIZES);
	ImpiloConnection *connection = impilo_connection(userid, serverid, context);
	int64		left = attempt ? ESTIMATE_WAIT : IMPILO_HTTP_FOREVER;
	TimestampTz now = GetCurrentTimestamp();
	ImpiloHttpRequest *request;
	ImpiloPage	page = {.total = IMPILO_UNKNOWN};
	ImpiloApiError error;

	if (!attempt || now >= connection->no_estimate_until)
	{
		request = impilo_api_get_page(connection->api, context, 1, 1, NULL);
		if (impilo_http_wait_within(request, &left) &&
			!impilo_api_try_page(connection->api, request, 1, 1, &page, &error))
		{
			page.total = IMPILO_UNKNOWN;
			if (!attempt)
				impilo_api_raise(&error);
		}
		if (page.total == IMPILO_UNKNOWN)
			connection->no_estimate_until =
				TimestampTzPlusMilliseconds(now, ESTIMATE_PAUSE);
	}
	MemoryContextDelete(context);
	return page.total;
}

/*
 * Estimate the number of orders: the total that the API reports, if option
 * use_remote_estimate says so; else the last total of this connection, else
 * what ANALYZE counted, else a guess.  With `auto`, the API is asked only if
 * nothing else is known and the number decides whether a join looks up orders.
 */
static void
estimate_orders(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
				RelInfo *info)
{
	ForeignTable *table = GetForeignTable(relid);
	Oid			userid = OidIsValid(baserel->userid) ? baserel->userid : GetUserId();
	int64		total = impilo_connection_last_total(userid, table->serverid);
	ImpiloKeys	keys;

	if (info->options.use_remote_estimate == IMPILO_ESTIMATE_ALWAYS)
		total = ask_total(userid, table->serverid, false);
	else if (info->options.use_remote_estimate == IMPILO_ESTIMATE_AUTO &&
			 total == IMPILO_UNKNOWN && baserel->tuples <= 0 &&
			 !impilo_match_keys(root, baserel, info->id_column, &keys) &&
			 join_clauses(root, baserel, info) != NIL &&
			 impilo_has_key(userid, table->serverid))
		total = ask_total(userid, table->serverid, true);

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

static bool
is_id_column(const RelOptInfo *baserel, const RelInfo *info, const Node *node)
{
	return impilo_is_column(baserel, info->id_column, node);
}

/*
 * Find the equality of the column among these clauses that has the fewest
 * keys.
 */
static bool
find_key(PlannerInfo *root, RelOptInfo *baserel, AttrNumber column,
		 List *clauses, ImpiloKeys *best)
{
	bool		found = false;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		ImpiloKeys	keys;

		if (rinfo->pseudoconstant ||
			!impilo_match_key(root, baserel, column, rinfo->clause, &keys))
			continue;
		if (!found || keys.count < best->count)
			*best = keys;
		found = true;
	}
	return found;
}

/*
 * Returns whether no order satisfies the conditions.  An order without an id
 * is an error, so "id IS NULL" finds nothing.
 */
static bool
is_impossible(const RelOptInfo *baserel, const RelInfo *info)
{
	ListCell   *cell;

	foreach(cell, baserel->baserestrictinfo)
	{
		Expr	   *clause = lfirst_node(RestrictInfo, cell)->clause;

		if (IsA(clause, NullTest) &&
			((NullTest *) clause)->nulltesttype == IS_NULL &&
			!((NullTest *) clause)->argisrow &&
			is_id_column(baserel, info, (Node *) ((NullTest *) clause)->arg))
			return true;
	}
	return false;
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
columns_in(PlannerInfo *root, const RelOptInfo *rel, Node *expressions)
{
	Bitmapset  *offsets = NULL;
	Bitmapset  *columns = NULL;
	int			member = -1;

	pull_varattnos(expressions, rel->relid, &offsets);
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
 * Returns whether the scan is in a sub-query that may be run again for each
 * row of an outer query, or in a recursion.  The executor's flags do not
 * include these cases.
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
add_unique_id(RelOptInfo *baserel, Relation relation, const RelInfo *info)
{
	IndexOptInfo *index;
	Oid			type;

	if (!info->is_orders || !AttributeNumberIsValid(info->id_column))
		return;
	type = TupleDescAttr(RelationGetDescr(relation), info->id_column - 1)->atttypid;
	if (type != INT8OID && type != INT4OID && type != INT2OID)
		return;
	index = makeNode(IndexOptInfo);
	index->rel = baserel;
	index->ncolumns = index->nkeycolumns = 1;
	index->indexkeys = palloc(sizeof(int));
	index->indexkeys[0] = info->id_column;
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
	ForeignTable *table = GetForeignTable(foreigntableid);
	ForeignServer *server = GetForeignServer(table->serverid);
	Relation	relation = table_open(foreigntableid, NoLock);
	ImpiloTable *bound = impilo_table_bind(relation);
	List	   *used = list_concat_copy(baserel->reltarget->exprs,
										extract_actual_clauses(baserel->baserestrictinfo,
															   false));
	ImpiloKeys	keys;

	impilo_table_check(bound, columns_in(root, baserel, (Node *) used));
	impilo_server_options(server, &info->server);
	impilo_table_options(table, server, &info->options);
	info->id_column = impilo_table_order_id(bound);
	info->is_orders = bound->relation->array == NULL;
	info->correlated = is_correlated(root);
	for (int i = 0; i < bound->natts; i++)
	{
		if (bound->columns[i].source >= IMPILO_SOURCE_LIST_PAGE)
			info->list_columns = bms_add_member(info->list_columns, i + 1);
		if (bound->columns[i].source == IMPILO_SOURCE_LIST_PAGE)
			info->page_column = i + 1;
	}
	if (!find_key(root, baserel, info->page_column, baserel->baserestrictinfo,
				  &keys))
		add_unique_id(baserel, relation, info);
	table_close(relation, NoLock);
	if (bms_overlap(info->list_columns, columns_in(root, baserel, (Node *) used)) &&
		!find_key(root, baserel, info->page_column, baserel->baserestrictinfo,
				  &keys))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" needs a condition on list_page",
						bound->name),
				 errdetail("The columns list_page, list_place, list_total and list_size exist only for pages that are read by number."),
				 errhint("Add list_page = number or list_page = ANY (numbers).")));
	baserel->fdw_private = info;

	estimate_orders(root, baserel, foreigntableid, info);
	baserel->tuples = Max(1, info->orders * info->rows_per_order);
	set_baserel_size_estimates(root, baserel);

	/* the number of ids or pages is exact, and statistics are not */
	if (is_impossible(baserel, info))
		baserel->rows = 1;
	else if (find_key(root, baserel, info->page_column,
					  baserel->baserestrictinfo, &keys))
		baserel->rows = clamp_row_est(keys.count * info->options.fetch_size);
	else if (impilo_match_keys(root, baserel, info->id_column, &keys))
		baserel->rows = clamp_row_est(Min(baserel->tuples,
										  keys.count * info->rows_per_order));
}

/*
 * Compute the cost of reading the whole list.  The requests of the pages after
 * the first overlap.
 */
static void
cost_list(const RelOptInfo *baserel, const RelInfo *info,
		  Cost *startup, Cost *total)
{
	double		pages = ceil(info->orders / info->options.fetch_size);
	double		overlapped = Max(pages - 1, 0) / info->options.max_concurrency;

	*startup = info->server.fdw_startup_cost + baserel->baserestrictcost.startup;
	*total = *startup +
		info->server.fdw_startup_cost * overlapped +
		info->server.fdw_tuple_cost * info->orders +
		(cpu_tuple_cost + baserel->baserestrictcost.per_tuple) * baserel->tuples;
}

/*
 * Compute the cost of reading orders by id, with this many requests.
 */
static void
cost_lookup(const RelOptInfo *baserel, const RelInfo *info, double keys,
			double requests, Cost *startup, Cost *total)
{
	double		waves = 1 + Max(requests - 1, 0) / info->options.max_concurrency;

	*startup = info->server.fdw_startup_cost + baserel->baserestrictcost.startup;
	*total = baserel->baserestrictcost.startup +
		info->server.fdw_startup_cost * waves +
		info->server.fdw_tuple_cost * (requests < keys ? info->orders : keys) +
		(cpu_tuple_cost + baserel->baserestrictcost.per_tuple) *
		keys * info->rows_per_order;
}

/*
 * Returns the number of requests of one scan for this many ids.  If the list
 * has fewer pages, the scan reads the list.
 */
static double
requests_of_scan(const RelInfo *info, double keys)
{
	if (keys <= info->options.max_concurrency)
		return keys;
	return Min(keys, ceil(info->orders / info->options.fetch_size));
}

static void
add_scan_path(PlannerInfo *root, RelOptInfo *baserel, ImpiloRoute route,
			  const ImpiloKeys *keys, double rows, Cost startup, Cost total,
			  Relids required_outer)
{
	List	   *private = list_make3(makeInteger(route),
									 keys ? keys->exprs : NIL,
									 keys ? keys->kinds : NIL);

	add_path(baserel, (Path *)
			 impilo_create_scan_path(root, baserel, rows, startup,
									 total, required_outer, private));
}

/*
 * For generate_implied_equalities_for_column: returns whether this member of
 * an equivalence class is the id.
 */
static bool
is_id_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			 EquivalenceMember *em, void *arg)
{
	return is_id_column(rel, arg, (Node *) em->em_expr);
}

/*
 * Returns the conditions by which other relations supply ids.
 */
static List *
join_clauses(PlannerInfo *root, RelOptInfo *baserel, const RelInfo *info)
{
	List	   *clauses = NIL;
	List	   *matching = NIL;
	ImpiloKeys	keys;
	ListCell   *cell;

	if (!AttributeNumberIsValid(info->id_column))
		return NIL;
	if (baserel->has_eclass_joins)
		clauses = generate_implied_equalities_for_column(root, baserel,
														 is_id_member,
														 unconstify(RelInfo *, info),
														 baserel->lateral_referencers);
	foreach(cell, baserel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (join_clause_is_movable_to(rinfo, baserel))
			clauses = lappend(clauses, rinfo);
	}
	foreach(cell, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (impilo_match_key(root, baserel, info->id_column, rinfo->clause, &keys))
			matching = lappend(matching, rinfo);
	}
	return matching;
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
	double		rows;
	Cost		startup,
				total;

	outer = bms_difference(rinfo->clause_relids, bms_make_singleton(baserel->relid));
	outer = bms_union(outer, baserel->lateral_relids);
	if (bms_is_empty(outer))
		return;
	param_info = get_baserel_parampathinfo(root, baserel, outer);

	/*
	 * The executor checks ppi_clauses, which may have several keys.  Without
	 * any, the path would have nothing to look up.
	 */
	if (!find_key(root, baserel, info->id_column, param_info->ppi_clauses, &keys))
		return;
	rows = clamp_row_est(Min(param_info->ppi_rows,
							 keys.count * info->rows_per_order));
	cost_lookup(baserel, info, keys.count,
				requests_of_scan(info, keys.count), &startup, &total);
	add_scan_path(root, baserel, IMPILO_ROUTE_LOOKUP, &keys, rows,
				  startup, total, outer);
}

/*
 * impilo_lookup_key
 *		Returns the key of a path that looks up one order for each row of other
 *		relations, else NULL.
 */
Expr *
impilo_lookup_key(const Path *path)
{
	const RelOptInfo *rel = path->parent;
	const ForeignPath *scan = (const ForeignPath *) path;
	List	   *exprs;

	if (!IsA(path, ForeignPath) || rel->fdwroutine == NULL ||
		rel->fdwroutine->GetForeignRelSize != impiloGetForeignRelSize ||
		PATH_REQ_OUTER(path) == NULL ||
		intVal(linitial(scan->fdw_private)) != IMPILO_ROUTE_LOOKUP)
		return NULL;
	exprs = lsecond(scan->fdw_private);
	return OidIsValid(get_element_type(getBaseType(exprType(linitial(exprs)))))
		? NULL : linitial(exprs);
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

	if (!IsA(key, Var))
		return false;
	other = root->simple_rel_array[((const Var *) key)->varno];
	return other && other->fdwroutine &&
		other->fdwroutine->GetForeignRelSize == impiloGetForeignRelSize &&
		other->serverid == baserel->serverid &&
		other->userid == baserel->userid &&
		((RelInfo *) other->fdw_private)->list_columns == NULL &&
		is_id_column(other, other->fdw_private, key);
}

/*
 * impilo_cost_keys
 *		Compute the cost of looking up the orders of this many distinct keys.
 */
void
impilo_cost_keys(const RelOptInfo *baserel, double keys,
				 Cost *startup, Cost *total)
{
	cost_lookup(baserel, baserel->fdw_private, keys, keys, startup, total);
}

/*
 * impiloGetForeignPaths
 *		Add a path for each route that returns the rows.
 */
void
impiloGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
					  Oid foreigntableid)
{
	RelInfo    *info = baserel->fdw_private;
	ImpiloKeys	keys;
	Cost		startup,
				total;
	ListCell   *cell;

	if (is_impossible(baserel, info))
	{
		add_scan_path(root, baserel, IMPILO_ROUTE_NOTHING, NULL, 1, 0, 0,
					  baserel->lateral_relids);
		return;
	}

	if (find_key(root, baserel, info->page_column, baserel->baserestrictinfo,
				 &keys))
	{
		/* no other route returns these columns; a page costs as much as a key */
		cost_lookup(baserel, info, keys.count, keys.count,
					&startup, &total);
		add_scan_path(root, baserel, IMPILO_ROUTE_PAGES, &keys,
					  baserel->rows, startup, total, baserel->lateral_relids);
		return;
	}
	if (impilo_match_keys(root, baserel, info->id_column, &keys))
	{
		cost_lookup(baserel, info, keys.count,
					requests_of_scan(info, keys.count), &startup, &total);
		add_scan_path(root, baserel, IMPILO_ROUTE_LOOKUP, &keys,
					  baserel->rows, startup, total, baserel->lateral_relids);
	}

	/* after the lookup: of two equal paths, the planner keeps the first */
	cost_list(baserel, info, &startup, &total);
	add_scan_path(root, baserel, IMPILO_ROUTE_LIST, NULL, baserel->rows,
				  startup, total, baserel->lateral_relids);
	foreach(cell, join_clauses(root, baserel, info))
		add_parameterised_path(root, baserel, info,
							   lfirst_node(RestrictInfo, cell));
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
	const Const *filter = (const Const *) aggref->aggfilter;
	const Expr *argument;

	if ((filter && (!IsA(filter, Const) || filter->constisnull ||
					!DatumGetBool(filter->constvalue))) ||
		aggref->agglevelsup != 0 || aggref->aggsplit != AGGSPLIT_SIMPLE)
		return false;
	if (aggref->aggfnoid == F_COUNT_)
		return true;
	if (aggref->aggfnoid != F_COUNT_ANY)
		return false;
	argument = linitial_node(TargetEntry, aggref->args)->expr;

	/* each id once: DISTINCT makes no difference */
	if (is_id_column(input_rel, input_rel->fdw_private, (const Node *) argument))
		return true;
	return aggref->aggdistinct == NIL && IsA(argument, Const) &&
		!((const Const *) argument)->constisnull;
}

/*
 * Returns the aggregates and columns that a grouped query needs.
 */
static List *
aggregates_of(PlannerInfo *root, const PathTarget *target)
{
	List	   *exprs = list_make2(target->exprs, root->parse->havingQual);

	return pull_var_clause((Node *) exprs, PVC_INCLUDE_AGGREGATES |
						   PVC_RECURSE_PLACEHOLDERS);
}

/*
 * Returns whether the query needs only the number of orders: it has one
 * group, which GROUP BY () makes too.
 */
static bool
asks_only_count(PlannerInfo *root, const RelOptInfo *input_rel,
				const PathTarget *target)
{
	const RelInfo *info = input_rel->fdw_private;
	List	   *needed;
	ListCell   *cell;

	if (input_rel->reloptkind != RELOPT_BASEREL || info == NULL ||
		!info->is_orders || input_rel->baserestrictinfo != NIL ||
		root->parse->groupClause != NIL ||
		list_length(root->parse->groupingSets) > 1 || !root->parse->hasAggs)
		return false;
	needed = aggregates_of(root, target);
	foreach(cell, needed)
		if (!IsA(lfirst(cell), Aggref) || !is_plain_count(input_rel, lfirst(cell)))
		return false;
	return needed != NIL;
}

/*
 * impiloGetForeignUpperPaths
 *		Add a path for count(*) that returns the total that the API reports.
 */
void
impiloGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
						   RelOptInfo *input_rel, RelOptInfo *output_rel,
						   void *extra)
{
	const RelInfo *info = input_rel->fdw_private;
	PathTarget *target = root->upper_targets[UPPERREL_GROUP_AGG];

	if (stage != UPPERREL_GROUP_AGG || output_rel->fdw_private != NULL ||
		!asks_only_count(root, input_rel, target))
		return;
	output_rel->fdw_private = input_rel->fdw_private;
	add_path(output_rel, (Path *)
			 impilo_create_upper_path(root, output_rel, target, 1,
									  info->server.fdw_startup_cost,
									  info->server.fdw_startup_cost +
									  cpu_tuple_cost,
									  list_make1(makeInteger(IMPILO_ROUTE_COUNT))));
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
		list = lappend(list, makeInteger(member));
	return list;
}

/*
 * Make the plan of a count.  HAVING is its filter.
 */
static ForeignScan *
make_count_plan(PlannerInfo *root, List *tlist, const PathTarget *target)
{
	return make_foreignscan(tlist, (List *) root->parse->havingQual, 0, NIL,
							list_make5(makeInteger(IMPILO_ROUTE_COUNT),
									   makeInteger(0), makeInteger(1),
									   NIL, NIL),
							add_to_flat_tlist(NIL, aggregates_of(root, target)),
							NIL, NULL);
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
	const RelInfo *info = rel->fdw_private;
	Bitmapset  *filter;
	Bitmapset  *rest;
	List	   *private;

	if (route == IMPILO_ROUTE_COUNT)
		return make_count_plan(root, tlist, best_path->path.pathtarget);

	scan_clauses = extract_actual_clauses(scan_clauses, false);
	filter = columns_in(root, rel, (Node *) scan_clauses);

	/*
	 * Not the columns of tlist: it can have all columns of the table, as the
	 * planner avoids projections.
	 */
	rest = columns_in(root, rel, (Node *) rel->reltarget->exprs);
	rest = bms_union(rest, columns_in(root, rel,
									  (Node *) best_path->path.pathtarget->exprs));
	rest = bms_difference(rest, filter);

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
