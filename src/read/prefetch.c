/*-------------------------------------------------------------------------
 *
 * prefetch.c
 *	  Requests sent ahead, consumed in order: list pages and orders by id.
 *
 * A ring of requests: new ones are added at its end, responses are taken from
 * its head, so they come out in the order of the requests, however they
 * arrive.  Each request has a memory context of its own, which is deleted
 * when the response has been used.
 *
 * While the executor does not call us (a cursor, a slow statement around the
 * scan), libcurl is not driven, and requests in flight can time out.  So a
 * request that got no response after rows were handed out is sent again when
 * its turn comes.
 *
 * Which pages are requested, and what a response proves, is decided in
 * list.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/prefetch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "read/prefetch.h"

/* ------------------------------------------------------------------------
 * The queue
 * ------------------------------------------------------------------------
 */

/*
 * impilo_prefetch_init
 *		Make an empty queue for at most `size` requests in flight.
 *
 * `fetch` sends a request; `arg` is passed to it.  All memory belongs to
 * `context`.
 */
void
impilo_prefetch_init(ImpiloPrefetch *queue, MemoryContext context,
					 ImpiloHttpClient *client, int size,
					 ImpiloFetch fetch, void *arg)
{
	memset(queue, 0, sizeof(*queue));
	queue->context = context;
	queue->client = client;
	queue->size = size;
	queue->fetch = fetch;
	queue->arg = arg;
	queue->time_left = IMPILO_HTTP_FOREVER;
	queue->ring = MemoryContextAllocZero(context, sizeof(ImpiloSlot) * queue->size);
}

