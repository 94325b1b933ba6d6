/*-------------------------------------------------------------------------
 *
 * text.h
 *	  UTF-8 in the encoding of the database.
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

/* some programs write it before UTF-8; JSON does not allow it */
#define IMPILO_BYTE_ORDER_MARK "\xEF\xBB\xBF"

/* in text.c */

extern Oid	impilo_text_conversion(void);
extern text *impilo_text_convert(const char *utf8, size_t length,
								 Oid conversion);
extern char *impilo_text_clean(const char *utf8, size_t length, size_t limit);

#endif							/* IMPILO_TEXT_H */
