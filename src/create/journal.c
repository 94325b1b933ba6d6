/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  What this session created, may have created, or still has to create.
 *
 * PostgreSQL cannot roll back a shipment.  So each create request is noted
 * before it goes out, and what became of it afterwards; when a transaction or
 * subtransaction aborts, a WARNING names the orders that it leaves behind,
 * and impilo_created_orders() lists them until the session ends or
 * impilo_forget_created_orders() is called.
 *
 * An entry belongs to the subtransaction that made it.  It is settled when
 * the transaction has ended; settled entries are bounded in number, the
 * oldest go first.  Those of the running transaction are all kept: they tell
 * which errors may be raised (impilo_journal_may_have_created), and which
 * orders a statement must not take for somebody else's.
 *
 * Orders with post_at 'commit' are work that is kept here as an opaque
 * pointer: dropped with a rolled back subtransaction, handed to its poster
 * before the transaction commits.
 *
 * Nothing is sent here, and nothing survives the session: what has to, should
 * be written to a table with RETURNING.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/journal.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "create/journal_private.h"

/*
 * Settled entries kept.  Some hundred bytes each: a few megabytes at most,
 * and more orders than a person would go through by hand.
 */
#define IMPILO_JOURNAL_SETTLED_MAX 10000

/* ids that a WARNING names */
#define IMPILO_JOURNAL_NAMED_MAX 20

/* An order created in the running transaction: how to find its entry. */
typedef struct GivenKey
{
	int64		id;
	Oid			serverid;
	uint32		unused;			/* 0: no padding in a hash key */
} GivenKey;

typedef struct GivenOrder
{
	GivenKey	key;
	CommandId	command;
} GivenOrder;

/* Work kept for the commit. */
typedef struct KeptWork
{
	void	   *work;
	ImpiloJournalPoster poster;
	SubTransactionId subid;
} KeptWork;

static MemoryContext journal_context = NULL;
dlist_head	impilo_journal_entries = DLIST_STATIC_INIT(impilo_journal_entries);
static int	nsettled = 0;
static int	nrunning = 0;		/* entries of the running transaction */

/* both in TopTransactionContext, NULL and NIL outside */
static HTAB *given = NULL;
static List *kept = NIL;

/* ------------------------------------------------------------------------
 * The end of transactions
 * ------------------------------------------------------------------------
 */

/*
 * impilo_journal_drop
 *		Take an entry out and free it.
 */
void
impilo_journal_drop(ImpiloJournalEntry *entry)
{
	dlist_delete(&entry->node);
	if (entry->subid == InvalidSubTransactionId)
		nsettled--;
	else
		nrunning--;
	pfree(entry);
}

/*
 * Say what an abort leaves behind.  Called while the transaction aborts, so
 * nothing here looks into the catalogs.
 */
static void
warn(int ncreated, int nunknown, const char *named)
{
	StringInfoData what;

	if (ncreated + nunknown == 0)
		return;
	initStringInfo(&what);
	if (ncreated > 0)
		appendStringInfo(&what, ncreated == 1 ? "%d order was created"
						 : "%d orders were created", ncreated);
	if (ncreated > 0 && nunknown > 0)
		appendStringInfo(&what, " and %d more may have been", nunknown);
	else if (nunknown > 0)
		appendStringInfo(&what, nunknown == 1
						 ? "%d order may have been created"
						 : "%d orders may have been created", nunknown);
	ereport(WARNING,
			(errmsg("%s, which a rollback does not undo", what.data),
			 ncreated > 0 ? errdetail("Orders created: %s.", named) : 0,
			 errhint("SELECT * FROM impilo_created_orders() lists them.")));
	pfree(what.data);
}

/*
 * The subtransaction `subid` and all within it abort.
 */
static void
abort_entries(SubTransactionId subid)
{
	StringInfoData named;
	int			ncreated = 0;
	int			nunknown = 0;
	dlist_iter	iter;

	if (nrunning == 0)
		return;
	initStringInfo(&named);
	dlist_foreach(iter, &impilo_journal_entries)
	{
		ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry, node,
													iter.cur);

		/* subtransactions are numbered in order of time */
		if (entry->subid == InvalidSubTransactionId || entry->subid < subid)
			continue;
		if (entry->state == IMPILO_JOURNAL_CREATED)
		{
			entry->state = IMPILO_JOURNAL_ROLLED_BACK;
			if (ncreated < IMPILO_JOURNAL_NAMED_MAX)
				appendStringInfo(&named, "%s" INT64_FORMAT,
								 ncreated > 0 ? ", " : "", entry->id);
			else if (ncreated == IMPILO_JOURNAL_NAMED_MAX)
				appendStringInfoString(&named, " and more");
			ncreated++;
		}
		else if (entry->state != IMPILO_JOURNAL_ROLLED_BACK && !entry->warned)
		{
			if (entry->state == IMPILO_JOURNAL_POSTING)
				impilo_journal_unknown(entry);
			nunknown++;
		}
		entry->warned = true;
	}
	warn(ncreated, nunknown, named.data);
	pfree(named.data);
}

