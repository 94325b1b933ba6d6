/*-------------------------------------------------------------------------
 *
 * list.c
 *	  The list of orders as a stream: pages ahead, complete and unique.
 *
 * What is asked for is `page` and `size`; what is believed is the answer.
 *
 * Pages are read ahead, up to max_concurrency at a time, and handed on in the
 * order of their numbers.  Orders may be created meanwhile, at any place of
 * the list.  Assumed is only that no order disappears.  Then:
 *
 * - Were the pages read strictly one after another, nothing would be missed:
 *	 an insertion moves orders to later places only, so an order that was not
 *	 on page k when that was read, nor on one before, is still to come.
 * - Pages in flight together may be answered in another order than that of
 *	 their numbers.  If page k+1 was answered before page k, and an order was
 *	 created in between, `total` of page k is greater than that of page k+1;
 *	 then page k+1 is asked for again, after page k.  So the accepted answers
 *	 of a pass were given with `total` never falling, and as `total` only
 *	 grows, two answers with the same `total` saw the same set of orders: the
 *	 pass equals one that was read in sequence.
 * - A page that was asked for again and still has the smaller `total` proves
 *	 that the assumption does not hold, or that the list is kept in several
 *	 copies: the pass starts again.
 * - Orders that change places without a change of `total` can be missed by
 *	 any reading.  So at the end the number of distinct ids must have reached
 *	 the last `total`, else another pass is made, which ends as soon as it
 *	 has.  After MAX_PASSES passes the scan fails: it is never short in
 *	 silence.
 * - Without `total` there are no pages ahead, and no such proof.
 *
 * The ids given are remembered, so no order is given twice, whatever number
 * of passes that takes.
 *
 * Not here: what an answer looks like (api.c), trying again (http.c), and who
 * shares a reading of the list (snapshot.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "list.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/*
 * Readings of the list from its start within one scan.  A list that is not
 * whole after three is not about to become so.
 */
#define MAX_PASSES 3

/* orders of the one page that is asked for to learn `total` */
#define COUNT_PAGE_SIZE 1

/* The set of ids given so far: 16 bytes an entry, half full on average. */
typedef struct SeenId
{
	int64		id;
	char		status;
} SeenId;

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenId
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) \
	hash_combine(murmurhash32((uint32) (key)), (uint32) ((key) >> 32))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A page asked for.  Its context holds the request and what it was told. */
typedef struct PageRequest
{
	MemoryContext context;
	ImpiloHttpRequest *request;
	int64		number;			/* as asked for */
	bool		again;			/* asked for a second time */
} PageRequest;

typedef enum Verdict
{
	VERDICT_ACCEPT,
	VERDICT_ASK_AGAIN,			/* this page, now that its turn has come */
	VERDICT_RESTART,			/* the pass */
	VERDICT_END					/* there is no such page */
} Verdict;

struct ImpiloList
{
	ImpiloApi  *api;
	MemoryContext context;
	ImpiloHttpStats *stats;
	int			max_concurrency;

	/* how to ask */
	int			asked_size;
	int64		base;			/* number of the first page: 1, or 0 */
	bool		base_settled;	/* an answer has confirmed it */

	/* the pages in flight, in the order of their numbers */
	PageRequest *ahead;			/* a ring of max_concurrency */
	int			ahead_first;
	int			ahead_count;
	int			window;			/* how many there may be, by now */
	int64		next_number;	/* the next page to ask for */

	/* the pass */
	int			pass;			/* from 1 */
	bool		started;		/* its first page was accepted */
	int64		page_offset;	/* asked minus answered page number */
	bool		page_numbered;	/* answers state their page number */
	int64		size;			/* page size by the answers, or IMPILO_UNKNOWN */
	int64		total;			/* of the last accepted page, or
								 * IMPILO_UNKNOWN */

	/* the page at hand */
	PageRequest current;
	ImpiloPage	page;
	int64		new_ids;		/* of its orders, those not seen before */

	seen_hash  *seen;
	int64		pages;			/* accepted over all passes */
	bool		done;
};

/*
 * impilo_list_open
 *		Make ready to read the list; sends nothing.
 *
 * The list and all its requests belong to `context`; `stats` has to live as
 * long.
 */
