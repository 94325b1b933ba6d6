/*-------------------------------------------------------------------------
 *
 * iso8601.h
 *	  Dates and times as ISO 8601 writes them.
 *
 * Pure C: no PostgreSQL, no memory of its own.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/iso8601.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_ISO8601_H
#define IMPILO_ISO8601_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ImpiloIsoTime
{
	int			year;			/* 1 to 9999 */
	int			month;			/* 1 to 12 */
	int			day;			/* 1 to 31, and one that the month has */
	int32_t		second;			/* of the day as written, 0 to 86400; 0 if
								 * only a date was given */
	int32_t		microsecond;	/* 0 to 1000000: rounding can reach it */
	int32_t		offset;			/* seconds that the clock was ahead of UTC; 0
								 * if none was given */
} ImpiloIsoTime;

/*
 * impilo_iso8601_parse
 *		Read YYYY-MM-DD, alone or followed by T (or t, or a space) and
 *		HH:MM[:SS[.fraction]] and optionally Z, +HH, +HH:MM or +HHMM.
 *
 * A fraction has any number of digits and is rounded to microseconds.
 * Returns false for any other text, and for a date or time that does not
 * exist (except 24:00:00 and second 60, which end the day or minute).
 */
extern bool impilo_iso8601_parse(const char *text, size_t length,
								 ImpiloIsoTime *time);

#endif							/* IMPILO_ISO8601_H */
