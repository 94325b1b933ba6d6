/*-------------------------------------------------------------------------
 *
 * convert.h
 *	  One JSON value into one Datum.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CONVERT_H
#define IMPILO_CONVERT_H

#include "json/scan.h"

typedef struct ImpiloConverter ImpiloConverter;

/* Why a value does not convert, in words that do not show it. */
typedef struct ImpiloConvertError
{
	int			sqlstate;
	const char *what;			/* what the API sent, as a noun phrase: "a
								 * string", "a number out of range" */
	bool		hard;			/* an error was thrown on the way: has to be
								 * raised again, whatever on_invalid says */
} ImpiloConvertError;

/* in convert.c */

extern int	impilo_fix_settings(void);
extern ImpiloConverter *impilo_converter(Oid type, int32 typmod,
										 MemoryContext context);
extern bool impilo_converter_soft(const ImpiloConverter *converter);
extern bool impilo_convert(ImpiloConverter *converter,
						   const ImpiloJsonSlice *value,
						   Datum *result, bool *isnull,
						   ImpiloConvertError *error);

/* in convert_scalar.c */

extern const char *impilo_convert_kind(const ImpiloJsonSlice *value);

#endif							/* IMPILO_CONVERT_H */
