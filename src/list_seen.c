/*-------------------------------------------------------------------------
 *
 * list_seen.c
 *	  Which orders a scan of the list has met, and when.
 *
 * 16 bytes an order, in a table that is half full on average.  What the
 * counts mean for the reading is decided in list.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/list_seen.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "list_seen.h"

typedef struct SeenId
{
	int64		id;
	int32		round;			/* in which it was met last */
	char		status;
} SeenId;

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenId
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(table, key) \
	hash_combine(murmurhash32((uint32) (key)), (uint32) ((key) >> 32))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * impilo_list_seen_begin
 *		Nothing seen, in the first round.  All of it lives in `context`.
 */
ImpiloListSeen *
impilo_list_seen_begin(MemoryContext context)
{
	ImpiloListSeen *seen = MemoryContextAllocZero(context, sizeof(*seen));

	seen->ids = seen_create(context, 256, NULL);
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
	SeenId	   *entry = seen_insert(seen->ids, id, &found);

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
