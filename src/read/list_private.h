/*-------------------------------------------------------------------------
 *
 * list_private.h
 *	  A reading of the list, for the files of its own room only.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list_private.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_LIST_PRIVATE_H
#define IMPILO_LIST_PRIVATE_H

#include "read/flight.h"
#include "read/list.h"
#include "read/list_seen.h"

typedef enum ImpiloVerdict
{
	IMPILO_PAGE_ACCEPT,
	IMPILO_PAGE_ASK_AGAIN,		/* this page, now that its turn has come */
	IMPILO_PAGE_RESTART,		/* another round of the same pass */
	IMPILO_PAGE_NEXT_PASS,		/* what was read contradicts itself */
	IMPILO_PAGE_END				/* there is no such page */
} ImpiloVerdict;

struct ImpiloList
{
	ImpiloApi  *api;
	MemoryContext context;
	ImpiloHttpStats *stats;

	/* how much */
	int			max_pages;		/* over all passes */
	int64		max_orders;
	bool		partial;		/* ends at max_pages without an error */

	/* how to ask */
	int			asked_size;
	int64		base;			/* number of the first page: 1, or 0 */
	bool		base_settled;	/* an answer has confirmed it */
	bool		zero_tried;		/* page 0 was asked for once */
	ImpiloApiError no_page_one; /* what to raise if there is no page 0 either;
								 * its message is NULL if not known */

	/* the pages in flight, and the one at hand */
	ImpiloFlight flight;
	int			window;			/* how many there may be in flight by now */
	int64		next_number;	/* the next page to ask for */
	ImpiloPage	page;			/* at hand, if flight.taken is there */

	/* the pass */
	int			pass;			/* from 1 */
	bool		missing;		/* it looks for what the one before missed */

	/* the round */
	bool		started;		/* its first page was accepted */
	int64		page_offset;	/* asked minus answered page number */
	bool		page_numbered;	/* answers state their page number */
	int64		size;			/* page size by the answers, or IMPILO_UNKNOWN */
	int64		total;			/* of the last accepted page, or
								 * IMPILO_UNKNOWN */
	int64		first_total;	/* of its first page */
	int64		total_before;	/* of the last page of any round before */
	bool		gaps;			/* a page held less than its size, and more
								 * followed */
	bool		said_last;		/* the last page with orders says so */

	ImpiloListSeen *seen;
	int64		pages;			/* accepted over all passes */
	bool		done;
};

/* in list.c */

extern const ImpiloAsked *impilo_list_wait(ImpiloList *list);
extern bool impilo_list_note(ImpiloList *list, const ImpiloOrder *order);

/* in list_judge.c */

extern bool impilo_list_expects(const ImpiloList *list, int64 number);
extern bool impilo_list_is_whole(const ImpiloList *list);
extern bool impilo_list_total_disproved(const ImpiloList *list);
extern bool impilo_list_total_fell(const ImpiloList *list,
								   const ImpiloAsked *asked);
extern bool impilo_list_shrunk_unsaid(const ImpiloList *list);
extern bool impilo_list_was_last(const ImpiloList *list);
extern void impilo_list_try_zero(ImpiloList *list, const ImpiloAsked *asked);
extern ImpiloVerdict impilo_list_judge_failure(ImpiloList *list,
											   const ImpiloAsked *asked);
extern ImpiloVerdict impilo_list_judge(ImpiloList *list, const ImpiloAsked *asked);
extern char *impilo_list_contradiction(const ImpiloList *list,
									   const ImpiloAsked *asked);
extern void impilo_list_raise(const ImpiloList *list, const char *why);

#endif							/* IMPILO_LIST_PRIVATE_H */
