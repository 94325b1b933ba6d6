/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  What this session created, may have created, or still has to create.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/journal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JOURNAL_H
#define IMPILO_JOURNAL_H

#include "nodes/pg_list.h"

/* One create request. */
typedef struct ImpiloJournalEntry ImpiloJournalEntry;

/* What is noted before the request goes out; copied. */
typedef struct ImpiloJournalNote
{
	Oid			userid;			/* who inserts, and may see it */
	Oid			serverid;
	const char *relation;		/* as in SQL, quoted and with its schema */
	int64		row;			/* of the statement, from 1 */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8 */
	CommandId	command;		/* that creates the order */
} ImpiloJournalNote;

/* Posts, at commit, what was kept for it: a list of kept work. */
typedef void (*ImpiloJournalPoster) (List *work);

/* in journal.c */

extern ImpiloJournalEntry *impilo_journal_posting(const ImpiloJournalNote *note);
extern void impilo_journal_created(ImpiloJournalEntry *entry, int64 id);
extern void impilo_journal_unknown(ImpiloJournalEntry *entry);
extern void impilo_journal_nothing(ImpiloJournalEntry *entry);

extern bool impilo_journal_may_have_created(void);
extern bool impilo_journal_given(Oid serverid, int64 id);
extern bool impilo_journal_knows(Oid serverid, int64 id);
extern bool impilo_journal_hides(Oid serverid, int64 id, CommandId command);
extern bool impilo_journal_hides_any(Oid serverid, CommandId command);

extern void impilo_journal_keep(void *work, ImpiloJournalPoster poster);

#endif							/* IMPILO_JOURNAL_H */
