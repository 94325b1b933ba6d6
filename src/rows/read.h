/*-------------------------------------------------------------------------
 *
 * read.h
 *	  Rows of a foreign table read from orders.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/read.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_READ_H
#define IMPILO_READ_H

#include "executor/tuptable.h"

#include "catalog/table.h"
#include "json/scan.h"

/*
 * Reads rows from orders.  Only the columns of the reader are converted, in
 * two steps: what the filter needs, and the rest for rows that pass it.
 */
typedef struct ImpiloRowReader ImpiloRowReader;

/* in read.c */

extern ImpiloRowReader *impilo_row_reader(const ImpiloTable *table,
										  const Bitmapset *filter,
										  const Bitmapset *rest,
										  const int64 *listed,
										  MemoryContext context);
extern void impilo_row_reader_order(ImpiloRowReader *reader, int64 id,
									const ImpiloJsonSlice *document,
									const char *request);
extern bool impilo_row_reader_next(ImpiloRowReader *reader);
extern void impilo_row_reader_fill(ImpiloRowReader *reader, bool rest,
								   Datum *values, bool *nulls);
extern void impilo_set_system_columns(TupleTableSlot *slot);

#endif							/* IMPILO_READ_H */
