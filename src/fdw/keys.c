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
 *	  id = ANY ($1) AND id > 100		{= ANY ($1), > 100}
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
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/keys.h"

/* the most ids of ranges that are looked up one by one */
#define MAX_RANGED_IDS 100

/* keys in an array whose length is not known at planning, as core guesses */
#define UNKNOWN_KEYS 10

/* in ImpiloKeys.kinds, added to the strategy number of the comparison */
#define FIRST_OF_GROUP 0x10
#define STRATEGY(kind) ((kind) & ~FIRST_OF_GROUP)

/* from here on, several integers can be equal to one float8 */
#define INEXACT_FLOAT8 9007199254740992.0

/* The ids between two bounds, which are included. */
typedef struct IdRange
{
	int64		low;
	int64		high;
} IdRange;

static const IdRange all_ids = {PG_INT64_MIN, PG_INT64_MAX};
static const IdRange no_ids = {1, 0};

/* One comparison of the id. */
typedef struct Comparison
{
	Expr	   *value;			/* an array: equal to any of its elements */
	bool		is_array;
	Oid			type;			/* of the value or its elements */
	int			strategy;		/* id STRATEGY value */
} Comparison;

/* Ids being collected. */
typedef struct IdSet
{
	int64	   *ids;
	size_t		used;
	size_t		size;
	uint64		ranged;			/* of these, from ranges */
} IdSet;

static bool match_all(PlannerInfo *root, const RelOptInfo *rel,
					  AttrNumber column, List *clauses, ImpiloKeys *best);

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
		case INT2OID:
			return DatumGetInt16(value);
		default:
			elog(ERROR, "impilo_fdw: key of unexpected type %u", type);
			return 0;			/* keep compiler quiet */
	}
}

/*
 * Returns the ids that are equal to a number of a supported type: one, none,
 * or all if it cannot be known.
 */
static IdRange
ids_equal_to(Datum value, Oid type)
{
	int64		id;

	if (type == FLOAT8OID || type == FLOAT4OID)
	{
		double		number = type == FLOAT8OID ? DatumGetFloat8(value)
		: DatumGetFloat4(value);

		if (fabs(number) >= INEXACT_FLOAT8)
			return all_ids;
		if (isnan(number) || number != rint(number))
			return no_ids;
		id = (int64) number;
	}
	else if (type == NUMERICOID)
	{
		Datum		low = NumericGetDatum(int64_to_numeric(PG_INT64_MIN));
		Datum		high = NumericGetDatum(int64_to_numeric(PG_INT64_MAX));

		/* NaN and infinity are outside too */
		if (DatumGetBool(DirectFunctionCall2(numeric_lt, value, low)) ||
			DatumGetBool(DirectFunctionCall2(numeric_gt, value, high)))
			return no_ids;
		id = DatumGetInt64(DirectFunctionCall1(numeric_int8, value));
		if (DatumGetBool(DirectFunctionCall2(numeric_ne, value,
											 NumericGetDatum(int64_to_numeric(id)))))
			return no_ids;
	}
	else
		id = impilo_key_to_id(value, type);
	return (IdRange)
	{
		id, id
	};
}

/*
 * Narrow a range to the ids that also satisfy one comparison with a single
 * value.  Nothing is equal to, below or above NULL.
 */
