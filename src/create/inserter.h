/*-------------------------------------------------------------------------
 *
 * inserter.h
 *	  The rows of one statement on their way to orders.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/inserter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_INSERTER_H
#define IMPILO_INSERTER_H

#include "executor/tuptable.h"

#include "create/create.h"

/* What a statement wants of an inserter. */
typedef struct ImpiloInserterConfig
{
	const ImpiloTableOptions *options;	/* of table and server, as checked;
										 * copied */
	Oid			userid;			/* whose user mapping is used */
	CommandId	command;		/* that inserts */
	bool		do_nothing;		/* ON CONFLICT DO NOTHING */
	const Bitmapset *returned;	/* columns to be read from the answers; NULL:
								 * none */
} ImpiloInserterConfig;

/* One target table of one statement. */
typedef struct ImpiloInserter ImpiloInserter;

/* in inserter.c */

extern ImpiloInserter *impilo_inserter(Relation relation,
									   const ImpiloInserterConfig *config,
									   MemoryContext context);
extern bool impilo_inserter_check(ImpiloInserter *inserter,
								  TupleTableSlot *slot);
extern int	impilo_inserter_send(ImpiloInserter *inserter,
								 TupleTableSlot **slots, int n);
extern void impilo_inserter_show(ImpiloInserter *inserter, int i,
								 TupleTableSlot *slot);
extern int	impilo_inserter_batch_size(const ImpiloInserter *inserter);
extern const ImpiloTable *impilo_inserter_table(const ImpiloInserter *inserter);
extern bool impilo_inserter_posts_now(const ImpiloInserter *inserter);
extern const ImpiloHttpStats *impilo_inserter_stats(const ImpiloInserter *inserter);
extern int64 impilo_inserter_skipped(const ImpiloInserter *inserter);

#endif							/* IMPILO_INSERTER_H */
