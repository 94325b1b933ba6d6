/*-------------------------------------------------------------------------
 *
 * list.c
 *	  The list of orders as a stream, complete and each order once.
 *
 * The request says `page` and `size`; what counts is the response.
 *
 * Pages are requested ahead, up to max_concurrency at a time, and accepted in
 * the order of their numbers.  Orders may be created meanwhile, at any place
 * of the list.  The only assumption is that no order disappears.  Then:
 *
 * - If the pages were read strictly one after another, nothing would be
 *	 missed: an insertion moves orders to later places only, so an order that
 *	 was not on page k when that was read, nor on one before, is still to come.
 * - Pages in flight together may be answered in another order than that of
 *	 their numbers.  If page k+1 was answered before page k, and an order was
 *	 created in between, `total` of page k is greater than that of page k+1;
 *	 then page k+1 is requested again, after page k.  So the accepted responses
 *	 of a pass were given with `total` never falling, and as `total` only
 *	 grows, two responses with the same `total` saw the same set of orders: the
 *	 pass equals one that was read in sequence.
 * - A page that was requested after the one before it was accepted, and still
 *	 has the smaller `total`, proves that orders have disappeared, or that the
 *	 list is kept in several copies.  Another pass starts, and the ids known so
 *	 far no longer count as orders that exist.
 * - Orders that change places without a change of `total` can be missed by
 *	 any pass.  So at the end the number of distinct ids must have reached the
 *	 last `total`; otherwise another pass adds to the same set, and ends as
 *	 soon as it has.  After MAX_PASSES passes, or two that brought the same
 *	 orders, the scan fails: it never returns a shorter list.
 * - Without `total` no pages are requested ahead, and there is no such proof:
 *	 the list ends with `last: true` or an empty page.
 *
 * Page 1 is the first page.  A page that the list must have is required: an
 * error for it is the error of the scan.  Only beyond `total` may an error
 * response of class 4xx be taken for the end of the list.
 *
 * Every pass ends: beyond `total`, a page is requested only while the one
 * before it brought something new and does not say that it is the last.
 *
 * The ids are remembered, so no order is returned twice, whatever number of
 * passes that takes.
 *
 * How requests are sent ahead is in prefetch.c, who shares a scan of the list
 * in shared.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "read/list.h"
#include "read/prefetch.h"

/* Passes of one scan.  A list that is not complete after three never will be. */
#define MAX_PASSES 3

/*
 * The API gives at most so many orders a page.  max_pages stands for pages of
 * this size, or of the size requested if that is greater: a scan remembers 32
 * bytes of each order, so the default of 100,000 pages limits it to 800 MB,
 * also where pages hold more than was requested.
 */
#define FULL_PAGE 250

/*
 * Orders of the first page that are consumed before the second is requested,
 * where the plan may stop early: EXISTS, and a LIMIT that fits on a screen,
 * cost one request.
 */
#define PEEK_ORDERS 20

/* tables that the ids are spread over; a power of two */
#define ID_TABLES 16

/*
 * The ids of a scan: 16 bytes an order, in tables that are half full on
 * average.  A table that grows exists twice for a moment; with several small
 * tables only one of them grows at a time.
 */
typedef struct KnownId
{
	int64		id;
	int32		pass;			/* in which it was seen last */
	char		status;
} KnownId;

/*
 * All bits of an id in all bits of its hash (the finalizer of MurmurHash3):
 * the upper half chooses the table, the lower one the place in it.
 */
