/*-------------------------------------------------------------------------
 *
 * pages.c
 *	  Pages of the list by number, as the API sends them.
 *
 * Unlike list.c, this module does not repair the list: it requests each page
 * once and returns all of its orders, with the numbers of the response.  For a
 * page without orders it returns one order without a document, so that the
 * caller gets the total.  If a page after the first does not exist, the same
 * holds, and the numbers are unknown.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/pages.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "read/list.h"
#include "read/pages.h"
#include "read/prefetch.h"

struct ImpiloPages
{
	ImpiloApi  *api;
	ImpiloHttpStats *stats;
	int			fetch_size;
	int			wanted;			/* number of pages */
	ImpiloPrefetch queue;		/* current: the page in use */
	ImpiloPage	page;			/* its envelope */
	bool		empty;			/* none of its orders is returned yet */
	TimestampTz reported_at;	/* time of the last progress message */
};

static int
compare_numbers(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

static ImpiloHttpRequest *
fetch_page(void *arg, int64 number)
{
	ImpiloPages *pages = arg;

	return impilo_api_get_page(pages->api, CurrentMemoryContext, number,
							   pages->fetch_size, pages->stats);
}

/*
 * impilo_pages_open
 *		Prepare to read pages; sends nothing.
 *
 * Ignores numbers below 1 and repeated ones.  The result and its requests
 * belong to `context`.
 */
ImpiloPages *
impilo_pages_open(ImpiloApi *api, MemoryContext context,
				  const int64 *numbers, int nnumbers, int fetch_size,
				  int max_concurrency, ImpiloHttpStats *stats)
{
	ImpiloPages *pages = MemoryContextAllocZero(context, sizeof(*pages));
	int64	   *sorted = MemoryContextAlloc(context,
											Max(nnumbers, 1) * sizeof(int64));
	int			n = 0;

	pages->api = api;
	pages->stats = stats;
	pages->fetch_size = fetch_size;
	pages->reported_at = GetCurrentTimestamp();
	impilo_prefetch_init(&pages->queue, context, api->http,
						 max_concurrency, fetch_page, pages);
	if (api->config.scan_timeout > 0)
		pages->queue.time_left = api->config.scan_timeout * INT64CONST(1000);

	for (int i = 0; i < nnumbers; i++)
		if (numbers[i] >= 1)
			sorted[n++] = numbers[i];
	qsort(sorted, n, sizeof(int64), compare_numbers);
	pages->wanted = qunique(sorted, n, sizeof(int64), compare_numbers);
	for (int i = 0; i < pages->wanted; i++)
		impilo_prefetch_add(&pages->queue, sorted[i]);
	pfree(sorted);
	return pages;
}

/*
 * Wait for the next page and read its envelope; false after the last page.
 */
static bool
next_page(ImpiloPages *pages)
{
	ImpiloPrefetch *queue = &pages->queue;
	MemoryContext caller;
	int			done;
	int			status;

	if (!impilo_prefetch_next(queue))
	{
		ImpiloApiError error;

		if (queue->count == 0)
			return false;
		impilo_api_error(pages->api, IMPILO_API_SCAN_TIMEOUT,
						 psprintf("Not all of %d pages could be read.",
								  pages->wanted), &error);
		impilo_api_raise(&error);
	}
	done = pages->wanted - (queue->nwaiting - queue->sent) - queue->count;
	impilo_report_progress(&pages->reported_at, done, pages->wanted);

	caller = MemoryContextSwitchTo(queue->current.context);
	memset(&pages->page, 0, sizeof(pages->page));
	status = impilo_http_wait(queue->current.request, NULL)->status;
	if (queue->current.number > 1 &&
		(status == 400 || status == 404 || status == 416 || status == 422))
		pages->page.page = pages->page.total = pages->page.size = IMPILO_UNKNOWN;
	else
		(void) impilo_api_page(pages->api, queue->current.request,
							   &pages->page, NULL);
	if (pages->page.page != IMPILO_UNKNOWN &&
		pages->page.page != queue->current.number)
		pages->page.request = NULL; /* not the requested page */
	MemoryContextSwitchTo(caller);
	pages->empty = true;
	return true;
}

/*
 * impilo_pages_next
 *		Get the next order, by number of the page; false at the end.
 *
 * The document of the order is null for a page without orders.  The bytes of
 * the order are valid until the next call.  Raises errors of the API.
 */
bool
impilo_pages_next(ImpiloPages *pages, ImpiloOrder *order,
				  ImpiloListed *listed)
{
	static const ImpiloJsonSlice nothing = {"null", 4, IMPILO_JSON_NULL, false};
	ImpiloPrefetch *queue = &pages->queue;

	for (;;)
	{
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (queue->current.context == NULL && !next_page(pages))
			return false;
		listed->page = queue->current.number;
		listed->total = pages->page.total;
		listed->size = pages->page.size;
		listed->place = IMPILO_UNKNOWN;
		found = pages->page.request != NULL &&
			impilo_api_page_next(pages->api, &pages->page, order, NULL);
		if (found && listed->size > 0)
			listed->place = (listed->page - 1) * listed->size +
				pages->page.orders;
		if (found || pages->empty)
		{
			if (!found)
			{
				order->document = nothing;
				order->request = "";
			}
			pages->empty = false;
			queue->rows++;
			return true;
		}
		impilo_prefetch_release(queue);
	}
}

/*
 * Pass the orders of the first pages of a list that does not state its total
 * to `take`, except for the first `skip` ones; returns how many orders there
 * are.
 */
static int64
sample_start(ImpiloApi *api, MemoryContext context, int fetch_size,
			 int max_concurrency, int max_pages, int64 skip,
			 ImpiloSampleCallback take, void *arg)
{
	int64		pages = 0;
	ImpiloList *list = impilo_list_open(api, context, fetch_size,
										max_concurrency, true, NULL, &pages);
	ImpiloOrder order;
	ImpiloApiError error = {0};
	int64		orders = 0;

	max_pages = Min(max_pages, api->config.max_pages);
	while (impilo_list_next(list, &order, &error) && pages <= max_pages)
		if (++orders > skip)
			take(&order, arg);
	if (error.message && pages < max_pages)
		impilo_api_raise(&error);
	return orders;
}

/*
 * impilo_pages_sample
 *		Pass the orders of at most `max_pages` pages, chosen at random, to
 *		`take`; returns how many orders there are.
 *
 * For statistics: nothing is proved about completeness.  A list that does not
 * state its total is read from its start, as far as the pages go.  What it
 * needs is allocated in `context`.
 */
int64
impilo_pages_sample(ImpiloApi *api, MemoryContext context,
					int fetch_size, int max_concurrency, int max_pages,
					ImpiloSampleCallback take, void *arg)
{
	int64		numbers[1] = {1};
	ImpiloPages *pages = impilo_pages_open(api, context, numbers, 1, fetch_size,
										   max_concurrency, NULL);
	ImpiloListed first = {0};
	ImpiloListed listed;
	ImpiloOrder order;
	int64		orders = 0;
	int64		others;
	int64	   *chosen;
	int			nchosen;

	while (impilo_pages_next(pages, &order, &first))
		if (order.document.kind == IMPILO_JSON_OBJECT)
		{
			orders++;
			take(&order, arg);
		}
	if (first.total == 0 && orders == 0)
		return 0;
	if (first.total < orders || first.size < 1 || orders == 0)
		return sample_start(api, context, fetch_size, max_concurrency,
							max_pages, orders, take, arg);

	/*
	 * Of the other pages, one of each of as many parts of equal length: so
	 * none is chosen twice, and a total that cannot be costs nothing.
	 */
	others = (first.total - 1) / first.size;
	nchosen = (int) Min(others, Min(max_pages, api->config.max_pages) - 1);
	chosen = MemoryContextAlloc(context, Max(nchosen, 1) * sizeof(int64));
	for (int i = 0; i < nchosen; i++)
	{
		int64		part = others / nchosen * i + others % nchosen * i / nchosen;
		int64		next = others / nchosen * (i + 1) +
		others % nchosen * (i + 1) / nchosen;

		chosen[i] = 2 + (int64) pg_prng_uint64_range(&pg_global_prng_state,
													 part, next - 1);
	}
	pages = impilo_pages_open(api, context, chosen, nchosen, fetch_size,
							  max_concurrency, NULL);
	while (impilo_pages_next(pages, &order, &listed))
		if (order.document.kind == IMPILO_JSON_OBJECT)
			take(&order, arg);
	return first.total;
}
