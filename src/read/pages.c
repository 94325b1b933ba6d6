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
	int64	   *pages_read;		/* incremented for each page */
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
 * belong to `context`; `stats` and `pages_read`, which is incremented for each
 * page, have to live as long.
 */
ImpiloPages *
impilo_pages_open(ImpiloApi *api, MemoryContext context,
				  const int64 *numbers, int nnumbers, int fetch_size,
				  int max_concurrency, ImpiloHttpStats *stats,
				  int64 *pages_read)
{
	ImpiloPages *pages = MemoryContextAllocZero(context, sizeof(*pages));
	int64	   *sorted = MemoryContextAlloc(context,
											Max(nnumbers, 1) * sizeof(int64));
	int			n = 0;

	pages->api = api;
	pages->stats = stats;
	pages->pages_read = pages_read;
	pages->fetch_size = fetch_size;
	pages->reported_at = GetCurrentTimestamp();
	impilo_prefetch_init(&pages->queue, context, api->http,
						 max_concurrency, fetch_page, pages);

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
		return false;
	(*pages->pages_read)++;
	done = pages->wanted - (int) (queue->waiting.n - queue->sent) - queue->count;
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
		impilo_prefetch_clear(&queue->current);
	}
}
