/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  What this session created, may have created, or still has to create.
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
#include "nodes/pg_list.h"

/* One create request. */
typedef struct ImpiloJournalEntry ImpiloJournalEntry;

/* What is noted before the request goes out; copied. */
typedef struct ImpiloJournalNote
{
	Oid			userid;			/* who inserts, and may see it */
	Oid			serverid;
	Oid			umid;			/* OID of the user mapping */
	uint64		account;		/* impilo_api_account() */
	const char *relation;		/* as in SQL, quoted and with its schema */
	int64		row;			/* of the statement, from 1 */
	bool		to_site;		/* for a site, not for a patient */
	int64		recipient;		/* id of the patient or site */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8 */
	CommandId	command;		/* that creates the order */
} ImpiloJournalNote;

/* What became of a request. */
typedef struct ImpiloJournalRecord
{
	const ImpiloJournalNote *note;
	int64		id;				/* of the order; 0: it may exist */
	TimestampTz known_at;		/* when it was known, or last looked for */
} ImpiloJournalRecord;

/* Posts, at commit, what was kept for it: a list of kept work. */
typedef void (*ImpiloJournalPoster) (List *work);

/* in journal.c */

extern ImpiloJournalEntry *impilo_journal_posting(const ImpiloJournalNote *note);
extern void impilo_journal_posting_again(ImpiloJournalEntry *entry);
extern void impilo_journal_created(ImpiloJournalEntry *entry, int64 id);
extern void impilo_journal_unknown(ImpiloJournalEntry *entry);
extern void impilo_journal_nothing(ImpiloJournalEntry *entry);

extern bool impilo_journal_may_have_created(void);
extern bool impilo_journal_given(Oid serverid, int64 id);
extern bool impilo_journal_knows(Oid serverid, int64 id);
extern bool impilo_journal_hides(Oid serverid, int64 id, CommandId command);
extern bool impilo_journal_hides_any(Oid serverid, CommandId command);

extern List *impilo_journal_records(void);
extern void impilo_journal_keep(void *work, ImpiloJournalPoster poster);

#endif							/* IMPILO_JOURNAL_H */
