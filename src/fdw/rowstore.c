/*-------------------------------------------------------------------------
 *
 * rowstore.c
 *	  Rows kept until the last one has come.
 *
 * First all rows go in, then they come out once, in the same order, some at a
 * time; beyond work_mem they are on disk meanwhile.  A source that fails, or
 * a row that is wrong, is so noticed before anything is sent.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/rowstore.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "fdw/rowstore.h"

struct ImpiloRowStore
{
	MemoryContext context;
	TupleDesc	descriptor;
	Tuplestorestate *tuples;
	TupleTableSlot *in;			/* a row as the descriptor has it */
	TupleTableSlot **slots;		/* rows given last */
	TupleTableSlot **given;		/* the same for the caller to permute */
	int			nslots;
};

/*
 * impilo_row_store
 *		An empty store for rows of this shape, in `context`.
 *
 * To be ended with impilo_row_store_end; files go with the transaction in any
 * case.
 */
ImpiloRowStore *
impilo_row_store(TupleDesc descriptor, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloRowStore *store = palloc0(sizeof(ImpiloRowStore));

	store->context = context;
	store->descriptor = CreateTupleDescCopy(descriptor);
	store->tuples = tuplestore_begin_heap(false, false, work_mem);
	store->in = MakeSingleTupleTableSlot(store->descriptor, &TTSOpsVirtual);
	MemoryContextSwitchTo(caller);
	return store;
}

/*
 * impilo_row_store_shape
 *		A row as the descriptor has it.
 *
 * The slot may have more columns than the descriptor (resjunk ones behind
 * the row's own): they are left out.  What is given points into the slot.
 */
TupleTableSlot *
impilo_row_store_shape(ImpiloRowStore *store, TupleTableSlot *slot)
{
	int			natts = store->descriptor->natts;

	slot_getsomeattrs(slot, natts);
	ExecClearTuple(store->in);
	memcpy(store->in->tts_values, slot->tts_values, natts * sizeof(Datum));
	memcpy(store->in->tts_isnull, slot->tts_isnull, natts * sizeof(bool));
	return ExecStoreVirtualTuple(store->in);
}

/*
 * impilo_row_store_put
 *		Keep a copy of a row that has the descriptor's shape.
 */
void
impilo_row_store_put(ImpiloRowStore *store, TupleTableSlot *slot)
{
	tuplestore_puttupleslot(store->tuples, slot);
}

static void
make_slots(ImpiloRowStore *store, int n)
{
	MemoryContext caller = MemoryContextSwitchTo(store->context);

	store->slots = palloc(n * sizeof(TupleTableSlot *));
	store->given = palloc(n * sizeof(TupleTableSlot *));
	for (int i = 0; i < n; i++)
		store->slots[i] = MakeSingleTupleTableSlot(store->descriptor,
												   &TTSOpsMinimalTuple);
	store->nslots = n;
	MemoryContextSwitchTo(caller);
}

/*
 * impilo_row_store_get
 *		The next rows: at least one and at most `most`, or NULL at the end.
 *
 * `most` is the same in each call.  The rows live until the next call.
 */
TupleTableSlot **
impilo_row_store_get(ImpiloRowStore *store, int most, int *n)
{
	MemoryContext caller;

	if (store->slots == NULL)
		make_slots(store, most);

	/* what the slots will free has to live as long as they */
	caller = MemoryContextSwitchTo(store->context);
	*n = 0;
	while (*n < store->nslots &&
		   tuplestore_gettupleslot(store->tuples, true, true,
								   store->slots[*n]))
		(*n)++;
	MemoryContextSwitchTo(caller);
	memcpy(store->given, store->slots, *n * sizeof(TupleTableSlot *));
	return *n > 0 ? store->given : NULL;
}

/*
 * impilo_row_store_end
 *		Give the store's memory and files back.
 */
void
impilo_row_store_end(ImpiloRowStore *store)
{
	for (int i = 0; i < store->nslots; i++)
		ExecDropSingleTupleTableSlot(store->slots[i]);
	ExecDropSingleTupleTableSlot(store->in);
	tuplestore_end(store->tuples);
	pfree(store);
}
