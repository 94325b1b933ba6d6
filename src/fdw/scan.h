/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  Scans of foreign tables: planner, keys, executor, and lookahead node.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_SCAN_H
#define IMPILO_SCAN_H

#include "catalog/pg_type.h"
#include "foreign/fdwapi.h"

/* The ways to get at orders. */
typedef enum ImpiloRoute
{
	IMPILO_ROUTE_LIST,			/* the whole list, page after page */
	IMPILO_ROUTE_LOOKUP,		/* a request for each id */
	IMPILO_ROUTE_PAGES,			/* some pages of the list, as they are */
	IMPILO_ROUTE_COUNT,			/* only how many there are */
	IMPILO_ROUTE_NOTHING		/* no order can satisfy the condition */
} ImpiloRoute;

/*
 * Members of ForeignScan.fdw_private.  ForeignScan.fdw_exprs holds the keys of
 * routes Lookup and Pages.
 */
typedef enum ImpiloScanPrivate
{
	IMPILO_SCAN_ROUTE,			/* Integer: ImpiloRoute */
	IMPILO_SCAN_REREAD,			/* Integer: 1 if it may be read again */
	IMPILO_SCAN_READS_ALL,		/* Integer: 1 if the plan does not stop early */
	IMPILO_SCAN_FILTER_COLUMNS, /* IntList: columns that the filter needs */
	IMPILO_SCAN_REST_COLUMNS,	/* IntList: those needed beyond it */
	IMPILO_SCAN_KEY_KINDS		/* IntList: ImpiloKeys.kinds */
} ImpiloScanPrivate;

/* Ids or page numbers as a path and a plan hold them. */
typedef struct ImpiloKeys
{
	List	   *exprs;			/* evaluated when the scan starts; NIL: none */
	List	   *kinds;			/* IntList: see keys.c */
	double		count;			/* of ids, estimated */
} ImpiloKeys;

#define impilo_is_integer(type) \
	((type) == INT8OID || (type) == INT4OID || (type) == INT2OID)

/* in plan.c */

extern void impiloGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel,
									Oid foreigntableid);
extern void impiloGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel,
								  Oid foreigntableid);
extern ForeignScan *impiloGetForeignPlan(PlannerInfo *root,
										 RelOptInfo *rel, Oid foreigntableid,
										 ForeignPath *best_path, List *tlist,
										 List *scan_clauses,
										 Plan *outer_plan);
extern List *impiloReparameterizeForeignPathByChild(PlannerInfo *root,
													List *fdw_private,
													RelOptInfo *child_rel);
extern void impiloGetForeignUpperPaths(PlannerInfo *root,
									   UpperRelationKind stage,
									   RelOptInfo *input_rel,
									   RelOptInfo *output_rel, void *extra);
extern Expr *impilo_lookup_key(const Path *path);
extern bool impilo_key_is_read(PlannerInfo *root, const RelOptInfo *baserel,
							   const Node *key);
extern void impilo_cost_requests(const RelOptInfo *baserel, double requests,
								 double keys, Cost *startup, Cost *total);

/* in keys.c */

extern bool impilo_is_column(const RelOptInfo *rel, AttrNumber column,
							 const Node *node);
extern ImpiloKeys impilo_match_keys(PlannerInfo *root, const RelOptInfo *rel,
									AttrNumber column, List *rinfos,
									bool one_integer);
extern bool impilo_keys_evaluate(const ForeignScan *plan, const List *states,
								 ExprContext *econtext, int64 **ids,
								 int *nids);
extern int64 impilo_key_to_id(Datum value, Oid type);

/* in scan.c */

extern void impiloBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *impiloIterateForeignScan(ForeignScanState *node);
extern void impiloReScanForeignScan(ForeignScanState *node);
extern void impiloEndForeignScan(ForeignScanState *node);
extern void impiloExplainForeignScan(ForeignScanState *node,
									 struct ExplainState *es);

/* in join.c */

extern void impilo_join_init(void);

#endif							/* IMPILO_SCAN_H */
