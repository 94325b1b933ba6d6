/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  One read per query: the orders that its scans share.
 *
 * The scans of one executor run that read orders of the same account share
 * what was read: it is faster, and relations made of the same orders fit
 * together.  Functions, SPI and triggers are executor runs of their own.
 *
 * Scans announce themselves when they begin, so at the first row it is known
 * whether anything needs to be kept.  A list that one scan reads once is a
 * stream, of which nothing is kept.  Otherwise orders go into the store of
 * the run: it returns them in the order of the list, and by id, where it also
 * knows which orders do not exist.  A scan by id requests only what is not in
 * the store.
 *
 * A scan of more ids than the list has pages reads the list instead, also if
 * it gets them one after the other, as in a correlated subquery.  The
 * lookahead of a join (fdw/join.c) adds ids before a scan asks for them; ids
 * that were added are in the store, first as pending.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/shared.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "read/list.h"
#include "read/prefetch.h"
#include "read/shared.h"

/* what messages name as the request of an order that came with the list */
#define LIST_REQUEST "GET /order"

/* the place of a document in the store's file, as one number */
#define PLACE_OF(file, offset) ((int64) (file) << 40 | (offset))
#define FILE_OF(place) ((int) ((place) >> 40))
#define OFFSET_OF(place) ((off_t) ((place) & ((INT64CONST(1) << 40) - 1)))

typedef enum StoredState
{
	STORED_IN_MEMORY,
	STORED_IN_FILE,
	STORED_ABSENT,				/* there is no such order */
	STORED_PENDING				/* the lookahead has asked for it */
} StoredState;

typedef struct StoredOrder
{
	int64		id;
	union
	{
		const char *data;		/* STORED_IN_MEMORY */
		int64		place;		/* STORED_IN_FILE */
		ImpiloLookahead *ahead; /* STORED_PENDING */
	}			u;
	uint32		length;
	uint8		state;			/* StoredState */
	bool		listed;			/* it came with the list */
	char		status;			/* of simplehash */
} StoredOrder;

#define SH_PREFIX stored
#define SH_ELEMENT_TYPE StoredOrder
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) \
	hash_bytes((const unsigned char *) &(key), sizeof(int64))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What the scans of one executor run share. */
typedef struct ImpiloShared
{
	struct ImpiloShared *next;
	MemoryContext run;			/* the executor run's; key */
	ImpiloConnection *connection;	/* the account; key */
	int			open;			/* readers and lookaheads that are not closed */
	int			readers;		/* that there ever were */
	int			kinds[IMPILO_READS_COUNT + 1];	/* of these, for each kind */
	bool		again;			/* one of the list may start again */

	/* everything below belongs to this context; NULL: nothing is shared yet */
	MemoryContext context;

	/* the store */
	stored_hash *orders;		/* NULL: nothing is kept yet */
	size_t		used;			/* bytes of documents in memory */
	BufFile    *file;			/* the others, or NULL */
	int			end_file;		/* its end */
	off_t		end_offset;
	ResourceOwner owner;		/* of the file */

	/* the list, if it is kept */
	ImpiloList *list;			/* NULL if not begun, or at its end */
	bool		list_kept;
	bool		list_complete;	/* an id that is not stored does not exist */
	ImpiloNumbers listed;		/* ids in the order of the list */
	ImpiloHttpStats list_stats; /* of its requests */
	int64		list_pages;		/* that it took */

	bool		total_asked;	/* for the number of pages */
	int64		count;			/* of orders; IMPILO_UNKNOWN: not asked */
} ImpiloShared;

typedef struct WantedId
{
	int64		id;
	bool		requested;		/* by the reader's own lookup */
} WantedId;

struct ImpiloReader
{
	ImpiloShared *shared;
	MemoryContext context;		/* of this reader */
	MemoryContext order_context;	/* the order returned last, if copied */
	const ImpiloTableOptions *options;
	bool		again;
	bool		reads_all;
	ImpiloReaderStats stats;

