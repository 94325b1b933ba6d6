/*-------------------------------------------------------------------------
 *
 * keys.c
 *	  The ids that the conditions of a scan name.
 *
 * Conditions on the id that compare it with values known before the scan
 * become keys.  Keys are groups of comparisons: an order is looked up if its
 * id satisfies all comparisons of at least one group.  A group has one array
 * at most, or a lower and an upper bound; equality is both.
 *
 *	  id = $1 OR id BETWEEN 7 AND 9		{= $1}, {>= 7, <= 9}
 *	  id = ANY ($1) AND id > 100		{> 100, = ANY ($1)}
 *
 * ImpiloKeys.kinds has, for each expression, the btree strategy number of the
 * comparison, with LAST_OF_GROUP added at the end of a group.
 *
 * Keys may name more orders than the conditions let through, never fewer:
 * every condition is also checked for each row.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/scan.h"

/* the most ids of ranges that are looked up one by one */
#define MAX_RANGED_IDS 100

/* keys in an array whose length is not known at planning, as core guesses */
#define UNKNOWN_KEYS 10

#define LAST_OF_GROUP 0x10

/* from the first on, several integers equal one float8; none is beyond the second */
#define INEXACT_FLOAT8 9007199254740992.0
#define LARGEST_FLOAT8 9223372036854775808.0

/* The ids between two bounds, which are included. */
typedef struct IdRange
{
	int64		low;
	int64		high;
} IdRange;

static const IdRange all_ids = {PG_INT64_MIN, PG_INT64_MAX};
static const IdRange no_ids = {1, 0};

/* The column that keys are for. */
typedef struct KeyColumn
{
	PlannerInfo *root;
	const RelOptInfo *rel;
	AttrNumber	attnum;
} KeyColumn;

/* One comparison of the column. */
typedef struct Comparison
{
	Expr	   *value;			/* an array: equal to any of its elements */
	bool		is_array;
	Oid			type;			/* of the value or its elements */
	int			strategy;		/* column STRATEGY value */
} Comparison;

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------
 */

/*
 * impilo_key_to_id
 *		Returns a key, of an integer type or a domain over one, as an id.
 */
int64
impilo_key_to_id(Datum value, Oid type)
{
	switch (getBaseType(type))
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			Assert(getBaseType(type) == INT2OID);
			return DatumGetInt16(value);
	}
}

/*
 * Returns the ids that are equal to a number of a supported type: one, none,
 * or all if it cannot be known.
 */
static IdRange
ids_equal_to(Datum value, Oid type)
{
	IdRange		range;

	if (impilo_is_integer(type))
		range.low = range.high = impilo_key_to_id(value, type);
	else
	{
		double		number = type == FLOAT8OID ? DatumGetFloat8(value)
		: type == FLOAT4OID ? DatumGetFloat4(value)
		: DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));

		/* NaN is not equal to itself */
		if (number != rint(number) || fabs(number) > LARGEST_FLOAT8)
			return no_ids;
		if (fabs(number) >= INEXACT_FLOAT8)
			return all_ids;
		range.low = range.high = (int64) number;
	}
	return range;
}

/*
 * Narrow a range to the ids that also satisfy one comparison with a single
 * value.  Nothing is equal to, below or above NULL.
 */
static void
narrow(IdRange *range, int strategy, Oid type, Datum value, bool isnull)
{
	IdRange		equal = isnull ? no_ids : ids_equal_to(value, type);

	if (equal.low > equal.high ||
		(strategy == BTGreaterStrategyNumber && equal.low == PG_INT64_MAX) ||
		(strategy == BTLessStrategyNumber && equal.high == PG_INT64_MIN))
	{
		*range = no_ids;
		return;
	}
	if (strategy >= BTEqualStrategyNumber)
		range->low = Max(range->low, equal.low +
						 (strategy == BTGreaterStrategyNumber));
	if (strategy <= BTEqualStrategyNumber)
		range->high = Min(range->high, equal.high -
						  (strategy == BTLessStrategyNumber));
}

/* ------------------------------------------------------------------------
 * At planning
 * ------------------------------------------------------------------------
 */

/*
 * impilo_is_column
 *		Returns whether an expression is this column of the relation, which may
 *		be cast to the type of another number.
 */
bool
impilo_is_column(const RelOptInfo *rel, AttrNumber column, const Node *node)
{
	const Var  *var;

	if (node && IsA(node, FuncExpr) &&
		(((const FuncExpr *) node)->funcid == F_NUMERIC_INT8 ||
		 ((const FuncExpr *) node)->funcid == F_FLOAT8_INT8))
		node = linitial(((const FuncExpr *) node)->args);
	while (node && IsA(node, RelabelType))
		node = (const Node *) ((const RelabelType *) node)->arg;
	var = (const Var *) node;
	return var && IsA(var, Var) && var->varno == rel->relid &&
		var->varlevelsup == 0 && var->varattno == column &&
		AttributeNumberIsValid(column);
}

