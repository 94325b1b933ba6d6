/*-------------------------------------------------------------------------
 *
 * insert.h
 *	  Executor callbacks of INSERT and COPY.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/insert.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_INSERT_H
#define IMPILO_INSERT_H

#include "foreign/fdwapi.h"

/* setting impilo_fdw.allow_create */
extern bool impilo_allow_create;

/* in insert.c */

extern int	impiloIsForeignRelUpdatable(Relation relation);
extern void impiloAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
										  RangeTblEntry *target_rte,
										  Relation target_relation);
extern List *impiloPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
									 Index resultRelation, int subplan_index);
extern void impiloBeginForeignModify(ModifyTableState *mtstate,
									 ResultRelInfo *rinfo, List *fdw_private,
									 int subplan_index, int eflags);
extern int	impiloGetForeignModifyBatchSize(ResultRelInfo *rinfo);
extern TupleTableSlot *impiloExecForeignInsert(EState *estate,
											   ResultRelInfo *rinfo,
											   TupleTableSlot *slot,
											   TupleTableSlot *planSlot);
extern TupleTableSlot **impiloExecForeignBatchInsert(EState *estate,
													 ResultRelInfo *rinfo,
													 TupleTableSlot **slots,
													 TupleTableSlot **planSlots,
													 int *numSlots);
extern void impiloEndForeignModify(EState *estate, ResultRelInfo *rinfo);
extern void impiloBeginForeignInsert(ModifyTableState *mtstate,
									 ResultRelInfo *rinfo);
extern void impiloEndForeignInsert(EState *estate, ResultRelInfo *rinfo);
extern void impiloExplainForeignModify(ModifyTableState *mtstate,
									   ResultRelInfo *rinfo,
									   List *fdw_private, int subplan_index,
									   struct ExplainState *es);

/* in direct_insert.c */

extern bool impiloPlanDirectModify(PlannerInfo *root, ModifyTable *plan,
								   Index resultRelation, int subplan_index);
extern void impiloBeginDirectModify(ForeignScanState *node, int eflags);
extern TupleTableSlot *impiloIterateDirectModify(ForeignScanState *node);
extern void impiloEndDirectModify(ForeignScanState *node);
extern void impiloExplainDirectModify(ForeignScanState *node,
									  struct ExplainState *es);

#endif							/* IMPILO_INSERT_H */
