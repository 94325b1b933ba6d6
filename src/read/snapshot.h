/*-------------------------------------------------------------------------
 *
 * snapshot.h
 *	  What one executor run has read: kept, spilled, found again.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/snapshot.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_SNAPSHOT_H
#define IMPILO_SNAPSHOT_H

#include "api/api.h"

typedef struct ImpiloSpool ImpiloSpool;
typedef struct ImpiloSpoolReader ImpiloSpoolReader;
typedef struct ImpiloOrderCache ImpiloOrderCache;

/* in snapshot.c */

extern ImpiloSpool *impilo_spool_begin(MemoryContext context);
extern ImpiloSpoolReader *impilo_spool_reader(ImpiloSpool *spool);
extern bool impilo_spool_read(ImpiloSpoolReader *reader, ImpiloOrder *order);
extern void impilo_spool_append(ImpiloSpoolReader *reader,
								ImpiloOrder *order);
extern void impilo_spool_rewind(ImpiloSpoolReader *reader);
extern void impilo_spool_end(ImpiloSpool *spool);

extern ImpiloOrderCache *impilo_order_cache_begin(MemoryContext context);
extern bool impilo_order_cache_knows(const ImpiloOrderCache *cache, int64 id);
extern bool impilo_order_cache_find(ImpiloOrderCache *cache, int64 id,
									ImpiloOrder *order);
extern void impilo_order_cache_add(ImpiloOrderCache *cache, int64 id,
								   const ImpiloOrder *order);
extern void impilo_order_cache_end(ImpiloOrderCache *cache);

#endif							/* IMPILO_SNAPSHOT_H */