static void
narrow(IdRange *range, const Comparison *comparison, Datum value, bool isnull)
{
	IdRange		equal = isnull ? no_ids : ids_equal_to(value, comparison->type);
	int			strategy = comparison->strategy;

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

/*
 * The number of ids in a range, which may be empty.
 */
static double
range_width(const IdRange *range)
{
	return range->low > range->high ? 0
		: (double) range->high - (double) range->low + 1;
}

/* ------------------------------------------------------------------------
 * At planning
 * ------------------------------------------------------------------------
 */

/*
 * impilo_is_column
 *		Returns whether an expression is this column of the relation.
 */
bool
impilo_is_column(const RelOptInfo *rel, AttrNumber column, const Node *node)
{
	const Var  *var;

	while (node && IsA(node, RelabelType))
		node = (const Node *) ((const RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var))
		return false;
	var = (const Var *) node;
	return var->varno == rel->relid && var->varlevelsup == 0 &&
		AttributeNumberIsValid(column) && var->varattno == column;
}

/*
 * The same for a column that may be cast to the type of the other operand.
 */
static bool
is_cast_column(const RelOptInfo *rel, AttrNumber column, const Node *node)
{
	if (node && IsA(node, FuncExpr) &&
		(((const FuncExpr *) node)->funcid == F_NUMERIC_INT8 ||
		 ((const FuncExpr *) node)->funcid == F_FLOAT8_INT8))
		node = linitial(((const FuncExpr *) node)->args);
	return impilo_is_column(rel, column, node);
}

/*
 * Take a clause of the form "left operator right" apart, or return false.
 */
static bool
get_operands(Expr *clause, Oid *operator, Node **left, Node **right)
{
	List	   *args;

	/* the column is never NULL, so that IS NOT DISTINCT FROM is equality */
	if (is_notclause(clause) && IsA(get_notclausearg(clause), DistinctExpr))
		clause = get_notclausearg(clause);
	else if (IsA(clause, DistinctExpr))
		return false;

	if (IsA(clause, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) clause)->useOr)
	{
		*operator = ((ScalarArrayOpExpr *) clause)->opno;
		args = ((ScalarArrayOpExpr *) clause)->args;
	}
	else if (IsA(clause, OpExpr) || IsA(clause, DistinctExpr))
	{
		*operator = ((OpExpr *) clause)->opno;
		args = ((OpExpr *) clause)->args;
	}
	else
		return false;
	if (list_length(args) != 2)
		return false;
	*left = linitial(args);
	*right = lsecond(args);
	return true;
}

/*
 * Returns whether `clause` compares the column with a value that is known
 * before the scan, in a way that keys can express.
 *
 * Integers of all widths can be compared in every way.  Of other numbers
 * only equality is supported.
 */
static bool
match_comparison(PlannerInfo *root, const RelOptInfo *rel, AttrNumber column,
				 Expr *clause, Comparison *comparison)
{
	Oid			operator;
	Node	   *left;
	Node	   *right;
	TypeCacheEntry *type;

	if (!get_operands(clause, &operator, &left, &right))
		return false;
	comparison->is_array = IsA(clause, ScalarArrayOpExpr);
	if (!comparison->is_array && is_cast_column(rel, column, right))
	{
		Node	   *swap = left;

		left = right;
		right = swap;
		operator = get_commutator(operator);
	}
	if (!is_cast_column(rel, column, left) ||
		bms_is_member(rel->relid, pull_varnos(root, right)) ||
		contain_volatile_functions(right))
		return false;

	comparison->value = (Expr *) right;
	comparison->type = getBaseType(exprType(right));
	if (comparison->is_array)
		comparison->type = getBaseType(get_element_type(comparison->type));
	if (!impilo_is_integer(comparison->type) && comparison->type != NUMERICOID &&
		comparison->type != FLOAT4OID && comparison->type != FLOAT8OID)
		return false;
	type = lookup_type_cache(comparison->type, TYPECACHE_BTREE_OPFAMILY);
	comparison->strategy = get_op_opfamily_strategy(operator, type->btree_opf);
	return comparison->strategy == BTEqualStrategyNumber ||
		(comparison->strategy != InvalidStrategy && !comparison->is_array &&
		 impilo_is_integer(comparison->type));
}

static double
estimate_elements(PlannerInfo *root, const Comparison *comparison)
{
	double		elements = impilo_estimate_array_length(root,
														(Node *) comparison->value);

	return elements > 0 ? elements : UNKNOWN_KEYS;
}

/*
 * impilo_match_key
 *		Returns whether a clause is equality of an integer column with a value
 *		or any element of an array that is known before the scan.
 *
 * This is what joins and pages support: one expression, of an integer type.
 */
