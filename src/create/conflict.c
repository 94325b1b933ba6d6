/*-------------------------------------------------------------------------
 *
 * conflict.c
 *	  Rows whose orders exist already: ON CONFLICT DO NOTHING.
 *
 * The list is read once, before the first create request of a statement, and
 * the external ids in it are hashed.  A row whose ids one order has, all of
 * them and for the same recipient, is that order.  A row that has only some ids
 * in common with an order, or the ids of an order for another recipient, is a
 * mistake in the row or in the ids: an error.  Rows that were found new count
 * from then on, so that a repeat within the statement is found too.
 *
 * An order may be created and not listed yet, or listed with its ids in another
 * form.  So what this session has created counts as well, as it was sent and
 * whatever became of its transaction (journal.c); also what functions and
 * triggers of the statement create meanwhile.  A row that matches a request of
 * unknown outcome is an error (IU001) until the list shows the order, or the
 * user calls impilo_forget_created_orders().
 *
 * Two such statements side by side would both find nothing and create
 * everything twice.  So they exclude each other, for one foreign server in
 * one database, by a lock that is held until the transaction ends.  Other
 * databases and other clients of the API cannot be excluded.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/conflict.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "create/create.h"
#include "read/list.h"

/*
 * Sub-object number of the lock on the foreign server.  Columns have positive
 * ones, the server as a whole has 0, and nothing else has any.
 */
#define LOCK_SUBOBJECT 0x1F

/* Between attempts to get the lock without waiting in the lock manager. */
#define LOCK_DELAY_MS 100

/* An order, or a row that will be one, or a request whose order may exist. */
typedef struct KnownOrder
{
	ImpiloIdentity identity;
	int64		row;			/* of a row of this statement, its number */
	bool		unknown;		/* it may exist */
	bool		meanwhile;		/* created since the statement began, not by
								 * it */
} KnownOrder;

/* One external id of a known order. */
typedef struct KnownId
{
	const KnownOrder *order;
	struct KnownId *next;		/* with the same hash */
} KnownId;

/*
 * Each id has two slots: by the id and the recipient, with all its orders,
 * and by the id alone, with one of them.  So the orders that share an id are
 * gone through only where they share the recipient too.
 */
typedef struct IdSlot
{
	uint64		hash;			/* the key */
	int64		count;
	KnownId    *first;
} IdSlot;

typedef struct ImpiloKnownOrders
{
	MemoryContext context;
	MemoryContext working;		/* for one order or row */
	HTAB	   *external_ids;	/* of IdSlot */
	HTAB	   *listed;			/* int64: ids of the orders in the list */
	int64		last_serial;	/* of the journal, as far as it was read */
	bool		began;			/* the list has been read */
	bool		meanwhile;		/* orders were created since, not by it */
} ImpiloKnownOrders;

/*
 * The slot of an external id and of the recipient of `order`; with NULL, the
 * slot of the id alone.
 */
static IdSlot *
find_slot(const ImpiloKnownOrders *known, const char *id,
		  const ImpiloIdentity *order, HASHACTION action, bool *found)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) id,
										   strlen(id),
										   order ? order->recipient + 1 : 0);

	return hash_search(known->external_ids, &hash, action, found);
}

static void
add_to_slot(ImpiloKnownOrders *known, const KnownOrder *order, const char *id,
			bool alone)
{
	bool		found;
	IdSlot	   *slot = find_slot(known, id, alone ? NULL : &order->identity,
								 HASH_ENTER, &found);
	KnownId    *entry;

	if (!found)
	{
		slot->count = 0;
		slot->first = NULL;
	}
	else if (alone && !slot->first->order->unknown)
		return;					/* one is enough */
	entry = palloc(sizeof(KnownId));
	entry->order = order;
	entry->next = alone ? NULL : slot->first;
	slot->first = entry;
	slot->count++;
}

/*
 * Remember an order under its external ids, which are copied.
 */
