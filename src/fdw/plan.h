/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  The route of a scan, and its cost.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_PLAN_H
#define IMPILO_PLAN_H

#include "foreign/fdwapi.h"

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
extern void impiloGetForeignUpperPaths(PlannerInfo *root,
									   UpperRelationKind stage,
									   RelOptInfo *input_rel,
									   RelOptInfo *output_rel, void *extra);

extern Expr *impilo_lookup_key(const Path *path);
extern bool impilo_key_is_read(PlannerInfo *root, const RelOptInfo *baserel,
							   const Node *key);
extern void impilo_cost_keys(const RelOptInfo *baserel, double keys,
							 Cost *startup, Cost *total);

#endif							/* IMPILO_PLAN_H */