bool
impilo_match_key(PlannerInfo *root, const RelOptInfo *rel, AttrNumber column,
				 Expr *clause, ImpiloKeys *keys)
{
	Comparison	comparison;

	if (is_notclause(clause) ||
		!match_comparison(root, rel, column, clause, &comparison) ||
		comparison.strategy != BTEqualStrategyNumber ||
		!impilo_is_integer(comparison.type))
		return false;
	keys->exprs = list_make1(comparison.value);
	keys->kinds = list_make1_int(comparison.strategy | FIRST_OF_GROUP);
	keys->count = comparison.is_array ? estimate_elements(root, &comparison) : 1;
	return true;
}

/*
 * Make one group of the comparisons among these clauses, all of which must be
 * true.  Returns whether it limits the ids to an array or a short range.
 */
static bool
match_group(PlannerInfo *root, const RelOptInfo *rel, AttrNumber column,
			List *clauses, ImpiloKeys *keys)
{
	Expr	   *array = NULL;
	double		elements = 0;
	IdRange		range = all_ids;
	bool		low = false,
				high = false,
				equal = false;
	ListCell   *cell;

	memset(keys, 0, sizeof(*keys));
	foreach(cell, clauses)
	{
		Comparison	comparison;

		if (!match_comparison(root, rel, column, lfirst(cell), &comparison))
			continue;
		if (comparison.is_array)
		{
			double		count = estimate_elements(root, &comparison);

			if (array == NULL || count < elements)
			{
				array = comparison.value;
				elements = count;
			}
			continue;
		}
		keys->exprs = lappend(keys->exprs, comparison.value);
		keys->kinds = lappend_int(keys->kinds, comparison.strategy);
		low |= comparison.strategy >= BTEqualStrategyNumber;
		high |= comparison.strategy <= BTEqualStrategyNumber;
		equal |= comparison.strategy == BTEqualStrategyNumber;
		if (IsA(comparison.value, Const))
			narrow(&range, &comparison, ((Const *) comparison.value)->constvalue,
				   ((Const *) comparison.value)->constisnull);
	}
	if (array)
	{
		keys->exprs = lappend(keys->exprs, array);
		keys->kinds = lappend_int(keys->kinds, BTEqualStrategyNumber);
		keys->count = elements;
	}
	else if (!low || !high)
		return false;
	else if (range.low == PG_INT64_MIN || range.high == PG_INT64_MAX)
		keys->count = Max(UNKNOWN_KEYS, DEFAULT_RANGE_INEQ_SEL * rel->tuples);
	else if (range_width(&range) > MAX_RANGED_IDS)
		return false;
	else
		keys->count = range_width(&range);
	if (equal)
		keys->count = Min(keys->count, 1);
	linitial_int(keys->kinds) |= FIRST_OF_GROUP;
	return true;
}

/*
 * Make the groups of clauses of which one must be true.  Returns whether each
 * of them names ids.
 */
static bool
match_any(PlannerInfo *root, const RelOptInfo *rel, AttrNumber column,
		  List *clauses, ImpiloKeys *keys)
{
	ListCell   *cell;

	memset(keys, 0, sizeof(*keys));
	foreach(cell, clauses)
	{
		ImpiloKeys	arm;

		CHECK_FOR_INTERRUPTS();
		if (!match_all(root, rel, column, make_ands_implicit(lfirst(cell)), &arm))
			return false;
		keys->exprs = list_concat(keys->exprs, arm.exprs);
		keys->kinds = list_concat(keys->kinds, arm.kinds);
		keys->count += arm.count;
	}
	return true;
}

/*
 * Find the smallest set of ids that clauses name which must all be true.
 */
static bool
match_all(PlannerInfo *root, const RelOptInfo *rel, AttrNumber column,
		  List *clauses, ImpiloKeys *best)
{
	bool		found = match_group(root, rel, column, clauses, best);
	ListCell   *cell;

	check_stack_depth();
	foreach(cell, clauses)
	{
		ImpiloKeys	keys;

		if (!is_orclause(lfirst(cell)) ||
			!match_any(root, rel, column,
					   ((BoolExpr *) lfirst(cell))->args, &keys))
			continue;
		if (!found || keys.count < best->count)
			*best = keys;
		found = true;
	}
	return found;
}

/*
 * impilo_match_keys
 *		Finds the ids that a relation's own conditions name; returns whether
 *		they name any.
 */
