/*-------------------------------------------------------------------------
 *
 * modify.h
 *	  INSERT and COPY: callbacks, and what planning and execution share.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/modify.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_MODIFY_H
#define IMPILO_MODIFY_H

#include "foreign/fdwapi.h"

#include "catalog/options.h"
#include "catalog/table.h"

/* Members of the private list of an INSERT's plan. */
typedef enum ImpiloInsertPrivate
{
	IMPILO_INSERT_DO_NOTHING,	/* Boolean: ON CONFLICT DO NOTHING */
	IMPILO_INSERT_SET_PROCESSED,	/* Boolean: its rows are the statement's */
	IMPILO_INSERT_RETURNED		/* IntList: columns that RETURNING needs */
} ImpiloInsertPrivate;

/* setting impilo_fdw.allow_create; in modify_plan.c */
extern bool impilo_allow_create;

/* in modify.c */

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
extern void impiloBeginForeignInsert(ModifyTableState *mtstate,
									 ResultRelInfo *rinfo);
extern void impiloEndForeignInsert(EState *estate, ResultRelInfo *rinfo);
extern void impiloExplainForeignModify(ModifyTableState *mtstate,
									   ResultRelInfo *rinfo,
									   List *fdw_private, int subplan_index,
									   struct ExplainState *es);
extern void impiloBeginDirectModify(ForeignScanState *node, int eflags);
extern TupleTableSlot *impiloIterateDirectModify(ForeignScanState *node);
extern void impiloEndDirectModify(ForeignScanState *node);
extern void impiloExplainDirectModify(ForeignScanState *node,
									  struct ExplainState *es);

/* in modify_plan.c */

extern int	impiloIsForeignRelUpdatable(Relation relation);
extern void impiloAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
										  RangeTblEntry *target_rte,
										  Relation target_relation);
extern List *impiloPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
									 Index resultRelation, int subplan_index);
extern bool impiloPlanDirectModify(PlannerInfo *root, ModifyTable *plan,
								   Index resultRelation, int subplan_index);
extern void impilo_check_insert(const ImpiloTable *table,
								const ForeignTable *foreign,
								const ImpiloTableOptions *options,
								bool do_nothing);
extern Bitmapset *impilo_returned_columns(const ImpiloTable *table,
										  List *attnums, ImpiloPostAt post_at);

#endif							/* IMPILO_MODIFY_H */
