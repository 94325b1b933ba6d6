/*-------------------------------------------------------------------------
 *
 * convert_text.c
 *	  Texts, and type json, from JSON values, without an input function.
 *
 * The same rules as in convert_scalar.c: nothing here raises an error because
 * of a value.  A text column takes any value: a string's characters, and
 * anything else as it is written.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/convert_text.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "rows/convert_scalar.h"

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------
 */

/*
 * impilo_convert_accept
 *		True if a text has no fault, else say what is wrong with the value that
 *		it is of.
 */
bool
impilo_convert_accept(ImpiloConvertError *error, ImpiloTextFault fault,
					  const ImpiloJsonSlice *value)
{
	const char *kind = impilo_convert_kind(value);

	switch (fault)
	{
		case IMPILO_TEXT_OK:
			break;
		case IMPILO_TEXT_NUL:
			return impilo_convert_refuse(error,
										 ERRCODE_UNTRANSLATABLE_CHARACTER,
										 psprintf("%s with the character \\u0000", kind));
		case IMPILO_TEXT_SURROGATE:
			return impilo_convert_refuse(error,
										 ERRCODE_UNTRANSLATABLE_CHARACTER,
										 psprintf("%s with half of a surrogate pair", kind));
		case IMPILO_TEXT_NOT_UTF8:
			return impilo_convert_refuse(error,
										 ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
										 psprintf("%s that is not valid UTF-8", kind));
		case IMPILO_TEXT_NO_CHARACTER:
			return impilo_convert_refuse(error,
										 ERRCODE_UNTRANSLATABLE_CHARACTER,
										 psprintf("%s with a character that encoding %s does not have",
												  kind, GetDatabaseEncodingName()));
	}
	return true;
}

/*
 * impilo_convert_text
 *		impilo_text(), with its fault as an error.
 */
bool
impilo_convert_text(ImpiloConverter *converter, const ImpiloJsonSlice *value,
					ImpiloTextForm form, text **result,
					ImpiloConvertError *error)
{
	return impilo_convert_accept(error,
								 impilo_text(value, form,
											 converter->conversion, result),
								 value);
}

bool
impilo_convert_to_text(ImpiloConverter *converter, const ImpiloJsonSlice *value,
					   Datum *result, ImpiloConvertError *error)
{
	text	   *string;

	if (!impilo_convert_text(converter, value, IMPILO_TEXT_OF_VALUE, &string,
							 error))
		return false;
	*result = PointerGetDatum(string);
	return true;
}

/*
 * Bytes of the first `count` characters, or of all if they are fewer; `*count`
 * becomes how many are missing.
 */
static int
clip(const char *string, int length, int *count)
{
	int			at = 0;

	while (*count > 0 && at < length)
	{
		at += pg_mblen(string + at);
		*count -= 1;
	}
	return Min(at, length);
}

static bool
all_spaces(const char *string, int length)
{
	for (int i = 0; i < length; i++)
		if (string[i] != ' ')
			return false;
	return true;
}

/*
 * As in an assignment, a string is too long unless only spaces are cut, which
 * is what the SQL standard says.
 */
static bool
clip_text(int characters, text *string, int *missing,
		  ImpiloConvertError *error)
{
	int			length = VARSIZE(string) - VARHDRSZ;
	int			kept;

	*missing = characters;
	kept = clip(VARDATA(string), length, missing);
	if (!all_spaces(VARDATA(string) + kept, length - kept))
		return impilo_convert_refuse(error,
									 ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
									 "a value that is too long");
	SET_VARSIZE(string, VARHDRSZ + kept);
	return true;
}

bool
impilo_convert_to_varchar(ImpiloConverter *converter, const ImpiloJsonSlice *value,
						  Datum *result, ImpiloConvertError *error)
{
	text	   *string;
	int			missing;

	if (!impilo_convert_text(converter, value, IMPILO_TEXT_OF_VALUE, &string,
							 error) ||
		!clip_text(converter->typmod - VARHDRSZ, string, &missing, error))
		return false;
	*result = PointerGetDatum(string);
	return true;
}

bool
impilo_convert_to_bpchar(ImpiloConverter *converter, const ImpiloJsonSlice *value,
						 Datum *result, ImpiloConvertError *error)
{
	text	   *string;
	text	   *padded;
	int			missing;
	int			length;

	if (!impilo_convert_text(converter, value, IMPILO_TEXT_OF_VALUE, &string,
							 error) ||
		!clip_text(converter->typmod - VARHDRSZ, string, &missing, error))
		return false;
	length = VARSIZE(string) - VARHDRSZ;
	padded = palloc(VARHDRSZ + length + missing);
	memcpy(VARDATA(padded), VARDATA(string), length);
	memset(VARDATA(padded) + length, ' ', missing);
	SET_VARSIZE(padded, VARHDRSZ + length + missing);
	*result = PointerGetDatum(padded);
	return true;
}

/* ------------------------------------------------------------------------
 * JSON
 * ------------------------------------------------------------------------
 */

/*
 * The bytes were checked when the answer was read, and type json keeps text
 * as it is, so there is nothing left for json_in() to do.
 */
bool
impilo_convert_to_json(ImpiloConverter *converter, const ImpiloJsonSlice *value,
					   Datum *result, ImpiloConvertError *error)
{
	text	   *json;

	if (!impilo_convert_text(converter, value, IMPILO_TEXT_OF_JSON, &json,
							 error))
		return false;
	*result = PointerGetDatum(json);
	return true;
}
