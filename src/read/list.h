/*-------------------------------------------------------------------------
 *
 * list.h
 *	  The list of orders as a stream: pages ahead, complete and unique.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_LIST_H
#define IMPILO_LIST_H

#include "api/api.h"

typedef struct ImpiloList ImpiloList;

/* What is done with an order of a sample; its bytes are good meanwhile. */
typedef void (*ImpiloOrderTaker) (const ImpiloOrder *order, void *arg);

/* in list.c */

extern ImpiloList *impilo_list_open(ImpiloApi *api, MemoryContext context,
									int fetch_size, int max_concurrency,
									ImpiloHttpStats *stats);
extern bool impilo_list_next(ImpiloList *list, ImpiloOrder *order);
extern int64 impilo_list_pages(const ImpiloList *list);

/* in list_count.c */

extern int64 impilo_list_count(ImpiloApi *api, MemoryContext context,
							   int fetch_size, int max_concurrency,
							   ImpiloHttpStats *stats);

/* in list_sample.c */

extern int64 impilo_list_sample(ImpiloApi *api, MemoryContext context,
								int fetch_size, int max_concurrency,
								int max_pages, ImpiloOrderTaker take,
								void *arg);

#endif							/* IMPILO_LIST_H */