static void
send_slot(ImpiloPrefetch *queue, ImpiloSlot *slot, int64 number)
{
	MemoryContext caller;

	slot->number = number;
	slot->rows = queue->rows;
	slot->context = AllocSetContextCreate(queue->context, "impilo_fdw request",
										  ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(slot->context);
	slot->request = queue->fetch(queue->arg, number);
	MemoryContextSwitchTo(caller);
}

/*
 * impilo_prefetch_clear
 *		Free a request and its response, for instance the current one.
 */
void
impilo_prefetch_clear(ImpiloSlot *slot)
{
	if (slot->context)
		MemoryContextDelete(slot->context);
	memset(slot, 0, sizeof(*slot));
}

/*
 * impilo_prefetch_has_room
 *		Returns whether one more request may be sent, where `window` are wanted
 *		in flight.
 */
bool
impilo_prefetch_has_room(const ImpiloPrefetch *queue, int window)
{
	window = Min(window, queue->size);
	return queue->count < impilo_http_in_flight_limit(queue->client, window);
}

/*
 * impilo_prefetch_send
 *		Add a request; there has to be room for it.
 */
void
impilo_prefetch_send(ImpiloPrefetch *queue, int64 number)
{
	ImpiloSlot *slot = &queue->ring[(queue->first + queue->count) % queue->size];

	slot->in_order = queue->count == 0;
	send_slot(queue, slot, number);
	queue->count++;
}

/*
 * impilo_prefetch_refetch
 *		Send the request at the head again: all before it have been taken now.
 */
void
impilo_prefetch_refetch(ImpiloPrefetch *queue)
{
	ImpiloSlot *head = &queue->ring[queue->first];
	int64		number = head->number;

	impilo_prefetch_clear(head);
	head->in_order = true;
	send_slot(queue, head, number);
}

/*
 * impilo_prefetch_wait
 *		Wait for the request at the head; NULL if time_left is used up before.
 *
 * It stays there until it is taken, sent again or canceled.
 */
const ImpiloSlot *
impilo_prefetch_wait(ImpiloPrefetch *queue)
{
	ImpiloSlot *head = &queue->ring[queue->first];
	const ImpiloHttpReply *reply;

	Assert(queue->count > 0);
	reply = impilo_http_wait(head->request, &queue->time_left);
	if (reply && reply->status == 0 && head->rows != queue->rows)
	{
		impilo_prefetch_refetch(queue);
		reply = impilo_http_wait(head->request, &queue->time_left);
	}
	return reply ? head : NULL;
}

/*
 * impilo_prefetch_take
 *		Make the response at the head, which has been waited for, the current
 *		one.  The one before must have been released.
 */
void
impilo_prefetch_take(ImpiloPrefetch *queue)
{
	ImpiloSlot *head = &queue->ring[queue->first];

	Assert(queue->current.context == NULL);
	queue->current = *head;
	memset(head, 0, sizeof(*head));
	queue->first = (queue->first + 1) % queue->size;
	queue->count--;
}

/*
 * impilo_prefetch_cancel
 *		Cancel all requests in flight, and forget the numbers that wait.
 */
void
impilo_prefetch_cancel(ImpiloPrefetch *queue)
{
	queue->sent = queue->waiting.n = 0;
	for (; queue->count > 0; queue->count--)
	{
		impilo_prefetch_clear(&queue->ring[queue->first]);
		queue->first = (queue->first + 1) % queue->size;
	}
}

/*
 * impilo_numbers_add
 *		Append a number to an array, which begins with zeros and belongs to
 *		`context`.
 */
void
impilo_numbers_add(ImpiloNumbers *numbers, MemoryContext context, int64 number)
{
	if (numbers->n == numbers->size)
	{
		numbers->size = Max(numbers->size * 2, 16);
		numbers->values = numbers->values
			? repalloc_huge(numbers->values, numbers->size * sizeof(int64))
			: MemoryContextAlloc(context, numbers->size * sizeof(int64));
	}
	numbers->values[numbers->n++] = number;
}

/*
 * impilo_prefetch_add
 *		Add a number, to be sent when there is room.
 */
void
impilo_prefetch_add(ImpiloPrefetch *queue, int64 number)
{
	if (queue->sent == queue->waiting.n)
		queue->sent = queue->waiting.n = 0;
	impilo_numbers_add(&queue->waiting, queue->context, number);
}

/*
 * impilo_prefetch_fill
 *		Send the numbers that wait, as far as there is room.
 */
void
impilo_prefetch_fill(ImpiloPrefetch *queue)
{
	while (queue->sent < queue->waiting.n &&
		   impilo_prefetch_has_room(queue, queue->size))
		impilo_prefetch_send(queue, queue->waiting.values[queue->sent++]);
}

/*
 * impilo_prefetch_next
 *		Release the current response, and wait for the next of the numbers that
 *		were added.  Returns false if there is none, or if time_left is used up
 *		before.
 */
bool
impilo_prefetch_next(ImpiloPrefetch *queue)
{
	impilo_prefetch_clear(&queue->current);
	impilo_prefetch_fill(queue);
	if (queue->count == 0 || !impilo_prefetch_wait(queue))
		return false;
	impilo_prefetch_take(queue);

	/* the next requests go out before this response is parsed */
	impilo_prefetch_fill(queue);
	return true;
}

/* ------------------------------------------------------------------------
 * Orders by id
 * ------------------------------------------------------------------------
 */

static ImpiloHttpRequest *
fetch_order(void *arg, int64 id)
{
	ImpiloLookup *lookup = arg;

	return impilo_api_get_order(lookup->api, CurrentMemoryContext, id,
								lookup->stats);
}

/*
 * impilo_lookup_open
 *		Make ready to fetch orders whose ids are added to the queue; sends
 *		nothing.
 *
 * The lookup belongs, with its requests, to `context`; `stats` has to live as
 * long.
 */
ImpiloLookup *
impilo_lookup_open(ImpiloApi *api, MemoryContext context, int max_concurrency,
				   ImpiloHttpStats *stats)
{
	ImpiloLookup *lookup = MemoryContextAllocZero(context, sizeof(*lookup));

	lookup->api = api;
	lookup->stats = stats;
	impilo_prefetch_init(&lookup->queue, context, api->http,
						 max_concurrency, fetch_order, lookup);
	return lookup;
}

/*
 * A 404 means "no such order" only if this server is known to be the order
 * API.  Before its first proper response of the session, a small page of the
 * list decides; raises the error of that page if it is none.
 */
static void
verify_address(ImpiloLookup *lookup)
{
	if (!lookup->api->proven)
		(void) impilo_fetch_total(lookup->api, true, IMPILO_HTTP_FOREVER,
								  lookup->stats);
}

/*
 * impilo_lookup_next
 *		Wait for the next id: *id is set unless the result is IMPILO_LOOKUP_END.
 *
 * The ids are answered in the order in which they were added.  The order's
 * bytes are good until the next call.  Raises the errors of the API; if
 * `wanted` is not NULL, a status that is not 200 only for that id.
 */
ImpiloLookupResult
impilo_lookup_next(ImpiloLookup *lookup, const int64 *wanted, int64 *id,
				   ImpiloOrder *order)
{
	ImpiloPrefetch *queue = &lookup->queue;
	ImpiloLookupResult result = IMPILO_LOOKUP_FAILED;
	MemoryContext caller;
	int			status;

	if (!impilo_prefetch_next(queue))
		return IMPILO_LOOKUP_END;
	*id = queue->current.number;
	status = impilo_http_wait(queue->current.request, NULL)->status;
	if (wanted && *wanted != *id && status != 200 && status != 404)
		return result;
	caller = MemoryContextSwitchTo(queue->current.context);
	if (impilo_api_order(lookup->api, queue->current.request, *id, order, NULL))
		result = IMPILO_LOOKUP_FOUND;
	else
	{
		verify_address(lookup);
		result = IMPILO_LOOKUP_ABSENT;
	}
	MemoryContextSwitchTo(caller);
	queue->rows++;
	return result;
}

/*
 * impilo_fetch_total
 *		Ask for one small page of the list, and return its total, or
 *		IMPILO_UNKNOWN.  Raises the errors of the API if it is `required`.
 *
 * With a limit of `max_wait` microseconds, the request is not retried.
 */
int64
impilo_fetch_total(ImpiloApi *api, bool required, int64 max_wait,
				   ImpiloHttpStats *stats)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw total",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloHttpRequest *request;
	ImpiloApiError error;
	ImpiloPage	page = {.total = IMPILO_UNKNOWN};

	request = impilo_api_get_small_page(api, context,
										max_wait >= IMPILO_HTTP_FOREVER, stats);
	if (impilo_http_wait(request, &max_wait) &&
		!impilo_api_page(api, request, &page, required ? NULL : &error))
		page.total = IMPILO_UNKNOWN;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return page.total;
}
