/*-------------------------------------------------------------------------
 *
 * list_seen.h
 *	  Which orders a scan of the list has met, and when.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list_seen.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_LIST_SEEN_H
#define IMPILO_LIST_SEEN_H

/* tables that the ids are spread over; a power of two */
#define IMPILO_LIST_SEEN_TABLES 16

/* The ids met, and what they tell; the counters may be read and set to 0. */
typedef struct ImpiloListSeen
{
	struct seen_hash *ids[IMPILO_LIST_SEEN_TABLES];
	int32		round;			/* the one that reads now, from 1 */
	int32		since_round;	/* what was met from this one on exists */
	int64		met;			/* distinct orders, ever */
	int64		held;			/* of these, those that exist */
	int64		news;			/* of these, those met for the first time in
								 * this pass */
	int64		repeated;		/* orders that this round had twice */
	int64		page_new;		/* orders of the page at hand that the round
								 * had not had */
} ImpiloListSeen;

/* in list_seen.c */

extern ImpiloListSeen *impilo_list_seen_begin(MemoryContext context);
extern void impilo_list_seen_round(ImpiloListSeen *seen);
extern void impilo_list_seen_forget(ImpiloListSeen *seen);
extern bool impilo_list_seen_note(ImpiloListSeen *seen, int64 id);

#endif							/* IMPILO_LIST_SEEN_H */
