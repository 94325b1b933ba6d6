/*-------------------------------------------------------------------------
 *
 * lookup.h
 *	  Orders by id, many requests in flight.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/lookup.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_LOOKUP_H
#define IMPILO_LOOKUP_H

#include "api/api.h"

typedef struct ImpiloLookup ImpiloLookup;

/* in lookup.c */

extern ImpiloLookup *impilo_lookup_open(ImpiloApi *api, MemoryContext context,
										const int64 *ids, int nids,
										int max_concurrency,
										ImpiloHttpStats *stats);
extern bool impilo_lookup_next(ImpiloLookup *lookup, ImpiloOrder *order);

#endif							/* IMPILO_LOOKUP_H */
