/*-------------------------------------------------------------------------
 *
 * list_seen.c
 *	  Which orders a scan of the list has met, and when.
 *
 * 16 bytes an order, in tables that are half full on average.  A table that
 * grows is there twice for a moment; with many small ones, of which one grows
 * at a time, that does not count.  What the counts mean for the reading is
 * decided in list.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/list_seen.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

/* entries that a table begins with */
#define FIRST_SIZE 16

typedef struct SeenId
{
	int64		id;
	int32		round;			/* in which it was met last */
	char		status;
} SeenId;

/*
 * All bits of an id in all bits of its hash (the finalizer of MurmurHash3):
 * the upper half chooses the table, the lower one the place in it.
 */
static inline uint64
hash_id(int64 id)
{
	uint64		hash = (uint64) id;

	hash ^= hash >> 33;
	hash *= UINT64CONST(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	return hash;
}

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenId
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) ((uint32) hash_id(key))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#include "read/list_seen.h"

/*
 * impilo_list_seen_begin
 *		Nothing seen, in the first round.  All of it lives in `context`.
 */
ImpiloListSeen *
impilo_list_seen_begin(MemoryContext context)
{
	ImpiloListSeen *seen = MemoryContextAllocZero(context, sizeof(*seen));

	for (int i = 0; i < IMPILO_LIST_SEEN_TABLES; i++)
		seen->ids[i] = seen_create(context, FIRST_SIZE, NULL);
	seen->round = 1;
	seen->since_round = 1;
	return seen;
}

/*
 * impilo_list_seen_round
 *		The list is read from its start again.
 */
void
impilo_list_seen_round(ImpiloListSeen *seen)
{
	seen->round++;
	seen->repeated = 0;
	seen->page_new = 0;
}

/*
 * impilo_list_seen_forget
 *		Orders have disappeared: those met in earlier rounds may be among
 *		them, so only those met from this round on count as held.  All of them
 *		stay known as met.
 */
void
impilo_list_seen_forget(ImpiloListSeen *seen)
{
	seen->since_round = seen->round;
	seen->held = 0;
}

/*
 * impilo_list_seen_note
 *		Note an order of the page at hand.  Is it met for the first time?
 */
bool
impilo_list_seen_note(ImpiloListSeen *seen, int64 id)
{
	bool		found;
	uint64		hash = hash_id(id);
	seen_hash  *ids = seen->ids[hash >> 32 & (IMPILO_LIST_SEEN_TABLES - 1)];
	SeenId	   *entry = seen_insert_hash(ids, id, (uint32) hash, &found);

	if (found && entry->round == seen->round)
		seen->repeated++;
	else
		seen->page_new++;
	if (!found || entry->round < seen->since_round)
		seen->held++;
	if (!found)
	{
		seen->met++;
		seen->news++;
	}
	entry->round = seen->round;
	return !found;
}
