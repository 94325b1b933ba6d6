/*-------------------------------------------------------------------------
 *
 * posting.h
 *	  A create request on its way: what create.c and its neighbours share.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/posting.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_POSTING_H
#define IMPILO_POSTING_H

#include "datatype/timestamp.h"

#include "catalog/connection.h"
#include "create/journal.h"
#include "rows/write.h"

/* Orders known from a reading of the list; see existing.h. */
typedef struct ImpiloExisting ImpiloExisting;

/* Where orders are created, and on whose behalf. */
typedef struct ImpiloCreateTarget
{
	ImpiloConnection *connection;
	Oid			userid;			/* who inserts; at commit it may be another */
	const char *name;			/* of the table, for messages */
	const char *relation;		/* as in SQL, quoted and with its schema */
	const char *ids_column;		/* column of the external ids, quoted; NULL:
								 * the table has none */
	int			max_concurrency;	/* requests in flight */
	int			fetch_size;		/* orders a page, when the list is read */
	CommandId	command;		/* that creates the orders */
	const ImpiloExisting *before;	/* the list as it was before the first
									 * request, or NULL: it was not read */
} ImpiloCreateTarget;

typedef enum ImpiloPostingState
{
	IMPILO_POSTING_WAITS,		/* not started */
	IMPILO_POSTING_FLIES,		/* sent, or about to be */
	IMPILO_POSTING_DONE,		/* the order exists */
	IMPILO_POSTING_NOTHING,		/* certainly nothing was created */
	IMPILO_POSTING_UNKNOWN		/* the order may exist */
} ImpiloPostingState;

typedef struct ImpiloPosting
{
	const ImpiloOrderRequest *draft;
	ImpiloPostingState state;
	ImpiloJournalEntry *entry;	/* of the journal, once it was started */
	ImpiloHttpRequest *request;
	TimestampTz started_at;		/* by this machine's clock */
	bool		reposted;		/* sent a second time, after look-ups, or to
								 * be sent so */
	bool		answered;		/* an answer was 2xx, complete or not */
	ImpiloOrder order;			/* if done */
	ImpiloApiError error;		/* if nothing or unknown */

	/* what look-ups found */
	int			matches;		/* orders that can only be this one */
	int64		match;			/* the first of them */
	int64		doubtful;		/* an order that might be this one or an older
								 * one; 0: none */
} ImpiloPosting;

#endif							/* IMPILO_POSTING_H */
