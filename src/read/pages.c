/*-------------------------------------------------------------------------
 *
 * pages.c
 *	  Pages of the list by number, as the API sends them.
 *
 * In contrast to list.c, nothing is read again and no order is left out: the
 * caller sees what each response says, and decides what it proves.  A page
 * without orders gives one order without a document, so that its total is
 * seen too.  A page after the first that does not exist is such a page, and
 * nothing is known of it.
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

#include "read/pages.h"
#include "read/prefetch.h"

struct ImpiloPages
{
	ImpiloApi  *api;
	ImpiloHttpStats *stats;
	int			fetch_size;
	int64	   *numbers;		/* sorted, each once */
	int			nnumbers;
	int			sent;			/* of these, the first ones */
	ImpiloPrefetch queue;		/* current: the page in use */
	ImpiloPage	page;			/* its envelope */
	bool		empty;			/* no order of it was returned yet */
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
 *		Make ready to read these pages; sends nothing.
 *
 * Numbers below 1 are no pages, and repeated ones count once.  The result
 * belongs, with its requests, to `context`.
 */
ImpiloPages *
impilo_pages_open(ImpiloApi *api, MemoryContext context,
				  const int64 *numbers, int nnumbers, int fetch_size,
				  int max_concurrency, ImpiloHttpStats *stats)
{
	ImpiloPages *pages = MemoryContextAllocZero(context, sizeof(*pages));

	pages->api = api;
	pages->stats = stats;
	pages->fetch_size = fetch_size;
	pages->numbers = MemoryContextAlloc(context,
										Max(nnumbers, 1) * sizeof(int64));
	for (int i = 0; i < nnumbers; i++)
		if (numbers[i] >= 1)
			pages->numbers[pages->nnumbers++] = numbers[i];
	qsort(pages->numbers, pages->nnumbers, sizeof(int64), compare_numbers);
	pages->nnumbers = qunique(pages->numbers, pages->nnumbers, sizeof(int64),
							  compare_numbers);
	impilo_prefetch_init(&pages->queue, context, api->http,
						 max_concurrency, fetch_page, pages);
	return pages;
}

static void
fill_window(ImpiloPages *pages)
{
	while (pages->sent < pages->nnumbers &&
		   impilo_prefetch_has_room(&pages->queue, pages->queue.size))
		impilo_prefetch_send(&pages->queue, pages->numbers[pages->sent++]);
}

/*
 * Wait for the next page and read its envelope.  Returns false after the last.
 */
static bool
next_page(ImpiloPages *pages)
{
	ImpiloPrefetch *queue = &pages->queue;
	MemoryContext caller;
	int			status;

	fill_window(pages);
	if (queue->count == 0)
		return false;
	(void) impilo_prefetch_wait(queue);
	impilo_prefetch_take(queue);

	/* the next requests go out before this response is parsed */
	fill_window(pages);

	caller = MemoryContextSwitchTo(queue->current.context);
	memset(&pages->page, 0, sizeof(pages->page));
	status = impilo_http_reply(queue->current.request)->status;
	if (queue->current.number > 1 &&
		(status == 400 || status == 404 || status == 416 || status == 422))
		pages->page.page = pages->page.total = pages->page.size = IMPILO_UNKNOWN;
	else
		impilo_api_page(pages->api, queue->current.request,
						queue->current.number, pages->fetch_size,
						&pages->page);
	if (pages->page.page != IMPILO_UNKNOWN &&
		pages->page.page != queue->current.number)
		pages->page.request = NULL; /* another page than the requested one */
	MemoryContextSwitchTo(caller);
	pages->empty = true;
	return true;
}

/*
 * impilo_pages_next
 *		The next order of the pages, in the order of their numbers; false at
 *		the end.
 *
 * For a page without orders, order->document is null.  The order's
 * bytes are good until the next call.  Raises the errors of the API.
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
