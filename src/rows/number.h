/*-------------------------------------------------------------------------
 *
 * number.h
 *	  Decimal numbers as text: what range and form they have.
 *
 * Pure C: no PostgreSQL, no memory of its own.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/number.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_NUMBER_H
#define IMPILO_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number taken apart */
typedef struct ImpiloNumber
{
	bool		negative;
	const char *whole;			/* digits before the point */
	size_t		nwhole;			/* at least 1 */
	const char *fraction;		/* digits behind it */
	size_t		nfraction;
	int32_t		exponent;		/* beyond a billion either way it is one */
} ImpiloNumber;

typedef enum ImpiloNumberFit
{
	IMPILO_NUMBER_OK = 0,
	IMPILO_NUMBER_FRACTION,		/* not a whole number */
	IMPILO_NUMBER_RANGE			/* too large, or too exact */
} ImpiloNumberFit;

/*
 * impilo_number_parse
 *		Take a number apart: a number of JSON, or one with a plus sign or
 *		leading zeros, and nothing around it.
 *
 * Returns false if the text is not one.  The parts point into the text.
 */
extern bool impilo_number_parse(const char *text, size_t length,
								ImpiloNumber *number);

/*
 * impilo_number_int64
 *		The value of a whole number, however it is written: 1000, 1e3, 1.0.
 */
extern ImpiloNumberFit impilo_number_int64(const ImpiloNumber *number,
										   int64_t *value);

/*
 * impilo_number_zero
 *		Is it zero?
 */
extern bool impilo_number_zero(const ImpiloNumber *number);

/*
 * impilo_number_numeric
 *		Can PostgreSQL's type numeric hold it, with all of its digits?
 */
extern ImpiloNumberFit impilo_number_numeric(const ImpiloNumber *number);

#endif							/* IMPILO_NUMBER_H */
