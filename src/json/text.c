/*-------------------------------------------------------------------------
 *
 * text.c
 *	  UTF-8 in the encoding of the database.
 *
 * JSON is UTF-8; a database may use any encoding.  PostgreSQL's functions
 * raise errors that show the bytes if these are invalid, so only those are
 * used here that can be called without raising them.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/text.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "compat.h"
#include "json/text.h"

/*
 * impilo_text_conversion
 *		The function that converts UTF-8 to the database's encoding, or
 *		InvalidOid if none is needed.
 *
 * Looks into the catalog, so call it once per statement, not per value.
 * Raises an error if PostgreSQL has no such function.
 */
Oid
impilo_text_conversion(void)
{
	int			encoding = GetDatabaseEncoding();
	Oid			function;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return InvalidOid;
	function = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("default conversion function for encoding \"%s\" to \"%s\" does not exist",
						pg_encoding_to_char(PG_UTF8),
						pg_encoding_to_char(encoding))));
	return function;
}

/*
 * impilo_text_convert
 *		Convert valid UTF-8 to the database's encoding.
 *
 * `conversion` is from impilo_text_conversion().  The result is allocated in
 * CurrentMemoryContext and followed by a NUL, so that VARDATA is a C string,
 * too.  Returns NULL if a character does not exist in the encoding.
 */
text *
impilo_text_convert(const char *utf8, size_t length, Oid conversion)
{
	size_t		size = length * MAX_CONVERSION_GROWTH + 1;
	text	   *result = palloc(VARHDRSZ + size);

	if (pg_do_encoding_conversion_buf(conversion, PG_UTF8,
									  GetDatabaseEncoding(),
									  (unsigned char *) utf8, (int) length,
									  (unsigned char *) VARDATA(result),
									  (int) size, true) != (int) length)
		return NULL;
	SET_VARSIZE(result, VARHDRSZ + strlen(VARDATA(result)));
	return result;
}

/*
 * impilo_text_clean
 *		Make bytes from outside fit for a message: at most `limit` bytes,
 *		control characters and line ends replaced by single spaces, and
 *		characters that the database's encoding does not have by "?".
 *
 * The result is in CurrentMemoryContext, ends in "..." if it was cut, and may
 * be empty.  Raises no errors except for memory and the catalog.
 */
char *
impilo_text_clean(const char *utf8, size_t length, size_t limit)
{
	Oid			conversion = impilo_text_conversion();
	char	   *clean = palloc(limit + sizeof("..."));
	size_t		used = 0;
	size_t		at = 0;
	text	   *converted;

	while (at < length && used < limit)
	{
		const unsigned char *c = (const unsigned char *) utf8 + at;
		size_t		width = pg_utf_mblen(c);

		if (*c <= ' ' || *c == 0x7f)
		{
			if (used > 0 && clean[used - 1] != ' ')
				clean[used++] = ' ';
			width = 1;
		}
		else if (width > length - at || !pg_utf8_islegal(c, (int) width))
		{
			clean[used++] = '?';
			width = 1;
		}
		else if (width > limit - used)
			break;
		else
		{
			memcpy(clean + used, c, width);
			used += width;
		}
		at += width;
	}
	while (used > 0 && clean[used - 1] == ' ')
		used--;
	strlcpy(clean + used, at < length ? "..." : "", sizeof("..."));
	if (!OidIsValid(conversion))
		return clean;

	converted = impilo_text_convert(clean, strlen(clean), conversion);
	if (converted)
		return VARDATA(converted);
	for (char *c = clean; *c; c++)
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	return clean;
}
