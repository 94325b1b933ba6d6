/*-------------------------------------------------------------------------
 *
 * draft.h
 *	  A row to be inserted, turned into the order that it asks for.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/draft.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_DRAFT_H
#define IMPILO_DRAFT_H

#include "executor/tuptable.h"

#include "rows/columns.h"

/* Turns rows of one table into drafts. */
typedef struct ImpiloDrafter ImpiloDrafter;

/* An order that is to be created; one block of memory with what it names. */
typedef struct ImpiloDraft
{
	int64		row;			/* of the statement, from 1 */
	bool		to_site;		/* for a site, not for a patient */
	int64		recipient;		/* id of the patient or site */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8 */
	char	   *body;			/* of the request: JSON in UTF-8 */
	size_t		length;			/* bytes of it */
} ImpiloDraft;

/* in draft.c */

extern ImpiloDrafter *impilo_drafter(const ImpiloTable *table,
									 MemoryContext context);
extern ImpiloDraft *impilo_draft(ImpiloDrafter *drafter,
								 TupleTableSlot *slot, int64 row);
extern ImpiloDraft *impilo_draft_copy(const ImpiloDraft *draft);
extern const char *impilo_draft_ids_column(const ImpiloTable *table);

#endif							/* IMPILO_DRAFT_H */
