/*-------------------------------------------------------------------------
 *
 * reading.h
 *	  One executor run, one read: who shares what was read.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/reading.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_READING_H
#define IMPILO_READING_H

#include "catalog/connection.h"

/* A scan's view of the orders of one account. */
typedef struct ImpiloReader ImpiloReader;

/* What a reader has read, for EXPLAIN. */
typedef struct ImpiloReaderStats
{
	ImpiloHttpStats http;		/* of the requests that this reader made */
	int64		pages;			/* of the list */
	int64		orders;			/* handed out */
	bool		shared;			/* the list was read for another scan too */
} ImpiloReaderStats;

/* in reading.c */

extern ImpiloReader *impilo_reader_open(ImpiloConnection *connection,
										MemoryContext run,
										const ImpiloTableOptions *options,
										bool list, bool again,
										bool reads_all);
extern void impilo_reader_rewind(ImpiloReader *reader);
extern void impilo_reader_lookup(ImpiloReader *reader,
								 const int64 *ids, int nids);
extern bool impilo_reader_next(ImpiloReader *reader, ImpiloOrder *order);
extern int64 impilo_reader_count(ImpiloReader *reader);
extern void impilo_reader_stats(const ImpiloReader *reader,
								ImpiloReaderStats *stats);
extern void impilo_reader_close(ImpiloReader *reader);

#endif							/* IMPILO_READING_H */
