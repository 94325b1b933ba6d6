/*-------------------------------------------------------------------------
 *
 * list_count.c
 *	  How many orders the list holds, by one small page if that can be.
 *
 * `total` of a page is believed if the page agrees with itself: it holds as
 * many orders as `total` and its own place leave for it, and `last` says what
 * they say.  Else the list is read and counted (list.c), also if the page was
 * refused: it may have been past the end, or too small.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list_count.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/list_private.h"


/* orders of the one page that is asked for to learn `total` */
#define COUNT_PAGE_SIZE 1

/*
 * Does this page agree with itself, so that its `total` can be believed?  It
 * is page 1, which is the second one where pages count from 0.
 */
static bool
is_coherent(ImpiloApi *api, ImpiloPage *page)
{
	ImpiloOrder order;
	int64		before = page->first == 1 ? 0 : page->size;
	int64		held = 0;

	if (page->first == IMPILO_UNKNOWN || page->last == IMPILO_UNKNOWN ||
		page->total == IMPILO_UNKNOWN || page->size < 1 ||
		(page->page != IMPILO_UNKNOWN && page->page != 1))
		return false;
	while (impilo_api_page_next(api, page, &order))
		held++;
	return held == Min(page->size, Max(page->total - before, 0)) &&
		(page->last == 1) == (before + page->size >= page->total);
}

/*
 * impilo_list_count
 *		How many orders there are, from `total` of one small page if that
 *		agrees with itself, else by reading the list.
 *
 * What it needs is allocated in `context`.
 */
int64
impilo_list_count(ImpiloApi *api, MemoryContext context,
				  int fetch_size, int max_concurrency,
				  ImpiloHttpStats *stats)
{
	ImpiloList *list = impilo_list_open(api, context, fetch_size,
										max_concurrency, stats);
	const ImpiloAsked *asked;
	ImpiloPage	page;
	ImpiloOrder order;
	int64		count = 0;

	list->asked_size = COUNT_PAGE_SIZE;
	impilo_flight_ask(&list->flight, 1);
	asked = impilo_list_wait(list);
	if (!impilo_api_not_there(asked->request))
	{
		impilo_api_page(api, asked->request, 1, COUNT_PAGE_SIZE, &page);
		if (is_coherent(api, &page))
			return page.total;
	}
	else if (impilo_http_reply(asked->request)->status == 404)
		impilo_list_try_zero(list, asked);

	impilo_flight_forget_all(&list->flight);
	list->asked_size = fetch_size;
	while (impilo_list_next(list, &order))
		count++;
	return count;
}
