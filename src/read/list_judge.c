/*-------------------------------------------------------------------------
 *
 * list_judge.c
 *	  What an answer to a request for a page proves.
 *
 * Every answer is held against what was asked for and against the answers
 * before it: may it count as the next page, has it to be asked for again, is
 * it the end, or does it contradict them?  Why these rules make a reading
 * complete is argued in list.c, which acts on the verdicts; nothing is asked
 * for here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list_judge.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/list_private.h"


/*
 * Page sizes to fall back to where a larger one is refused.  250 is
 * documented as the most, and 15 as what is given without asking.
 */
static const int modest_sizes[] = {250, 100, 50, 15};

/*
 * Is page `number` known to exist?
 */
bool
impilo_list_expects(const ImpiloList *list, int64 number)
{
	return list->total > 0 && list->size > 0 &&
		number - list->base < (list->total - 1) / list->size + 1;
}

/*
 * impilo_list_is_whole
 *		Are as many orders held as the list is said to have?
 */
bool
impilo_list_is_whole(const ImpiloList *list)
{
	return list->total == IMPILO_UNKNOWN || list->seen->held >= list->total;
}

/*
 * impilo_list_raise
 *		Raise the error that the list cannot be read; `why` is half a sentence.
 */
void
impilo_list_raise(const ImpiloList *list, const char *why)
{
	ImpiloApiError error = {
		.sqlstate = ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
		.message = "the list of orders could not be read completely",
		.detail = psprintf(INT64_FORMAT " orders were found in %d passes; then %s.",
						   list->seen->met, list->pass, why),
		.hint = "Its pages contradict each other, or it changes faster than it can be read: try again, or with a smaller max_concurrency."
	};

	impilo_api_raise(&error);
}

/*
 * Is it `total` that is wrong, and nothing else?  This round has brought what
 * the pass before had brought, each order once, on full pages up to one that
 * says it is the last.
 */
bool
impilo_list_total_disproved(const ImpiloList *list)
{
	return list->missing && list->seen->news == 0 &&
		list->seen->repeated == 0 && !list->gaps && list->said_last &&
		list->total == list->first_total;
}

/* ------------------------------------------------------------------------
 * One answer
 * ------------------------------------------------------------------------
 */

/*
 * Give page 0 up: the first page is page 1.
 */
static ImpiloVerdict
settle_on_one(ImpiloList *list)
{
	list->base = 1;
	list->base_settled = true;
	return IMPILO_PAGE_RESTART;
}

/*
 * Learn from the first page of a round: the base of page numbers, the size.
 *
 * Asked for page 1, an answer that is page 1 but not the first one counts
 * from 0.  If page 0 turns out to be page 1 after all, it was `first` that
 * was wrong.
 */
static ImpiloVerdict
judge_first(ImpiloList *list, int64 number)
{
	const ImpiloPage *page = &list->page;

	if (!list->base_settled)
	{
		if (list->base == 1 && !list->zero_tried &&
			page->first == 0 && page->page == 1)
		{
			list->base = 0;
			return IMPILO_PAGE_RESTART;
		}
		if (list->base == 0 && page->page == 1 && page->first != 1)
			return settle_on_one(list);
		if (page->page == list->base && page->first != 0)
			list->base_settled = true;
	}

	list->started = true;
	list->page_numbered = page->page != IMPILO_UNKNOWN;
	list->page_offset = number - page->page;
	list->size = page->size > 0 ? page->size : IMPILO_UNKNOWN;
	list->total = list->first_total = page->total;
	if (page->total != IMPILO_UNKNOWN && page->total < list->total_before)
		impilo_list_seen_forget(list->seen);
	return IMPILO_PAGE_ACCEPT;
}

/*
 * Does the page state another size than the round's first one?
 */
static bool
size_changed(const ImpiloList *list)
{
	return list->size > 0 && list->page.size > 0 &&
		list->page.size != list->size;
}

/*
 * impilo_list_total_fell
 *		Does the page, asked for after the one before it was accepted, prove
 *		that orders did disappear?
 */
bool
impilo_list_total_fell(const ImpiloList *list, const ImpiloAsked *asked)
{
	return asked->in_order && list->page.total != IMPILO_UNKNOWN &&
		list->page.total < list->total;
}

/*
 * Does the page hold less than the first one, and states neither its size nor
 * that it is the last?
 */
bool
impilo_list_shrunk_unsaid(const ImpiloList *list)
{
	return list->page.size <= 0 && list->page.last == 0 &&
		list->page.orders > 0 && list->page.orders < list->size;
}

/*
 * Is this the last page, which an API may give its number of orders as size?
 */
static bool
is_short_last(const ImpiloList *list, int64 number)
{
	return list->page.size < list->size &&
		(list->page.last == 1 ||
		 (list->total != IMPILO_UNKNOWN &&
		  !impilo_list_expects(list, number + 1)));
}

