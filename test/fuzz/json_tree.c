/*-------------------------------------------------------------------------
 *
 * json_tree.c
 *		  Comparison of the scanner with json-c's tree
 *
 * Cases in which json-c 0.16, although strict, differs from RFC 8259 are
 * excluded as narrowly as possible, at the exact byte: verdicts in
 * fuzz_known_difference, values where they are compared.
 *
 *-------------------------------------------------------------------------
 */
#include "json_tree.h"

#include <string.h>

#include "fuzz.h"

/* --- verdicts ---------------------------------------------------------- */

static bool
parse(const Document *doc, int flags, struct json_object **tree)
{
	/* deeper than the scanner, which then reports the depth itself */
	struct json_tokener *tok = json_tokener_new_ex(4 * DEPTH);
	char	   *text = malloc(doc->size + 1);
	bool		accepted;

	REQUIRE(tok != NULL && text != NULL);
	json_tokener_set_flags(tok, flags);
	memcpy(text, doc->data, doc->size);
	text[doc->size] = '\0';
	/* at the NUL json-c sees that a number at the end is complete */
	*tree = json_tokener_parse_ex(tok, text, (int) doc->size + 1);
	accepted = json_tokener_get_error(tok) == json_tokener_success;
	json_tokener_free(tok);
	free(text);
	return accepted;
}

/*
 * From 0.18 on json-c, if strict, refuses what RFC 8259 allows: bytes above
 * 0x7f, which it takes for control characters, and numbers out of its range.
 */
bool
fuzz_json_c_accepts(const Document *doc, bool ours, struct json_object **tree)
{
	if (parse(doc, JSON_TOKENER_STRICT, tree))
		return true;
	return ours && json_c_version_num() >= (18 << 8) && parse(doc, 0, tree);
}

static bool
word_at(const Document *doc, size_t at, const char *word)
{
	return doc->size - at >= strlen(word) &&
		memcmp(doc->data + at, word, strlen(word)) == 0;
}

bool
fuzz_known_difference(const Document *doc, const ImpiloJsonError *error)
{
	size_t		at = error->offset;
	char		c = at < doc->size ? doc->data[at] : '\0';
	char		before = at > 0 ? doc->data[at - 1] : '\0';

	/* control characters inside strings */
	if (strcmp(error->what, "control character in a string") == 0)
		return (unsigned char) c < 0x20;
	/* names in single quotes */
	if (strcmp(error->what, "member name expected") == 0)
		return c == '\'';
	/* numbers with leading zeros, or with nothing on one side of the point */
	if (before == '0' && c >= '0' && c <= '9')
		return true;
	if (strcmp(error->what, "digit expected") == 0 &&
		(before == '.' || (before == '-' && c == '.')))
		return true;
	/* NaN, Infinity, -Infinity */
	if (word_at(doc, at, "NaN") || word_at(doc, at, "Infinity"))
		return true;
	/* json-c has another limit */
	return strcmp(error->what, "nested too deeply") == 0;
}

/* --- values ------------------------------------------------------------ */

void
fuzz_inside(const Document *doc, const ImpiloJsonSlice *slice)
{
	REQUIRE(slice->kind >= IMPILO_JSON_NULL &&
			slice->kind <= IMPILO_JSON_OBJECT);
	REQUIRE(slice->data >= doc->data && slice->length > 0 &&
			slice->length <= doc->size - (size_t) (slice->data - doc->data));
}

static bool
same_text(const char *a, size_t alen, const char *b, size_t blen)
{
	return alen == blen && memcmp(a, b, alen) == 0;
}

const char *
fuzz_decode(const ImpiloJsonSlice *string, char **text, size_t *length)
{
	const char *wrong;

	*text = malloc(string->length > 0 ? string->length : 1);
	REQUIRE(*text != NULL);
	wrong = impilo_json_unescape(string, *text, length);
	REQUIRE(*length == 0 || *length < string->length);
	REQUIRE(impilo_json_name_equals(string, *text, *length) ==
			(wrong == NULL));
	return wrong;
}

/*
 * json-c 0.16 takes a character beyond U+FFFF for half a surrogate pair if
 * its lower 16 bits look like one, as those of \uD976\uDD1E, U+6D91E, do.
 * Return whether such a character begins here.
 */