ImpiloList *
impilo_list_open(ImpiloApi *api, MemoryContext context,
				 int fetch_size, int max_concurrency, ImpiloHttpStats *stats)
{
	ImpiloList *list = MemoryContextAllocZero(context, sizeof(ImpiloList));

	list->api = api;
	list->context = context;
	list->stats = stats;
	list->max_concurrency = max_concurrency;
	list->asked_size = fetch_size;
	list->base = 1;
	list->next_number = list->base;
	list->ahead = MemoryContextAllocZero(context,
										 sizeof(PageRequest) * max_concurrency);
	list->window = 1;
	list->pass = 1;
	list->size = IMPILO_UNKNOWN;
	list->total = IMPILO_UNKNOWN;
	list->seen = seen_create(context, 256, NULL);
	return list;
}

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

static void
ask(ImpiloList *list, PageRequest *slot, int64 number, bool again)
{
	MemoryContext caller;

	slot->context = AllocSetContextCreate(list->context, "impilo_fdw page",
										  ALLOCSET_SMALL_SIZES);
	slot->number = number;
	slot->again = again;
	caller = MemoryContextSwitchTo(slot->context);
	slot->request = impilo_api_get_page(list->api, slot->context, number,
										list->asked_size, list->stats);
	MemoryContextSwitchTo(caller);
}

static void
forget(PageRequest *slot)
{
	if (slot->context)
		MemoryContextDelete(slot->context);
	memset(slot, 0, sizeof(*slot));
}

static PageRequest *
head(ImpiloList *list)
{
	return &list->ahead[list->ahead_first];
}

static void
drop_head(ImpiloList *list)
{
	list->ahead_first = (list->ahead_first + 1) % list->max_concurrency;
	list->ahead_count--;
}

static void
forget_ahead(ImpiloList *list)
{
	while (list->ahead_count > 0)
	{
		forget(head(list));
		drop_head(list);
	}
}

/*
 * Is page `number` known to exist?
 */
static bool
is_expected(const ImpiloList *list, int64 number)
{
	return list->total != IMPILO_UNKNOWN && list->size > 0 &&
		number - list->base < (list->total - 1) / list->size + 1 &&
		list->total > 0;
}

/*
 * Ask for pages ahead as far as the window allows; for one page beyond what
 * is known only if nothing else is left.
 */
static void
fill_window(ImpiloList *list, bool beyond)
{
	int			window = Min(list->window, list->max_concurrency);

	window = impilo_http_in_flight_limit(impilo_api_http(list->api), window);
	while (list->ahead_count < window)
	{
		int			at;

		if (!is_expected(list, list->next_number) &&
			!(beyond && list->ahead_count == 0))
			break;
		at = (list->ahead_first + list->ahead_count) % list->max_concurrency;
		ask(list, &list->ahead[at], list->next_number, false);
		list->ahead_count++;
		list->next_number++;
	}
}

/* ------------------------------------------------------------------------
 * Judging
 * ------------------------------------------------------------------------
 */

static void
raise_inconsistent(const ImpiloList *list, char *detail)
{
	ImpiloApiError error = {
		.sqlstate = ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
		.message = "the list of orders could not be read completely",
		.detail = detail,
		.hint = "Its pages contradict each other, or it changes faster than it can be read: try again, or with a smaller max_concurrency."
	};

	impilo_api_raise(&error);
}

/*
 * Start a pass again from the first page, with `asked_size` and `base` as
 * they are now.
 */
static void
restart(ImpiloList *list)
{
	forget_ahead(list);
	list->next_number = list->base;
	list->started = false;
	list->size = IMPILO_UNKNOWN;
	list->total = IMPILO_UNKNOWN;
	list->page_numbered = false;
}

static void
next_pass(ImpiloList *list, const char *why)
{
	if (list->pass >= MAX_PASSES)
		raise_inconsistent(list,
						   psprintf("%d orders were found in %d passes; then %s.",
									(int) list->seen->members, list->pass, why));
	list->pass++;
	restart(list);
}

/*
 * Learn from the first page of a pass: the base of page numbers, the size.
 *
 * Asked for page 1, an answer that is page 1 but not the first one counts
 * from 0.  If page 0 turns out to be page 1 after all, or an error, it was
 * `first` that was wrong.
 */
