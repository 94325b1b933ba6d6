/*-------------------------------------------------------------------------
 *
 * snapshot.c
 *	  What one executor run has read: kept, spilled, found again.
 *
 * Two stores of orders as bytes, both within work_mem and beyond it in
 * temporary files of PostgreSQL's: a spool, which several readers go through
 * from its start, each at its own pace; and a cache, which finds an order by
 * its id, or that there is none.
 *
 * Where the orders come from, and who shares a store, is not decided here
 * (reading.c).  On error nothing has to be done: memory goes with its
 * context, files with the resource owner.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/snapshot.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "read/snapshot.h"

/* what messages name as the request of an order that was read before */
#define LIST_REQUEST "GET /order"

/* ------------------------------------------------------------------------
 * The spool
 * ------------------------------------------------------------------------
 */

struct ImpiloSpool
{
	MemoryContext context;
	TupleDesc	descriptor;		/* id, document */
	Tuplestorestate *store;
	bytea	   *copy;			/* of a document, on its way in */
	Size		copy_size;
	int			readers;
};

struct ImpiloSpoolReader
{
	ImpiloSpool *spool;
	int			pointer;		/* the tuplestore's name for the place */
	TupleTableSlot *slot;		/* the order read last, a copy */
};

/*
 * impilo_spool_begin
 *		An empty spool in `context`; impilo_spool_end closes its file.
 */
ImpiloSpool *
impilo_spool_begin(MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloSpool *spool = palloc0(sizeof(ImpiloSpool));

	spool->context = context;
	spool->descriptor = CreateTemplateTupleDesc(2);
	TupleDescInitEntry(spool->descriptor, 1, "id", INT8OID, -1, 0);
	TupleDescInitEntry(spool->descriptor, 2, "document", BYTEAOID, -1, 0);
	spool->store = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_set_eflags(spool->store, EXEC_FLAG_REWIND);
	MemoryContextSwitchTo(caller);
	return spool;
}

/*
 * impilo_spool_reader
 *		A new reader, at the start, whatever is in the spool already.
 */
ImpiloSpoolReader *
impilo_spool_reader(ImpiloSpool *spool)
{
	MemoryContext caller = MemoryContextSwitchTo(spool->context);
	ImpiloSpoolReader *reader = palloc0(sizeof(ImpiloSpoolReader));

	reader->spool = spool;
	reader->slot = MakeSingleTupleTableSlot(spool->descriptor,
											&TTSOpsMinimalTuple);
	if (spool->readers++ > 0)
		reader->pointer = tuplestore_alloc_read_pointer(spool->store,
														EXEC_FLAG_REWIND);
	impilo_spool_rewind(reader);
	MemoryContextSwitchTo(caller);
	return reader;
}

/*
 * The order in a reader's slot.
 */
static void
show_order(const ImpiloSpoolReader *reader, ImpiloOrder *order)
{
	bytea	   *document;
	bool		isnull;

	order->id = DatumGetInt64(slot_getattr(reader->slot, 1, &isnull));
	document = DatumGetByteaPP(slot_getattr(reader->slot, 2, &isnull));
	order->document.data = VARDATA_ANY(document);
	order->document.length = VARSIZE_ANY_EXHDR(document);
	order->document.kind = IMPILO_JSON_OBJECT;
	order->document.escaped = false;
	order->request = LIST_REQUEST;
}

/*
 * impilo_spool_read
 *		The reader's next order; false if it has seen all that there are now.
 *
 * The order's bytes are good until this reader reads again, whatever others
 * do meanwhile.
 */
bool
impilo_spool_read(ImpiloSpoolReader *reader, ImpiloOrder *order)
{
	Tuplestorestate *store = reader->spool->store;
	MemoryContext caller = MemoryContextSwitchTo(reader->spool->context);
	bool		found;

	/* the copy must outlive the row that the caller is at */
	tuplestore_select_read_pointer(store, reader->pointer);
	found = tuplestore_gettupleslot(store, true, true, reader->slot);
	MemoryContextSwitchTo(caller);
	if (found)
		show_order(reader, order);
	return found;
}

/*
 * impilo_spool_append
 *		Add an order, which the reader that brought it, and that had seen all
 *		there was, has read thereby: `order` is its own copy from now on.
 */
void
impilo_spool_append(ImpiloSpoolReader *reader, ImpiloOrder *order)
{
	ImpiloSpool *spool = reader->spool;
	Size		size = order->document.length + VARHDRSZ;
	MemoryContext caller;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("order " INT64_FORMAT " is too large to be kept",
						order->id),
				 errdetail("It has %zu bytes.", order->document.length)));
	if (spool->copy_size < size)
	{
		if (spool->copy)
			pfree(spool->copy);
		spool->copy = NULL;
		spool->copy_size = 0;
		spool->copy = MemoryContextAllocHuge(spool->context, size * 2);
		spool->copy_size = size * 2;
	}
	SET_VARSIZE(spool->copy, size);
	memcpy(VARDATA(spool->copy), order->document.data, order->document.length);
	values[0] = Int64GetDatum(order->id);
	values[1] = PointerGetDatum(spool->copy);

	caller = MemoryContextSwitchTo(spool->context);
	ExecStoreMinimalTuple(impilo_form_minimal_tuple(spool->descriptor, values,
													nulls),
						  reader->slot, true);
	MemoryContextSwitchTo(caller);
	tuplestore_select_read_pointer(spool->store, reader->pointer);
	tuplestore_puttupleslot(spool->store, reader->slot);
	show_order(reader, order);
}