/*
 * May this answer count as the next page?
 */
ImpiloVerdict
impilo_list_judge(ImpiloList *list, const ImpiloAsked *asked)
{
	const ImpiloPage *page = &list->page;

	if (!list->started)
		return judge_first(list, asked->number);

	if (list->page_numbered && page->page != IMPILO_UNKNOWN &&
		page->page + list->page_offset != asked->number)
	{
		/* an API that takes page 0 for page 1 answers page 1 with itself */
		if (list->base == 0 && list->page_offset != 0)
			return settle_on_one(list);
		/* it may answer with its last page to all numbers beyond that */
		if (list->total == IMPILO_UNKNOWN && page->last == 0)
			impilo_list_raise(list,
							  psprintf("the answer to %s was page " INT64_FORMAT,
									   page->request, page->page));
		return IMPILO_PAGE_END;
	}
	if (size_changed(list) && !is_short_last(list, asked->number))
	{
		list->asked_size = (int) Min(page->size, list->size);
		return IMPILO_PAGE_NEXT_PASS;
	}
	if (list->total != IMPILO_UNKNOWN && page->total < list->total)
	{
		if (!asked->in_order)
			return IMPILO_PAGE_ASK_AGAIN;
		if (page->total == IMPILO_UNKNOWN)
			return IMPILO_PAGE_ACCEPT;
		return IMPILO_PAGE_NEXT_PASS;
	}
	list->total = page->total;
	return IMPILO_PAGE_ACCEPT;
}

/*
 * Ask for the first page again in a size that is less likely to be refused.
 */
static bool
ask_for_less(ImpiloList *list)
{
	for (int i = 0; i < lengthof(modest_sizes); i++)
		if (modest_sizes[i] < list->asked_size)
		{
			list->asked_size = modest_sizes[i];
			return true;
		}
	return false;
}

/*
 * impilo_list_try_zero
 *		Page 1 was answered as one that does not exist: begin with page 0.
 *
 * Where pages count from 0 and one holds all orders, that is the right answer.
 * If there is no page 0 either, it was an error, and that one is raised.
 */
void
impilo_list_try_zero(ImpiloList *list, const ImpiloAsked *asked)
{
	MemoryContext caller = MemoryContextSwitchTo(list->context);
	ImpiloPage	page;

	(void) impilo_api_try_page(list->api, asked->request, asked->number,
							   list->asked_size, &page, &list->no_page_one);
	MemoryContextSwitchTo(caller);
	list->base = 0;
	list->next_number = 0;
}

/*
 * Judge an answer that may not be a page at all.  What is left to be raised
 * as the error that it is gets IMPILO_PAGE_ACCEPT.
 */
ImpiloVerdict
impilo_list_judge_failure(ImpiloList *list, const ImpiloAsked *asked)
{
	const ImpiloHttpReply *reply = impilo_http_reply(asked->request);

	if (!impilo_api_not_there(asked->request))
		return IMPILO_PAGE_ACCEPT;
	if (list->started)
		return IMPILO_PAGE_END;
	if (list->base == 0 && list->no_page_one.message)
		impilo_api_raise(&list->no_page_one);
	if (list->base == 0)
		return settle_on_one(list);
	if (reply->status != 404 && ask_for_less(list))
		return IMPILO_PAGE_RESTART;
	if (list->zero_tried)
		return IMPILO_PAGE_ACCEPT;
	impilo_list_try_zero(list, asked);
	return IMPILO_PAGE_RESTART;
}

/*
 * What spoke against going on, for the message if it comes to one.
 */
char *
impilo_list_contradiction(const ImpiloList *list, const ImpiloAsked *asked)
{
	const ImpiloPage *page = &list->page;

	if (impilo_list_total_fell(list, asked))
		return psprintf("the total fell from " INT64_FORMAT " to " INT64_FORMAT,
						list->total, page->total);
	return psprintf("the page size changed from " INT64_FORMAT " to " INT64_FORMAT,
					list->size, page->size);
}

/*
 * Was the page at hand the last one?  Either sign, `last` or `total`, may be
 * missing or wrong: as long as one of them says that there is more, it is
 * asked for, unless this page has brought nothing new.
 *
 * An order that is created makes one other, at most, appear on two pages of a
 * round.  More repetitions than that, on a page of nothing else, mean that
 * the same page comes again and again.
 */
bool
impilo_list_was_last(const ImpiloList *list)
{
	const ImpiloPage *page = &list->page;

	if (page->orders == 0)
		return true;
	if (list->seen->page_new == 0 &&
		list->seen->repeated > list->total - list->first_total)
		return true;
	if (impilo_list_expects(list, list->flight.taken.number + 1))
		return false;
	if (page->last != IMPILO_UNKNOWN)
		return page->last == 1;
	return list->total != IMPILO_UNKNOWN && list->size > 0 &&
		page->orders < list->size && impilo_list_is_whole(list);
}