/*
 * Returns whether `clause` compares the column with a value that is known
 * before the scan, in a way that keys can express.
 *
 * Integers of all widths can be compared in every way.  Of other numbers
 * only equality is supported.
 */
static bool
match_comparison(const KeyColumn *column, Expr *clause, Comparison *comparison)
{
	const RelOptInfo *rel = column->rel;
	bool		negated = is_notclause(clause);
	Oid			operator;
	List	   *args;
	Node	   *value;

	/* the column is never NULL, so that IS NOT DISTINCT FROM is equality */
	if (negated)
		clause = get_notclausearg(clause);
	if (negated != IsA(clause, DistinctExpr))
		return false;
	comparison->is_array = IsA(clause, ScalarArrayOpExpr);
	if (comparison->is_array && ((ScalarArrayOpExpr *) clause)->useOr)
	{
		operator = ((ScalarArrayOpExpr *) clause)->opno;
		args = ((ScalarArrayOpExpr *) clause)->args;
	}
	else if (IsA(clause, OpExpr) || negated)
	{
		operator = ((OpExpr *) clause)->opno;
		args = ((OpExpr *) clause)->args;
	}
	else
		return false;
	if (list_length(args) != 2)
		return false;
	value = lsecond(args);
	if (!comparison->is_array && impilo_is_column(rel, column->attnum, value))
	{
		operator = get_commutator(operator);
		value = linitial(args);
	}
	else if (!impilo_is_column(rel, column->attnum, linitial(args)))
		return false;
	if (bms_is_member(rel->relid, pull_varnos(column->root, value)) ||
		contain_volatile_functions(value))
		return false;

	comparison->value = (Expr *) value;
	comparison->type = getBaseType(exprType(value));
	if (comparison->is_array)
		comparison->type = getBaseType(get_element_type(comparison->type));
	if (!impilo_is_integer(comparison->type) && comparison->type != NUMERICOID &&
		comparison->type != FLOAT4OID && comparison->type != FLOAT8OID)
		return false;
	comparison->strategy =
		get_op_opfamily_strategy(operator,
								 lookup_type_cache(comparison->type,
												   TYPECACHE_BTREE_OPFAMILY)->btree_opf);
	return comparison->strategy == BTEqualStrategyNumber ||
		(comparison->strategy != InvalidStrategy && !comparison->is_array &&
		 impilo_is_integer(comparison->type));
}

/*
 * Returns the keys that name fewer ids; keys without expressions name none.
 */
static ImpiloKeys
fewer(ImpiloKeys a, ImpiloKeys b)
{
	return a.exprs == NIL || (b.exprs != NIL && b.count < a.count) ? b : a;
}

/*
 * Make one group of the comparisons among these clauses, all of which must be
 * true, if it limits the ids to an array or a short range.
 */
static ImpiloKeys
match_group(const KeyColumn *column, List *clauses)
{
	const ImpiloKeys none = {0};
	ImpiloKeys	keys = none;
	Expr	   *array = NULL;
	IdRange		range = all_ids;
	bool		low = false,
				high = false,
				equal = false;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		Comparison	comparison;
		Const	   *value;

		if (!match_comparison(column, lfirst(cell), &comparison))
			continue;
		if (comparison.is_array)
		{
			double		count =
			impilo_estimate_array_length(column->root, (Node *) comparison.value);

			if (count <= 0)
				count = UNKNOWN_KEYS;
			if (array == NULL || count < keys.count)
			{
				array = comparison.value;
				keys.count = count;
			}
			continue;
		}
		keys.exprs = lappend(keys.exprs, comparison.value);
		keys.kinds = lappend_int(keys.kinds, comparison.strategy);
		low |= comparison.strategy >= BTEqualStrategyNumber;
		high |= comparison.strategy <= BTEqualStrategyNumber;
		equal |= comparison.strategy == BTEqualStrategyNumber;
		value = (Const *) comparison.value;
		if (IsA(value, Const))
			narrow(&range, comparison.strategy, comparison.type,
				   value->constvalue, value->constisnull);
	}
	if (array)
	{
		keys.exprs = lappend(keys.exprs, array);
		keys.kinds = lappend_int(keys.kinds, BTEqualStrategyNumber);
	}
	else if (!low || !high)
		return none;
	else if (range.low == PG_INT64_MIN || range.high == PG_INT64_MAX)
		keys.count = Max(UNKNOWN_KEYS, DEFAULT_RANGE_INEQ_SEL * column->rel->tuples);
	else
	{
		keys.count = Max(0, (double) range.high - (double) range.low + 1);
		if (keys.count > MAX_RANGED_IDS)
			return none;
	}
	if (equal)
		keys.count = Min(keys.count, 1);
	llast_int(keys.kinds) |= LAST_OF_GROUP;
	return keys;
}

/*
 * Find the smallest set of ids that clauses name which must all be true: those
 * of one group, or of an OR whose arms all name some.
 */
