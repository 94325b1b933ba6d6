/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  What this session created, may have created, or will create at commit.
 *
 * PostgreSQL cannot roll back a shipment.  So each create request is noted
 * before it is sent, and its outcome afterwards.  When a transaction or
 * subtransaction aborts, a WARNING names the orders that it leaves behind,
 * and impilo_created_orders() lists them until the session ends or
 * impilo_forget_created_orders() is called.
 *
 * An entry is settled when its transaction has ended.  Settled entries are
 * bounded in number; the oldest are dropped first.  Those of the running
 * transaction are all kept: they decide which errors may be raised, and which
 * orders a statement must not take for another row's.
 *
 * With post_at 'commit', requests are kept here: dropped with a rolled back
 * subtransaction, posted before the commit.
 *
 * Nothing survives the session.  Use RETURNING to write what has to survive
 * into a table.
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
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "create/create.h"

/*
 * Settled entries kept.  Some hundred bytes each: a few megabytes at most,
 * and more orders than a person would go through by hand.
 */
#define SETTLED_MAX 10000

/* ids that a WARNING names */
#define NAMED_MAX 20

/* An order that this session created: how to find its entry. */
typedef struct OrderKey
{
	int64		id;
	Oid			serverid;
	uint32		unused;			/* 0: no padding in a hash key */
} OrderKey;

typedef struct CreatedOrder
{
	OrderKey	key;
	ImpiloJournalEntry *entry;
} CreatedOrder;

/* A request kept for the commit. */
typedef struct KeptRequest
{
	ImpiloCreator *creator;
	ImpiloOrderRequest *request;
	SubTransactionId subid;
} KeptRequest;

dlist_head	impilo_journal = DLIST_STATIC_INIT(impilo_journal);

static MemoryContext journal_context = NULL;
static HTAB *created = NULL;	/* of CreatedOrder */
static int64 last_serial = 0;
static int	nsettled = 0;
static int	nrunning = 0;		/* entries of the running transaction */
static List *kept = NIL;		/* of KeptRequest, in TopTransactionContext */
static bool commit_started = false; /* what was kept has been posted */

/* ------------------------------------------------------------------------
 * The end of transactions
 * ------------------------------------------------------------------------
 */

/*
 * impilo_journal_drop
 *		Remove an entry, for instance that of a request that certainly created
 *		nothing.
 */
void
impilo_journal_drop(ImpiloJournalEntry *entry)
{
	OrderKey	key = {.id = entry->id,.serverid = entry->serverid};
	CreatedOrder *order = hash_search(created, &key, HASH_FIND, NULL);

	if (order && order->entry == entry)
		hash_search(created, &key, HASH_REMOVE, NULL);
	dlist_delete(&entry->node);
	if (entry->subid == InvalidSubTransactionId)
		nsettled--;
	else
		nrunning--;
	pfree(entry->row);
	pfree(entry->relation);
	pfree(entry);
}

/*
 * The subtransaction `subid` and all within it abort: report what they leave
 * behind.  `whole` says that the transaction aborts: then an error that named
 * all of its orders has reached the client, and is not repeated.  Nothing here
 * looks into the catalogs.
 */
static void
abort_entries(SubTransactionId subid, bool whole)
{
	StringInfoData ids;
	int			ncreated = 0;
	int			nunknown = 0;
	bool		all_named = true;
	dlist_node *first = NULL;
	dlist_iter	iter;

	if (nrunning == 0)
		return;
	initStringInfo(&ids);

	dlist_reverse_foreach(iter, &impilo_journal)
	{
		if (impilo_journal_entry(iter)->subid < subid)
			break;
		first = iter.cur;
	}
	for (; first; first = dlist_has_next(&impilo_journal, first)
		 ? dlist_next_node(&impilo_journal, first) : NULL)
	{
		ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry, node,
													first);

		if (!entry->warned)
			all_named &= entry->named;
		if (entry->state == IMPILO_ORDER_CREATED)
		{
			entry->state = IMPILO_ORDER_ROLLED_BACK;
			if (ncreated < NAMED_MAX)
				appendStringInfo(&ids, "%s" INT64_FORMAT,
								 ncreated > 0 ? ", " : "", entry->id);
			else if (ncreated == NAMED_MAX)
				appendStringInfoString(&ids, " and more");
			ncreated++;
		}
		else if (entry->state != IMPILO_ORDER_ROLLED_BACK && !entry->warned)
		{
			entry->state = IMPILO_ORDER_UNKNOWN;
			nunknown++;
		}
		entry->warned = true;
	}
	if ((whole && all_named) || ncreated + nunknown == 0)
		return;
	ereport(WARNING,
			(ncreated > 0
			 ? errmsg_plural("rollback does not cancel %d order created by this transaction",
							 "rollback does not cancel %d orders created by this transaction",
							 ncreated, ncreated)
			 : errmsg_plural("rollback does not cancel %d order that this transaction may have created",
							 "rollback does not cancel %d orders that this transaction may have created",
							 nunknown, nunknown),
			 ncreated == 0 ? 0
			 : nunknown == 0 ? errdetail("Orders created: %s.", ids.data)
			 : errdetail("Orders created: %s. %d more may have been created.",
						 ids.data, nunknown),
			 errhint("Use impilo_created_orders() to list them.")));
}