	/* of the list */
	bool		started;
	bool		from_store;		/* else a stream */
	int64		position;		/* in shared->listed */
	bool		started_list;	/* the list's requests count as its own */
	ImpiloList *stream;			/* its own reading of the list */
	MemoryContext stream_context;

	/* by id */
	MemoryContext lookup_context;	/* what is below belongs to it */
	WantedId   *wanted;			/* sorted; NULL: reads the list */
	int			nwanted;
	int64		asked;			/* ids that were not known: if `again`, of all
								 * lookups, else of the last one */
	bool		by_list;		/* found in the list, not looked up */
	int			at;				/* by_list: number of those found */
	ImpiloLookup *lookup;
};

static ImpiloShared *all_shared = NULL;


/* ------------------------------------------------------------------------
 * The store
 * ------------------------------------------------------------------------
 */

/*
 * Returns the context of what is shared, which ends with the last reader.
 */
static MemoryContext
shared_context(ImpiloShared *shared)
{
	if (shared->context == NULL)
		shared->context = AllocSetContextCreate(shared->run,
												"impilo_fdw shared orders",
												ALLOCSET_DEFAULT_SIZES);
	return shared->context;
}

/*
 * Make the store.  Its file will belong to the resource owner of this moment,
 * which is the portal's: a cursor's file outlives a subtransaction.
 */
static void
make_store(ImpiloShared *shared)
{
	if (shared->orders)
		return;
	shared->orders = stored_create(shared_context(shared), 64, NULL);
	shared->owner = CurrentResourceOwner;
}

static StoredOrder *
find_stored(const ImpiloShared *shared, int64 id)
{
	return shared->orders ? stored_lookup(shared->orders, id) : NULL;
}