static Verdict
judge_first(ImpiloList *list, int64 number)
{
	const ImpiloPage *page = &list->page;

	if (!list->base_settled && list->base == 1 &&
		page->first == 0 && page->page == 1)
	{
		list->base = 0;
		return VERDICT_RESTART;
	}
	if (!list->base_settled && list->base == 0 && page->page == 1 &&
		page->first != 1)
	{
		list->base = 1;
		list->base_settled = true;
		return VERDICT_RESTART;
	}
	if (page->first == 1 || list->base == 0)
		list->base_settled = true;

	list->started = true;
	list->page_numbered = page->page != IMPILO_UNKNOWN;
	list->page_offset = number - page->page;
	list->size = page->size > 0 ? page->size : IMPILO_UNKNOWN;
	list->total = page->total;
	return VERDICT_ACCEPT;
}

/*
 * May this answer count as the next page?
 */
static Verdict
judge(ImpiloList *list, const PageRequest *asked)
{
	const ImpiloPage *page = &list->page;

	if (!list->started)
		return judge_first(list, asked->number);

	if (list->page_numbered && page->page != IMPILO_UNKNOWN &&
		page->page + list->page_offset != asked->number)
	{
		/* an API may answer with its last page to all numbers beyond it */
		if (!is_expected(list, asked->number))
			return VERDICT_END;
		if (!asked->again)
			return VERDICT_ASK_AGAIN;
		raise_inconsistent(list,
						   psprintf("The answer to %s is page " INT64_FORMAT ".",
									page->request, page->page));
	}
	if (list->size > 0 && page->size > 0 && page->size != list->size)
	{
		list->asked_size = (int) Min(page->size, list->size);
		return VERDICT_RESTART;
	}
	if (list->total != IMPILO_UNKNOWN && page->total < list->total)
		return asked->again ? VERDICT_RESTART : VERDICT_ASK_AGAIN;
	list->total = page->total;
	return VERDICT_ACCEPT;
}

/*
 * The answer is an error of the kind that a page beyond the end may get.  It
 * is taken for the end only where that can lose nothing; anything else is
 * left to be raised.
 */
