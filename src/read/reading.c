/*-------------------------------------------------------------------------
 *
 * reading.c
 *	  One executor run, one read: who shares what was read.
 *
 * The scans of one executor run that read orders of the same account share
 * one reading of the list, and one request for an id: it is faster, and two
 * relations made of the same orders fit together.  Functions, SPI and
 * triggers are executor runs of their own.
 *
 * A list that one scan reads once is a stream: nothing is kept of it.  A
 * list that several scans read, or one scan perhaps again, goes into a spool
 * (snapshot.c) while it is read.  Scans announce themselves when they are
 * begun, so at the first row it is known which it is.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/reading.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/qunique.h"
#include "utils/memutils.h"

#include "read/list.h"
#include "read/prefetch.h"
#include "read/reading.h"
#include "read/snapshot.h"

/* What the scans of one executor run share. */
typedef struct Reading
{
	struct Reading *next;
	MemoryContext run;			/* the executor run's; key */
	MemoryContext context;		/* of what is shared; NULL: nothing is */
	ImpiloConnection *connection;	/* the account; key */
	int			open;			/* readers that are not closed */
	int			readers;		/* readers that there ever were */
	int			list_readers;	/* of these, those of the list */
	bool		again;			/* one of them may start again */

	bool		started;		/* the first list reader has begun */
	ImpiloList *list;			/* spooled; NULL when it is at its end */
	ImpiloHttpStats list_stats; /* of its requests */
	ImpiloSpool *spool;			/* NULL: the list is a stream */
	int64		list_pages;		/* that it took */
	ImpiloOrderCache *cache;	/* NULL: not needed yet */
	bool		counted;
	int64		count;			/* of orders, if counted */
} Reading;

struct ImpiloReader
{
	Reading    *reading;
	MemoryContext context;		/* of this reader */
	const ImpiloTableOptions *options;
	bool		again;
	bool		reads_all;
	ImpiloReaderStats stats;

	/* of the list */
	ImpiloSpoolReader *spooled; /* NULL: not in the spool */
	bool		started_spool;	/* the list's requests count as its own */
	ImpiloList *stream;			/* its own reading of the list */
	MemoryContext stream_context;

	/* by id */
	ImpiloLookup *lookup;
	MemoryContext lookup_context;	/* what is below belongs to it */
	MemoryContext order_context;	/* the order found in the cache last */
	int64	   *cached;			/* ids that the cache knows */
	int			ncached;
	int			cached_at;
	int64	   *missing;		/* ids to ask for */
	int			nmissing;
	int			missing_at;
};

static Reading *readings = NULL;


/* ------------------------------------------------------------------------
 * Coming and going
 * ------------------------------------------------------------------------
 */

static void
unlink_reading(void *arg)
{
	Reading   **link = &readings;

	while (*link && *link != arg)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
}

static Reading *
find_or_make_reading(ImpiloConnection *connection, MemoryContext run)
{
	Reading    *reading;
	MemoryContextCallback *callback;

	for (reading = readings; reading; reading = reading->next)
		if (reading->run == run && reading->connection == connection)
			return reading;

	reading = MemoryContextAllocZero(run, sizeof(Reading));
	callback = MemoryContextAllocZero(run, sizeof(*callback));
	reading->run = run;
	reading->connection = connection;
	callback->func = unlink_reading;
	callback->arg = reading;
	MemoryContextRegisterResetCallback(run, callback);
	reading->next = readings;
	readings = reading;
	return reading;
}

/*
 * impilo_reader_open
 *		Announce a scan; sends nothing.
 *
 * `run` is the memory context of the executor run, and `session` has to be
 * held by it.  `options` has to live as long as the reader.  `list`: it will
 * read the list; `again`: it may be read more than once; `reads_all`: the plan
 * does not stop early.
 */
ImpiloReader *
impilo_reader_open(ImpiloConnection *connection, MemoryContext run,
				   const ImpiloTableOptions *options, bool list, bool again,
				   bool reads_all)
{
	Reading    *reading = find_or_make_reading(connection, run);
	MemoryContext context = AllocSetContextCreate(run, "impilo_fdw reader",
												  ALLOCSET_DEFAULT_SIZES);
	ImpiloReader *reader = MemoryContextAllocZero(context, sizeof(*reader));

	reader->reading = reading;
	reader->context = context;
	reader->options = options;
	reader->again = again;
	reader->reads_all = reads_all;
	reading->open++;
	reading->readers++;
	if (list)
	{
		reading->list_readers++;
		reading->again |= again;
	}
	return reader;
}