static inline uint64
hash_id(int64 id)
{
	uint64		hash = (uint64) id;

	hash ^= hash >> 33;
	hash *= UINT64CONST(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	return hash;
}

#define SH_PREFIX ids
#define SH_ELEMENT_TYPE KnownId
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) ((uint32) hash_id(key))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct ImpiloList
{
	ImpiloApi  *api;
	MemoryContext context;
	ImpiloHttpStats *stats;

	/* limits */
	int			max_pages;		/* over all passes */
	int64		max_orders;
	bool		partial;		/* ends at max_pages without an error */

	/* requests */
	bool		reads_all;		/* the plan does not stop early */
	int			asked_size;
	ImpiloPrefetch queue;
	int			window;			/* how many may be in flight by now */
	int64		next_number;	/* the next page to request */
	ImpiloPage	page;			/* the current page, if queue.current is set */

	/* the pass */
	int			pass;			/* from 1 */
	bool		completing;		/* looks for what the pass before missed */
	bool		started;		/* its first page was accepted */
	bool		numbered;		/* responses state their page number */
	int64		size;			/* page size, or IMPILO_UNKNOWN */
	int64		total;			/* of the last accepted page that states it,
								 * or IMPILO_UNKNOWN */
	int64		first_total;	/* the same of the pass's first page */
	int64		total_before;	/* the same at the end of the pass before */

	/* the ids */
	ids_hash   *ids[ID_TABLES];
	int32		since_pass;		/* what was seen from this pass on exists */
	int64		known;			/* distinct ids */
	int64		existing;		/* of these, those that exist */
	int64		new_in_pass;	/* of the known ones, first seen in this pass */
	int64		new_on_page;	/* orders of the current page that the pass
								 * had not seen */
	int64		repeated;		/* orders that the pass has seen twice */

	int64		pages;			/* accepted over all passes */
	int64	   *pages_read;		/* the same for the caller, or NULL */
	bool		done;			/* at the end, or failed */
	bool		failed;
	ImpiloApiError error;		/* if failed; in `context` */
	TimestampTz reported_at;	/* of the last progress message */
};

typedef enum PageResult
{
	PAGE_ACCEPTED,
	PAGE_REFETCH,				/* request it again, now that its turn has
								 * come */
	PAGE_NEXT_PASS,				/* the responses contradict each other */
	PAGE_END,					/* there is no such page */
	PAGE_FAILED
} PageResult;

int			impilo_progress_interval = 0;


static ImpiloHttpRequest *
fetch_page(void *arg, int64 number)
{
	ImpiloList *list = arg;

	return impilo_api_get_page(list->api, CurrentMemoryContext, number,
							   list->asked_size, list->stats);
}

/*
 * impilo_list_open
 *		Make ready to read the list; sends nothing.
 *
 * The list and all its requests belong to `context`; `stats` has to live as
 * long.  `reads_all` says that the caller will read the list to its end: then
 * the whole window opens after the first page, or at once if the number of
 * pages is known.  `pages`, if given, is incremented for each page.
 */
ImpiloList *
impilo_list_open(ImpiloApi *api, MemoryContext context,
				 int fetch_size, int max_concurrency, bool reads_all,
				 ImpiloHttpStats *stats, int64 *pages)
{
	ImpiloList *list = MemoryContextAllocZero(context, sizeof(ImpiloList));

	list->api = api;
	list->context = context;
	list->stats = stats;
	list->pages_read = pages;
	impilo_prefetch_init(&list->queue, context, api->http,
						 max_concurrency, fetch_page, list);
	if (api->config.scan_timeout > 0)
		list->queue.time_left = api->config.scan_timeout * INT64CONST(1000);
	list->max_pages = api->config.max_pages;
	list->max_orders = (int64) list->max_pages * Max(fetch_size, FULL_PAGE);
	list->asked_size = fetch_size;
	list->reads_all = reads_all;
	list->window = reads_all ? max_concurrency : 1;
	list->next_number = 1;
	list->pass = 1;
	list->since_pass = 1;
	list->size = list->total = list->total_before = IMPILO_UNKNOWN;
	for (int i = 0; i < ID_TABLES; i++)
		list->ids[i] = ids_create(context, 16, NULL);
	list->reported_at = GetCurrentTimestamp();
	return list;
}

/* ------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------
 */

/*
 * End the scan with list->error, which impilo_list_next raises or returns.
 */
static void
fail(ImpiloList *list)
{
	list->failed = list->done = true;
}

static void
fail_at_limit(ImpiloList *list, ImpiloApiProblem limit)
{
	impilo_api_error(list->api, limit,
					 psprintf("Read " INT64_FORMAT " orders on " INT64_FORMAT " pages.",
							  list->known, list->pages),
					 &list->error);
	fail(list);
}

/*
 * The list cannot be read; %s in `message` stands for the server's name.
 */
static void
fail_incomplete(ImpiloList *list, const char *message, char *detail)
{
	list->error = (ImpiloApiError)
	{
		.sqlstate = ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
			.message = psprintf(message, list->api->config.server_name),
			.detail = detail,
			.hint = "The pages contradict each other, or the list changes faster than it can be read. Try again, or with a smaller max_concurrency."
	};
	fail(list);
}

/* ------------------------------------------------------------------------
 * Ids
 * ------------------------------------------------------------------------
 */

