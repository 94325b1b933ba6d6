/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Text of JSON values in the encoding of the database.
 *
 * JSON is UTF-8; a database may be anything else.  PostgreSQL's own functions
 * raise an error that shows the bytes when something is wrong with them, so
 * here only those are used that can be told not to.
 *
 * What a fault means for the value is not decided here.
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
 * Looks into the catalog: to be asked once a statement, not once a value.
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
 * Convert verified UTF-8 into a text of its own, or NULL if a character has
 * no equivalent.
 */
static text *
convert_text(const char *utf8, size_t length, Oid conversion)
{
	size_t		size = length * MAX_CONVERSION_GROWTH + 1;
	text	   *result = palloc(VARHDRSZ + size);
	int			done;

	done = pg_do_encoding_conversion_buf(conversion,
										 PG_UTF8, GetDatabaseEncoding(),
										 (unsigned char *) utf8, (int) length,
										 (unsigned char *) VARDATA(result),
										 (int) size, true);
	if (done != (int) length)
		return NULL;
	SET_VARSIZE(result, VARHDRSZ + strlen(VARDATA(result)));
	return result;
}

static ImpiloTextFault
fault_of(ImpiloJsonText outcome)
{
	switch (outcome)
	{
		case IMPILO_JSON_TEXT_OK:
			return IMPILO_TEXT_OK;
		case IMPILO_JSON_TEXT_NUL:
			return IMPILO_TEXT_NUL;
		case IMPILO_JSON_TEXT_SURROGATE:
			return IMPILO_TEXT_SURROGATE;
		case IMPILO_JSON_TEXT_INVALID:
			break;
	}
	return IMPILO_TEXT_NOT_UTF8;
}

/*
 * impilo_text
 *		The text of a value that has passed the check of json_scan.h.
 *
 * `conversion` is from impilo_text_conversion().  `*result` is allocated in
 * CurrentMemoryContext, and a NUL that it does not count follows it, so that
 * VARDATA is a C string too.  On a fault nothing is given.
 */
ImpiloTextFault
impilo_text(const ImpiloJsonSlice *value, ImpiloTextForm form,
			Oid conversion, text **result)
{
	bool		string = value->kind == IMPILO_JSON_STRING &&
	form == IMPILO_TEXT_OF_VALUE;
	text	   *utf8 = palloc(VARHDRSZ + value->length + 1);
	size_t		length;

	if (string && value->escaped)
	{
		ImpiloTextFault fault = fault_of(impilo_json_unescape(value,
															  VARDATA(utf8),
															  &length));

		if (fault != IMPILO_TEXT_OK)
			return fault;
	}
	else
	{
		length = value->length - (string ? 2 : 0);
		memcpy(VARDATA(utf8), value->data + (string ? 1 : 0), length);
	}
	VARDATA(utf8)[length] = '\0';
	SET_VARSIZE(utf8, VARHDRSZ + length);
	*result = utf8;

	if (value->kind == IMPILO_JSON_NUMBER || value->kind == IMPILO_JSON_BOOL)
		return IMPILO_TEXT_OK;
	if (!pg_verify_mbstr(PG_UTF8, VARDATA(utf8), (int) length, true))
		return IMPILO_TEXT_NOT_UTF8;
	if (OidIsValid(conversion))
	{
		*result = convert_text(VARDATA(utf8), length, conversion);
		if (*result == NULL)
			return IMPILO_TEXT_NO_CHARACTER;
	}
	return IMPILO_TEXT_OK;
}

/*
 * Copy the character at `utf8` as impilo_text_clean() wants it.  Returns how
 * many bytes it was; adds to `*used` how many it became, at most `room`, and
 * none if there is no room for it.
 */
static size_t
copy_clean(const char *utf8, size_t length, char *clean, size_t *used,
		   size_t room)
{
	const unsigned char *c = (const unsigned char *) utf8;
	size_t		width = pg_utf_mblen(c);

	if (*c <= ' ' || *c == 0x7f)
	{
		if (*used > 0 && clean[*used - 1] != ' ')
			clean[(*used)++] = ' ';
		return 1;
	}
	if (width > length || !pg_utf8_islegal(c, (int) width))
	{
		clean[(*used)++] = '?';
		return 1;
	}
	if (width > room)
		return 0;
	memcpy(clean + *used, c, width);
	*used += width;
	return width;
}

/*
 * impilo_text_clean
 *		Foreign bytes made fit for a message: at most `limit` of them, control
 *		characters and line ends turned into single spaces, what is no
 *		character of the database's encoding into "?".
 *
 * The result is in CurrentMemoryContext, ends in "..." if it was cut, and may
 * be empty.  Raises no errors but for memory and the catalog.
 */
char *
impilo_text_clean(const char *utf8, size_t length, size_t limit)
{
	Oid			conversion = impilo_text_conversion();
	char	   *clean = palloc(limit + sizeof("..."));
	size_t		used = 0;
	size_t		at = 0;

	while (at < length && used < limit)
	{
		size_t		width = copy_clean(utf8 + at, length - at, clean, &used,
									   limit - used);

		if (width == 0)
			break;
		at += width;
	}
	while (used > 0 && clean[used - 1] == ' ')
		used--;
	strlcpy(clean + used, at < length ? "..." : "", sizeof("..."));

	if (OidIsValid(conversion))
	{
		text	   *converted = convert_text(clean, strlen(clean), conversion);

		if (converted)
			return VARDATA(converted);
		for (char *c = clean; *c; c++)
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
	}
	return clean;
}
