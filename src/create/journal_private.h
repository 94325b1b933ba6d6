/*-------------------------------------------------------------------------
 *
 * journal_private.h
 *	  The journal's entries, for the files of the journal alone.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/journal_private.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JOURNAL_PRIVATE_H
#define IMPILO_JOURNAL_PRIVATE_H

#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "create/journal.h"

typedef enum ImpiloJournalState
{
	IMPILO_JOURNAL_POSTING,		/* went out, or is about to: may exist */
	IMPILO_JOURNAL_UNKNOWN,		/* ended, but nobody knows how: may exist */
	IMPILO_JOURNAL_CREATED,
	IMPILO_JOURNAL_ROLLED_BACK	/* created, but its transaction aborted */
} ImpiloJournalState;

struct ImpiloJournalEntry
{
	dlist_node	node;			/* of entries, in order of time */
	ImpiloJournalState state;
	bool		warned;			/* an abort was told of it */
	int64		id;				/* of the order, once created */
	SubTransactionId subid;		/* of the running transaction, else
								 * InvalidSubTransactionId: settled */
	TimestampTz posted_at;
	TimestampTz known_at;		/* when its state was set last */
	ImpiloJournalNote note;
	char	   *ids[FLEXIBLE_ARRAY_MEMBER]; /* of the note */
};

/* in journal.c */

extern dlist_head impilo_journal_entries;

extern void impilo_journal_drop(ImpiloJournalEntry *entry);

#endif							/* IMPILO_JOURNAL_PRIVATE_H */
