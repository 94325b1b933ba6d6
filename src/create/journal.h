/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  What this session created, may have created, or will create at commit.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/journal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JOURNAL_H
#define IMPILO_JOURNAL_H

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"

typedef enum ImpiloJournalState
{
	IMPILO_JOURNAL_IN_FLIGHT,	/* sent, or about to be: the order may exist */
	IMPILO_JOURNAL_UNKNOWN,		/* ended with unknown outcome: may exist */
	IMPILO_JOURNAL_CREATED,
	IMPILO_JOURNAL_ROLLED_BACK	/* created, but its transaction aborted */
} ImpiloJournalState;

/* What is noted before a request is sent; copied. */
typedef struct ImpiloJournalNote
{
	const void *statement;		/* identifies the statement */
	CommandId	command;		/* that creates the order */
	Oid			userid;			/* who inserts */
	Oid			caller;			/* the role that ran the statement, where a
								 * SECURITY DEFINER function inserts */
	Oid			serverid;
	Oid			umid;			/* OID of the user mapping */
	uint64		account;		/* the account of ImpiloApi */
	const char *relation;		/* as in SQL, quoted and with its schema */
	int64		row;			/* of the statement, from 1 */
	bool		to_site;		/* for a site, not for a patient */
	int64		recipient;		/* id of the patient or site */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8 */
} ImpiloJournalNote;

/* One create request. */
typedef struct ImpiloJournalEntry
{
	dlist_node	node;			/* in impilo_journal, in order of time */
	int64		serial;			/* greater than that of all entries before */
	ImpiloJournalState state;
	int64		id;				/* of the order, once created */
	SubTransactionId subid;		/* of the running transaction, else
								 * InvalidSubTransactionId: settled */
	bool		warned;			/* an abort has reported it */
	bool		named;			/* an error of the transaction has named it */
	bool		forgotten;		/* not listed any more */
	TimestampTz posted_at;
	ImpiloJournalNote note;
	char	   *ids[FLEXIBLE_ARRAY_MEMBER]; /* of the note */
} ImpiloJournalEntry;

/* Posts, at commit, what was kept for it. */
typedef void (*ImpiloJournalPoster) (List *work);

/* all entries */
extern dlist_head impilo_journal;

/* in journal.c */

extern void impilo_journal_init(void);
extern ImpiloJournalEntry *impilo_journal_posting(const ImpiloJournalNote *note);
extern void impilo_journal_created(ImpiloJournalEntry *entry, int64 id);
extern void impilo_journal_drop(ImpiloJournalEntry *entry);
extern bool impilo_journal_may_have_created(void);
extern ImpiloJournalEntry *impilo_journal_find(Oid serverid, int64 id);
extern bool impilo_journal_hides(Oid serverid, int64 id, CommandId command);
extern bool impilo_journal_hides_any(Oid serverid, CommandId command);
extern void impilo_journal_keep(void *work, ImpiloJournalPoster poster);

#endif							/* IMPILO_JOURNAL_H */
