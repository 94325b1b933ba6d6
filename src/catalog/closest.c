/*-------------------------------------------------------------------------
 *
 * closest.c
 *	  The names that somebody may have meant by a misspelt one.
 *
 * Near is a name with few letters changed, and, behind those, one that holds
 * the misspelt name as a part: who writes "city" may mean
 * "patient_address_city".  PostgreSQL 16 has something like the former
 * (initClosestMatch), which knows one name only.
 *
 * Wording the hint is left to the caller.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/closest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/varlena.h"

#include "catalog/closest.h"

/* Letters that may differ, at most; and never more than half of them. */
#define MAX_DISTANCE 4

/* A name farther away than the nearest one by more than this is left out. */
#define MAX_DIFFERENCE 1

/* What a name counts that holds the misspelt one: behind all others. */
#define DISTANCE_OF_PART (MAX_DISTANCE + 1)

/* A shorter name is part of too many others to tell anything. */
#define MIN_PART_LENGTH 3

/* varstr_levenshtein() raises an error for longer ones */
#define MAX_LENGTH 255


/*
 * impilo_closest_begin
 *		Start a search for what was meant by `source`, which is kept by
 *		reference.
 */
void
impilo_closest_begin(ImpiloClosest *closest, const char *source)
{
	size_t		length = strlen(source);

	memset(closest, 0, sizeof(*closest));
	closest->source = source;
	closest->length = length <= MAX_LENGTH ? (int) length : 0;
}

static int
distance_of(const ImpiloClosest *closest, const char *name)
{
	int			length = (int) strlen(name);
	int			limit = Min(MAX_DISTANCE, closest->length / 2);
	int			distance;

	if (closest->length == 0 || length > MAX_LENGTH)
		return -1;
	distance = varstr_levenshtein_less_equal(closest->source, closest->length,
											 name, length, 1, 1, 1, limit,
											 false);
	if (distance <= limit)
		return distance;
	if (closest->length >= MIN_PART_LENGTH && strstr(name, closest->source))
		return DISTANCE_OF_PART;
	return -1;
}

/*
 * impilo_closest_offer
 *		Consider a name, which is kept by reference.
 */
void
impilo_closest_offer(ImpiloClosest *closest, const char *name)
{
	int			distance = distance_of(closest, name);
	int			place;

	if (distance < 0)
		return;
	place = closest->used;
	while (place > 0 && closest->distances[place - 1] > distance)
		place--;
	if (place == IMPILO_CLOSEST_NAMES)
		return;
	if (closest->used < IMPILO_CLOSEST_NAMES)
		closest->used++;
	for (int i = closest->used - 1; i > place; i--)
	{
		closest->names[i] = closest->names[i - 1];
		closest->distances[i] = closest->distances[i - 1];
	}
	closest->names[place] = name;
	closest->distances[place] = distance;
}

/*
 * impilo_closest
 *		The nearest name, or NULL if none is near.
 */
const char *
impilo_closest(const ImpiloClosest *closest)
{
	return closest->used > 0 ? closest->names[0] : NULL;
}

/*
 * impilo_closest_list
 *		The nearest name and those about as near, in quotes, with commas and
 *		"or", in CurrentMemoryContext; NULL if none is near.
 */
char *
impilo_closest_list(const ImpiloClosest *closest)
{
	StringInfoData list;
	int			count = 0;

	if (closest->used == 0)
		return NULL;
	initStringInfo(&list);
	while (count < closest->used &&
		   closest->distances[count] <= closest->distances[0] + MAX_DIFFERENCE)
		count++;
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoString(&list, i == count - 1 ? " or " : ", ");
		appendStringInfo(&list, "\"%s\"", closest->names[i]);
	}
	return list.data;
}
