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

typedef struct ImpiloConverter ImpiloConverter;

/* Converts any value but null; see impilo_convert. */
typedef bool (*ImpiloConvertFunction) (ImpiloConverter *converter,
									   const ImpiloJsonSlice *value,
									   Datum *result,
									   ImpiloConvertError *error);

/* Returns whether a string has the form that a type must be written in. */
typedef bool (*ImpiloFormCheck) (const char *string);

/* Converts JSON values to one type. */
struct ImpiloConverter
{
	ImpiloConvertFunction convert;
	Oid			type;
	int32		typmod;
	MemoryContext context;		/* that the converter lives in */
	Oid			conversion;		/* from impilo_text_conversion() */
	bool		soft;			/* can invalid values be read as something
								 * else, because no error is thrown? */

	/* of types that go through their input function */
	FmgrInfo	input;
	Oid			ioparam;
	ImpiloFormCheck check;		/* or NULL */
	bool		fix_settings;	/* the function may read settings */

	/* of arrays */
	ImpiloConverter *element;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	/* of domains */
	ImpiloConverter *base;
	void	   *constraints;	/* private to domain_check() */
};

/* in convert.c */

extern int	impilo_fix_settings(void);
extern ImpiloConverter *impilo_converter(Oid type, int32 typmod,
										 MemoryContext context);
extern bool impilo_convert(ImpiloConverter *converter,
						   const ImpiloJsonSlice *value,
						   Datum *result, bool *isnull,
						   ImpiloConvertError *error);
extern bool impilo_refuse(ImpiloConvertError *error, int sqlstate,
						  const char *what);
extern bool impilo_refuse_kind(ImpiloConvertError *error,
							   const ImpiloJsonSlice *value);
extern bool impilo_refuse_escape(ImpiloConvertError *error,
								 const ImpiloJsonSlice *value,
								 ImpiloJsonText outcome);
extern bool impilo_refuse_character(ImpiloConvertError *error,
									const ImpiloJsonSlice *value);
extern bool impilo_check_utf8(const ImpiloJsonSlice *value, const char *utf8,
							  size_t length, ImpiloConvertError *error);
extern const char *impilo_json_kind(const ImpiloJsonSlice *value);

/* in scalar.c */

extern ImpiloConvertFunction impilo_scalar_function(Oid type, int32 typmod);
extern ImpiloFormCheck impilo_form_check(Oid type);
extern bool impilo_read_timestamp(const ImpiloJsonSlice *value,
								  TimestampTz *result);

#endif							/* IMPILO_CONVERT_H */