/*
 * The transaction has ended: its entries, the last ones, are settled.  Of the
 * settled ones the oldest are dropped, except those of unknown outcome.
 */
static void
settle_entries(void)
{
	dlist_iter	iter;
	dlist_mutable_iter oldest;

	kept = NIL;
	commit_started = false;
	dlist_reverse_foreach(iter, &impilo_journal)
	{
		ImpiloJournalEntry *entry = impilo_journal_entry(iter);

		if (entry->subid == InvalidSubTransactionId)
			break;
		entry->subid = InvalidSubTransactionId;
		nrunning--;
		nsettled++;
	}
	if (nsettled <= SETTLED_MAX)
		return;
	dlist_foreach_modify(oldest, &impilo_journal)
	{
		ImpiloJournalEntry *entry = impilo_journal_entry(oldest);

		if (entry->state != IMPILO_ORDER_UNKNOWN)
			impilo_journal_drop(entry);
		if (nsettled <= SETTLED_MAX)
			break;
	}
}

/*
 * Post what was kept, in the order of the rows.  Interrupts are accepted
 * here, and an error still aborts the transaction.
 */
static void
post_kept(void)
{
	MemoryContext batch;
	MemoryContext caller;
	List	   *todo = kept;
	int			next = 0;

	kept = NIL;
	commit_started = true;
	if (todo == NIL)
		return;
	batch = AllocSetContextCreate(TopTransactionContext,
								  "impilo_fdw batch at commit",
								  ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(batch);
	while (next < list_length(todo))
	{
		ImpiloCreator *creator = ((KeptRequest *) list_nth(todo, next))->creator;
		ImpiloOrderRequest **requests = palloc(creator->batch_size * sizeof(ImpiloOrderRequest *));
		ImpiloOrder *orders = palloc(creator->batch_size * sizeof(ImpiloOrder));
		int			n = 0;

		/* the orders of earlier statements count too */
		creator->created = next;
		while (next < list_length(todo) && n < creator->batch_size)
		{
			const KeptRequest *one = list_nth(todo, next);

			if (one->creator != creator)
				break;
			requests[n++] = one->request;
			next++;
		}
		(void) impilo_create(creator, requests, n, orders);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

/*
 * A prepared transaction may be committed or rolled back by another session,
 * which does not have this journal.
 */
static void
refuse_prepare(void)
{
	if (kept == NIL && nrunning == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 kept != NIL
			 ? errmsg("cannot PREPARE a transaction with orders that wait for its commit")
			 : errmsg("cannot PREPARE a transaction that has created orders"),
			 kept != NIL
			 ? errhint("Set option \"post_at\" to 'statement', or use COMMIT.")
			 : errdetail("A prepared transaction can be rolled back later by another session, which does not know the orders.")));
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
			abort_entries(TopSubTransactionId, true);
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

/*
 * Subtransactions are numbered in order of time, so what was created or kept
 * since the beginning of `mine` has its number or a greater one, and belongs
 * to it or to subtransactions within it.
 */
static void
subtransaction_event(SubXactEvent event, SubTransactionId mine,
					 SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	abort_entries(mine, false);
	while (kept != NIL && ((KeptRequest *) llast(kept))->subid >= mine)
		kept = list_delete_last(kept);
}

/*
 * impilo_journal_init
 *		Register what is called at the end of transactions; called once, from
 *		_PG_init.
 *
 * Not at the first use: that can be after the callbacks of a commit were
 * called, and what is kept then would be lost.
 */
void
impilo_journal_init(void)
{
	RegisterXactCallback(transaction_event, NULL);
	RegisterSubXactCallback(subtransaction_event, NULL);
	impilo_api_may_have_created = impilo_journal_may_have_created;
}

/* ------------------------------------------------------------------------
 * Notes
 * ------------------------------------------------------------------------
 */

/*
 * impilo_journal_posting
 *		Note that a create request is about to be sent.
 *
 * The entry belongs to the journal.  The caller sets its state when the
 * request has ended, or calls impilo_journal_created or impilo_journal_drop;
 * if it never does, because an error ends the statement, the order may exist.
 */
ImpiloJournalEntry *
impilo_journal_posting(const ImpiloCreator *creator,
					   const ImpiloOrderRequest *row)
{
	ImpiloOrderRequest bare = *row;
	ImpiloJournalEntry *entry;
	MemoryContext caller;

	if (journal_context == NULL)
	{
		journal_context = AllocSetContextCreate(TopMemoryContext,
												"impilo_fdw journal",
												ALLOCSET_DEFAULT_SIZES);
		created = impilo_create_hash("impilo_fdw created orders",
									 sizeof(OrderKey), sizeof(CreatedOrder),
									 journal_context);
	}
	caller = MemoryContextSwitchTo(journal_context);
	entry = palloc0(sizeof(ImpiloJournalEntry));
	bare.length = 0;
	entry->row = impilo_copy_request(&bare);
	entry->relation = pstrdup(creator->relation);
	MemoryContextSwitchTo(caller);
	entry->statement = creator;
	entry->command = creator->command;
	entry->userid = creator->userid;
	entry->caller = creator->caller;
	entry->serverid = creator->connection->serverid;
	entry->umid = creator->connection->umid;
	entry->account = creator->connection->api->account;
	entry->serial = ++last_serial;
	entry->state = IMPILO_ORDER_IN_FLIGHT;
	entry->subid = GetCurrentSubTransactionId();
	entry->posted_at = GetCurrentTimestamp();
	dlist_push_tail(&impilo_journal, &entry->node);
	nrunning++;
	return entry;
}

/*
 * impilo_journal_created
 *		The request has created the order `id`.
 */
void
impilo_journal_created(ImpiloJournalEntry *entry, int64 id)
{
	OrderKey	key = {.id = id,.serverid = entry->serverid};
	CreatedOrder *order = hash_search(created, &key, HASH_ENTER, NULL);

	order->entry = entry;
	entry->id = id;
	entry->state = IMPILO_ORDER_CREATED;
}

/*
 * impilo_journal_may_have_created
 *		Returns whether the running transaction may have created orders.
 */
bool
impilo_journal_may_have_created(void)
{
	return nrunning > 0;
}

/*
 * impilo_journal_find
 *		The entry of an order that this session is known to have created, or
 *		NULL.
 */
ImpiloJournalEntry *
impilo_journal_find(Oid serverid, int64 id)
{
	OrderKey	key = {.id = id,.serverid = serverid};
	CreatedOrder *order;

	if (created == NULL)
		return NULL;
	order = hash_search(created, &key, HASH_FIND, NULL);
	return order ? order->entry : NULL;
}

/*
 * impilo_journal_hides
 *		Returns whether a statement must not see this order, because it or a
 *		later command of the running transaction has created it.
 *
 * `command` is the command id of the statement's snapshot, which decides as
 * it does for rows of PostgreSQL's own tables.
 */
bool
impilo_journal_hides(Oid serverid, int64 id, CommandId command)
{
	const ImpiloJournalEntry *entry;

	if (nrunning == 0)
		return false;
	entry = impilo_journal_find(serverid, id);
	return entry && entry->subid != InvalidSubTransactionId &&
		entry->command >= command;
}

/*
 * impilo_journal_hides_any
 *		Returns whether there is an order of this server that
 *		impilo_journal_hides() hides.
 */
bool
impilo_journal_hides_any(Oid serverid, CommandId command)
{
	dlist_iter	iter;

	/* those of the running transaction are the last ones */
	dlist_reverse_foreach(iter, &impilo_journal)
	{
		const ImpiloJournalEntry *entry = impilo_journal_entry(iter);

		if (entry->subid == InvalidSubTransactionId)
			break;
		if (entry->serverid == serverid &&
			entry->state >= IMPILO_ORDER_CREATED &&
			entry->command >= command)
			return true;
	}
	return false;
}

/*
 * impilo_journal_keep
 *		Keep a request for the commit of the running transaction.
 *
 * The creator has to live in TopTransactionContext; the request is copied.
 * Requests are posted in the order in which they were kept, except those
 * whose subtransaction is rolled back.  Raises an error if the commit has
 * already posted them: what came later would be lost.
 */
void
impilo_journal_keep(ImpiloCreator *creator, const ImpiloOrderRequest *request)
{
	MemoryContext caller;
	KeptRequest *one;

	if (commit_started)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot create orders at commit after the commit has started"),
				 errhint("Set option \"post_at\" to 'statement' for inserts that other extensions make while a transaction commits."),
				 impilo_errcreator(creator)));
	caller = MemoryContextSwitchTo(TopTransactionContext);
	one = palloc(sizeof(KeptRequest));
	one->creator = creator;
	one->request = impilo_copy_request(request);
	one->subid = GetCurrentSubTransactionId();
	kept = lappend(kept, one);
	MemoryContextSwitchTo(caller);
	creator->last_row = request->row;
}
