/*-------------------------------------------------------------------------
 *
 * insert_plan.h
 *	  What planning an INSERT decides: for insert.c and direct_insert.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/insert_plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_INSERT_PLAN_H
#define IMPILO_INSERT_PLAN_H

#include "create/inserter.h"
#include "fdw/insert.h"

/* The plan's private list. */
typedef enum ImpiloInsertPrivate
{
	IMPILO_INSERT_DO_NOTHING,	/* Boolean: ON CONFLICT DO NOTHING */
	IMPILO_INSERT_SET_PROCESSED,	/* Boolean: its rows are the statement's */
	IMPILO_INSERT_RETURNED		/* IntList: columns that RETURNING needs */
} ImpiloInsertPrivate;

/* in insert_plan.c */

extern List *impilo_insert_plan(PlannerInfo *root, const ModifyTable *plan,
								Index rti, int subplan_index);
extern Bitmapset *impilo_insert_all_columns(Relation relation);
extern ImpiloInserter *impilo_insert_begin(EState *estate,
										   ResultRelInfo *rinfo,
										   bool do_nothing,
										   const Bitmapset *returned);
extern bool impilo_insert_reads_server(EState *estate, ResultRelInfo *rinfo);
extern void impilo_insert_explain(Relation relation, int batch_size,
								  const char *why_single,
								  struct ExplainState *es);
extern void impilo_insert_explain_stats(const ImpiloInserter *inserter,
										struct ExplainState *es);

#endif							/* IMPILO_INSERT_PLAN_H */