bool
impilo_match_keys(PlannerInfo *root, const RelOptInfo *rel, AttrNumber column,
				  ImpiloKeys *keys)
{
	List	   *clauses = NIL;
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
		if (!lfirst_node(RestrictInfo, cell)->pseudoconstant)
		clauses = lappend(clauses, lfirst_node(RestrictInfo, cell)->clause);
	return AttributeNumberIsValid(column) &&
		match_all(root, rel, column, clauses, keys);
}

/* ------------------------------------------------------------------------
 * At execution
 * ------------------------------------------------------------------------
 */

static void
add_id(IdSet *set, int64 id)
{
	if (set->used == set->size)
	{
		set->size = Max(set->size * 2, 16);
		set->ids = set->ids ? repalloc_huge(set->ids, set->size * sizeof(int64))
			: palloc(set->size * sizeof(int64));
	}
	set->ids[set->used++] = id;
}

/*
 * Add the ids of a range; false if there are too many.
 */
static bool
add_range(IdSet *set, const IdRange *range)
{
	uint64		count;

	if (range->low > range->high)
		return true;
	count = (uint64) range->high - (uint64) range->low;
	if (count >= MAX_RANGED_IDS - set->ranged && range->low != range->high)
		return false;
	for (uint64 i = 0; i <= count; i++)
		add_id(set, range->low + (int64) i);
	if (count > 0)
		set->ranged += count + 1;
	return true;
}

/*
 * Add the elements of an array that are in the range; false if an element can
 * be equal to several ids.
 */
static bool
add_array(IdSet *set, Datum array, Oid type, const IdRange *range)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(array), type, typlen, typbyval,
					  typalign, &elements, &nulls, &nelements);
	for (int i = 0; i < nelements; i++)
	{
		IdRange		equal = nulls[i] ? no_ids : ids_equal_to(elements[i], type);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (equal.low < equal.high)
			return false;
		if (equal.low == equal.high && equal.low >= range->low &&
			equal.low <= range->high)
			add_id(set, equal.low);
	}
	return true;
}

/*
 * impilo_keys_evaluate
 *		Get the ids, which may repeat, in CurrentMemoryContext.
 *
 * `exprs` and `kinds` are those of ImpiloKeys, `states` the compiled
 * expressions.  Returns false if the list has to be read instead.
 */
bool
impilo_keys_evaluate(const List *exprs, const List *kinds, const List *states,
					 ExprContext *econtext, int64 **ids, int *nids)
{
	IdSet		set = {0};
	int			i = 0;

	while (i < list_length(exprs))
	{
		IdRange		range = all_ids;
		Datum		array = 0;
		Oid			array_type = InvalidOid;

		do
		{
			Oid			type = getBaseType(exprType(list_nth(exprs, i)));
			Oid			element_type = get_element_type(type);
			Comparison	comparison = {
				.type = type,
				.strategy = STRATEGY(list_nth_int(kinds, i))
			};
			bool		isnull;
			Datum		value = ExecEvalExprSwitchContext(list_nth(states, i),
														  econtext, &isnull);

			CHECK_FOR_INTERRUPTS();
			if (OidIsValid(element_type) && !isnull)
			{
				array = value;
				array_type = getBaseType(element_type);
			}
			else
				narrow(&range, &comparison, value, isnull);
		} while (++i < list_length(exprs) &&
				 !(list_nth_int(kinds, i) & FIRST_OF_GROUP));

		if (OidIsValid(array_type) ? !add_array(&set, array, array_type, &range)
			: !add_range(&set, &range))
			return false;
	}
	*ids = set.ids;
	*nids = set.used;
	return true;
}

/*
 * impilo_keys_constant
 *		Returns whether keys are one id that the plan already knows.
 */
bool
impilo_keys_constant(const List *exprs, int64 *id)
{
	const Const *key = linitial(exprs);
	IdRange		range;

	if (list_length(exprs) > 1 || !IsA(key, Const) || key->constisnull ||
		OidIsValid(get_element_type(key->consttype)))
		return false;
	range = ids_equal_to(key->constvalue, getBaseType(key->consttype));
	*id = range.low;
	return range.low == range.high;
}
