/*-------------------------------------------------------------------------
 *
 * convert_scalar.h
 *	  The types that JSON values are converted to without an input function.
 *
 * Between convert.c, convert_scalar.c and convert_text.c only.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert_scalar.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CONVERT_SCALAR_H
#define IMPILO_CONVERT_SCALAR_H

#include "fmgr.h"

#include "json/text.h"
#include "rows/convert.h"

/* Converts any value but null; see impilo_convert. */
typedef bool (*ImpiloConvertFunction) (ImpiloConverter *converter,
									   const ImpiloJsonSlice *value,
									   Datum *result,
									   ImpiloConvertError *error);

struct ImpiloConverter
{
	ImpiloConvertFunction convert;
	Oid			type;
	int32		typmod;
	MemoryContext context;		/* that the converter lives in */
	Oid			conversion;		/* from impilo_text_conversion() */
	bool		soft;			/* never throws because of a value */

	/* of types that go through their input function */
	FmgrInfo	input;
	Oid			ioparam;

	/* of arrays */
	ImpiloConverter *element;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	/* of domains */
	ImpiloConverter *base;
	void	   *constraints;	/* domain_check()'s own */
};

/* in convert_scalar.c */

extern ImpiloConvertFunction impilo_convert_scalar(Oid type, int32 typmod);
extern bool impilo_convert_refuse(ImpiloConvertError *error, int sqlstate,
								  const char *what);

/* in convert_text.c */

extern bool impilo_convert_accept(ImpiloConvertError *error,
								  ImpiloTextFault fault,
								  const ImpiloJsonSlice *value);
extern bool impilo_convert_text(ImpiloConverter *converter,
								const ImpiloJsonSlice *value,
								ImpiloTextForm form, text **result,
								ImpiloConvertError *error);
extern bool impilo_convert_to_text(ImpiloConverter *converter,
								   const ImpiloJsonSlice *value,
								   Datum *result, ImpiloConvertError *error);
extern bool impilo_convert_to_varchar(ImpiloConverter *converter,
									  const ImpiloJsonSlice *value,
									  Datum *result, ImpiloConvertError *error);
extern bool impilo_convert_to_bpchar(ImpiloConverter *converter,
									 const ImpiloJsonSlice *value,
									 Datum *result, ImpiloConvertError *error);
extern bool impilo_convert_to_json(ImpiloConverter *converter,
								   const ImpiloJsonSlice *value,
								   Datum *result, ImpiloConvertError *error);

/* in convert_jsonb.c */

extern bool impilo_convert_to_jsonb(ImpiloConverter *converter,
									const ImpiloJsonSlice *value,
									Datum *result, ImpiloConvertError *error);

#endif							/* IMPILO_CONVERT_SCALAR_H */