static void
remember(ImpiloKnownOrders *known, const KnownOrder *template)
{
	MemoryContext caller = MemoryContextSwitchTo(known->context);
	KnownOrder *order = palloc(sizeof(KnownOrder));
	ImpiloIdentity *identity = &order->identity;

	*order = *template;
	identity->ids = palloc(identity->nids * sizeof(char *));
	for (int i = 0; i < identity->nids; i++)
	{
		CHECK_FOR_INTERRUPTS();
		identity->ids[i] = pstrdup(template->identity.ids[i]);
		add_to_slot(known, order, identity->ids[i], false);
		add_to_slot(known, order, identity->ids[i], true);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Remember what this session has created, or may have created, for the same
 * account since the journal was read last.
 */
static void
read_journal(const ImpiloCreator *creator)
{
	ImpiloKnownOrders *known = creator->known;
	const ImpiloConnection *connection = creator->connection;
	int64		last = known->last_serial;
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &impilo_journal)
	{
		const ImpiloJournalEntry *entry = impilo_journal_entry(iter);
		KnownOrder	order = {
			.unknown = entry->state < IMPILO_ORDER_CREATED,
			.meanwhile = known->began
		};

		if (entry->serial <= last)
			break;
		known->last_serial = Max(known->last_serial, entry->serial);

		/* the statement's own rows are known already */
		if (entry->statement == creator && known->began)
			continue;
		if (entry->account != connection->api->account)
		{
			/*
			 * With another key or address of the same mapping or user it can
			 * be another account: it is not known whether the order counts.
			 */
			if (entry->umid != connection->umid &&
				(entry->serverid != connection->serverid ||
				 entry->userid != creator->userid))
				continue;
			if (entry->forgotten || impilo_known_order(creator, entry->id))
				continue;
			order.unknown = true;
		}
		impilo_identify_row(entry->row, &order.identity);
		order.identity.id = entry->id;
		known->meanwhile = known->began;
		remember(known, &order);
	}
}

static void
read_list(ImpiloCreator *creator)
{
	ImpiloKnownOrders *known = creator->known;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(known->context,
												  "impilo_fdw list",
												  ALLOCSET_DEFAULT_SIZES);
	ImpiloList *list = impilo_list_open(creator->connection->api, context,
										creator->fetch_size,
										creator->max_concurrency, true,
										&creator->stats, NULL);
	ImpiloOrder order;
	int64		orders = 0;
	bool		shows_ids = false;

	while (impilo_list_next(list, &order, NULL))
	{
		KnownOrder	found = {0};

		MemoryContextReset(known->working);
		MemoryContextSwitchTo(known->working);
		hash_search(known->listed, &order.id, HASH_ENTER, NULL);
		impilo_identify(&order, &found.identity);
		orders++;
		shows_ids |= found.identity.shows_ids;
		if (found.identity.nids > 0)
			remember(known, &found);
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(context);
	if (orders > 0 && !shows_ids)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
				 errmsg("list of orders of server \"%s\" does not show external ids",
						creator->connection->server_name),
				 errdetail("ON CONFLICT DO NOTHING recognizes orders by their external ids, and none of " INT64_FORMAT " orders has any.",
						   orders),
				 impilo_errcreator(creator)));
}

/*
 * Exclude other statements of this kind until the transaction ends.
 *
 * A transaction that has created orders must not fail with a deadlock, which
 * clients answer by repeating it.  So it does not wait in the lock manager,
 * and gives up after reconcile_timeout.
 */
static void
lock_server(const ImpiloCreator *creator)
{
	const ImpiloConnection *connection = creator->connection;
	LOCKTAG		tag;
	TimestampTz end;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ForeignServerRelationId,
					   connection->serverid, LOCK_SUBOBJECT);
	if (impilo_running_orders == 0)
	{
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
		return;
	}
	end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									  connection->options.reconcile_timeout);
	while (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		if (GetCurrentTimestamp() >= end)
			ereport(ERROR,
					(errcode(IMPILO_ERRCODE_ORDERS_EXIST),
					 errmsg("another statement with ON CONFLICT DO NOTHING is running on server \"%s\"",
							connection->server_name),
					 errdetail("This transaction has created orders, so it waits for option \"reconcile_timeout\" only."),
					 errhint("Do not repeat this transaction. Use impilo_created_orders() to list its orders."),
					 impilo_errcreator(creator)));
		impilo_sleep_until(TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   LOCK_DELAY_MS));
	}
}

/*
 * Exclude other statements of this kind until the transaction ends, and read
 * the list and the journal.  Raises an error if the list cannot be read to
 * its end.
 */
static void
read_known_orders(ImpiloCreator *creator)
{
	MemoryContext context;
	ImpiloKnownOrders *known;

	lock_server(creator);
	context = AllocSetContextCreate(creator->context, "impilo_fdw known orders",
									ALLOCSET_DEFAULT_SIZES);
	known = MemoryContextAllocZero(context, sizeof(ImpiloKnownOrders));
	known->context = context;
	known->working = AllocSetContextCreate(context, "impilo_fdw order identity",
										   ALLOCSET_SMALL_SIZES);
	known->external_ids = impilo_create_hash("impilo_fdw external ids",
											 sizeof(uint64), sizeof(IdSlot),
											 context);
	known->listed = impilo_create_hash("impilo_fdw order ids", sizeof(int64),
									   sizeof(int64), context);
	creator->known = known;
	read_list(creator);
	read_journal(creator);
	known->began = true;
}

/*
 * impilo_known_order
 *		Returns whether an order was in the list that was read before the first
 *		request; false if none was read.
 */
bool
impilo_known_order(const ImpiloCreator *creator, int64 id)
{
	return creator->known &&
		hash_search(creator->known->listed, &id, HASH_FIND, NULL) != NULL;
}

