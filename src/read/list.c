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
 *	 of a round were given with `total` never falling, and as `total` only
 *	 grows, two answers with the same `total` saw the same set of orders: the
 *	 round equals one that was read in sequence.
 * - A page that was asked for after the one before it was accepted, and still
 *	 has the smaller `total`, proves that orders did disappear, or that the
 *	 list is kept in several copies: another pass, and what was seen before
 *	 it does not count as being there any more.
 * - Orders that change places without a change of `total` can be missed by
 *	 any reading.  So at the end the number of distinct ids must have reached
 *	 the last `total`, else another pass is made, which ends as soon as it
 *	 has.  After MAX_PASSES passes the scan fails: it is never short in
 *	 silence.
 * - There is one way for `total` to be wrong and the rows right: two passes
 *	 have brought the same orders, each of them once, on full pages up to one
 *	 that says it is the last.  Then a warning tells of the contradiction.
 * - Without `total` there are no pages ahead, and no such proof.
 *
 * A round is one attempt to read from the first page on; a pass may take
 * several, as the number of the first page and the size are found out.  It
 * ends, whatever the answers state: a page beyond what `total` promises is
 * asked for only as long as the one before brought something that the round
 * had not had, and a page that repeats more than was created meanwhile ends
 * the round as well.
 *
 * The ids given are remembered, so no order is given twice, whatever number
 * of passes that takes.
 *
 * Not here: what an answer looks like (page.c), trying again
 * (http_request.c), who shares a reading of the list (reading.c), and only
 * counting (list_count.c).  What an answer proves is judged in list_judge.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "read/list.h"
#include "read/list_private.h"

/*
 * Readings of the list from its start within one scan.  A list that is not
 * whole after three is not about to become so.
 */
#define MAX_PASSES 3

/*
 * Orders that max_pages stands for are those of so many pages of the size
 * asked for, or of this one, which the API gives at most, if that is more.
 * What a scan remembers of them is 32 bytes each (list_seen.c): of 100,000
 * pages, the default, 800 MB in the worst case.  The bound on the orders keeps
 * it that way where pages hold more than was asked for; pages alone would let
 * answers of max_response_size fill the memory with ids.  What the answers
 * state as `total` does not count: it costs nothing, and may be wrong.
 */
#define FULL_PAGE 250

/*
 * Orders of the first page that are used up before the second is asked for:
 * EXISTS, and a LIMIT that fits on a screen, cost one request.  Going through
 * so few takes no time worth saving.
 */
#define PEEK_ORDERS 20

static ImpiloHttpRequest *
ask_page(void *arg, int64 number)
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
	impilo_flight_begin(&list->flight, context, impilo_api_http(api),
						max_concurrency, ask_page, list);
	if (impilo_api_scan_timeout(api) > 0)
		list->flight.time_left =
			impilo_api_scan_timeout(api) * INT64CONST(1000);
	list->max_pages = impilo_api_max_pages(api);
	list->max_orders = (int64) list->max_pages * Max(fetch_size, FULL_PAGE);
	list->asked_size = fetch_size;
	list->base = 1;
	list->next_number = list->base;
	list->window = 1;
	list->pass = 1;
	list->size = IMPILO_UNKNOWN;
	list->total = IMPILO_UNKNOWN;
	list->total_before = IMPILO_UNKNOWN;
	list->seen = impilo_list_seen_begin(context);
	return list;
}

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

/*
 * Raise the error that this reading has come to a limit.
 */
static void
raise_limit(ImpiloList *list, ImpiloApiLimit limit)
{
	impilo_api_raise_limit(list->api, limit,
						   psprintf(INT64_FORMAT " orders on " INT64_FORMAT " pages were read.",
									list->seen->met, list->pages));
}

/*
 * impilo_list_note
 *		Note an order of the page at hand; an error if more are remembered
 *		than may be.  Is it met for the first time?
 */
bool
impilo_list_note(ImpiloList *list, const ImpiloOrder *order)
{
	bool		is_new = impilo_list_seen_note(list->seen, order->id);

	if (list->seen->met > list->max_orders)
		raise_limit(list, IMPILO_API_MAX_PAGES);
	return is_new;
}

/*
 * impilo_list_wait
 *		Wait for the page at the head of those in flight, within the time that
 *		the list may be waited for; an error beyond.
 */
const ImpiloAsked *
impilo_list_wait(ImpiloList *list)
{
	const ImpiloAsked *asked = impilo_flight_wait(&list->flight);

	if (asked == NULL)
		raise_limit(list, IMPILO_API_SCAN_TIMEOUT);
	return asked;
}

/*
 * Ask for pages ahead as far as the window allows; for one page beyond what
 * is known only if nothing else is left.  No more than max_pages are asked for.
 */
static void
fill_window(ImpiloList *list, bool beyond)
{
	while (impilo_flight_has_room(&list->flight, list->window))
	{
		if (!impilo_list_expects(list, list->next_number) &&
			!(beyond && list->flight.count == 0))
			break;
		if (list->pages + list->flight.count >= list->max_pages)
			break;
		impilo_flight_ask(&list->flight, list->next_number++);
	}
}

/* ------------------------------------------------------------------------
 * Rounds and passes
 * ------------------------------------------------------------------------
 */

/*
 * Begin a round: read from the first page on, with `asked_size` and `base` as
 * they are now.
 */
