/*-------------------------------------------------------------------------
 *
 * list_sample.c
 *	  Orders of some pages of the list, chosen at random.
 *
 * For statistics: nothing is proved here about completeness, an order that
 * moved between two pages is met once or not at all, and a page that is past
 * the end by now is an empty one.  A list that does not state its total is
 * read from its start, as far as the pages go.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list_sample.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"

#include "read/list_private.h"

typedef struct PageSampler
{
	ImpiloList *list;			/* of which some pages are asked for */
	ImpiloOrderTaker take;
	void	   *arg;
} PageSampler;

/*
 * Read the list from its start, within what the sample may still take, and
 * return how many orders were met.
 */
static int64
read_all(const PageSampler *sampler, int max_pages)
{
	ImpiloList *sampled = sampler->list;
	ImpiloList *list = impilo_list_open(sampled->api, sampled->context,
										sampled->asked_size,
										sampled->flight.size, NULL);
	ImpiloOrder order;

	list->max_pages = max_pages;
	list->partial = true;
	list->pages = sampled->pages;
	list->flight.time_left = sampled->flight.time_left;
	while (impilo_list_next(list, &order))
	{
		CHECK_FOR_INTERRUPTS();
		if (impilo_list_note(sampled, &order))
			sampler->take(&order, sampler->arg);
	}
	return sampled->seen->met;
}

/*
 * Hand on the orders of the page whose turn it is, and read its envelope.
 */
static void
take_page(const PageSampler *sampler)
{
	ImpiloList *list = sampler->list;
	const ImpiloAsked *asked = impilo_list_wait(list);
	MemoryContext caller = MemoryContextSwitchTo(asked->context);
	bool		past_end = impilo_api_not_there(asked->request);
	ImpiloOrder order;

	if (!past_end)
		impilo_api_page(list->api, asked->request, asked->number,
						list->asked_size, &list->page);
	MemoryContextSwitchTo(caller);
	impilo_flight_take(&list->flight);
	list->pages++;
	while (!past_end && impilo_api_page_next(list->api, &list->page, &order))
	{
		CHECK_FOR_INTERRUPTS();
		if (impilo_list_note(list, &order))
			sampler->take(&order, sampler->arg);
	}
	impilo_flight_forget_taken(&list->flight);
}

/*
 * Read `wanted` of the `pages` pages from number `first` on: one of each of as
 * many parts of equal length, so that none is chosen twice, and a `total`
 * that cannot be takes no longer than another one.
 */
static void
take_some(const PageSampler *sampler, int64 first, int64 pages, int wanted)
{
	ImpiloFlight *flight = &sampler->list->flight;

	for (int i = 0; i < wanted; i++)
	{
		int64		part = pages / wanted * i + pages % wanted * i / wanted;
		int64		next = pages / wanted * (i + 1) +
		pages % wanted * (i + 1) / wanted;

		while (!impilo_flight_has_room(flight, flight->size))
			take_page(sampler);
		impilo_flight_ask(flight, first +
						  (int64) pg_prng_uint64_range(&pg_global_prng_state,
													   part, next - 1));
	}
	while (flight->count > 0)
		take_page(sampler);
}

/*
 * impilo_list_sample
 *		Hand the orders of at most `max_pages` pages to `take`, and return how
 *		many orders there are.
 *
 * Where a reading of the list may take fewer pages, the sample takes fewer.
 * What it needs is allocated in `context`; an order's bytes are good during
 * the call only.
 */
int64
impilo_list_sample(ImpiloApi *api, MemoryContext context, int fetch_size,
				   int max_concurrency, int max_pages,
				   ImpiloOrderTaker take, void *arg)
{
	ImpiloList *list = impilo_list_open(api, context, fetch_size,
										max_concurrency, NULL);
	PageSampler sampler = {.list = list,.take = take,.arg = arg};
	ImpiloPage *page = &list->page;
	int64		total;
	int64		pages;

	max_pages = Min(max_pages, list->max_pages);

	/* where it is not as it is documented, the list finds out what it is */
	impilo_flight_ask(&list->flight, 1);
	if (impilo_api_not_there(impilo_list_wait(list)->request))
		return read_all(&sampler, max_pages);
	take_page(&sampler);
	total = page->total;
	if (total == 0 && page->orders == 0)
		return 0;
	if (total < page->orders || page->size < 1 || page->orders == 0)
		return read_all(&sampler, max_pages);
	pages = (total - 1) / page->size;
	if (page->first == 0 && page->page == 1)
	{
		/* page 1 was the second one */
		take_some(&sampler, 0, 1, Min(1, max_pages - 1));
		pages--;
		max_pages--;
	}
	take_some(&sampler, 2, pages, (int) Min(pages, max_pages - 1));
	return total;
}
