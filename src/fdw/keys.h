/*-------------------------------------------------------------------------
 *
 * keys.h
 *	  The ids that the conditions of a scan name.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/keys.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_KEYS_H
#define IMPILO_KEYS_H

#include "catalog/pg_type.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

/* Ids as a path and a plan hold them.  Only keys.c knows the form. */
typedef struct ImpiloKeys
{
	List	   *exprs;			/* evaluated when the scan starts */
	List	   *kinds;			/* IntList: what each of them means */
	double		count;			/* of ids, estimated */
} ImpiloKeys;

#define impilo_is_integer(type) \
	((type) == INT8OID || (type) == INT4OID || (type) == INT2OID)

/* in keys.c */

extern bool impilo_is_column(const RelOptInfo *rel, AttrNumber column,
							 const Node *node);
extern bool impilo_match_key(PlannerInfo *root, const RelOptInfo *rel,
							 AttrNumber column, Expr *clause,
							 ImpiloKeys *keys);
extern bool impilo_match_keys(PlannerInfo *root, const RelOptInfo *rel,
							  AttrNumber column, ImpiloKeys *keys);
extern bool impilo_keys_evaluate(const List *exprs, const List *kinds,
								 const List *states, ExprContext *econtext,
								 int64 **ids, int *nids);
extern bool impilo_keys_constant(const List *exprs, int64 *id);
extern int64 impilo_key_to_id(Datum value, Oid type);

#endif							/* IMPILO_KEYS_H */
