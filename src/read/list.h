/*-------------------------------------------------------------------------
 *
 * list.h
 *	  The list of orders as a stream, complete and each order once.
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

#include "datatype/timestamp.h"

#include "api/api.h"

/* A scan of the list. */
typedef struct ImpiloList ImpiloList;

/* Receives an order of a sample; its bytes are good during the call. */
typedef void (*ImpiloSampleCallback) (const ImpiloOrder *order, void *arg);

/* setting impilo_fdw.progress_interval, ms; 0: off */
extern int	impilo_progress_interval;

/* in list.c */

extern ImpiloList *impilo_list_open(ImpiloApi *api, MemoryContext context,
									int fetch_size, int max_concurrency,
									bool reads_all, ImpiloHttpStats *stats,
									int64 *pages);
extern bool impilo_list_next(ImpiloList *list, ImpiloOrder *order,
							 ImpiloApiError *error);
extern int64 impilo_list_count(ImpiloApi *api, MemoryContext context,
							   int fetch_size, int max_concurrency,
							   ImpiloHttpStats *stats);
extern int64 impilo_list_sample(ImpiloApi *api, MemoryContext context,
								int fetch_size, int max_concurrency,
								int max_pages, ImpiloSampleCallback take,
								void *arg);
extern void impilo_report_progress(TimestampTz *reported_at, int64 pages,
								   int64 total);

#endif							/* IMPILO_LIST_H */