/*
 * Remember an order of the current page.  Returns whether it is new to the
 * scan.
 */
static bool
remember_id(ImpiloList *list, int64 id)
{
	uint64		hash = hash_id(id);
	bool		found;
	KnownId    *known = ids_insert_hash(list->ids[hash >> 32 & (ID_TABLES - 1)],
										id, (uint32) hash, &found);

	if (!found || known->pass != list->pass)
		list->new_on_page++;
	else
		list->repeated++;
	if (!found || known->pass < list->since_pass)
		list->existing++;
	if (!found)
	{
		list->known++;
		list->new_in_pass++;
		if (list->known > list->max_orders)
			fail_at_limit(list, IMPILO_API_MAX_PAGES);
	}
	known->pass = list->pass;
	return !found;
}

/* ------------------------------------------------------------------------
 * Requests
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether page `number` is known to exist.  Before the first page of
 * a scan that reads everything, the last total of the session decides; what
 * turns out to be beyond the end is dropped.
 */
static bool
page_exists(const ImpiloList *list, int64 number)
{
	int64		total = list->total;
	int64		size = list->size;

	if (!list->started && list->pass == 1 && list->reads_all)
	{
		total = list->api->last_total;
		size = Min(list->asked_size, FULL_PAGE);
	}
	return total > 0 && size > 0 && number <= (total - 1) / size + 1;
}

/*
 * Request pages ahead as far as the window allows.  `beyond`: one page that is
 * not known to exist too, if nothing else is in flight.
 */
static void
fill_window(ImpiloList *list, bool beyond)
{
	while (impilo_prefetch_has_room(&list->queue, list->window))
	{
		if (!page_exists(list, list->next_number) &&
			!(beyond && list->queue.count == 0))
			break;
		if (list->pages + list->queue.count >= list->max_pages)
			break;
		impilo_prefetch_send(&list->queue, list->next_number++);
	}
}

/*
 * impilo_report_progress
 *		Report how many pages a long scan has read, at most once in
 *		impilo_fdw.progress_interval; `total` is 0 if it is not known.
 */
void
impilo_report_progress(TimestampTz *reported_at, int64 pages, int64 total)
{
	TimestampTz now;

	if (impilo_progress_interval <= 0)
		return;
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(*reported_at, now,
									impilo_progress_interval))
		return;
	*reported_at = now;
	if (total > 0)
		ereport(NOTICE,
				(errmsg("read " INT64_FORMAT " of " INT64_FORMAT " pages",
						pages, total)));
	else
		ereport(NOTICE, (errmsg("read " INT64_FORMAT " pages", pages)));
}

/* ------------------------------------------------------------------------
 * Passes
 * ------------------------------------------------------------------------
 */

/*
 * Read the list from its first page again; `why` is half a sentence.
 */
static void
next_pass(ImpiloList *list, const char *why)
{
	if (list->pass >= MAX_PASSES)
	{
		fail_incomplete(list, "could not read the list of orders of server \"%s\" completely",
						psprintf("Read " INT64_FORMAT " orders in %d passes, but %s.",
								 list->known, list->pass, why));
		return;
	}
	impilo_prefetch_cancel(&list->queue);
	list->pass++;
	list->next_number = 1;
	list->started = list->numbered = list->completing = false;
	if (list->total != IMPILO_UNKNOWN)
		list->total_before = list->total;
	list->size = list->total = IMPILO_UNKNOWN;
	list->new_in_pass = list->repeated = 0;
}

/*
 * Orders have disappeared, and those seen before this pass may be among them.
 * Their ids stay known, so that none is returned twice.
 */
static void
forget_ids(ImpiloList *list)
{
	list->since_pass = list->pass;
	list->existing = 0;
}

static bool
is_complete(const ImpiloList *list)
{
	return list->total == IMPILO_UNKNOWN || list->existing >= list->total;
}

/*
 * The pass is at its end: so is the list, unless orders are missing.
 */
static void
end_pass(ImpiloList *list)
{
	if (is_complete(list))
	{
		impilo_prefetch_cancel(&list->queue);
		list->done = true;
	}
	else if (list->completing && list->new_in_pass == 0 &&
			 list->total == list->total_before)
		fail_incomplete(list, "list of orders of server \"%s\" is shorter than its reported total",
						psprintf("Two passes read the same " INT64_FORMAT " orders, but the reported total is " INT64_FORMAT ".",
								 list->existing, list->total));
	else
	{
		next_pass(list, psprintf("the reported total is " INT64_FORMAT,
								 list->total));
		list->completing = true;
	}
}

