/*-------------------------------------------------------------------------
 *
 * conflict.c
 *	  Which rows are orders already: ON CONFLICT DO NOTHING.
 *
 * The list is read once, before the first create request of a statement, and
 * the external ids in it are hashed.  A row whose ids one order has, all of
 * them, is that order; a row of which an order has only some, or which is for
 * somebody else, is a mistake in the row or in the ids and not guessed at.
 * Rows that were found new count from then on, so that a repeat within the
 * statement is found, too.
 *
 * An order may be created and not listed yet.  What this session has created
 * for the same account counts all the same, whatever became of its
 * transaction (journal.c).  For a request of unknown outcome the list is no
 * proof until option reconcile_timeout has passed since the last look-up, nor for
 * an order that was created before the key or the address was changed, which
 * may be one of another account: a row that would repeat one of these is an
 * error until then.
 *
 * Two such statements running side by side would both find nothing and create
 * everything twice.  So they exclude each other, for one foreign server in
 * one database, by a lock that is held until the transaction ends.  Other
 * databases and other clients of the API can not be excluded.
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
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "create/conflict.h"
#include "create/match.h"
#include "read/list.h"

/*
 * Sub-object number of the lock on the foreign server.  Columns have positive
 * ones, the server as a whole has 0, and nothing else has any.
 */
#define LOCK_SUBOBJECT 0x1F

/* An order, or a row that will be one, or one that may be. */
typedef struct KnownOrder
{
	ImpiloIdentity identity;	/* id 0: a row of this statement */
	int64		row;			/* of such a row, its number */
	const ImpiloJournalRecord *doubt;	/* not NULL: it may exist */
} KnownOrder;

/* One external id of a known order. */
typedef struct KnownId
{
	const KnownOrder *order;
	struct KnownId *next;		/* with the same hash */
} KnownId;

typedef struct IdSlot
{
	uint64		hash;			/* of the external id; the key */
	KnownId    *first;
} IdSlot;

struct ImpiloExisting
{
	MemoryContext context;
	HTAB	   *external_ids;	/* of IdSlot */
	HTAB	   *ids;			/* int64: orders that the list held */
	const ImpiloCreateTarget *target;
};