/*
 * impilo_spool_rewind
 *		Put a reader back to the start.
 */
void
impilo_spool_rewind(ImpiloSpoolReader *reader)
{
	tuplestore_select_read_pointer(reader->spool->store, reader->pointer);
	tuplestore_rescan(reader->spool->store);
}

/*
 * impilo_spool_end
 *		Close the spool's file.  To be called at the regular end only.
 */
void
impilo_spool_end(ImpiloSpool *spool)
{
	tuplestore_end(spool->store);
}

/* ------------------------------------------------------------------------
 * The cache
 * ------------------------------------------------------------------------
 */

typedef struct CachedOrder
{
	int64		id;				/* hash key */
	bool		exists;
	char	   *data;			/* in memory, or NULL: in the file */
	size_t		length;
	int			file;			/* place in the file */
	off_t		offset;
} CachedOrder;

struct ImpiloOrderCache
{
	MemoryContext context;
	HTAB	   *orders;
	size_t		used;			/* bytes of documents in memory */
	BufFile    *spill;			/* or NULL */
	int			end_file;		/* its end */
	off_t		end_offset;
	ResourceOwner owner;		/* of the file */
};

/*
 * impilo_order_cache_begin
 *		An empty cache in `context`; impilo_order_cache_end closes its file.
 */
ImpiloOrderCache *
impilo_order_cache_begin(MemoryContext context)
{
	ImpiloOrderCache *cache = MemoryContextAllocZero(context, sizeof(*cache));
	HASHCTL		control = {
		.keysize = sizeof(int64),
		.entrysize = sizeof(CachedOrder),
		.hcxt = context
	};

	cache->context = context;
	cache->owner = CurrentResourceOwner;
	cache->orders = hash_create("impilo_fdw orders", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return cache;
}

static void
seek(ImpiloOrderCache *cache, int file, off_t offset)
{
	if (BufFileSeek(cache->spill, file, offset, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in temporary file: %m")));
}

static char *
read_back(ImpiloOrderCache *cache, const CachedOrder *cached)
{
	char	   *buffer = MemoryContextAllocHuge(CurrentMemoryContext,
												cached->length);

	seek(cache, cached->file, cached->offset);
	impilo_buffile_read_exact(cache->spill, buffer, cached->length);
	return buffer;
}

/*
 * impilo_order_cache_knows
 *		Was this id asked for before?
 */
bool
impilo_order_cache_knows(const ImpiloOrderCache *cache, int64 id)
{
	return hash_search(cache->orders, &id, HASH_FIND, NULL) != NULL;
}

/*
 * impilo_order_cache_find
 *		The order that was remembered, if it exists.
 *
 * Its bytes belong to the cache, or are allocated in CurrentMemoryContext.
 */
bool
impilo_order_cache_find(ImpiloOrderCache *cache, int64 id,
						ImpiloOrder *order)
{
	CachedOrder *cached = hash_search(cache->orders, &id, HASH_FIND, NULL);

	if (cached == NULL || !cached->exists)
		return false;
	order->id = id;
	order->document.data = cached->data ? cached->data
		: read_back(cache, cached);
	order->document.length = cached->length;
	order->document.kind = IMPILO_JSON_OBJECT;
	order->document.escaped = false;
	order->request = impilo_api_show_order(id);
	return true;
}

/*
 * Write a document to the end of the file.  The file belongs to the same
 * resource owner as the cache, whoever's turn it is now.
 */
static void
spill(ImpiloOrderCache *cache, CachedOrder *cached, const ImpiloOrder *order)
{
	if (cache->spill == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(cache->context);
		ResourceOwner current = CurrentResourceOwner;

		CurrentResourceOwner = cache->owner;
		cache->spill = BufFileCreateTemp(false);
		CurrentResourceOwner = current;
		MemoryContextSwitchTo(caller);
	}
	seek(cache, cache->end_file, cache->end_offset);
	cached->file = cache->end_file;
	cached->offset = cache->end_offset;
	BufFileWrite(cache->spill, unconstify(char *, order->document.data),
				 order->document.length);
	BufFileTell(cache->spill, &cache->end_file, &cache->end_offset);
}

/*
 * impilo_order_cache_add
 *		Remember an order, or with NULL that there is none with this id.
 */
void
impilo_order_cache_add(ImpiloOrderCache *cache, int64 id,
					   const ImpiloOrder *order)
{
	CachedOrder new = {.id = id};
	CachedOrder *cached;
	bool		found;

	if (order)
	{
		new.exists = true;
		new.length = order->document.length;
		if (cache->used + new.length <= (size_t) work_mem * 1024)
		{
			new.data = MemoryContextAllocHuge(cache->context, new.length);
			memcpy(new.data, order->document.data, new.length);
			cache->used += new.length;
		}
		else
			spill(cache, &new, order);
	}
	cached = hash_search(cache->orders, &id, HASH_ENTER, &found);
	*cached = new;
}

/*
 * impilo_order_cache_end
 *		Close the cache's file.  To be called at the regular end only.
 */
void
impilo_order_cache_end(ImpiloOrderCache *cache)
{
	if (cache->spill)
		BufFileClose(cache->spill);
	cache->spill = NULL;
}
