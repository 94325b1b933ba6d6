/*-------------------------------------------------------------------------
 *
 * closest.h
 *	  The names that somebody may have meant by a misspelt one.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/closest.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CLOSEST_H
#define IMPILO_CLOSEST_H

/* Names that one hint gives at most: more would be a list to search. */
#define IMPILO_CLOSEST_NAMES 3

/* The nearest names so far; its fields are closest.c's own */
typedef struct ImpiloClosest
{
	const char *source;			/* the misspelt name */
	int			length;			/* of it; 0 if nothing can be near it */
	const char *names[IMPILO_CLOSEST_NAMES];	/* nearest first */
	int			distances[IMPILO_CLOSEST_NAMES];
	int			used;
} ImpiloClosest;

/* in closest.c */

extern void impilo_closest_begin(ImpiloClosest *closest, const char *source);
extern void impilo_closest_offer(ImpiloClosest *closest, const char *name);
extern const char *impilo_closest(const ImpiloClosest *closest);
extern char *impilo_closest_list(const ImpiloClosest *closest);

#endif							/* IMPILO_CLOSEST_H */
