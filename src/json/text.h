/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Text of JSON values in the encoding of the database.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/text.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_TEXT_H
#define IMPILO_TEXT_H

#include "json/scan.h"

/* Which text of a value is meant. */
typedef enum ImpiloTextForm
{
	IMPILO_TEXT_OF_VALUE,		/* of a string its characters, of all else its
								 * JSON */
	IMPILO_TEXT_OF_JSON			/* its JSON as it stands */
} ImpiloTextForm;

typedef enum ImpiloTextFault
{
	IMPILO_TEXT_OK = 0,
	IMPILO_TEXT_NUL,			/* \u0000 */
	IMPILO_TEXT_SURROGATE,		/* half of a surrogate pair */
	IMPILO_TEXT_NOT_UTF8,
	IMPILO_TEXT_NO_CHARACTER	/* a character that the database's encoding
								 * lacks */
} ImpiloTextFault;

/* in text.c */

extern Oid	impilo_text_conversion(void);
extern ImpiloTextFault impilo_text(const ImpiloJsonSlice *value,
								   ImpiloTextForm form, Oid conversion,
								   text **result);
extern char *impilo_text_clean(const char *utf8, size_t length, size_t limit);

#endif							/* IMPILO_TEXT_H */