static bool
is_spoilt(const char *text, size_t length)
{
	const unsigned char *c = (const unsigned char *) text;

	/* four bytes; the lower 16 bits begin in the second one */
	return length >= 4 && c[0] >= 0xF0 && c[0] <= 0xF4 &&
		((c[1] & 0x0F) << 12 | (c[2] & 0x3F) << 6) >= 0xD800 &&
		((c[1] & 0x0F) << 12 | (c[2] & 0x3F) << 6) <= 0xDFFF;
}

static bool
has_spoilt(const char *text, size_t length)
{
	for (; length > 0; text++, length--)
	{
		if (is_spoilt(text, length))
			return true;
	}
	return false;
}

/* Return whether the texts are the same, up to where json-c changes it */
static bool
same_or_spoilt(const ImpiloJsonSlice *slice, const char *text, size_t length,
			   const char *theirs, size_t theirs_length)
{
	size_t		i = 0;
	size_t		back;

	if (same_text(text, length, theirs, theirs_length))
		return true;
	while (i < length && i < theirs_length && text[i] == theirs[i])
		i++;
	for (back = 0; slice->escaped && back <= 3 && back <= i; back++)
	{
		if (is_spoilt(text + i - back, length - i + back))
			return true;
	}
	return false;
}

static void
compare_string(const ImpiloJsonSlice *slice, struct json_object *tree)
{
	char	   *text;
	size_t		length;
	const char *wrong;
	const char *theirs = json_object_get_string(tree);
	size_t		theirs_length = (size_t) json_object_get_string_len(tree);

	REQUIRE(json_object_is_type(tree, json_type_string));
	REQUIRE(slice->escaped == (memchr(slice->data, '\\', slice->length) !=
							   NULL));
	wrong = fuzz_decode(slice, &text, &length);
	if (wrong == NULL)
		REQUIRE(same_or_spoilt(slice, text, length, theirs, theirs_length));
	else if (strstr(wrong, "u0000") != NULL)
		/* json-c keeps the NUL */
		REQUIRE(has_spoilt(text, length) ||
				(theirs_length > length && theirs[length] == '\0' &&
				 memcmp(text, theirs, length) == 0));
	else
	{
		REQUIRE(strcmp(wrong, "half of a surrogate pair") == 0);
		/* json-c puts U+FFFD in its place */
		REQUIRE(has_spoilt(text, length) ||
				(theirs_length >= length + 3 &&
				 memcmp(text, theirs, length) == 0 &&
				 memcmp(theirs + length, "\xef\xbf\xbd", 3) == 0));
	}
	free(text);
}

static void
compare_number(const ImpiloJsonSlice *slice, struct json_object *tree)
{
	char		text[4097];
	int64_t		value;

	if (impilo_json_int64(slice, &value))
	{
		REQUIRE(json_object_get_int64(tree) == value);
		/* json-c reads -0 as a double */
		REQUIRE(json_object_is_type(tree, json_type_int) || value == 0);
		return;
	}
	if (slice->length >= sizeof(text))
		return;
	memcpy(text, slice->data, slice->length);
	text[slice->length] = '\0';
	if (strpbrk(text, ".eE") != NULL)
	{
		REQUIRE(json_object_is_type(tree, json_type_double));
		REQUIRE(json_object_get_double(tree) == strtod(text, NULL));
	}
	else
		/* beyond 64 signed bits, where json-c clamps or goes unsigned */
		REQUIRE(json_object_get_int64(tree) ==
				(text[0] == '-' ? INT64_MIN : INT64_MAX));
}

/* Walk an array twice: strictly, and as one that was checked */
static void
compare_array(Document *doc, const ImpiloJsonSlice *slice,
			  struct json_object *tree)
{
	ImpiloJsonCursor strict;
	ImpiloJsonCursor loose;
	ImpiloJsonSlice element;
	ImpiloJsonSlice again;
	ImpiloJsonError error;
	size_t		n = 0;

