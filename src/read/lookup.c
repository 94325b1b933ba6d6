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
 *	  src/read/lookup.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "read/flight.h"
#include "read/lookup.h"

/* orders of the page that proves an address right; the documented default,
 * which no API refuses */
#define PROOF_PAGE_SIZE 15

struct ImpiloLookup
{
	ImpiloApi  *api;
	ImpiloHttpStats *stats;

	const int64 *ids;			/* to ask for */
	int			nids;
	int			asked;			/* of these, the first ones */

	ImpiloFlight flight;		/* its order was handed out: flight.taken */
};

static ImpiloHttpRequest *
ask_order(void *arg, int64 id)
{
	ImpiloLookup *lookup = arg;

	return impilo_api_get_order(lookup->api, CurrentMemoryContext, id,
								lookup->stats);
}

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
	lookup->stats = stats;
	lookup->ids = ids;
	lookup->nids = nids;
	impilo_flight_begin(&lookup->flight, context, impilo_api_http(api),
						max_concurrency, ask_order, lookup);
	return lookup;
}

static void
fill_window(ImpiloLookup *lookup)
{
	while (lookup->asked < lookup->nids &&
		   impilo_flight_has_room(&lookup->flight, lookup->flight.size))
		impilo_flight_ask(&lookup->flight, lookup->ids[lookup->asked++]);
}

/*
 * Is this an order API at all?  Raises the error that the list gives if not.
 */
static void
prove_address(ImpiloLookup *lookup)
{
	ImpiloPage	page;

	if (!impilo_api_proven(lookup->api))
		impilo_api_first_page(lookup->api, PROOF_PAGE_SIZE, lookup->stats,
							  &page);
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
	ImpiloFlight *flight = &lookup->flight;
	bool		found = false;

	impilo_flight_return(flight);
	while (!found)
	{
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		impilo_flight_forget_taken(flight);
		fill_window(lookup);
		if (flight->count == 0)
			return false;
		(void) impilo_flight_wait(flight);
		impilo_flight_take(flight);

		/* the next requests go out before this answer is parsed */
		fill_window(lookup);

		caller = MemoryContextSwitchTo(flight->taken.context);
		found = impilo_api_order(lookup->api, flight->taken.request,
								 flight->taken.number, order);
		if (!found)
			prove_address(lookup);
		MemoryContextSwitchTo(caller);
	}
	impilo_flight_leave(flight);
	return true;
}