/* ------------------------------------------------------------------------
 * Responses
 * ------------------------------------------------------------------------
 */

/*
 * Validate the first page of a pass, and learn from it.
 */
static PageResult
check_first_page(ImpiloList *list)
{
	const ImpiloPage *page = &list->page;
	char	   *detail = NULL;

	if (page->first == 0)
		detail = psprintf("The response to %s says that it is not the first page.",
						  page->request);
	else if (page->page != IMPILO_UNKNOWN && page->page != 1)
		detail = psprintf("The response to %s is page " INT64_FORMAT ".",
						  page->request, page->page);
	if (detail)
	{
		impilo_api_error(list->api, IMPILO_API_CONTENT, detail, &list->error);
		return PAGE_FAILED;
	}
	list->started = true;
	list->numbered = page->page != IMPILO_UNKNOWN;
	list->size = page->size > 0 ? page->size : IMPILO_UNKNOWN;
	list->total = list->first_total = page->total;
	if (page->total != IMPILO_UNKNOWN && page->total < list->total_before)
		forget_ids(list);
	return PAGE_ACCEPTED;
}

/*
 * Validate a page after the first.  `*why` is set with PAGE_NEXT_PASS.
 */
static PageResult
check_page(ImpiloList *list, const ImpiloSlot *slot, char **why)
{
	const ImpiloPage *page = &list->page;
	bool		stated = page->total != IMPILO_UNKNOWN;

	if (list->numbered && page->page != IMPILO_UNKNOWN &&
		page->page != slot->number)
	{
		/* some APIs send their last page for all numbers beyond it */
		if (list->total != IMPILO_UNKNOWN && !page_exists(list, slot->number))
			return PAGE_END;
		*why = psprintf("the response to %s was page " INT64_FORMAT,
						page->request, page->page);
		return PAGE_NEXT_PASS;
	}

	/* the last page may state its number of orders as size */
	if (list->size > 0 && page->size > 0 && page->size != list->size &&
		!(page->size < list->size &&
		  (page->last == 1 || !page_exists(list, slot->number + 1))))
	{
		*why = psprintf("the page size changed from " INT64_FORMAT " to " INT64_FORMAT,
						list->size, page->size);
		list->asked_size = (int) Min(page->size, list->size);
		return PAGE_NEXT_PASS;
	}
	if (list->total != IMPILO_UNKNOWN && page->total < list->total)
	{
		if (!slot->in_order)
			return PAGE_REFETCH;
		if (stated)
		{
			*why = psprintf("the total fell from " INT64_FORMAT " to " INT64_FORMAT,
							list->total, page->total);
			return PAGE_NEXT_PASS;
		}
	}
	if (stated)
		list->total = page->total;
	return PAGE_ACCEPTED;
}

/*
 * Read the response at the head of the queue, and accept it as the current
 * page if it can be the next one.
 */
static PageResult
read_page(ImpiloList *list, const ImpiloSlot *slot, char **why)
{
	PageResult	result;

	if (!impilo_api_page(list->api, slot->request, &list->page, &list->error))
	{
		int			status = impilo_http_wait(slot->request, NULL)->status;

		return list->started && status >= 400 && status <= 499 &&
			list->total != IMPILO_UNKNOWN && !page_exists(list, slot->number)
			? PAGE_END : PAGE_FAILED;
	}
	result = list->started ? check_page(list, slot, why) : check_first_page(list);
	if (result == PAGE_ACCEPTED)
	{
		impilo_prefetch_take(&list->queue);
		list->new_on_page = 0;
		list->pages++;
		if (list->pages_read)
			(*list->pages_read)++;
	}
	return result;
}

/*
 * Get the next page.
 */
