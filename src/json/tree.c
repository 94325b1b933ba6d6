/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  What needs a JSON tree: the bodies of errors.
 *
 * The only file that knows json-c, and therefore one that must not include
 * utils/builtins.h: both declare the name json_object.
 *
 * Trees live only between two points without an error: nothing that could
 * throw is called while one exists, so each is freed by the function that
 * made it.
 *
 * Orders are not read here: a tree of each would cost more than all the rest
 * of a scan (see scan.h).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/tree.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <json-c/json.h>

#include "utils/memutils.h"

#include "json/tree.h"
#include "json/scan.h"
#include "json/text.h"

/* an error text is cut at so many bytes: it is there to be read */
#define ERROR_TEXT_LIMIT 500

/* no API needs more to say what is wrong; a tree of more is not made */
#define ERROR_BODY_LIMIT (64 * 1024)

/* containers inside one another in an error body */
#define ERROR_DEPTH 16

/* Texts gathered from an error body. */
typedef struct ErrorTexts
{
	char		text[ERROR_TEXT_LIMIT + 100];
	size_t		used;
} ErrorTexts;

static void
add_bytes(ErrorTexts *texts, const char *bytes, size_t length)
{
	length = Min(length, sizeof(texts->text) - texts->used);
	memcpy(texts->text + texts->used, bytes, length);
	texts->used += length;
}

/*
 * Was this said already?  Some APIs say the same as message and as error.
 */
static bool
has_text(const ErrorTexts *texts, const char *bytes, size_t length)
{
	for (size_t at = 0; at + length <= texts->used; at++)
		if (memcmp(texts->text + at, bytes, length) == 0)
			return true;
	return false;
}

static void
add_text(ErrorTexts *texts, struct json_object *value)
{
	const char *bytes = json_object_get_string(value);
	size_t		length = bytes == NULL ? 0 :
	json_object_is_type(value, json_type_string)
	? (size_t) json_object_get_string_len(value) : strlen(bytes);

	if (length == 0 || has_text(texts, bytes, length))
		return;
	if (texts->used > 0)
		add_bytes(texts, "; ", 2);
	add_bytes(texts, bytes, length);
}

static void gather_texts(ErrorTexts *texts, struct json_object *value,
						 bool any_member);

/*
 * The members that are known to hold a message.  Directly behind "errors" may
 * stand an object whose members are named after fields: any of theirs.  Not
 * so in what these hold, or the elements of an array: they are of one make and
 * may repeat the value that was refused.
 */
static void
gather_members(ErrorTexts *texts, struct json_object *object, bool any_member)
{
	static const char *const names[] = {"message", "error", "errors", "detail",
	"code", "msg", "defaultMessage"};
	struct json_object *value;
	bool		known = false;

	for (int i = 0; i < lengthof(names); i++)
	{
		if (!json_object_object_get_ex(object, names[i], &value))
			continue;
		known = true;
		if (json_object_is_type(value, json_type_int) &&
			strcmp(names[i], "code") == 0)
			add_text(texts, value);
		else
			gather_texts(texts, value, strcmp(names[i], "errors") == 0);
	}
	if (known || !any_member)
		return;
	for (struct lh_entry *entry = json_object_get_object(object)->head;
		 entry; entry = entry->next)
		gather_texts(texts, (struct json_object *) lh_entry_v(entry), false);
}

static void
gather_texts(ErrorTexts *texts, struct json_object *value, bool any_member)
{
	if (json_object_is_type(value, json_type_string))
		add_text(texts, value);
	else if (json_object_is_type(value, json_type_object))
		gather_members(texts, value, any_member);
	else if (json_object_is_type(value, json_type_array))
		for (size_t i = 0; i < json_object_array_length(value) &&
			 texts->used < ERROR_TEXT_LIMIT; i++)
			gather_texts(texts, json_object_array_get_idx(value, i), false);
}

/*
 * Read a body that is JSON.  Returns false if it is not, which the scanner
 * says: json-c is lenient, or too strict.
 */
static bool
read_tree(const char *body, size_t length, ErrorTexts *texts)
{
	struct json_tokener *tokener;
	struct json_object *tree;
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	bool		read;

	if (length > ERROR_BODY_LIMIT ||
		!impilo_json_check(body, length, ERROR_DEPTH - 1, &value, &error))
		return false;
	tokener = json_tokener_new_ex(ERROR_DEPTH);
	if (tokener == NULL)
		return false;
	/* not strict: then 0.18 takes bytes above 0x7f for control characters */
	tree = json_tokener_parse_ex(tokener, body, (int) length);
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		tree = json_tokener_parse_ex(tokener, "\n", 1); /* ends a number */
	read = json_tokener_get_error(tokener) == json_tokener_success;
	json_tokener_free(tokener);
	if (read)
		gather_texts(texts, tree, false);
	json_object_put(tree);
	return read;
}

/*
 * impilo_json_error_text
 *		What the API says in the body of an error, fit for a message: JSON
 *		with the members message, error, errors, detail or code, a JSON
 *		string, or plain text.
 *
 * `content_type` may be NULL.  Returns NULL if the body says nothing, is a
 * page for a browser, or JSON of an unknown shape, which might hold anything;
 * else a text of limited length in the encoding of the database, without
 * control characters, in CurrentMemoryContext.
 */
char *
impilo_json_error_text(const char *body, size_t length,
					   const char *content_type)
{
	ErrorTexts	texts;
	char	   *clean;

	while (length > 0 && strchr(" \t\r\n", *body) && *body != '\0')
	{
		body++;
		length--;
	}
	if (length == 0 || *body == '<' ||
		(content_type && strstr(content_type, "html")))
		return NULL;

	texts.used = 0;
	if (read_tree(body, length, &texts))
		clean = impilo_text_clean(texts.text, texts.used, ERROR_TEXT_LIMIT);
	else if (strchr("{[\"", *body) && *body != '\0')
		return NULL;
	else
		clean = impilo_text_clean(body, length, ERROR_TEXT_LIMIT);
	return clean[0] ? clean : NULL;
}

/*
 * impilo_json_library_version
 *		Version of json-c that is in use, in static memory.
 */
const char *
impilo_json_library_version(void)
{
	return json_c_version();
}
