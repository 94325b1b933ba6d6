/*-------------------------------------------------------------------------
 *
 * prefetch.h
 *	  Requests sent ahead, consumed in order: list pages and orders by id.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/prefetch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_PREFETCH_H
#define IMPILO_PREFETCH_H

#include "api/api.h"

/* Sends one request; what it takes is allocated in CurrentMemoryContext. */
typedef ImpiloHttpRequest *(*ImpiloFetch) (void *arg, int64 number);

/* An array that grows. */
typedef struct ImpiloNumbers
{
	int64	   *values;
	int64		n;
	int64		size;			/* allocated */
} ImpiloNumbers;

typedef struct ImpiloSlot
{
	MemoryContext context;		/* its own; NULL: the slot is empty */
	ImpiloHttpRequest *request;
	int64		number;			/* of the page, or id of the order */
	bool		in_order;		/* sent when all before it had been taken */
	int64		rows;			/* rows of the queue when it was sent */
} ImpiloSlot;

/*
 * A queue of requests.  `time_left` may be set, and `rows` incremented for each
 * row that is handed out.  All members may be read.
 */
typedef struct ImpiloPrefetch
{
	MemoryContext context;
	ImpiloHttpClient *client;
	ImpiloFetch fetch;
	void	   *arg;
	int64		time_left;		/* microseconds that it may wait in all; at
								 * first IMPILO_HTTP_FOREVER */
	ImpiloSlot *ring;
	int			size;			/* of the ring */
	int			first;			/* the oldest one in the ring */
	int			count;			/* in flight */
	ImpiloNumbers waiting;		/* that were added, to be sent */
	int64		sent;			/* of them, the first ones */
	ImpiloSlot	current;		/* the one whose response is in use */
	int64		rows;			/* handed out so far */
} ImpiloPrefetch;

/* Orders by id.  Others may read all members. */
typedef struct ImpiloLookup
{
	ImpiloApi  *api;
	ImpiloHttpStats *stats;
	ImpiloPrefetch queue;		/* current: the order returned last */
} ImpiloLookup;

typedef enum ImpiloLookupResult
{
	IMPILO_LOOKUP_FOUND,
	IMPILO_LOOKUP_ABSENT,		/* no such order */
	IMPILO_LOOKUP_FAILED,		/* an error, of an id that is not wanted now */
	IMPILO_LOOKUP_END			/* no id is left */
} ImpiloLookupResult;

/* in prefetch.c */

extern void impilo_numbers_add(ImpiloNumbers *numbers, MemoryContext context,
							   int64 number);

extern void impilo_prefetch_init(ImpiloPrefetch *queue, MemoryContext context,
								 ImpiloHttpClient *client, int size,
								 ImpiloFetch fetch, void *arg);
extern bool impilo_prefetch_has_room(const ImpiloPrefetch *queue, int window);
extern void impilo_prefetch_send(ImpiloPrefetch *queue, int64 number);
extern const ImpiloSlot *impilo_prefetch_wait(ImpiloPrefetch *queue);
extern void impilo_prefetch_refetch(ImpiloPrefetch *queue);
extern void impilo_prefetch_take(ImpiloPrefetch *queue);
extern void impilo_prefetch_clear(ImpiloSlot *slot);
extern void impilo_prefetch_cancel(ImpiloPrefetch *queue);
extern void impilo_prefetch_add(ImpiloPrefetch *queue, int64 number);
extern void impilo_prefetch_fill(ImpiloPrefetch *queue);
extern bool impilo_prefetch_next(ImpiloPrefetch *queue);

extern ImpiloLookup *impilo_lookup_open(ImpiloApi *api, MemoryContext context,
										int max_concurrency,
										ImpiloHttpStats *stats);
extern ImpiloLookupResult impilo_lookup_next(ImpiloLookup *lookup,
											 const int64 *wanted, int64 *id,
											 ImpiloOrder *order);
extern int64 impilo_fetch_total(ImpiloApi *api, bool required,
								int64 max_wait, ImpiloHttpStats *stats);

#endif							/* IMPILO_PREFETCH_H */