static void
advance(ImpiloList *list)
{
	const ImpiloSlot *slot;
	char	   *why = NULL;

	CHECK_FOR_INTERRUPTS();
	impilo_report_progress(&list->reported_at, list->pages,
						   list->total > 0 && list->size > 0 ?
						   (list->total - 1) / list->size + 1 : 0);
	fill_window(list, true);
	if (list->queue.count == 0)
	{
		if (list->partial)
			list->done = true;
		else
			fail_at_limit(list, IMPILO_API_MAX_PAGES);
		return;
	}
	slot = impilo_prefetch_wait(&list->queue);
	if (slot == NULL)
	{
		fail_at_limit(list, IMPILO_API_SCAN_TIMEOUT);
		return;
	}
	switch (read_page(list, slot, &why))
	{
		case PAGE_ACCEPTED:
			/* the next requests go out before this page is parsed */
			if (list->reads_all || list->pages > 1)
				fill_window(list, list->page.last != 1 &&
							list->total == IMPILO_UNKNOWN);
			break;
		case PAGE_REFETCH:
			impilo_prefetch_refetch(&list->queue);
			break;
		case PAGE_NEXT_PASS:
			{
				bool		fell = list->page.total != IMPILO_UNKNOWN &&
				list->page.total < list->total;

				next_pass(list, why);
				if (fell)
					forget_ids(list);
				break;
			}
		case PAGE_END:
			end_pass(list);
			break;
		case PAGE_FAILED:
			fail(list);
			break;
	}
}

/*
 * Returns whether the current page, which has been consumed, repeats the pages
 * before it.  An order that is created makes at most one other appear on two
 * pages, so more repetitions than that, on a page of nothing else, mean that
 * the same page comes again and again.
 */
static bool
repeats_pages(const ImpiloList *list)
{
	return list->page.orders > 0 && list->new_on_page == 0 &&
		list->repeated > list->total - list->first_total;
}

/*
 * Returns whether the current page is the last one.  Either sign, `last` or
 * `total`, may be missing or wrong: as long as one of them says that there is
 * more, the next page is requested.
 */
static bool
was_last_page(const ImpiloList *list)
{
	const ImpiloPage *page = &list->page;

	if (page->orders == 0)
		return true;
	if (page_exists(list, list->queue.current.number + 1))
		return false;
	if (page->last != IMPILO_UNKNOWN)
		return page->last == 1;
	return list->total != IMPILO_UNKNOWN && page->orders < list->size;
}

/*
 * The current page has been consumed.
 */
static void
finish_page(ImpiloList *list)
{
	const ImpiloPage *page = &list->page;
	bool		last;

	if (list->size == IMPILO_UNKNOWN)
		list->size = page->orders;
	last = was_last_page(list) || (list->completing && is_complete(list));
	impilo_prefetch_clear(&list->queue.current);

	if (last || (repeats_pages(list) && list->total != IMPILO_UNKNOWN))
		end_pass(list);
	else if (page->size <= 0 && page->last == 0 && page->orders < list->size)
	{
		/* without a stated size, pages that shrink skip orders */
		list->asked_size = page->orders;
		next_pass(list, "the pages became smaller");
	}
	else if (repeats_pages(list))
		next_pass(list, psprintf("page " INT64_FORMAT " repeats orders of the pages before",
								 list->next_number - 1));
	list->window = Min(list->window * 2, list->queue.size);
}

/*
 * impilo_list_next
 *		The next order of the list; false at its end.
 *
 * The order's bytes are good until the next call.  If the list cannot be read
 * completely, raises the error; or, if `error` is not NULL, fills it in and
 * returns false.  At the regular end error->message is NULL then.
 */
bool
impilo_list_next(ImpiloList *list, ImpiloOrder *order, ImpiloApiError *error)
{
	MemoryContext caller = MemoryContextSwitchTo(list->context);
	bool		found = false;

	while (!found && !list->done)
	{
		if (list->queue.current.context == NULL)
			advance(list);
		else if (!impilo_api_page_next(list->api, &list->page, order,
									   &list->error))
		{
			if (list->error.message)
				fail(list);
			else
				finish_page(list);
		}
		else if (remember_id(list, order->id))
		{
			if (list->pages == 1 && list->page.orders == PEEK_ORDERS)
				fill_window(list, list->page.last != 1 &&
							list->total == IMPILO_UNKNOWN);
			list->queue.rows++;
			found = !list->failed;
		}
	}
	MemoryContextSwitchTo(caller);
	if (found)
		return true;
	if (error)
	{
		memset(error, 0, sizeof(*error));
		if (list->failed)
			*error = list->error;
	}
	else if (list->failed)
		impilo_api_raise(&list->error);
	return false;
}

/* ------------------------------------------------------------------------
 * Counting and sampling
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether a page of size 1 agrees with itself, so that its `total`
 * can be believed.
 */
