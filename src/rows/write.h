/*-------------------------------------------------------------------------
 *
 * write.h
 *	  A row to be inserted, turned into the order that it asks for.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/write.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_WRITE_H
#define IMPILO_WRITE_H

#include "executor/tuptable.h"

#include "catalog/table.h"

/* Turns rows of one table into drafts. */
typedef struct ImpiloRequestBuilder ImpiloRequestBuilder;

/* An order that is to be created; one block of memory with what it names. */
typedef struct ImpiloOrderRequest
{
	int64		row;			/* of the statement, from 1 */
	bool		to_site;		/* for a site, not for a patient */
	int64		recipient;		/* id of the patient or site */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8 */
	char	   *body;			/* of the request: JSON in UTF-8 */
	size_t		length;			/* bytes of it */
} ImpiloOrderRequest;

/* in draft.c */

extern ImpiloRequestBuilder *impilo_request_builder(const ImpiloTable *table,
													MemoryContext context);
extern ImpiloOrderRequest *impilo_build_request(ImpiloRequestBuilder *drafter,
												TupleTableSlot *slot, int64 row);
extern ImpiloOrderRequest *impilo_copy_request(const ImpiloOrderRequest *draft);
extern const char *impilo_external_ids_column(const ImpiloTable *table);

#endif							/* IMPILO_WRITE_H */
