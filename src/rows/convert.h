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

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/date.h"

#include "json/scan.h"

/* Why a value does not convert, without showing it. */
typedef struct ImpiloConvertError
{
	int			sqlstate;
	const char *what;			/* what the API sent, as a noun phrase: "a
								 * string", "a number out of range" */
	bool		thrown;			/* an error was thrown and caught: the caller
								 * must raise one, whatever on_invalid says */
} ImpiloConvertError;

/* Converts JSON values to one type. */
typedef struct ImpiloConverter
{
	/* converts any value but null; NULL for domains; see impilo_convert */
	bool		(*convert) (struct ImpiloConverter *converter,
							const ImpiloJsonSlice *value, Datum *result,
							ImpiloConvertError *error);
	Oid			type;
	int32		typmod;
	MemoryContext context;		/* that the converter lives in */
	Oid			conversion;		/* from impilo_text_conversion() */
	bool		soft;			/* can invalid values be read as something
								 * else, because no error is thrown? */

	/* of types that go through their input function */
	FmgrInfo	input;
	Oid			ioparam;
	bool		(*has_form) (const char *string);	/* of valid strings, or
													 * NULL */
	bool		fix_settings;	/* the function may read settings */

	struct ImpiloConverter *element;	/* of arrays */
	struct ImpiloConverter *base;	/* of domains */
	void	   *constraints;	/* private to domain_check() */
} ImpiloConverter;

/* in convert.c */

extern int	impilo_fix_settings(void);
extern ImpiloConverter *impilo_converter(Oid type, int32 typmod,
										 MemoryContext context);
extern bool impilo_convert(ImpiloConverter *converter,
						   const ImpiloJsonSlice *value,
						   Datum *result, bool *isnull,
						   ImpiloConvertError *error);
extern const char *impilo_json_kind(const ImpiloJsonSlice *value);
extern char *impilo_scalar_string(const ImpiloJsonSlice *value);
extern bool impilo_read_timestamp(const ImpiloJsonSlice *value,
								  TimestampTz *result, DateADT *date);

#endif							/* IMPILO_CONVERT_H */