static void
seek(ImpiloShared *shared, int64 place)
{
	if (BufFileSeek(shared->file, FILE_OF(place), OFFSET_OF(place),
					SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in temporary file: %m")));
}

/*
 * Write a document to the end of the file; returns its place.
 */
static int64
write_document(ImpiloShared *shared, const ImpiloJsonSlice *document)
{
	int64		place;

	if (shared->file == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(shared->context);
		ResourceOwner current = CurrentResourceOwner;

		CurrentResourceOwner = shared->owner;
		shared->file = BufFileCreateTemp(false);
		CurrentResourceOwner = current;
		MemoryContextSwitchTo(caller);
	}
	place = PLACE_OF(shared->end_file, shared->end_offset);
	seek(shared, place);
	BufFileWrite(shared->file, unconstify(char *, document->data),
				 document->length);
	BufFileTell(shared->file, &shared->end_file, &shared->end_offset);
	return place;
}

/*
 * Returns whether the store has the document of an order; `stored` may be NULL.
 */
static bool
has_document(const StoredOrder *stored)
{
	return stored && (stored->state == STORED_IN_MEMORY ||
					  stored->state == STORED_IN_FILE);
}

/*
 * Keep an order, unless the run has read it before: its scans see one version
 * of it.
 */
static void
store_order(ImpiloShared *shared, const ImpiloOrder *order, bool listed)
{
	const ImpiloJsonSlice *document = &order->document;
	StoredOrder new = {.id = order->id,.listed = listed};
	StoredOrder *stored = find_stored(shared, order->id);
	bool		found;

	if (has_document(stored))
		return;
	new.length = document->length;	/* a response is smaller than 4 GB */
	if (shared->used + document->length <= (size_t) work_mem * 1024)
	{
		char	   *copy = MemoryContextAllocHuge(shared->context,
												  document->length);

		memcpy(copy, document->data, document->length);
		new.u.data = copy;
		new.state = STORED_IN_MEMORY;
		shared->used += document->length;
	}
	else
	{
		new.u.place = write_document(shared, document);
		new.state = STORED_IN_FILE;
	}
	stored = stored_insert(shared->orders, order->id, &found);
	new.status = stored->status;
	*stored = new;
}

/*
 * Get a stored order, whose bytes are good until the reader's next one.
 */
static void
get_stored(ImpiloReader *reader, const StoredOrder *stored, ImpiloOrder *order)
{
	MemoryContext caller;

	MemoryContextReset(reader->order_context);
	caller = MemoryContextSwitchTo(reader->order_context);
	order->id = stored->id;
	order->document.length = stored->length;
	order->document.kind = IMPILO_JSON_OBJECT;
	order->document.escaped = false;
	order->document.data = stored->u.data;
	order->request = stored->listed ? LIST_REQUEST
		: psprintf("GET /order/" INT64_FORMAT, stored->id);
	if (stored->state == STORED_IN_FILE)
	{
		char	   *copy = MemoryContextAllocHuge(reader->order_context,
												  stored->length);

		seek(reader->shared, stored->u.place);
		impilo_buffile_read_exact(reader->shared->file, copy, stored->length);
		order->document.data = copy;
	}
	MemoryContextSwitchTo(caller);
}

/* ------------------------------------------------------------------------
 * Readers
 * ------------------------------------------------------------------------
 */

static void
unlink_shared(void *arg)
{
	ImpiloShared **link = &all_shared;

	while (*link && *link != arg)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
}

static ImpiloShared *
find_or_make_shared(ImpiloConnection *connection, MemoryContext run)
{
	ImpiloShared *shared;
	MemoryContextCallback *callback;

	for (shared = all_shared; shared; shared = shared->next)
		if (shared->run == run && shared->connection == connection)
			return shared;

	shared = MemoryContextAllocZero(run, sizeof(ImpiloShared));
	callback = MemoryContextAllocZero(run, sizeof(*callback));
	shared->run = run;
	shared->connection = connection;
	shared->count = IMPILO_UNKNOWN;
	callback->func = unlink_shared;
	callback->arg = shared;
	MemoryContextRegisterResetCallback(run, callback);
	shared->next = all_shared;
	all_shared = shared;
	return shared;
}

/*
 * Announce a reader or a lookahead; impilo_shared_leave() is its end.
 */
static ImpiloShared *
enter(ImpiloConnection *connection, MemoryContext run, ImpiloReaderKind kind)
{
	ImpiloShared *shared = find_or_make_shared(connection, run);

	shared->open++;
	shared->readers++;
	shared->kinds[kind]++;
	return shared;
}

/*
 * impilo_reader_open
 *		Announce a scan; sends nothing.
 *
 * `run` is the memory context of the executor run, and `connection` has to be
 * held by it.  `options` has to live as long as the reader.  `again`: the
 * orders may be read more than once; `reads_all`: the plan does not stop
 * early.
 */
ImpiloReader *
impilo_reader_open(ImpiloConnection *connection, MemoryContext run,
				   const ImpiloTableOptions *options, ImpiloReaderKind kind,
				   bool again, bool reads_all)
{
	ImpiloShared *shared = enter(connection, run, kind);
	MemoryContext context = AllocSetContextCreate(run, "impilo_fdw reader",
												  ALLOCSET_DEFAULT_SIZES);
	ImpiloReader *reader = MemoryContextAllocZero(context, sizeof(*reader));

	reader->shared = shared;
	reader->context = context;
	reader->order_context = AllocSetContextCreate(context, "impilo_fdw order",
												  ALLOCSET_SMALL_SIZES);
	reader->options = options;
	reader->again = again;
	reader->reads_all = reads_all;
	if (kind == IMPILO_READS_LIST)
		shared->again |= again;
	return reader;
}

/*
 * impilo_shared_leave
 *		The regular end of a reader or lookahead.  Free what is shared when the
 *		last one is closed.
 *
 * On error it is not called: memory goes with the executor run's context, and
 * the file with its resource owner.
 */
void
impilo_shared_leave(ImpiloShared *shared)
{
	ImpiloShared cleared = {
		.next = shared->next,
		.run = shared->run,
		.connection = shared->connection,
		.count = IMPILO_UNKNOWN
	};

	if (--shared->open > 0)
		return;
	if (shared->file)
		BufFileClose(shared->file);
	if (shared->context)
		MemoryContextDelete(shared->context);
	*shared = cleared;
}

/*
 * impilo_reader_close
 *		The regular end of a reader.
 */
void
impilo_reader_close(ImpiloReader *reader)
{
	ImpiloShared *shared = reader->shared;

	MemoryContextDelete(reader->context);
	impilo_shared_leave(shared);
}

/* ------------------------------------------------------------------------
 * The list
 * ------------------------------------------------------------------------
 */

static ImpiloList *
open_list(ImpiloReader *reader, MemoryContext context, ImpiloHttpStats *stats,
		  int64 *pages)
{
	return impilo_list_open(reader->shared->connection->api, context,
							reader->options->fetch_size,
							reader->options->max_concurrency,
							reader->reads_all, stats, pages);
}

/*
 * Begin to read the list, into the store of the run or as a stream.
 */
static void
start_list(ImpiloReader *reader)
{
	ImpiloShared *shared = reader->shared;

	reader->started = true;
	if (!shared->list_kept &&
		(shared->again || reader->again ||
		 shared->readers - shared->kinds[IMPILO_READS_COUNT] > 1))
	{
		make_store(shared);
		shared->list = open_list(reader, shared->context, &shared->list_stats,
								 &shared->list_pages);
		shared->list_kept = true;
		reader->started_list = true;
	}
	reader->from_store = shared->list_kept;
	reader->position = 0;
	if (reader->from_store)
		return;
	reader->stream_context = AllocSetContextCreate(reader->context,
												   "impilo_fdw list",
												   ALLOCSET_DEFAULT_SIZES);
	reader->stream = open_list(reader, reader->stream_context,
							   &reader->stats.http, &reader->stats.pages);
}

/*
 * Read the next order of the list into the store; false at the end.
 */
static bool
extend_list(ImpiloShared *shared)
{
	ImpiloOrder order;

	if (shared->list == NULL)
		return false;
	if (!impilo_list_next(shared->list, &order, NULL))
	{
		shared->list = NULL;
		shared->list_complete = true;
		return false;
	}
	store_order(shared, &order, true);
	impilo_numbers_add(&shared->listed, shared->context, order.id);
	return true;
}

/*
 * Read the whole list into the store: it answers all lookups from now on.
 */
static void
store_whole_list(ImpiloReader *reader)
{
	Assert(reader->again);
	reader->reads_all = true;
	start_list(reader);
	while (extend_list(reader->shared))
		CHECK_FOR_INTERRUPTS();
}

static bool
next_of_list(ImpiloReader *reader, ImpiloOrder *order)
{
	ImpiloShared *shared = reader->shared;

	if (!reader->started)
		start_list(reader);
	if (!reader->from_store)
		return impilo_list_next(reader->stream, order, NULL);
	if (reader->position == shared->listed.n && !extend_list(shared))
		return false;

	get_stored(reader,
			   find_stored(shared, shared->listed.values[reader->position++]), order);
	return true;
}

/*
 * impilo_reader_rewind
 *		Read the list from its start again.
 *
 * Of a stream nothing was kept, as the scan did not announce this.  It is
 * read again, and kept this time.
 */
void
impilo_reader_rewind(ImpiloReader *reader)
{
	if (reader->stream)
	{
		MemoryContextDelete(reader->stream_context);
		reader->stream = NULL;
		reader->shared->again = true;
	}
	reader->started = false;
}

/* ------------------------------------------------------------------------
 * By id
 * ------------------------------------------------------------------------
 */

/*
 * Returns whether the store knows that an order exists or does not.
 */
static bool
is_known(const ImpiloShared *shared, int64 id)
{
	return shared->list_complete || find_stored(shared, id) != NULL;
}

static int
compare_wanted(const void *a, const void *b)
{
	int64		x = ((const WantedId *) a)->id;
	int64		y = ((const WantedId *) b)->id;

	return (x > y) - (x < y);
}

static bool
is_wanted(const ImpiloReader *reader, int64 id)
{
	WantedId	key = {.id = id};

	return bsearch(&key, reader->wanted, reader->nwanted, sizeof(WantedId),
				   compare_wanted) != NULL;
}

/*
 * Returns whether it takes fewer requests to read the list than to request
 * `nids` orders.  Asks for the total, once, if it is not known.
 */
static bool
list_is_shorter(ImpiloShared *shared, const ImpiloTableOptions *options,
				int64 nids, ImpiloHttpStats *stats)
{
	ImpiloApi  *api = shared->connection->api;

	if (api->last_total == IMPILO_UNKNOWN && !shared->total_asked)
	{
		shared->total_asked = true;
		(void) impilo_fetch_total(api, false, IMPILO_HTTP_FOREVER, stats);
	}
	return api->last_total != IMPILO_UNKNOWN &&
		nids > (api->last_total + options->fetch_size - 1) / options->fetch_size;
}

/*
 * impilo_reader_lookup
 *		Read these orders from now on; repeated ids count once.
 */
void
impilo_reader_lookup(ImpiloReader *reader, const int64 *ids, int nids)
{
	ImpiloShared *shared = reader->shared;
	MemoryContext caller;
	int			unknown = 0;
	bool		by_list;

	if (reader->lookup_context)
		MemoryContextReset(reader->lookup_context);
	else
		reader->lookup_context = AllocSetContextCreate(reader->context,
													   "impilo_fdw lookup",
													   ALLOCSET_DEFAULT_SIZES);
	if (reader->again || shared->readers > 1)
		make_store(shared);

	caller = MemoryContextSwitchTo(reader->lookup_context);
	reader->wanted = palloc_extended(sizeof(WantedId) * Max(nids, 1),
									 MCXT_ALLOC_HUGE);
	for (int i = 0; i < nids; i++)
		reader->wanted[i].id = ids[i];
	qsort(reader->wanted, nids, sizeof(WantedId), compare_wanted);
	reader->nwanted = qunique(reader->wanted, nids, sizeof(WantedId),
							  compare_wanted);
	for (int i = 0; i < reader->nwanted; i++)
	{
		WantedId   *wanted = &reader->wanted[i];

		wanted->requested = !is_known(shared, wanted->id);
		unknown += wanted->requested;
	}
	reader->at = 0;
	reader->lookup = NULL;
	reader->asked = unknown + (reader->again ? reader->asked : 0);
	by_list = unknown > 0 && reader->asked > reader->options->max_concurrency &&
		list_is_shorter(shared, reader->options, reader->asked,
						&reader->stats.http);
	reader->stats.by_list |= by_list;
	reader->by_list = by_list && !reader->again;
	if (reader->by_list)
		impilo_reader_rewind(reader);
	else if (by_list)
	{
		store_whole_list(reader);
		for (int i = 0; i < reader->nwanted; i++)
			reader->wanted[i].requested = false;
	}
	else if (unknown > 0)
	{
		reader->lookup = impilo_lookup_open(shared->connection->api,
											reader->lookup_context,
											reader->options->max_concurrency,
											&reader->stats.http);
		for (int i = 0; i < reader->nwanted; i++)
			if (reader->wanted[i].requested)
				impilo_prefetch_add(&reader->lookup->queue, reader->wanted[i].id);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * impilo_reader_list
 *		Read the whole list from now on, as the ids are too many to be named.
 */
void
impilo_reader_list(ImpiloReader *reader)
{
	if (reader->lookup_context)
		MemoryContextReset(reader->lookup_context);
	reader->wanted = NULL;
	reader->lookup = NULL;
	reader->stats.by_list = true;
	impilo_reader_rewind(reader);
}

/*
 * Note what a lookup has found out about an id, unless the list has brought
 * the order meanwhile.
 */
static void
store_result(ImpiloShared *shared, ImpiloLookupResult result, int64 id,
			 const ImpiloOrder *order)
{
	const StoredOrder *stored = find_stored(shared, id);
	bool		found;

	if (has_document(stored))
		return;
	if (result == IMPILO_LOOKUP_FOUND)
		store_order(shared, order, false);
	else if (result == IMPILO_LOOKUP_ABSENT)
		stored_insert(shared->orders, id, &found)->state = STORED_ABSENT;
	else
		(void) stored_delete(shared->orders, id);
}

/*
 * Returns a stored order, after the responses of the lookahead up to its id;
 * NULL if it does not exist, or is not known because its lookup has failed.
 */
static const StoredOrder *
find_awaited(ImpiloShared *shared, int64 id)
{
	const StoredOrder *stored = find_stored(shared, id);

	while (stored && stored->state == STORED_PENDING && !shared->list_complete)
	{
		ImpiloLookupResult result;
		ImpiloOrder order;
		int64		answered;

		CHECK_FOR_INTERRUPTS();
		result = impilo_lookup_next(stored->u.ahead->lookup, &id,
									&answered, &order);
		Assert(result != IMPILO_LOOKUP_END);
		store_result(shared, result, answered, &order);
		stored = find_stored(shared, id);
	}
	return has_document(stored) ? stored : NULL;
}

/*
 * Find the next of the wanted ids in the list.  Ends when all were found.
 */
static bool
next_in_list(ImpiloReader *reader, ImpiloOrder *order)
{
	while (reader->at < reader->nwanted)
	{
		CHECK_FOR_INTERRUPTS();
		if (!next_of_list(reader, order))
			break;
		if (is_wanted(reader, order->id))
		{
			reader->at++;
			return true;
		}
	}
	return false;
}

/*
 * Fetch an order whose lookup ahead has failed, or raise the error.
 */
static bool
fetch_failed(ImpiloReader *reader, int64 id, ImpiloOrder *order)
{
	ImpiloShared *shared = reader->shared;
	ImpiloLookupResult result;
	ImpiloLookup *lookup;

	lookup = impilo_lookup_open(shared->connection->api,
								reader->lookup_context, 1,
								&reader->stats.http);
	impilo_prefetch_add(&lookup->queue, id);
	result = impilo_lookup_next(lookup, NULL, &id, order);
	store_result(shared, result, id, order);
	return result == IMPILO_LOOKUP_FOUND;
}

static bool
next_by_id(ImpiloReader *reader, ImpiloOrder *order)
{
	ImpiloShared *shared = reader->shared;

	if (reader->by_list)
		return next_in_list(reader, order);
	while (reader->at < reader->nwanted)
	{
		const WantedId *wanted = &reader->wanted[reader->at++];
		const StoredOrder *stored;

		CHECK_FOR_INTERRUPTS();

		/* another scan may have read the list, or the order, meanwhile */
		if (shared->list_complete && reader->lookup)
		{
			impilo_prefetch_cancel(&reader->lookup->queue);
			reader->lookup = NULL;
		}
		if (wanted->requested && reader->lookup)
		{
			int64		id;
			ImpiloLookupResult result =
			impilo_lookup_next(reader->lookup, NULL, &id, order);

			Assert(id == wanted->id);
			if (!has_document(find_stored(shared, id)))
			{
				if (shared->orders)
					store_result(shared, result, id, order);
				if (result == IMPILO_LOOKUP_FOUND)
					return true;
				continue;
			}
		}
		stored = find_awaited(shared, wanted->id);
		if (stored == NULL && !is_known(shared, wanted->id))
		{
			if (fetch_failed(reader, wanted->id, order))
				return true;
			continue;
		}
		if (stored == NULL)
			continue;
		get_stored(reader, stored, order);
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------
 */

/*
 * impilo_reader_next
 *		The next order; false at the end.
 *
 * The order's bytes are good until this reader reads again, whatever other
 * readers of the run do meanwhile.
 */
bool
impilo_reader_next(ImpiloReader *reader, ImpiloOrder *order)
{
	bool		found = reader->wanted ? next_by_id(reader, order)
	: next_of_list(reader, order);

	if (found)
		reader->stats.orders++;
	return found;
}

/*
 * impilo_reader_count
 *		How many orders there are.
 */
int64
impilo_reader_count(ImpiloReader *reader)
{
	ImpiloShared *shared = reader->shared;

	if (shared->count == IMPILO_UNKNOWN)
		shared->count = impilo_list_count(shared->connection->api,
										  reader->context,
										  reader->options->fetch_size,
										  reader->options->max_concurrency,
										  &reader->stats.http);
	return shared->count;
}

/*
 * impilo_reader_stats
 *		What was read so far.
 */
void
impilo_reader_stats(const ImpiloReader *reader, ImpiloReaderStats *stats)
{
	const ImpiloShared *shared = reader->shared;

	*stats = reader->stats;
	if (reader->started_list)
	{
		const ImpiloHttpStats *list = &shared->list_stats;

		stats->http.requests += list->requests;
		stats->http.retries += list->retries;
		stats->http.bytes += list->bytes;
		INSTR_TIME_ADD(stats->http.waited, list->waited);
		stats->pages += shared->list_pages;
	}
	stats->shared = reader->from_store && shared->kinds[IMPILO_READS_LIST] > 1;
}

/* ------------------------------------------------------------------------
 * Lookahead
 * ------------------------------------------------------------------------
 */

/*
 * impilo_lookahead_open
 *		Announce lookups that will be sent ahead; sends nothing.
 *
 * `stops_early`: the plan may not need them all.  For the other arguments see
 * impilo_reader_open.
 */
ImpiloLookahead *
impilo_lookahead_open(ImpiloConnection *connection, MemoryContext run,
					  const ImpiloTableOptions *options, bool stops_early)
{
	ImpiloShared *shared = enter(connection, run, IMPILO_READS_IDS);
	ImpiloLookahead *ahead = MemoryContextAllocZero(shared_context(shared),
													sizeof(*ahead));

	ahead->shared = shared;
	ahead->options = options;
	ahead->stops_early = stops_early;
	return ahead;
}

static int
unanswered(const ImpiloLookahead *ahead)
{
	const ImpiloPrefetch *queue = ahead->lookup ? &ahead->lookup->queue : NULL;

	return queue ? queue->waiting.n - queue->sent + queue->count : 0;
}

/*
 * impilo_lookahead_has_room
 *		Returns whether one more id may be added.
 *
 * Twice as many as may be in flight are unanswered at most, so that each
 * response makes room for a request that is waiting.
 */
bool
impilo_lookahead_has_room(const ImpiloLookahead *ahead)
{
	int64		window = 2 * (int64) ahead->options->max_concurrency;

	if (ahead->stops_early)
		window = Min(window, ahead->rows + 1);
	return unanswered(ahead) < window;
}

/*
 * Read the list instead of sending lookups.
 */
static void
read_whole_list(ImpiloLookahead *ahead)
{
	ImpiloShared *shared = ahead->shared;
	ImpiloReader *reader = impilo_reader_open(shared->connection, shared->run,
											  ahead->options,
											  IMPILO_READS_LIST, true, true);

	store_whole_list(reader);
	if (reader->started_list)
	{
		ahead->stats.requests += shared->list_stats.requests;
		ahead->stats.retries += shared->list_stats.retries;
	}
	impilo_reader_close(reader);
	ahead->by_list = true;
	if (ahead->lookup)
		impilo_prefetch_cancel(&ahead->lookup->queue);
}

/*
 * impilo_lookahead_push
 *		Add an id, for which a scan of this executor run will ask.
 *
 * If more distinct ids were added than the list has pages, reads the list.
 */
void
impilo_lookahead_push(ImpiloLookahead *ahead, int64 id)
{
	ImpiloShared *shared = ahead->shared;
	StoredOrder *stored;
	bool		found;

	make_store(shared);
	if (shared->list_complete || find_stored(shared, id))
		return;
	ahead->keys++;
	if (ahead->keys > 2 * (int64) ahead->options->max_concurrency &&
		list_is_shorter(shared, ahead->options, ahead->keys, &ahead->stats))
	{
		read_whole_list(ahead);
		return;
	}
	if (ahead->lookup == NULL)
		ahead->lookup = impilo_lookup_open(shared->connection->api,
										   shared->context,
										   ahead->options->max_concurrency,
										   &ahead->stats);
	stored = stored_insert(shared->orders, id, &found);
	stored->state = STORED_PENDING;
	stored->u.ahead = ahead;
	impilo_prefetch_add(&ahead->lookup->queue, id);
	impilo_prefetch_fill(&ahead->lookup->queue);
	ahead->largest_window = Max(ahead->largest_window, unanswered(ahead));
}
