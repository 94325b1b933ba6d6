/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  One read per query: the orders that its scans share.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/shared.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_SHARED_H
#define IMPILO_SHARED_H

#include "catalog/connection.h"

/* What a scan reads. */
typedef enum ImpiloReaderKind
{
	IMPILO_READS_LIST,
	IMPILO_READS_IDS,
	IMPILO_READS_COUNT
} ImpiloReaderKind;

/* A scan's view of the orders of one account. */
typedef struct ImpiloReader ImpiloReader;

/* What a reader has read, for EXPLAIN. */
typedef struct ImpiloReaderStats
{
	ImpiloHttpStats http;		/* of the requests that this reader made */
	int64		pages;			/* of the list */
	int64		orders;			/* returned */
	bool		shared;			/* the list was read for another scan too */
	bool		by_list;		/* has found ids in the list, at least once */
} ImpiloReaderStats;

/*
 * Lookups sent ahead of the scans that need them.  `rows` has to be counted
 * by the caller; all members may be read.
 */
typedef struct ImpiloLookahead
{
	struct ImpiloShared *shared;
	const ImpiloTableOptions *options;
	bool		stops_early;	/* the window starts at 1 */
	int64		rows;			/* whose keys were used */
	struct ImpiloLookup *lookup;	/* NULL: not begun */
	int64		keys;			/* distinct, and not read before */
	int			largest_window; /* most unanswered keys at a time */
	bool		by_list;		/* the whole list was read instead */
	ImpiloHttpStats stats;
} ImpiloLookahead;

/* in shared.c */

extern ImpiloReader *impilo_reader_open(ImpiloConnection *connection,
										MemoryContext run,
										const ImpiloTableOptions *options,
										ImpiloReaderKind kind, bool again,
										bool reads_all);
extern void impilo_reader_rewind(ImpiloReader *reader);
extern void impilo_reader_lookup(ImpiloReader *reader,
								 const int64 *ids, int nids);
extern void impilo_reader_list(ImpiloReader *reader);
extern bool impilo_reader_next(ImpiloReader *reader, ImpiloOrder *order);
extern int64 impilo_reader_count(ImpiloReader *reader);
extern void impilo_reader_stats(const ImpiloReader *reader,
								ImpiloReaderStats *stats);
extern void impilo_reader_close(ImpiloReader *reader);

extern ImpiloLookahead *impilo_lookahead_open(ImpiloConnection *connection,
											  MemoryContext run,
											  const ImpiloTableOptions *options,
											  bool stops_early);
extern bool impilo_lookahead_has_room(const ImpiloLookahead *ahead);
extern void impilo_lookahead_push(ImpiloLookahead *ahead, int64 id);
extern void impilo_shared_leave(struct ImpiloShared *shared);

#endif							/* IMPILO_SHARED_H */
