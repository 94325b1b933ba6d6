/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  What this session created or may have created.
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
 * commit.c calls this module at the end of each transaction and subtransaction.
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
#include "common/hashfn.h"
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

/*
 * An order that this session created: how to find its entry.  Another address
 * of the same server may be another API, which numbers its orders itself.
 */
typedef struct OrderKey
{
	int64		id;
	Oid			serverid;
	uint32		address;
} OrderKey;

typedef struct CreatedOrder
{
	OrderKey	key;
	ImpiloJournalEntry *entry;
} CreatedOrder;

dlist_head	impilo_journal = DLIST_STATIC_INIT(impilo_journal);
bool		impilo_orders_named = false;

static MemoryContext journal_context = NULL;
static HTAB *created = NULL;	/* of CreatedOrder */
static int64 last_serial = 0;
static int	nsettled = 0;

static OrderKey
key_of(const ImpiloJournalEntry *entry)
{
	OrderKey	key = {
		.id = entry->id,.serverid = entry->serverid,.address = entry->address
	};

	return key;
}

static uint32
address_of(const ImpiloConnection *connection)
{
	const char *base_url = connection->api->config.base_url;

	return hash_bytes((const unsigned char *) base_url, strlen(base_url));
}

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
	OrderKey	key = key_of(entry);
	CreatedOrder *order = hash_search(created, &key, HASH_FIND, NULL);

	if (order && order->entry == entry)
		hash_search(created, &key, HASH_REMOVE, NULL);
	dlist_delete(&entry->node);
	if (entry->subid == InvalidSubTransactionId)
		nsettled--;
	else
		impilo_running_orders--;
	pfree(entry->row);
	pfree(entry->relation);
	pfree(entry);
}

/*
 * impilo_journal_abort
 *		The subtransaction `subid` and all within it abort: report what they
 *		leave behind.
 *
 * `whole` says that the transaction aborts: then an error that named all of
 * its orders has reached the client, and is not repeated.  An error that
 * aborts a subtransaction only may have been caught.  Nothing here looks into
 * the catalogs.
 */
void
impilo_journal_abort(SubTransactionId subid, bool whole)
{
	StringInfoData ids;
	int			ncreated = 0;
	int			nunknown = 0;
	bool		reported = whole && impilo_orders_named;
	dlist_node *first = NULL;
	dlist_iter	iter;

	impilo_orders_named = false;
	if (impilo_running_orders == 0)
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
	if (reported || ncreated + nunknown == 0)
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
 * impilo_journal_settle
 *		The transaction has ended: its entries, the last ones, are settled.  Of
 *		the settled ones the oldest are dropped, except those of unknown
 *		outcome.
 */
void
impilo_journal_settle(void)
{
	dlist_iter	iter;
	dlist_mutable_iter oldest;

	dlist_reverse_foreach(iter, &impilo_journal)
	{
		ImpiloJournalEntry *entry = impilo_journal_entry(iter);

		if (entry->subid == InvalidSubTransactionId)
			break;
		entry->subid = InvalidSubTransactionId;
		impilo_running_orders--;
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
	entry->address = address_of(creator->connection);
	entry->umid = creator->connection->umid;
	entry->account = creator->connection->api->account;
	entry->serial = ++last_serial;
	entry->state = IMPILO_ORDER_IN_FLIGHT;
	entry->subid = GetCurrentSubTransactionId();
	entry->posted_at = GetCurrentTimestamp();
	dlist_push_tail(&impilo_journal, &entry->node);
	impilo_running_orders++;
	impilo_orders_named = false;
	return entry;
}

/*
 * impilo_journal_created
 *		The request has created the order `id`.
 */
void
impilo_journal_created(ImpiloJournalEntry *entry, int64 id)
{
	OrderKey	key;
	CreatedOrder *order;

	entry->id = id;
	key = key_of(entry);
	order = hash_search(created, &key, HASH_ENTER, NULL);
	order->entry = entry;
	entry->state = IMPILO_ORDER_CREATED;
}

/*
 * impilo_journal_find
 *		The entry of an order that this session is known to have created, or
 *		NULL.
 */
ImpiloJournalEntry *
impilo_journal_find(const ImpiloConnection *connection, int64 id)
{
	OrderKey	key = {.id = id,.serverid = connection->serverid};
	CreatedOrder *order;

	if (created == NULL)
		return NULL;
	key.address = address_of(connection);
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
impilo_journal_hides(const ImpiloConnection *connection, int64 id,
					 CommandId command)
{
	const ImpiloJournalEntry *entry;

	if (impilo_running_orders == 0)
		return false;
	entry = impilo_journal_find(connection, id);
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