static bool
is_beyond_end(ImpiloList *list, const PageRequest *asked)
{
	if (!impilo_api_no_such_page(asked->request))
		return false;
	if (list->started)
		return !is_expected(list, asked->number) &&
			(list->total == IMPILO_UNKNOWN ||
			 list->seen->members >= list->total);
	return false;
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------
 */

/*
 * Take the answer at the head, which is done, as the page at hand if it may
 * be.
 */
static Verdict
take_head(ImpiloList *list)
{
	PageRequest *asked = head(list);
	MemoryContext caller;
	Verdict		verdict;

	if (is_beyond_end(list, asked))
		return VERDICT_END;
	if (!list->started && list->base == 0 && !list->base_settled &&
		impilo_api_no_such_page(asked->request))
	{
		list->base = 1;
		list->base_settled = true;
		return VERDICT_RESTART;
	}
	caller = MemoryContextSwitchTo(asked->context);
	impilo_api_page(list->api, asked->request, asked->number,
					list->asked_size, &list->page);
	MemoryContextSwitchTo(caller);

	verdict = judge(list, asked);
	if (verdict == VERDICT_ACCEPT)
	{
		list->current = *asked;
		memset(asked, 0, sizeof(*asked));
		drop_head(list);
		list->new_ids = 0;
		list->pages++;
	}
	return verdict;
}

/*
 * Get the next page of the pass at hand.
 */
static void
advance(ImpiloList *list)
{
	bool		was_base_settled = list->base_settled;
	int64		base = list->base;

	CHECK_FOR_INTERRUPTS();
	fill_window(list, true);
	impilo_http_wait(head(list)->request);
	switch (take_head(list))
	{
		case VERDICT_ACCEPT:
			/* the next request goes out before this page is parsed */
			fill_window(list, list->page.last != 1 &&
						list->total == IMPILO_UNKNOWN);
			break;
		case VERDICT_ASK_AGAIN:
			{
				int64		number = head(list)->number;

				forget(head(list));
				ask(list, head(list), number, true);
				break;
			}
		case VERDICT_RESTART:
			if (base != list->base || was_base_settled != list->base_settled)
				restart(list);
			else
				next_pass(list, "pages contradicted each other");
			break;
		case VERDICT_END:
			forget_ahead(list);
			list->done = true;
			break;
	}
}

/*
 * Was the page at hand the last one?  Either sign, `last` or `total`, may be
 * missing or wrong: as long as one of them says that there is more, it is
 * asked for, unless a page beyond all that is expected brings nothing new.
 */
static bool
was_last(const ImpiloList *list)
{
	const ImpiloPage *page = &list->page;
	bool		more_expected = is_expected(list, list->current.number + 1);

	if (page->orders == 0)
		return true;
	if (more_expected)
		return false;
	if (page->last == 1 || list->new_ids == 0)
		return true;
	if (page->last == 0)
		return false;
	return list->total != IMPILO_UNKNOWN && list->size > 0 &&
		page->orders < list->size;
}

/*
 * The page at hand is used up: is the list?
 */
static void
finish_page(ImpiloList *list)
{
	bool		whole = list->total == IMPILO_UNKNOWN ||
	list->seen->members >= list->total;
	bool		ended = was_last(list) || (list->pass > 1 && whole &&
										   list->total != IMPILO_UNKNOWN);

	if (list->size == IMPILO_UNKNOWN)
		list->size = list->page.orders;
	forget(&list->current);
	list->window = Min(list->window * 2, list->max_concurrency);
	if (!ended)
		return;
	if (whole)
	{
		forget_ahead(list);
		list->done = true;
		return;
	}
	if (!list->base_settled && list->base == 1)
		list->base = 0;			/* nobody has said that 1 is the first page */
	next_pass(list, psprintf("the list was said to hold " INT64_FORMAT,
							 list->total));
}

/*
 * impilo_list_next
 *		The next order of the list; false at its end.
 *
 * The order's bytes are good until the next call.  Raises the errors of
 * api.c, and one if the list could not be read completely.
 */
bool
impilo_list_next(ImpiloList *list, ImpiloOrder *order)
{
	while (!list->done)
	{
		if (list->current.context == NULL)
			advance(list);
		else if (!impilo_api_page_next(list->api, &list->page, order))
			finish_page(list);
		else
		{
			bool		found;

			seen_insert(list->seen, order->id, &found);
			if (!found)
			{
				list->new_ids++;
				return true;
			}
		}
	}
	return false;
}

/*
 * impilo_list_pages
 *		How many pages were read so far.
 */
int64
impilo_list_pages(const ImpiloList *list)
{
	return list->pages;
}

/* ------------------------------------------------------------------------
 * Counting
 * ------------------------------------------------------------------------
 */

/*
 * Does a first page agree with itself, so that its `total` can be believed?
 */
static bool
is_coherent(ImpiloApi *api, ImpiloPage *page)
{
	ImpiloOrder order;
	int64		held = 0;

	if (page->first != 1 || page->last == IMPILO_UNKNOWN ||
		page->total == IMPILO_UNKNOWN || page->size < 1)
		return false;
	while (impilo_api_page_next(api, page, &order))
		held++;
	return held == Min(page->size, page->total) &&
		(page->last == 1) == (page->size >= page->total);
}

/*
 * impilo_list_count
 *		How many orders there are, from `total` of one small page if that
 *		agrees with itself, else by reading the list.
 */
int64
impilo_list_count(ImpiloApi *api, MemoryContext context,
				  int fetch_size, int max_concurrency,
				  ImpiloHttpStats *stats)
{
	ImpiloHttpRequest *request;
	ImpiloList *list;
	ImpiloPage	page;
	ImpiloOrder order;
	int64		count = 0;

	request = impilo_api_get_page(api, context, 1, COUNT_PAGE_SIZE, stats);
	impilo_http_wait(request);
	impilo_api_page(api, request, 1, COUNT_PAGE_SIZE, &page);
	if (is_coherent(api, &page))
		return page.total;

	list = impilo_list_open(api, context, fetch_size, max_concurrency, stats);
	while (impilo_list_next(list, &order))
		count++;
	return count;
}