static void
restart(ImpiloList *list)
{
	impilo_flight_forget_all(&list->flight);
	impilo_list_seen_round(list->seen);
	list->next_number = list->base;
	list->started = false;
	if (list->total != IMPILO_UNKNOWN)
		list->total_before = list->total;
	list->size = IMPILO_UNKNOWN;
	list->total = IMPILO_UNKNOWN;
	list->first_total = IMPILO_UNKNOWN;
	list->page_numbered = false;
	list->gaps = false;
	list->said_last = false;
}

static void
next_pass(ImpiloList *list, const char *why)
{
	if (list->pass >= MAX_PASSES)
		impilo_list_raise(list, why);
	list->pass++;
	list->missing = false;
	list->seen->news = 0;
	restart(list);
}

/*
 * The round is at its end.  Is the list?
 */
static void
end_round(ImpiloList *list, const char *why)
{
	bool		whole = impilo_list_is_whole(list);

	if (!whole && impilo_list_total_disproved(list))
	{
		ereport(WARNING,
				(errmsg("the list of orders ends before its stated total"),
				 errdetail("Two passes brought the same " INT64_FORMAT " orders, where the answers state a total of " INT64_FORMAT ".",
						   list->seen->held, list->total)));
		whole = true;
	}
	if (whole)
	{
		impilo_flight_forget_all(&list->flight);
		list->done = true;
		return;
	}

	/* perhaps 1 is not the first page, whatever was said */
	if (list->base == 1 && !list->zero_tried)
	{
		list->base = 0;
		list->base_settled = false;
	}
	else if (list->base == 0 &&
			 (!list->base_settled || list->seen->news == 0))
		list->base = 1;
	next_pass(list, why);
	list->missing = true;
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------
 */

/*
 * Take the answer as the page at hand if it may be.
 */
static ImpiloVerdict
take_answer(ImpiloList *list, const ImpiloAsked *asked)
{
	MemoryContext caller;
	ImpiloVerdict verdict;

	if (!list->started && list->base == 0)
		list->zero_tried = true;
	verdict = impilo_list_judge_failure(list, asked);
	if (verdict != IMPILO_PAGE_ACCEPT)
		return verdict;

	caller = MemoryContextSwitchTo(asked->context);
	impilo_api_page(list->api, asked->request, asked->number,
					list->asked_size, &list->page);
	MemoryContextSwitchTo(caller);
	verdict = impilo_list_judge(list, asked);
	if (verdict == IMPILO_PAGE_ACCEPT)
	{
		impilo_flight_take(&list->flight);
		list->seen->page_new = 0;
		list->pages++;
	}
	return verdict;
}

/*
 * Get the next page of the round at hand.
 */
static void
advance(ImpiloList *list)
{
	const ImpiloAsked *asked;
	int64		number;

	CHECK_FOR_INTERRUPTS();
	fill_window(list, true);
	if (list->flight.count == 0 && list->partial)
	{
		list->done = true;
		return;
	}
	if (list->flight.count == 0)
		raise_limit(list, IMPILO_API_MAX_PAGES);
	asked = impilo_list_wait(list);
	number = asked->number;
	switch (take_answer(list, asked))
	{
		case IMPILO_PAGE_ACCEPT:
			/* the next request goes out before this page is parsed */
			if (list->pages > 1)
				fill_window(list, list->page.last != 1 &&
							list->total == IMPILO_UNKNOWN);
			break;
		case IMPILO_PAGE_ASK_AGAIN:
			impilo_flight_ask_again(&list->flight);
			break;
		case IMPILO_PAGE_RESTART:
			restart(list);
			break;
		case IMPILO_PAGE_NEXT_PASS:
			{
				bool		fell = impilo_list_total_fell(list, asked);

				next_pass(list, impilo_list_contradiction(list, asked));
				if (fell)
					impilo_list_seen_forget(list->seen);
				break;
			}
		case IMPILO_PAGE_END:
			end_round(list, psprintf("the answer to %s was another page or none, where the list was said to hold " INT64_FORMAT,
									 impilo_api_show_page(number, list->asked_size),
									 list->total));
			break;
	}
}

/*
 * The page at hand is used up: is the round?
 */
static void
finish_page(ImpiloList *list)
{
	bool		ended;

	if (list->size == IMPILO_UNKNOWN)
		list->size = list->page.orders;
	if (impilo_list_shrunk_unsaid(list))
	{
		list->asked_size = list->page.orders;
		impilo_flight_forget_taken(&list->flight);
		next_pass(list, "the pages became smaller");
		return;
	}
	ended = impilo_list_was_last(list) ||
		(list->missing && list->total != IMPILO_UNKNOWN &&
		 impilo_list_is_whole(list));
	if (list->page.orders > 0)
	{
		list->gaps |= list->page.orders < list->size && list->page.last != 1;
		list->said_last = list->page.last == 1;
	}
	impilo_flight_forget_taken(&list->flight);
	list->window = Min(list->window * 2, list->flight.size);
	if (ended)
		end_round(list, psprintf("the list was said to hold " INT64_FORMAT,
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
	impilo_flight_return(&list->flight);
	while (!list->done)
	{
		if (list->flight.taken.context == NULL)
			advance(list);
		else if (!impilo_api_page_next(list->api, &list->page, order))
			finish_page(list);
		else if (impilo_list_note(list, order))
		{
			if (list->pages == 1 && list->page.orders == PEEK_ORDERS)
				fill_window(list, list->page.last != 1 &&
							list->total == IMPILO_UNKNOWN);
			impilo_flight_leave(&list->flight);
			return true;
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
