/*-------------------------------------------------------------------------
 *
 * lookup.c
 *	  Orders by id, many requests in flight.
 *
 * Each id is one request, and no answer is no row only if the server is known
 * to be the order API: a 404 can as well mean that the address is wrong.  So
 * the first 404 of a session that has not had any proper answer yet is
 * followed by a request for a small page of the list, which settles it.
 *
 * Which ids are worth asking for, and remembering what was found, is not
 * decided here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/lookup.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lookup.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* the smallest page that proves an address right */
#define PROOF_PAGE_SIZE 1

/*
 * A request in flight that nobody waited for during so many seconds, because
 * the rows were not wanted, may have failed for that reason alone.
 */
#define ATTENDED_SECONDS 1.0

/* One id asked for.  Its context holds the request. */
typedef struct OrderRequest
{
	MemoryContext context;
	ImpiloHttpRequest *request;
	int64		id;
	bool		unattended;		/* was in flight while nobody waited */
} OrderRequest;

struct ImpiloLookup
{
	ImpiloApi  *api;
	MemoryContext context;
	ImpiloHttpStats *stats;
	int			max_concurrency;

	const int64 *ids;			/* to ask for */
	int			nids;
	int			asked;			/* of these, the first ones */

	OrderRequest *ahead;		/* a ring of max_concurrency, as ids go */
	int			ahead_first;
	int			ahead_count;
	OrderRequest current;		/* its order was handed out */
	instr_time	left;			/* when that was */
};

/*
 * impilo_lookup_open
 *		Make ready to fetch orders by id; sends nothing.
 *
 * `ids` are distinct and have to live as long as the look-up, which belongs,
 * with its requests, to `context`.
 */
ImpiloLookup *
impilo_lookup_open(ImpiloApi *api, MemoryContext context,
				   const int64 *ids, int nids, int max_concurrency,
				   ImpiloHttpStats *stats)
{
	ImpiloLookup *lookup = MemoryContextAllocZero(context, sizeof(*lookup));

	lookup->api = api;
	lookup->context = context;
	lookup->stats = stats;
	lookup->max_concurrency = max_concurrency;
	lookup->ids = ids;
	lookup->nids = nids;
	lookup->ahead =
		MemoryContextAllocZero(context,
							   sizeof(OrderRequest) * max_concurrency);
	return lookup;
}

static void
ask(ImpiloLookup *lookup, OrderRequest *slot, int64 id)
{
	MemoryContext caller;

	slot->context = AllocSetContextCreate(lookup->context,
										  "impilo_fdw order",
										  ALLOCSET_SMALL_SIZES);
	slot->id = id;
	slot->unattended = false;
	caller = MemoryContextSwitchTo(slot->context);
	slot->request = impilo_api_get_order(lookup->api, slot->context, id,
										 lookup->stats);
	MemoryContextSwitchTo(caller);
}

static void
fill_window(ImpiloLookup *lookup)
{
	int			window = lookup->max_concurrency;

	window = impilo_http_in_flight_limit(impilo_api_http(lookup->api), window);
	while (lookup->asked < lookup->nids && lookup->ahead_count < window)
	{
		int			at = (lookup->ahead_first + lookup->ahead_count) %
		lookup->max_concurrency;

		ask(lookup, &lookup->ahead[at], lookup->ids[lookup->asked]);
		lookup->asked++;
		lookup->ahead_count++;
	}
}

static void
mark_unattended(ImpiloLookup *lookup)
{
	instr_time	now;

	if (INSTR_TIME_IS_ZERO(lookup->left))
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, lookup->left);
	INSTR_TIME_SET_ZERO(lookup->left);
	if (INSTR_TIME_GET_DOUBLE(now) < ATTENDED_SECONDS)
		return;
	for (int i = 0; i < lookup->ahead_count; i++)
	{
		OrderRequest *asked = &lookup->ahead[(lookup->ahead_first + i) %
											 lookup->max_concurrency];

		if (!impilo_http_done(asked->request))
			asked->unattended = true;
	}
}

/*
 * Wait for the next answer; ask once more if it is none for want of
 * attention.
 */
static void
wait_for_head(ImpiloLookup *lookup)
{
	OrderRequest *head = &lookup->ahead[lookup->ahead_first];
	const ImpiloHttpReply *reply;

	impilo_http_wait(head->request);
	reply = impilo_http_reply(head->request);
	if (!head->unattended ||
		(reply->outcome == IMPILO_HTTP_ANSWERED &&
		 reply->status != 429 && reply->status < 500))
		return;
	MemoryContextDelete(head->context);
	ask(lookup, head, head->id);
	impilo_http_wait(head->request);
}

/*
 * Is this an order API at all?  Raises the error that the list gives if not.
 */
static void
prove_address(ImpiloLookup *lookup)
{
	ImpiloHttpRequest *request;
	ImpiloPage	page;

	if (impilo_api_proven(lookup->api))
		return;
	request = impilo_api_get_page(lookup->api, CurrentMemoryContext,
								  1, PROOF_PAGE_SIZE, lookup->stats);
	impilo_http_wait(request);
	impilo_api_page(lookup->api, request, 1, PROOF_PAGE_SIZE, &page);
	impilo_http_release(request);
}

/*
 * impilo_lookup_next
 *		The next order that there is, in the order of the ids; false when all
 *		are through.
 *
 * The order's bytes are good until the next call.  Raises the errors of
 * api.c.
 */
bool
impilo_lookup_next(ImpiloLookup *lookup, ImpiloOrder *order)
{
	for (;;)
	{
		MemoryContext caller;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (lookup->current.context)
			MemoryContextDelete(lookup->current.context);
		memset(&lookup->current, 0, sizeof(lookup->current));
		mark_unattended(lookup);
		fill_window(lookup);
		if (lookup->ahead_count == 0)
			return false;

		wait_for_head(lookup);
		lookup->current = lookup->ahead[lookup->ahead_first];
		lookup->ahead_first =
			(lookup->ahead_first + 1) % lookup->max_concurrency;
		lookup->ahead_count--;

		/* the next requests go out before this answer is parsed */
		fill_window(lookup);

		caller = MemoryContextSwitchTo(lookup->current.context);
		found = impilo_api_order(lookup->api, lookup->current.request,
								 lookup->current.id, order);
		if (!found)
			prove_address(lookup);
		MemoryContextSwitchTo(caller);
		if (found)
		{
			INSTR_TIME_SET_CURRENT(lookup->left);
			return true;
		}
	}
}
