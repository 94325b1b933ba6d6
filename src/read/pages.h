/*-------------------------------------------------------------------------
 *
 * pages.h
 *	  Pages of the list by number, as the API sends them.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/pages.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_PAGES_H
#define IMPILO_PAGES_H

#include "api/api.h"

/* A scan of some pages. */
typedef struct ImpiloPages ImpiloPages;

/* What a response says about an order; IMPILO_UNKNOWN if it does not. */
typedef struct ImpiloListed
{
	int64		page;			/* as requested */
	int64		place;			/* in the list, from 1 */
	int64		total;
	int64		size;			/* orders a page */
} ImpiloListed;

/* in pages.c */

extern ImpiloPages *impilo_pages_open(ImpiloApi *api, MemoryContext context,
									  const int64 *numbers, int nnumbers,
									  int fetch_size, int max_concurrency,
									  ImpiloHttpStats *stats, int64 *pages_read);
extern bool impilo_pages_next(ImpiloPages *pages, ImpiloOrder *order,
							  ImpiloListed *listed);

#endif							/* IMPILO_PAGES_H */
