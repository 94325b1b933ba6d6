/*-------------------------------------------------------------------------
 *
 * creator.h
 *	  A statement that creates orders, and its attempts.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/creator.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CREATOR_H
#define IMPILO_CREATOR_H

#include "catalog/connection.h"
#include "create/journal.h"
#include "rows/write.h"

/* Orders known from the list; see conflict.h. */
typedef struct ImpiloKnownOrders ImpiloKnownOrders;

/* Where orders are created, and for whom. */
typedef struct ImpiloCreateTarget
{
	ImpiloConnection *connection;
	Oid			userid;			/* who inserts; at commit it may be another */
	Oid			caller;			/* the role that ran the statement */
	const char *schema;			/* of the table, for messages */
	const char *name;			/* of the table, for messages */
	const char *relation;		/* as in SQL, quoted and with its schema */
	const char *ids_column;		/* column of the external ids, quoted; NULL:
								 * the table has none */
	int			max_concurrency;	/* requests in flight */
	int			fetch_size;		/* orders a page, when the list is read */
	CommandId	command;		/* that creates the orders */
} ImpiloCreateTarget;

/* One statement that creates orders. */
typedef struct ImpiloCreator
{
	ImpiloCreateTarget target;
	ImpiloHttpStats stats;
	bool		keep_documents; /* the caller reads the orders */
	int64		last_row;		/* of the statement, if known; for messages */
	int64		created;		/* orders of this statement, or of this commit */
	const char *search_error;	/* why the last search failed; NULL: it did
								 * not */
	const ImpiloKnownOrders *before;	/* the list as it was before the first
										 * request; NULL: it was not read */
} ImpiloCreator;

typedef enum ImpiloAttemptState
{
	IMPILO_ATTEMPT_WAITING,		/* not sent */
	IMPILO_ATTEMPT_IN_FLIGHT,	/* sent, or about to be */
	IMPILO_ATTEMPT_CREATED,		/* the order exists */
	IMPILO_ATTEMPT_NOT_CREATED, /* certainly nothing was created */
	IMPILO_ATTEMPT_OUTCOME_UNKNOWN	/* the order may exist */
} ImpiloAttemptState;

/* The attempt to create the order of one row. */
typedef struct ImpiloCreateAttempt
{
	const ImpiloOrderRequest *row;
	ImpiloAttemptState state;
	ImpiloJournalEntry *entry;	/* once it was sent */
	ImpiloHttpRequest *request; /* while its response is needed */
	TimestampTz sent_at;		/* the last time, by this machine's clock */
	ImpiloOrder order;			/* if created */
	ImpiloApiError error;		/* if not created, or unknown */

	/* what a search of the list has found */
	int			matches;		/* orders that can only be this one */
	int64		match;			/* the first of them */
	int64		possible_match; /* an order that might be this one or an older
								 * one; 0: none */
} ImpiloCreateAttempt;

#endif							/* IMPILO_CREATOR_H */
