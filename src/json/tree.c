/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  Texts of error responses, read by json-c.
 *
 * The only file that includes json-c.  It must not include utils/builtins.h:
 * both declare the name json_object.
 *
 * No function that can raise an error is called while a json-c tree exists, so
 * the function that makes a tree also frees it.
 *
 * Orders are not read here: a tree of each order would cost more than the rest
 * of a scan (see json/scan.h).
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

/* bytes after which an error text is cut */
#define ERROR_TEXT_LIMIT 500

/* bytes of a buffer for texts, which are separated by "; " */
#define TEXTS_SIZE (ERROR_TEXT_LIMIT + 100)

/* no tree is made of a longer error body */
#define ERROR_BODY_LIMIT (64 * 1024)

/* how deep an error body may be nested */
#define ERROR_DEPTH 16

/*
 * Add a text, unless it is contained already: some APIs send the same text as
 * message and as error.
 */
static void
add_text(char *texts, struct json_object *value)
{
	const char *added = json_object_get_string(value);

	if (added == NULL || strstr(texts, added) != NULL)
		return;
	if (texts[0] != '\0')
		strlcat(texts, "; ", TEXTS_SIZE);
	strlcat(texts, added, TEXTS_SIZE);
}

static void gather_texts(char *texts, struct json_object *value,
						 bool any_member);

/*
 * Add the members that are known to contain a message.  The value of "errors"
 * may be an object whose members are named after fields (`any_member`): then
 * all of them are added.  Objects below it and elements of arrays are not
 * treated so, because they may repeat the refused value.
 */
static void
gather_members(char *texts, struct json_object *object, bool any_member)
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
gather_texts(char *texts, struct json_object *value, bool any_member)
{
	if (json_object_is_type(value, json_type_string))
		add_text(texts, value);
	else if (json_object_is_type(value, json_type_object))
		gather_members(texts, value, any_member);
	else if (json_object_is_type(value, json_type_array))
		for (size_t i = 0; i < json_object_array_length(value) &&
			 strlen(texts) < ERROR_TEXT_LIMIT; i++)
			gather_texts(texts, json_object_array_get_idx(value, i), false);
}

/*
 * Add the texts of a body that is JSON.  Returns false if it is not.  Our
 * scanner decides that, because json-c is either too lenient or too strict.
 */
static bool
read_tree(const char *body, size_t length, char *texts)
{
	struct json_tokener *tokener;
	struct json_object *tree;
	ImpiloJsonSlice value;
	ImpiloJsonError error;

	if (length > ERROR_BODY_LIMIT ||
		!impilo_json_check(body, length, ERROR_DEPTH - 1, &value, &error))
		return false;
	if (value.kind < IMPILO_JSON_STRING)
		return true;
	tokener = json_tokener_new_ex(ERROR_DEPTH);
	if (tokener == NULL)
		return true;
	/* not strict: version 0.18 would refuse all bytes above 0x7f */
	tree = json_tokener_parse_ex(tokener, value.data, (int) value.length);
	if (json_tokener_get_error(tokener) == json_tokener_success)
		gather_texts(texts, tree, false);
	json_tokener_free(tokener);
	json_object_put(tree);
	return true;
}

/*
 * impilo_json_error_text
 *		Returns the text of an error response for use in a message: of JSON,
 *		the members message, error, errors, detail and code, or the string;
 *		else the plain text.
 *
 * `content_type` may be NULL.  Returns NULL if the body is empty, HTML, UTF-16,
 * or JSON without these members, which could contain anything.  The text has
 * a limited length, no control characters, and the encoding of the database.
 * It is allocated in CurrentMemoryContext.
 */
char *
impilo_json_error_text(const char *body, size_t length,
					   const char *content_type)
{
	char		texts[TEXTS_SIZE] = "";
	char	   *clean;

	if (strncmp(body, IMPILO_BYTE_ORDER_MARK, strlen(IMPILO_BYTE_ORDER_MARK)) == 0)
	{
		body += strlen(IMPILO_BYTE_ORDER_MARK);
		length -= strlen(IMPILO_BYTE_ORDER_MARK);
	}
	while (length > 0 && strchr(" \t\r\n", *body) && *body != '\0')
	{
		body++;
		length--;
	}
	if (length == 0 || *body == '<' || memchr(body, '\0', length) ||
		(content_type && strstr(content_type, "html")))
		return NULL;

	if (read_tree(body, length, texts))
		clean = impilo_text_clean(texts, strlen(texts), ERROR_TEXT_LIMIT);
	else if (strchr("{[\"", *body) && *body != '\0')
		return NULL;
	else
		clean = impilo_text_clean(body, length, ERROR_TEXT_LIMIT);
	return clean[0] ? clean : NULL;
}

/*
 * impilo_json_library_version
 *		Returns the version of json-c that this process uses.
 */
const char *
impilo_json_library_version(void)
{
	return json_c_version();
}