static ImpiloKeys
match_all(const KeyColumn *column, List *clauses)
{
	ImpiloKeys	best = match_group(column, clauses);
	ListCell   *cell;
	ListCell   *arm;

	check_stack_depth();
	foreach(cell, clauses)
	{
		ImpiloKeys	any = {0};

		if (!is_orclause(lfirst(cell)))
			continue;
		foreach(arm, ((BoolExpr *) lfirst(cell))->args)
		{
			ImpiloKeys	keys = match_all(column, make_ands_implicit(lfirst(arm)));

			CHECK_FOR_INTERRUPTS();
			any.exprs = keys.exprs ? list_concat(any.exprs, keys.exprs) : NIL;
			any.kinds = list_concat(any.kinds, keys.kinds);
			any.count += keys.count;
			if (keys.exprs == NIL)
				break;
		}
		best = fewer(best, any);
	}
	return best;
}

/*
 * impilo_match_keys
 *		Returns the ids that these conditions name, without expressions if they
 *		name none.
 *
 * With `one_integer`, which joins and pages need, the keys are one expression:
 * a value, or an array, of an integer type.
 */
ImpiloKeys
impilo_match_keys(PlannerInfo *root, const RelOptInfo *rel, AttrNumber attnum,
				  List *rinfos, bool one_integer)
{
	KeyColumn	column = {root, rel, attnum};
	List	   *clauses = extract_actual_clauses(rinfos, false);
	ImpiloKeys	best = {0};
	ListCell   *cell;

	if (!one_integer)
		return match_all(&column, clauses);
	foreach(cell, clauses)
	{
		Comparison	comparison;

		if (match_comparison(&column, lfirst(cell), &comparison) &&
			impilo_is_integer(comparison.type))
			best = fewer(best, match_group(&column, list_make1(lfirst(cell))));
	}
	return best;
}

/* ------------------------------------------------------------------------
 * At execution
 * ------------------------------------------------------------------------
 */

/*
 * Add the ids of a group: the elements of its array that are in the range, or
 * the range, if there is no array; `*ranged` counts ids of ranges.  Returns
 * false if there are too many, or if an element can be equal to several ids.
 */
static bool
add_group(StringInfo ids, ArrayType *array, const IdRange *range, uint64 *ranged)
{
	uint64		more = (uint64) range->high - (uint64) range->low;
	ArrayIterator iterator;
	Datum		value;
	bool		isnull;

	if (range->low > range->high)
		return true;
	if (array == NULL)
	{
		if (more > 0 && more >= MAX_RANGED_IDS - *ranged)
			return false;
		for (uint64 i = 0; i <= more; i++)
		{
			int64		id = range->low + (int64) i;

			appendBinaryStringInfo(ids, (char *) &id, sizeof(id));
		}
		*ranged += more > 0 ? more + 1 : 0;
		return true;
	}
	iterator = array_create_iterator(array, 0, NULL);
	while (array_iterate(iterator, &value, &isnull))
	{
		IdRange		equal = isnull ? no_ids
		: ids_equal_to(value, getBaseType(ARR_ELEMTYPE(array)));

		CHECK_FOR_INTERRUPTS();
		if (equal.low < equal.high)
			return false;
		if (equal.low == equal.high && equal.low >= range->low &&
			equal.low <= range->high)
			appendBinaryStringInfo(ids, (char *) &equal.low, sizeof(int64));
	}
	return true;
}

/*
 * impilo_keys_evaluate
 *		Get the ids, which may repeat, in CurrentMemoryContext.
 *
 * `states` are the compiled fdw_exprs of the plan.  Returns false if the list
 * has to be read instead.
 */
bool
impilo_keys_evaluate(const ForeignScan *plan, const List *states,
					 ExprContext *econtext, int64 **ids, int *nids)
{
	const List *kinds = list_nth(plan->fdw_private, IMPILO_SCAN_KEY_KINDS);
	StringInfoData found;
	uint64		ranged = 0;
	IdRange		range = all_ids;
	ArrayType  *array = NULL;
	const ListCell *expr;
	const ListCell *kind;
	const ListCell *state;

	initStringInfo(&found);		/* of int64 */
	forthree(expr, plan->fdw_exprs, kind, kinds, state, states)
	{
		Oid			type = getBaseType(exprType(lfirst(expr)));
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(lfirst(state), econtext,
													  &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull && OidIsValid(get_element_type(type)))
			array = DatumGetArrayTypeP(value);
		else
			narrow(&range, lfirst_int(kind) & ~LAST_OF_GROUP, type, value, isnull);
		if (!(lfirst_int(kind) & LAST_OF_GROUP))
			continue;
		if (!add_group(&found, array, &range, &ranged))
			return false;
		range = all_ids;
		array = NULL;
	}
	*ids = (int64 *) found.data;
	*nids = found.len / sizeof(int64);
	return true;
}