static bool
total_is_coherent(ImpiloApi *api, ImpiloPage *page)
{
	ImpiloOrder order;
	int64		orders = 0;

	if (page->first != 1 || page->last == IMPILO_UNKNOWN ||
		page->total == IMPILO_UNKNOWN || page->size < 1 ||
		(page->page != IMPILO_UNKNOWN && page->page != 1))
		return false;
	while (impilo_api_page_next(api, page, &order, NULL))
		orders++;
	return orders == Min(page->size, page->total) &&
		(page->last == 1) == (page->size >= page->total);
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
	ImpiloHttpRequest *request = impilo_api_get_page(api, context, 1, 1, stats);
	ImpiloList *list;
	ImpiloPage	page;
	ImpiloOrder order;
	int64		count = 0;

	/* an API may refuse pages of one order */
	if (impilo_http_wait(request, NULL)->status != 400)
	{
		(void) impilo_api_page(api, request, &page, NULL);
		if (total_is_coherent(api, &page))
			return page.total;
	}

	list = impilo_list_open(api, context, fetch_size, max_concurrency, true,
							stats, NULL);
	while (impilo_list_next(list, &order, NULL))
		count++;
	return count;
}

/*
 * Pass the orders of the next page in the queue of a sample to `take`.
 */
static void
sample_page(ImpiloList *list, ImpiloSampleCallback take, void *arg)
{
	const ImpiloSlot *slot = impilo_prefetch_wait(&list->queue);
	bool		past_end = false;
	MemoryContext caller;
	ImpiloOrder order;

	if (slot == NULL)
	{
		fail_at_limit(list, IMPILO_API_SCAN_TIMEOUT);
		impilo_api_raise(&list->error);
	}
	if (slot->number > 1)
	{
		int			status = impilo_http_wait(slot->request, NULL)->status;

		/* orders may have disappeared since the first page */
		past_end = status >= 400 && status <= 499 && status != 429;
	}
	caller = MemoryContextSwitchTo(slot->context);
	if (!past_end)
		(void) impilo_api_page(list->api, slot->request, &list->page, NULL);
	MemoryContextSwitchTo(caller);
	impilo_prefetch_take(&list->queue);
	list->pages++;
	while (!past_end && impilo_api_page_next(list->api, &list->page, &order, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		if (remember_id(list, order.id))
			take(&order, arg);
		if (list->failed)
			impilo_api_raise(&list->error);
	}
	impilo_prefetch_clear(&list->queue.current);
}

/*
 * impilo_list_sample
 *		Pass the orders of at most `max_pages` pages, chosen at random, to
 *		`take`; returns how many orders there are.
 *
 * For statistics: nothing is proved about completeness.  A list that does not
 * state its total is read from its start, as far as the pages go.  What it
 * needs is allocated in `context`.
 */
int64
impilo_list_sample(ImpiloApi *api, MemoryContext context,
				   int fetch_size, int max_concurrency, int max_pages,
				   ImpiloSampleCallback take, void *arg)
{
	ImpiloList *list = impilo_list_open(api, context, fetch_size,
										max_concurrency, true, NULL, NULL);
	ImpiloPage *page = &list->page;
	ImpiloOrder order;
	int64		total;
	int64		pages;
	int			wanted;

	list->max_pages = Min(max_pages, list->max_pages);
	impilo_prefetch_send(&list->queue, 1);
	sample_page(list, take, arg);
	total = page->total;
	if (total == 0 && page->orders == 0)
		return 0;
	if (total < page->orders || page->size < 1 || page->orders == 0)
	{
		list->partial = true;
		list->pass++;			/* the first page is read again */
		while (impilo_list_next(list, &order, NULL))
			take(&order, arg);
		return list->known;
	}

	/*
	 * Of the other pages, one of each of as many parts of equal length: so
	 * none is chosen twice, and a total that cannot be costs nothing.
	 */
	pages = (total - 1) / page->size;
	wanted = (int) Min(pages, list->max_pages - 1);
	for (int i = 0; i < wanted; i++)
	{
		int64		part = pages / wanted * i + pages % wanted * i / wanted;
		int64		next = pages / wanted * (i + 1) +
		pages % wanted * (i + 1) / wanted;

		while (!impilo_prefetch_has_room(&list->queue, list->queue.size))
			sample_page(list, take, arg);
		impilo_prefetch_send(&list->queue, 2 +
							 (int64) pg_prng_uint64_range(&pg_global_prng_state,
														  part, next - 1));
	}
	while (list->queue.count > 0)
		sample_page(list, take, arg);
	return total;
}
