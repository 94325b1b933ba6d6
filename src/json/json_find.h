/*-------------------------------------------------------------------------
 *
 * json_find.h
 *	  Many wanted places of a JSON document found in one pass.
 *
 * Pure C: no PostgreSQL, no memory of its own.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/json_find.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JSON_FIND_H
#define IMPILO_JSON_FIND_H

#include "json/json_scan.h"
#include "json/pointer.h"

/* One place of the set; its fields are json_find.c's own */
typedef struct ImpiloJsonNode
{
	ImpiloPointerStep step;		/* from the parent; unused in the root */
	uint64_t	met;			/* serial of the last find that passed it */
	uint64_t	lengths;		/* which lengths (mod 64) the names below have */
	int32_t		slot;			/* where its value goes, or -1 */
	int32_t		alias;			/* node with another slot for it, or -1 */
	int32_t		child;			/* first node below, or -1 */
	int32_t		sibling;		/* next node of the same parent, or -1 */
	int32_t		children;		/* nodes below */
	int32_t		last_index;		/* the greatest index below, or -1 */
} ImpiloJsonNode;

/*
 * A set of places, as a tree of steps.  It remembers the finds made with it,
 * so one set must not be used by two finds at the same time.
 */
typedef struct ImpiloJsonWanted
{
	ImpiloJsonNode *nodes;		/* the caller's; nodes[0] is the document */
	size_t		capacity;		/* of nodes */
	size_t		used;			/* of nodes */
	int32_t		slots;			/* the greatest slot added, plus 1 */
	uint64_t	serial;			/* finds so far */
} ImpiloJsonWanted;

/*
 * impilo_json_want_begin
 *		Make an empty set in the caller's nodes.
 *
 * Enough capacity for any paths is 1 plus, for each path, the number of its
 * steps or 1 if it has none.  It must be at least 1.
 */
extern void impilo_json_want_begin(ImpiloJsonWanted *wanted,
								   ImpiloJsonNode *nodes, size_t capacity);

/*
 * impilo_json_want
 *		Add a place: its value goes to found[slot].
 *
 * Paths may share steps, one may lead through another, and the same path may
 * be added for several slots; a slot must not be given to two paths.  The
 * names of the steps are kept by reference and have to live as long as the
 * set.  Returns NULL, or why not as a static text: no room in nodes, a
 * negative slot, or more than IMPILO_JSON_MAX_DEPTH steps (there is nothing
 * so deep that the checker would let through).
 */
extern const char *impilo_json_want(ImpiloJsonWanted *wanted,
									const ImpiloPointerStep *steps,
									size_t count, int32_t slot);

/*
 * impilo_json_find
 *		Find the places of the set in one document.
 *
 * Fills found[0 .. wanted->slots - 1]; what is not there, or is not reached
 * because a value on the way is no container, is ABSENT.
 *
 * With IMPILO_JSON_CHECKED the bytes are those of a value that has passed the
 * check (any other bytes are safe, but what is found in them means nothing).
 * The pass ends as soon as every place has been met.
 *
 * With a depth the bytes are read to the end and checked as strictly as
 * impilo_json_check does, except the inside of an array or object that is
 * found and not itself led through: the caller checks that by walking it
 * with impilo_json_begin and the same depth less the steps to it.
 *
 * Returns false and fills `error` (offset from `data`) if something is wrong
 * with the bytes that were read, or if a member that leads to a wanted place
 * is repeated among them: of two different values neither is the truth.  Then
 * what is in `found` means nothing.
 * Repetitions behind the end of the pass, and those of members that nobody
 * wants, are not noticed.
 */
extern bool impilo_json_find(ImpiloJsonWanted *wanted,
							 const char *data, size_t length, int max_depth,
							 ImpiloJsonSlice *found, ImpiloJsonError *error);

#endif							/* IMPILO_JSON_FIND_H */