	REQUIRE(json_object_is_type(tree, json_type_array));
	impilo_json_begin(&strict, slice, DEPTH);
	impilo_json_begin(&loose, slice, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&strict, NULL, &element, &error) == 1)
	{
		REQUIRE(impilo_json_next(&loose, NULL, &again, &error) == 1);
		REQUIRE(again.data == element.data && again.kind == element.kind &&
				again.length == element.length);
		REQUIRE(n < json_object_array_length(tree));
		fuzz_compare_value(doc, &element, json_object_array_get_idx(tree, n));
		n++;
	}
	REQUIRE(impilo_json_next(&strict, NULL, &element, &error) == 0);
	REQUIRE(impilo_json_next(&loose, NULL, &again, &error) == 0);
	REQUIRE(n == json_object_array_length(tree));
}

/* Return whether a name occurs again in the rest of an object */
static bool
occurs_again(ImpiloJsonCursor cursor, const char *text, size_t length)
{
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError error;

	while (impilo_json_next(&cursor, &name, &value, &error) == 1)
	{
		if (impilo_json_name_equals(&name, text, length))
			return true;
	}
	return false;
}

/*
 * Return whether json-c keeps the names of an object unchanged.  Its names are
 * C strings, and have U+FFFD where half a surrogate pair is missing.
 */
static bool
names_are_kept(ImpiloJsonCursor cursor)
{
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	bool		kept = true;

	while (impilo_json_next(&cursor, &name, &value, &error) == 1)
	{
		char	   *text;
		size_t		length;

		if (fuzz_decode(&name, &text, &length) != NULL ||
			(name.escaped && has_spoilt(text, length)))
			kept = false;
		free(text);
	}
	return kept;
}

static void
compare_member(Document *doc, const ImpiloJsonCursor *rest,
			   const ImpiloJsonSlice *name, const ImpiloJsonSlice *value,
			   struct json_object *tree)
{
	struct json_object *theirs;
	char	   *text;
	size_t		length;

	fuzz_decode(name, &text, &length);
	/* of repeated names json-c keeps the last value */
	if (occurs_again(*rest, text, length))
		doc->repeated = true;
	else if (!doc->odd_names)
	{
		char	   *key = strndup(text, length);

		REQUIRE(key != NULL);
		REQUIRE(json_object_object_get_ex(tree, key, &theirs));
		fuzz_compare_value(doc, value, theirs);
		free(key);
	}
	free(text);
}

static void
compare_object(Document *doc, const ImpiloJsonSlice *slice,
			   struct json_object *tree)
{
	ImpiloJsonCursor strict;
	ImpiloJsonCursor loose;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonSlice name_again;
	ImpiloJsonSlice again;
	ImpiloJsonError error;
	int			n = 0;

	REQUIRE(json_object_is_type(tree, json_type_object));
	impilo_json_begin(&strict, slice, DEPTH);
	impilo_json_begin(&loose, slice, IMPILO_JSON_CHECKED);
	if (!names_are_kept(loose))
		doc->odd_names = true;
	while (impilo_json_next(&strict, &name, &value, &error) == 1)
	{
		REQUIRE(impilo_json_next(&loose, &name_again, &again,
								 &error) == 1);
		REQUIRE(name_again.data == name.data && again.data == value.data &&
				again.length == value.length && again.kind == value.kind);
		compare_member(doc, &loose, &name, &value, tree);
		n++;
	}
	REQUIRE(impilo_json_next(&strict, &name, &value, &error) == 0);
	REQUIRE(impilo_json_next(&loose, &name, &value, &error) == 0);
	if (!doc->repeated && !doc->odd_names)
		REQUIRE(n == json_object_object_length(tree));
}

void
fuzz_compare_value(Document *doc, const ImpiloJsonSlice *slice,
				   struct json_object *tree)
{
	fuzz_inside(doc, slice);
	switch (slice->kind)
	{
		case IMPILO_JSON_NULL:
			REQUIRE(tree == NULL);
			break;
		case IMPILO_JSON_BOOL:
			REQUIRE(json_object_is_type(tree, json_type_boolean));
			REQUIRE(json_object_get_boolean(tree) == (*slice->data == 't'));
			break;
		case IMPILO_JSON_NUMBER:
			compare_number(slice, tree);
			break;
		case IMPILO_JSON_STRING:
			compare_string(slice, tree);
			break;
		case IMPILO_JSON_ARRAY:
			compare_array(doc, slice, tree);
			break;
		case IMPILO_JSON_OBJECT:
			compare_object(doc, slice, tree);
			break;
		case IMPILO_JSON_ABSENT:
			REQUIRE(!"the kind of a value is unknown");
	}
}
