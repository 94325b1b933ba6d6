/*-------------------------------------------------------------------------
 *
 * rowstore.h
 *	  Rows kept until the last one has come.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/rowstore.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_ROWSTORE_H
#define IMPILO_ROWSTORE_H

#include "executor/tuptable.h"

typedef struct ImpiloRowStore ImpiloRowStore;

/* in rowstore.c */

extern ImpiloRowStore *impilo_row_store(TupleDesc descriptor,
										MemoryContext context);
extern TupleTableSlot *impilo_row_store_shape(ImpiloRowStore *store,
											  TupleTableSlot *slot);
extern void impilo_row_store_put(ImpiloRowStore *store, TupleTableSlot *slot);
extern TupleTableSlot **impilo_row_store_get(ImpiloRowStore *store, int most,
											 int *n);
extern void impilo_row_store_end(ImpiloRowStore *store);

#endif							/* IMPILO_ROWSTORE_H */