/*
 * Where the things that readers share live.
 */
static MemoryContext
shared_context(Reading *reading)
{
	if (reading->context == NULL)
		reading->context = AllocSetContextCreate(reading->run,
												 "impilo_fdw reading",
												 ALLOCSET_DEFAULT_SIZES);
	return reading->context;
}

/*
 * impilo_reader_close
 *		The regular end of a reader.
 *
 * On error it is not called: memory goes with the executor run's context, and
 * temporary files with the resource owner that they were made under.  That is
 * the portal's, also where a cursor is fetched from inside a subtransaction,
 * so the spool of a cursor outlives a subtransaction that was rolled back.
 */
void
impilo_reader_close(ImpiloReader *reader)
{
	Reading    *reading = reader->reading;

	MemoryContextDelete(reader->context);
	if (--reading->open > 0)
		return;
	if (reading->spool)
		impilo_spool_end(reading->spool);
	if (reading->cache)
		impilo_order_cache_end(reading->cache);
	if (reading->context)
		MemoryContextDelete(reading->context);
	reading->context = NULL;
	reading->list = NULL;
	reading->spool = NULL;
	reading->cache = NULL;
	reading->readers = reading->list_readers = 0;
	reading->started = reading->again = reading->counted = false;
}

/* ------------------------------------------------------------------------
 * The list
 * ------------------------------------------------------------------------
 */

static ImpiloList *
open_list(ImpiloReader *reader, MemoryContext context, ImpiloHttpStats *stats)
{
	return impilo_list_open(reader->reading->connection->api, context,
							reader->options->fetch_size,
							reader->options->max_concurrency,
							reader->reads_all, stats);
}

/*
 * Begin to read the list, in the spool of the run or as a stream.
 */
static void
start_list(ImpiloReader *reader)
{
	Reading    *reading = reader->reading;

	if (!reading->started && (reading->list_readers > 1 || reading->again))
	{
		MemoryContext context = shared_context(reading);

		memset(&reading->list_stats, 0, sizeof(reading->list_stats));
		reading->list_pages = 0;
		reading->list = open_list(reader, context, &reading->list_stats);
		reading->spool = impilo_spool_begin(context);
		reader->started_spool = true;
	}
	reading->started = true;
	if (reading->spool)
	{
		reader->spooled = impilo_spool_reader(reading->spool);
		return;
	}
	reader->stream_context = AllocSetContextCreate(reader->context,
												   "impilo_fdw list",
												   ALLOCSET_DEFAULT_SIZES);
	reader->stream = open_list(reader, reader->stream_context,
							   &reader->stats.http);
}

static bool
read_list(ImpiloList *list, int64 *total_pages, ImpiloOrder *order)
{
	int64		pages = impilo_list_pages(list);
	bool		found = impilo_list_next(list, order, NULL);

	*total_pages += impilo_list_pages(list) - pages;
	return found;
}

static bool
next_of_list(ImpiloReader *reader, ImpiloOrder *order)
{
	Reading    *reading = reader->reading;

	if (reader->spooled == NULL && reader->stream == NULL)
		start_list(reader);
	if (reader->spooled == NULL)
		return read_list(reader->stream, &reader->stats.pages, order);

	if (impilo_spool_read(reader->spooled, order))
		return true;
	if (reading->list == NULL)
		return false;
	if (read_list(reading->list, &reading->list_pages, order))
	{
		impilo_spool_append(reader->spooled, order);
		return true;
	}
	reading->list = NULL;
	return false;
}

/*
 * impilo_reader_rewind
 *		Read the list from its start again.
 *
 * Of a stream nothing was kept: nobody had told that it may be read again.
 * It is read anew, and kept this time.
 */
void
impilo_reader_rewind(ImpiloReader *reader)
{
	if (reader->spooled)
		impilo_spool_rewind(reader->spooled);
	else if (reader->stream)
	{
		MemoryContextDelete(reader->stream_context);
		reader->stream = NULL;
		reader->reading->again = true;
		reader->reading->started = reader->reading->spool != NULL;
	}
}

/* ------------------------------------------------------------------------
 * By id
 * ------------------------------------------------------------------------
 */

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/*
 * impilo_reader_lookup
 *		Read these orders from now on; repeated ids count once.
 */
