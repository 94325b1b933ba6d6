/*-------------------------------------------------------------------------
 *
 * write.h
 *	  Rows of a foreign table turned into requests to create orders.
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

/* Turns rows of one table into requests. */
typedef struct ImpiloRequestBuilder ImpiloRequestBuilder;

/* An order to be created: one block of memory including what it points to. */
typedef struct ImpiloOrderRequest
{
	int64		row;			/* of the statement, from 1 */
	bool		to_site;		/* for a site, not for a patient */
	int64		recipient;		/* id of the patient or site */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8, as sent */
	char	   *body;			/* of the request: JSON in UTF-8 */
	size_t		length;			/* of the body, in bytes */
} ImpiloOrderRequest;

/* in write.c */

extern ImpiloRequestBuilder *impilo_request_builder(const ImpiloTable *table,
													MemoryContext context);
extern ImpiloOrderRequest *impilo_build_request(ImpiloRequestBuilder *builder,
												TupleTableSlot *slot,
												int64 row);
extern ImpiloOrderRequest *impilo_copy_request(const ImpiloOrderRequest *request);
extern const char *impilo_external_ids_column(const ImpiloTable *table);

#endif							/* IMPILO_WRITE_H */