static HTAB *
make_table(const char *name, Size keysize, Size entrysize,
		   MemoryContext context)
{
	HASHCTL		control = {
		.keysize = keysize,
		.entrysize = entrysize,
		.hcxt = context
	};

	return hash_create(name, 1024, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static uint64
hash_id(const char *id)
{
	return DatumGetUInt64(hash_any_extended((const unsigned char *) id,
											strlen(id), 0));
}

/*
 * Remember an order under its external ids.  The identity's ids are copied.
 */
static void
remember(ImpiloExisting *existing, const ImpiloIdentity *identity, int64 row,
		 const ImpiloJournalRecord *doubt)
{
	MemoryContext caller = MemoryContextSwitchTo(existing->context);
	KnownOrder *order = palloc(sizeof(KnownOrder));

	order->identity = *identity;
	order->row = row;
	order->doubt = doubt;
	order->identity.ids = palloc(identity->nids * sizeof(char *));
	for (int i = 0; i < identity->nids; i++)
	{
		uint64		hash = hash_id(identity->ids[i]);
		KnownId    *known = palloc(sizeof(KnownId));
		IdSlot	   *slot;
		bool		found;

		order->identity.ids[i] = pstrdup(identity->ids[i]);
		slot = hash_search(existing->external_ids, &hash, HASH_ENTER, &found);
		known->order = order;
		known->next = found ? slot->first : NULL;
		slot->first = known;
	}
	MemoryContextSwitchTo(caller);
}

static void
read_list(ImpiloExisting *existing, const ImpiloCreateTarget *target,
		  MemoryContext working, ImpiloHttpStats *stats)
{
	MemoryContext order_context;
	ImpiloList *list;
	ImpiloOrder order;

	order_context = AllocSetContextCreate(working, "impilo_fdw order identity",
										  ALLOCSET_SMALL_SIZES);
	list = impilo_list_open(target->connection->api, working, target->fetch_size,
							target->max_concurrency, true, stats);
	while (impilo_list_next(list, &order, NULL))
	{
		MemoryContext caller = MemoryContextSwitchTo(order_context);
		ImpiloIdentity identity;

		MemoryContextReset(order_context);
		hash_search(existing->ids, &order.id, HASH_ENTER, NULL);
		impilo_identify(&order, &identity);
		if (identity.nids > 0)
			remember(existing, &identity, 0, NULL);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Remember what this session has created and the list does not show, and
 * what it may have created of late.
 */
static void
read_journal(ImpiloExisting *existing)
{
	const ImpiloConnection *connection = existing->target->connection;
	uint64		account = impilo_api_account(connection->api);
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, impilo_journal_records())
	{
		const ImpiloJournalRecord *record = lfirst(lc);
		const ImpiloJournalNote *note = record->note;
		bool		same = note->account == account;
		bool		exists = same && record->id != 0;
		ImpiloIdentity identity = {
			.id = record->id,
			.to_site = note->to_site,
			.recipient = note->recipient,
			.nids = note->nids,
			.ids = note->ids
		};

		/* an account of its own: neither the mapping's nor the user's */
		if (!same && note->umid != connection->umid &&
			(note->serverid != connection->serverid ||
			 note->userid != existing->target->userid))
			continue;
		if (record->id != 0 && impilo_existing_has(existing, record->id))
			continue;
		if (!exists && TimestampDifferenceExceeds(record->known_at, now,
												  connection->options.reconcile_timeout))
			continue;
		remember(existing, &identity, 0, exists ? NULL : record);
	}
}

/*
 * impilo_existing_read
 *		Lock out other statements of this kind, and read the list.
 *
 * The result lives in `context`; the lock is held until the transaction ends.
 * Raises an error if the list can not be read to its end.
 */
ImpiloExisting *
impilo_existing_read(const ImpiloCreateTarget *target, MemoryContext context,
					 ImpiloHttpStats *stats)
{
	MemoryContext caller;
	MemoryContext working;
	ImpiloExisting *existing;
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ForeignServerRelationId,
					   target->connection->serverid, LOCK_SUBOBJECT);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);

	context = AllocSetContextCreate(context, "impilo_fdw existing orders",
									ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	existing = palloc(sizeof(ImpiloExisting));
	existing->context = context;
	existing->target = target;
	existing->external_ids = make_table("impilo_fdw external ids",
										sizeof(uint64), sizeof(IdSlot),
										context);
	existing->ids = make_table("impilo_fdw order ids", sizeof(int64),
							   sizeof(int64), context);
	working = AllocSetContextCreate(context, "impilo_fdw list",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(working);
	read_list(existing, target, working, stats);
	MemoryContextSwitchTo(context);
	MemoryContextDelete(working);
	read_journal(existing);
	MemoryContextSwitchTo(caller);
	return existing;
}

/*
 * impilo_existing_has
 *		Was an order with this id in the list?
 */
bool
impilo_existing_has(const ImpiloExisting *existing, int64 id)
{
	return hash_search(existing->ids, &id, HASH_FIND, NULL) != NULL;
}

static void
raise_half_match(const KnownOrder *order, const ImpiloOrderRequest *draft,
				 const char *id)
{
	const char *shown = pg_any_to_server(id, strlen(id), PG_UTF8);
	char	   *what = order->identity.id
	? psprintf("order " INT64_FORMAT, order->identity.id)
	: psprintf("row " INT64_FORMAT, order->row);

	if (impilo_same_recipient(&order->identity, draft))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("row " INT64_FORMAT " has external ids of which %s has only some",
						draft->row, what),
				 errdetail("Both have the external id \"%s\".", shown),
				 errhint("ON CONFLICT DO NOTHING skips rows whose external ids one order has, all of them.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("row " INT64_FORMAT " has an external id that %s has for another recipient",
					draft->row, what),
			 errdetail("Both have the external id \"%s\".", shown),
			 errhint("ON CONFLICT DO NOTHING skips rows that are orders already, for the same patient or site.")));
}

/*
 * A row that may be an order already, which the list does not show yet.
 */
static void
raise_in_doubt(const ImpiloExisting *existing, const ImpiloOrderRequest *draft,
			   const ImpiloJournalRecord *doubt)
{
	const ImpiloConnection *connection = existing->target->connection;
	long		age = TimestampDifferenceMilliseconds(doubt->known_at,
													  GetCurrentTimestamp());
	long		left = Max(connection->options.reconcile_timeout - age, 0);

	ereport(ERROR,
			(errcode(IMPILO_ERRCODE_OUTCOME_UNKNOWN),
			 errmsg("it is not known whether row " INT64_FORMAT " is an order already",
					draft->row),
			 doubt->id == 0
			 ? errdetail("This session has sent a request for it whose outcome is unknown, and the list does not show its order yet.")
			 : errdetail("This session has created order " INT64_FORMAT " for it, with another API key or address of server \"%s\", and the list does not show it.",
						 doubt->id, connection->server_name),
			 errhint("Run the statement again in %ld s: if the list does not show the order by then, it is created. Option reconcile_timeout of server \"%s\" sets the time.",
					 left / 1000 + 1, connection->server_name)));
}

/*
 * Go through the known orders that have one of the draft's external ids.
 * Returns true if one of them is the draft's order; else false and, in
 * `*half`, one that has an id of it, with that id, and in `*doubt`, one that
 * would be the draft's order if it existed.
 */
static bool
find_order(const ImpiloExisting *existing, const ImpiloOrderRequest *draft,
		   const KnownOrder **half, const char **half_id,
		   const KnownOrder **doubt)
{
	*half = *doubt = NULL;
	for (int i = 0; i < draft->nids; i++)
	{
		uint64		hash = hash_id(draft->ids[i]);
		IdSlot	   *slot = hash_search(existing->external_ids, &hash,
									   HASH_FIND, NULL);

		for (KnownId *known = slot ? slot->first : NULL; known;
			 known = known->next)
		{
			const ImpiloIdentity *identity = &known->order->identity;
			int			common = impilo_common_ids(identity, draft);

			if (common == 0)
				continue;		/* another id of the same hash */
			if ((common == draft->nids || common < 0) &&
				impilo_same_recipient(identity, draft))
			{
				if (known->order->doubt == NULL)
					return true;
				*doubt = known->order;
			}
			if (known->order->doubt)
				continue;
			*half = known->order;
			*half_id = draft->ids[i];
		}
	}
	return false;
}

/*
 * Has a row an external id that tells it from others?  An empty one is what a
 * file has where it has none.
 */
static bool
is_named(const ImpiloOrderRequest *draft)
{
	for (int i = 0; i < draft->nids; i++)
	{
		if (draft->ids[i][0] != '\0')
			return true;
	}
	return false;
}

/*
 * impilo_existing_add
 *		Is this row new?  If so, it counts as existing from now on.
 *
 * Returns false if there is an order, or was a row, with all of its external
 * ids for the same recipient.  Raises an error for a row without external
 * ids, if there is something with only some of them, or for another
 * recipient, and if the session may have created it of late.
 */
bool
impilo_existing_add(ImpiloExisting *existing, const ImpiloOrderRequest *draft)
{
	ImpiloIdentity identity = {
		.to_site = draft->to_site,
		.recipient = draft->recipient,
		.nids = draft->nids,
		.ids = draft->ids
	};
	const KnownOrder *half;
	const char *half_id;
	const KnownOrder *doubt;

	if (!is_named(draft))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("row " INT64_FORMAT " has no external ids",
						draft->row),
				 errdetail("ON CONFLICT DO NOTHING recognises orders by their external ids.")));
	if (find_order(existing, draft, &half, &half_id, &doubt))
		return false;
	if (half)
		raise_half_match(half, draft, half_id);
	if (doubt)
		raise_in_doubt(existing, draft, doubt->doubt);
	remember(existing, &identity, draft->row, NULL);
	return true;
}
