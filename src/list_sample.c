/*-------------------------------------------------------------------------
 *
 * list_sample.c
 *	  Orders of some pages of the list, chosen at random.
 *
 * For statistics: nothing is proved here about completeness, and an order
 * that moved between two pages is met once or not at all.  A list that does
 * not state its total is read from its start, as far as the pages go.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/list_sample.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "list.h"
#include "list_seen.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct PageSampler
{
	ImpiloApi  *api;
	MemoryContext context;
	int			fetch_size;
	ImpiloListSeen *seen;
	ImpiloOrderTaker take;
	void	   *arg;
} PageSampler;

static int64
read_all(PageSampler *sampler, int max_concurrency, int max_pages)
{
	ImpiloList *list = impilo_list_open(sampler->api, sampler->context,
										sampler->fetch_size, max_concurrency,
										NULL);
	ImpiloOrder order;
	int64		orders = 0;

	while (impilo_list_pages(list) <= max_pages &&
		   impilo_list_next(list, &order))
	{
		CHECK_FOR_INTERRUPTS();
		if (impilo_list_seen_note(sampler->seen, order.id))
			sampler->take(&order, sampler->arg);
		orders++;
	}
	return orders;
}

static ImpiloHttpRequest *
ask(PageSampler *sampler, int64 number)
{
	return impilo_api_get_page(sampler->api, sampler->context, number,
							   sampler->fetch_size, NULL);
}

/*
 * Hand on the orders of a page that was asked for, and read its envelope.
 */
static void
take_page(PageSampler *sampler, ImpiloHttpRequest *request, int64 number,
		  ImpiloPage *page)
{
	MemoryContext caller = CurrentMemoryContext;
	ImpiloOrder order;

	impilo_http_wait(request);
	MemoryContextSwitchTo(sampler->context);
	impilo_api_page(sampler->api, request, number, sampler->fetch_size, page);
	MemoryContextSwitchTo(caller);
	while (impilo_api_page_next(sampler->api, page, &order))
	{
		CHECK_FOR_INTERRUPTS();
		if (impilo_list_seen_note(sampler->seen, order.id))
			sampler->take(&order, sampler->arg);
	}
	impilo_http_release(request);
}

/*
 * Read up to `wanted` of the `pages` pages after the first, each with the
 * same probability; `first` is the number of the first of them.
 */
static void
take_some(PageSampler *sampler, int64 first, int64 pages, int wanted,
		  int max_concurrency)
{
	ImpiloHttpRequest *ahead[64];
	int64		numbers[64];
	int			window = Min(max_concurrency, lengthof(ahead));
	int			count = 0;
	ImpiloPage	page;

	for (int64 i = 0; i < pages && wanted > 0; i++)
	{
		if (pg_prng_double(&pg_global_prng_state) * (pages - i) >= wanted)
			continue;
		wanted--;
		numbers[count] = first + i;
		ahead[count++] = ask(sampler, first + i);
		if (count < window)
			continue;
		for (int n = 0; n < count; n++)
			take_page(sampler, ahead[n], numbers[n], &page);
		count = 0;
	}
	for (int n = 0; n < count; n++)
		take_page(sampler, ahead[n], numbers[n], &page);
}

/*
 * impilo_list_sample
 *		Hand the orders of at most `max_pages` pages to `take`, and return how
 *		many orders there are.
 *
 * What it needs is allocated in `context`; an order's bytes are good during
 * the call only.
 */
int64
impilo_list_sample(ImpiloApi *api, MemoryContext context, int fetch_size,
				   int max_concurrency, int max_pages,
				   ImpiloOrderTaker take, void *arg)
{
	PageSampler sampler = {
		.api = api,.context = context,.fetch_size = fetch_size,
		.seen = impilo_list_seen_begin(context),.take = take,.arg = arg
	};
	ImpiloHttpRequest *request = ask(&sampler, 1);
	int64		pages;
	int64		first;
	ImpiloPage	page;

	/* where it is not as it is documented, the list finds out what it is */
	impilo_http_wait(request);
	if (impilo_api_no_such_page(request))
		return read_all(&sampler, max_concurrency, max_pages);
	take_page(&sampler, request, 1, &page);
	if (page.total == 0 && page.orders == 0)
		return 0;
	if (page.total < page.orders || page.size < 1 || page.orders == 0)
		return read_all(&sampler, max_concurrency, max_pages);
	pages = (page.total - 1) / page.size;
	first = page.first == 0 && page.page == 1 ? 0 : 2;
	if (first == 0)
	{
		/* page 1 was the second one */
		take_some(&sampler, 0, 1, 1, 1);
		first = 2;
		pages--;
		max_pages--;
	}
	take_some(&sampler, first, pages, (int) Min(pages, max_pages - 1),
			  max_concurrency);
	return page.total;
}