/*
 * The transaction has ended: its entries are settled.
 */
static void
settle_entries(void)
{
	dlist_mutable_iter iter;

	given = NULL;
	kept = NIL;
	if (nrunning > 0)
	{
		dlist_foreach_modify(iter, &impilo_journal_entries)
		{
			ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry,
														node, iter.cur);

			if (entry->subid == InvalidSubTransactionId)
				continue;
			entry->subid = InvalidSubTransactionId;
			nrunning--;
			nsettled++;
		}
	}
	while (nsettled > IMPILO_JOURNAL_SETTLED_MAX)
		impilo_journal_drop(dlist_head_element(ImpiloJournalEntry, node, &impilo_journal_entries));
}

/*
 * Post what was kept: consecutive work of one poster together.  Interrupts
 * are honoured here, and an error still aborts the transaction.
 */
static void
post_kept(void)
{
	List	   *work = NIL;
	ImpiloJournalPoster poster = NULL;
	ListCell   *lc;
	List	   *todo = kept;

	kept = NIL;
	foreach(lc, todo)
	{
		KeptWork   *one = lfirst(lc);

		if (poster && poster != one->poster)
		{
			poster(work);
			work = NIL;
		}
		poster = one->poster;
		work = lappend(work, one->work);
	}
	if (poster)
		poster(work);
}

/*
 * A prepared transaction may be committed or rolled back by another connection,
 * which knows nothing of what is noted here.
 */
static void
refuse_prepare(void)
{
	if (kept != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction with orders that wait for its commit"),
				 errhint("Set option post_at to 'statement', or use COMMIT.")));
	if (nrunning > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has created orders"),
				 errdetail("A prepared transaction can be rolled back later by a session that does not know of the orders.")));
}

static void
transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			post_kept();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_ABORT:
			abort_entries(TopSubTransactionId);
			settle_entries();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			settle_entries();
			break;
		default:
			break;				/* parallel workers create nothing */
	}
}

static void
subtransaction_event(SubXactEvent event, SubTransactionId mine,
					 SubTransactionId parent, void *arg)
{
	dlist_iter	iter;
	ListCell   *lc;

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		abort_entries(mine);
		foreach(lc, kept)
		{
			if (((KeptWork *) lfirst(lc))->subid >= mine)
				kept = foreach_delete_current(kept, lc);
		}
	}

	/* what is left of this one belongs to the one around it now */
	if (event == SUBXACT_EVENT_ABORT_SUB || event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (nrunning > 0)
			dlist_reverse_foreach(iter, &impilo_journal_entries)
		{
			ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry,
														node, iter.cur);

			if (entry->subid < mine)
				break;
			entry->subid = parent;
		}
		foreach(lc, kept)
		{
			KeptWork   *one = lfirst(lc);

			if (one->subid >= mine)
				one->subid = parent;
		}
	}
}

/*
 * Be told of the end of transactions from the first use on.
 */
static void
start_journal(void)
{
	if (journal_context)
		return;
	RegisterXactCallback(transaction_event, NULL);
	RegisterSubXactCallback(subtransaction_event, NULL);
	journal_context = AllocSetContextCreate(TopMemoryContext,
											"impilo_fdw journal",
											ALLOCSET_DEFAULT_SIZES);
}

/* ------------------------------------------------------------------------
 * Notes
 * ------------------------------------------------------------------------
 */

/*
 * impilo_journal_posting
 *		Note that a create request is about to go out.
 *
 * The entry is the journal's; it is given until what became of the request is
 * told by one of the next three functions.  If that never happens because an
 * error ends the statement, the order counts as one that may exist.
 */
ImpiloJournalEntry *
impilo_journal_posting(const ImpiloJournalNote *note)
{
	Size		head = offsetof(ImpiloJournalEntry, ids) +
	note->nids * sizeof(char *);
	Size		size = head + strlen(note->relation) + 1;
	ImpiloJournalEntry *entry;
	char	   *at;

	start_journal();
	for (int i = 0; i < note->nids; i++)
		size += strlen(note->ids[i]) + 1;
	entry = MemoryContextAllocZero(journal_context, size);
	entry->note = *note;
	entry->note.ids = entry->ids;
	at = (char *) entry + head;
	entry->note.relation = at;
	at += strlcpy(at, note->relation, size - head) + 1;
	for (int i = 0; i < note->nids; i++)
	{
		entry->ids[i] = at;
		at += strlcpy(at, note->ids[i], size - (at - (char *) entry)) + 1;
	}
	entry->state = IMPILO_JOURNAL_POSTING;
	entry->subid = GetCurrentSubTransactionId();
	entry->posted_at = entry->known_at = GetCurrentTimestamp();
	dlist_push_tail(&impilo_journal_entries, &entry->node);
	nrunning++;
	return entry;
}

static GivenKey
given_key(Oid serverid, int64 id)
{
	GivenKey	key = {.id = id,.serverid = serverid};

	return key;
}