/*
 * Find the order that has all ids of a row, for the same recipient; one that
 * exists rather than one that may exist.  NULL: there is none.
 */
static const KnownOrder *
find_order(const ImpiloKnownOrders *known, const ImpiloIdentity *row,
		   bool meanwhile)
{
	IdSlot	   *rarest = NULL;
	const KnownOrder *unknown = NULL;

	for (int i = 0; i < row->nids; i++)
	{
		IdSlot	   *slot = find_slot(known, row->ids[i], row, HASH_FIND, NULL);

		CHECK_FOR_INTERRUPTS();
		if (slot == NULL)
			return NULL;
		if (rarest == NULL || slot->count < rarest->count)
			rarest = slot;
	}
	for (KnownId *id = rarest ? rarest->first : NULL; id; id = id->next)
	{
		const ImpiloIdentity *order = &id->order->identity;

		CHECK_FOR_INTERRUPTS();
		if (order->recipient != row->recipient ||
			(meanwhile && !id->order->meanwhile) ||
			impilo_common_ids(order, row) < row->nids)
			continue;
		if (!id->order->unknown)
			return id->order;
		unknown = id->order;
	}
	return unknown;
}

/*
 * Raise an error if an order has some of the row's external ids.
 */
static void
refuse_partial_match(const ImpiloCreator *creator, int64 row,
					 const ImpiloIdentity *identity)
{
	for (int i = 0; i < identity->nids; i++)
	{
		const char *id = identity->ids[i];
		IdSlot	   *slot = find_slot(creator->known, id, identity, HASH_FIND,
									 NULL);
		const KnownOrder *order;
		bool		same;

		if (slot == NULL || slot->first->order->unknown)
			slot = find_slot(creator->known, id, NULL, HASH_FIND, NULL);
		if (slot == NULL || slot->first->order->unknown)
			continue;
		order = slot->first->order;
		same = order->identity.recipient == identity->recipient;
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg(same
						? "%s " INT64_FORMAT " has only some of the external ids of row " INT64_FORMAT
						: "%s " INT64_FORMAT " has an external id of row " INT64_FORMAT ", but another recipient",
						order->identity.id ? "order" : "row",
						order->identity.id ? order->identity.id : order->row,
						row),
				 errdetail("Both have the external id \"%s\".",
						   pg_any_to_server(id, strlen(id), PG_UTF8)),
				 same
				 ? errhint("ON CONFLICT DO NOTHING skips a row if one order has all of its external ids.")
				 : errhint("ON CONFLICT DO NOTHING skips a row if an order for the same patient or site has its external ids."),
				 impilo_errcreator(creator)));
	}
}

/*
 * impilo_is_new
 *		Returns whether the order of a row does not exist.  If so, it counts as
 *		existing from now on.
 *
 * The first call reads the list.  `again` says that the row was found new
 * before: then only what functions and triggers of the statement have created
 * since counts.  Raises an error for a row without external ids, if an order
 * has only some of them, or for another recipient, and if this session may
 * have created the order.
 */
bool
impilo_is_new(ImpiloCreator *creator, const ImpiloOrderRequest *row, bool again)
{
	KnownOrder	order = {.row = row->row};
	const KnownOrder *found;
	ImpiloKnownOrders *known;
	MemoryContext caller;

	if (creator->known == NULL)
		read_known_orders(creator);
	known = creator->known;
	MemoryContextReset(known->working);
	caller = MemoryContextSwitchTo(known->working);
	read_journal(creator);
	impilo_identify_row(row, &order.identity);
	MemoryContextSwitchTo(caller);
	if (again && !known->meanwhile)
		return true;
	if (order.identity.nids == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("row " INT64_FORMAT " has no external ids", row->row),
				 errdetail("ON CONFLICT DO NOTHING recognizes orders by their external ids."),
				 errhint("Set external_order_ids to values that identify the order."),
				 impilo_errcreator(creator)));
	found = find_order(known, &order.identity, again);
	if (found && !found->unknown)
		return false;
	if (!again)
		refuse_partial_match(creator, row->row, &order.identity);
	if (found)
		ereport(ERROR,
				(errcode(IMPILO_ERRCODE_OUTCOME_UNKNOWN),
				 errmsg("cannot determine whether the order of row " INT64_FORMAT " already exists",
						row->row),
				 found->identity.id == 0
				 ? errdetail("A previous request of this session for the same external ids has an unknown outcome, and the order is not in the list yet.")
				 : errdetail("This session has created order " INT64_FORMAT " for the same external ids with another API key or address, and the order is not in the list.",
							 found->identity.id),
				 errhint("Repeat the statement when the list shows the order. If you know that the order does not exist, call impilo_forget_created_orders() first."),
				 impilo_errcreator(creator)));
	if (!again)
		remember(known, &order);
	return true;
}