void
impilo_reader_lookup(ImpiloReader *reader, const int64 *ids, int nids)
{
	Reading    *reading = reader->reading;
	MemoryContext caller;
	int64	   *distinct;

	if (reader->lookup_context)
		MemoryContextReset(reader->lookup_context);
	else
	{
		reader->lookup_context = AllocSetContextCreate(reader->context,
													   "impilo_fdw look-up",
													   ALLOCSET_DEFAULT_SIZES);
		reader->order_context = AllocSetContextCreate(reader->context,
													  "impilo_fdw cached order",
													  ALLOCSET_SMALL_SIZES);
	}
	if (reading->cache == NULL && (reader->again || reading->readers > 1))
		reading->cache = impilo_order_cache_begin(shared_context(reading));

	caller = MemoryContextSwitchTo(reader->lookup_context);
	distinct = palloc(sizeof(int64) * (nids + 1));
	if (nids > 0)
		memcpy(distinct, ids, sizeof(int64) * nids);
	qsort(distinct, nids, sizeof(int64), compare_ids);
	nids = qunique(distinct, nids, sizeof(int64), compare_ids);

	reader->cached = palloc(sizeof(int64) * (nids + 1));
	reader->missing = palloc(sizeof(int64) * (nids + 1));
	reader->ncached = reader->nmissing = 0;
	reader->cached_at = reader->missing_at = 0;
	for (int i = 0; i < nids; i++)
	{
		if (reading->cache &&
			impilo_order_cache_knows(reading->cache, distinct[i]))
			reader->cached[reader->ncached++] = distinct[i];
		else
			reader->missing[reader->nmissing++] = distinct[i];
	}
	reader->lookup = impilo_lookup_open(reading->connection->api,
										reader->lookup_context,
										reader->missing, reader->nmissing,
										reader->options->max_concurrency,
										&reader->stats.http);
	MemoryContextSwitchTo(caller);
}

/*
 * Note what the look-up has told: the orders asked for before this one do not
 * exist.  NULL: it is through.
 */
static void
remember(ImpiloReader *reader, const ImpiloOrder *order)
{
	ImpiloOrderCache *cache = reader->reading->cache;

	while (reader->missing_at < reader->nmissing)
	{
		int64		id = reader->missing[reader->missing_at++];
		bool		is_order = order && order->id == id;

		if (cache)
			impilo_order_cache_add(cache, id, is_order ? order : NULL);
		if (is_order)
			break;
	}
}

static bool
next_by_id(ImpiloReader *reader, ImpiloOrder *order)
{
	while (reader->cached_at < reader->ncached)
	{
		int64		id = reader->cached[reader->cached_at++];
		MemoryContext caller;
		bool		found;

		MemoryContextReset(reader->order_context);
		caller = MemoryContextSwitchTo(reader->order_context);
		found = impilo_order_cache_find(reader->reading->cache, id, order);
		MemoryContextSwitchTo(caller);
		if (found)
			return true;
	}
	if (impilo_lookup_next(reader->lookup, order))
	{
		remember(reader, order);
		return true;
	}
	remember(reader, NULL);
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
 * The order's bytes are good until this reader reads again, whatever others
 * of the run read meanwhile: rows of several tables are made of it one by one.
 */
bool
impilo_reader_next(ImpiloReader *reader, ImpiloOrder *order)
{
	bool		found = reader->lookup ? next_by_id(reader, order)
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
	Reading    *reading = reader->reading;

	if (!reading->counted)
		reading->count = impilo_list_count(reading->connection->api,
										   reader->context,
										   reader->options->fetch_size,
										   reader->options->max_concurrency,
										   &reader->stats.http);
	reading->counted = true;
	return reading->count;
}

/*
 * impilo_reader_stats
 *		What was read so far.
 */
void
impilo_reader_stats(const ImpiloReader *reader, ImpiloReaderStats *stats)
{
	*stats = reader->stats;
	if (reader->started_spool)
	{
		const ImpiloHttpStats *list = &reader->reading->list_stats;

		stats->http.requests += list->requests;
		stats->http.retries += list->retries;
		stats->http.bytes += list->bytes;
		INSTR_TIME_ADD(stats->http.waited, list->waited);
		stats->pages += reader->reading->list_pages;
	}
	stats->shared = reader->spooled && reader->reading->list_readers > 1;
}