/*
 * impilo_journal_created
 *		The request has created the order `id`.
 */
void
impilo_journal_created(ImpiloJournalEntry *entry, int64 id)
{
	GivenKey	key = given_key(entry->note.serverid, id);
	GivenOrder *order;

	entry->id = id;
	entry->state = IMPILO_JOURNAL_CREATED;
	entry->known_at = GetCurrentTimestamp();
	if (given == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(GivenKey),
			.entrysize = sizeof(GivenOrder),
			.hcxt = TopTransactionContext
		};

		given = hash_create("impilo_fdw created orders", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	order = hash_search(given, &key, HASH_ENTER, NULL);
	order->command = entry->note.command;
}

/*
 * impilo_journal_posting_again
 *		A request of unknown outcome is about to go out once more.
 */
void
impilo_journal_posting_again(ImpiloJournalEntry *entry)
{
	entry->state = IMPILO_JOURNAL_POSTING;
}

/*
 * impilo_journal_unknown
 *		The request has ended, and nobody knows whether the order exists.
 *
 * To be called once more after look-ups that have not found it: how long it
 * had time to appear counts from the last call.
 */
void
impilo_journal_unknown(ImpiloJournalEntry *entry)
{
	entry->state = IMPILO_JOURNAL_UNKNOWN;
	entry->known_at = GetCurrentTimestamp();
}

/*
 * impilo_journal_nothing
 *		The request has certainly created nothing; the entry is gone.
 */
void
impilo_journal_nothing(ImpiloJournalEntry *entry)
{
	impilo_journal_drop(entry);
}

/*
 * impilo_journal_may_have_created
 *		May an order exist because of the running transaction?
 */
bool
impilo_journal_may_have_created(void)
{
	return nrunning > 0;
}

/*
 * impilo_journal_given
 *		Is this an order that the running transaction has created?
 */
bool
impilo_journal_given(Oid serverid, int64 id)
{
	GivenKey	key = given_key(serverid, id);

	return given && hash_search(given, &key, HASH_FIND, NULL) != NULL;
}

/*
 * impilo_journal_knows
 *		Is this an order that the session is known to have created?
 *
 * Goes through all entries: not to be asked for every order of a list.
 */
bool
impilo_journal_knows(Oid serverid, int64 id)
{
	dlist_iter	iter;

	dlist_foreach(iter, &impilo_journal_entries)
	{
		const ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry,
														  node, iter.cur);

		if (entry->id == id && entry->note.serverid == serverid &&
			(entry->state == IMPILO_JOURNAL_CREATED ||
			 entry->state == IMPILO_JOURNAL_ROLLED_BACK))
			return true;
	}
	return false;
}

/*
 * impilo_journal_hides
 *		Is this an order that a statement must not see, because it or a later
 *		command of the running transaction has created it?
 *
 * `command` is the command id of the statement's snapshot: as with rows of
 * PostgreSQL's own, what that command or a later one created is not seen.
 */
bool
impilo_journal_hides(Oid serverid, int64 id, CommandId command)
{
	GivenKey	key = given_key(serverid, id);
	const GivenOrder *order;

	if (given == NULL)
		return false;
	order = hash_search(given, &key, HASH_FIND, NULL);
	return order && order->command >= command;
}

/*
 * impilo_journal_hides_any
 *		Is there an order of this server that impilo_journal_hides() hides?
 */
bool
impilo_journal_hides_any(Oid serverid, CommandId command)
{
	HASH_SEQ_STATUS scan;
	const GivenOrder *order;

	if (given == NULL)
		return false;
	hash_seq_init(&scan, given);
	while ((order = hash_seq_search(&scan)) != NULL)
		if (order->key.serverid == serverid && order->command >= command)
		{
			hash_seq_term(&scan);
			return true;
		}
	return false;
}

/*
 * impilo_journal_records
 *		All that was noted in this connection, in order of time: a list of
 *		ImpiloJournalRecord in CurrentMemoryContext.  The notes are the
 *		journal's.
 */
List *
impilo_journal_records(void)
{
	List	   *records = NIL;
	dlist_iter	iter;

	dlist_foreach(iter, &impilo_journal_entries)
	{
		const ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry,
														  node, iter.cur);
		ImpiloJournalRecord *record = palloc(sizeof(*record));

		record->note = &entry->note;
		record->id = entry->id;
		record->known_at = entry->known_at;
		records = lappend(records, record);
	}
	return records;
}

/*
 * impilo_journal_keep
 *		Keep work for the commit of the running transaction.
 *
 * `work` has to live in TopTransactionContext.  It is handed to `poster`
 * before the transaction commits, in the order in which it was kept, unless
 * its subtransaction is rolled back.
 */
void
impilo_journal_keep(void *work, ImpiloJournalPoster poster)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	KeptWork   *one = palloc(sizeof(KeptWork));

	start_journal();
	one->work = work;
	one->poster = poster;
	one->subid = GetCurrentSubTransactionId();
	kept = lappend(kept, one);
	MemoryContextSwitchTo(caller);
}
