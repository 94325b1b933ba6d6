/*-------------------------------------------------------------------------
 *
 * pointer_fuzz.c
 *		  Parsing and following JSON Pointers
 *
 * A pointer that parses must lead to the same place, in a document built for it,
 * as json-c's json_pointer_get.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <stdbool.h>
#include <string.h>

#include "json/scan.h"

/* a larger index is used only as a name, to keep the document small */
#define MAX_INDEX 20

/* Return the array index that a step stands for, or -1 */
static long
index_of(const ImpiloJsonNode *step)
{
	long		index = 0;

	if (step->length == 0 || step->length > 8 ||
		(step->length > 1 && *step->name == '0'))
		return -1;
	for (size_t i = 0; i < step->length; i++)
	{
		if (step->name[i] < '0' || step->name[i] > '9')
			return -1;
		index = index * 10 + step->name[i] - '0';
	}
	return index;
}

/* --- a document in which the steps lead to the number 42 --------------- */

static struct json_object *
document_for(const ImpiloJsonNode *steps, size_t count)
{
	struct json_object *inner = json_object_new_int(42);
	struct json_object *outer;

	while (count-- > 0)
	{
		const ImpiloJsonNode *step = &steps[count];

		/* arrays and objects in turn where both are possible */
		if (index_of(step) >= 0 && index_of(step) <= MAX_INDEX &&
			count % 2 == 0)
		{
			outer = json_object_new_array();
			json_object_array_put_idx(outer, (size_t) index_of(step), inner);
		}
		else
		{
			char	   *key = strndup(step->name, step->length);

			REQUIRE(key != NULL);
			outer = json_object_new_object();
			json_object_object_add(outer, key, inner);
			free(key);
		}
		inner = outer;
	}
	return inner;
}

/* `steps` are the nodes of the set: one below the other */
static void
follow(const char *text, size_t length, ImpiloJsonWanted *wanted,
	   const ImpiloJsonNode *steps)
{
	struct json_object *tree = document_for(steps, wanted->used - 1);
	struct json_object *place = NULL;
	const char *json = json_object_to_json_string(tree);
	char	   *pointer = strndup(text, length);
	ImpiloJsonSlice document;
	ImpiloJsonSlice found;
	ImpiloJsonError error;

	REQUIRE(pointer != NULL);
	REQUIRE(impilo_json_check(json, strlen(json), IMPILO_JSON_MAX_DEPTH,
							  &document, &error));
	REQUIRE(impilo_json_find(wanted, &document, &found, &error));
	REQUIRE(found.length == 2 && memcmp(found.data, "42", 2) == 0);
	REQUIRE(json_pointer_get(tree, pointer, &place) == 0);
	REQUIRE(json_object_get_int(place) == 42);
	free(pointer);
	json_object_put(tree);
}

/* --- the target -------------------------------------------------------- */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	static ImpiloJsonNode nodes[IMPILO_JSON_MAX_DEPTH + 1];
	char	   *names = malloc(size > 0 ? size : 1);
	ImpiloJsonWanted wanted;
	ImpiloJsonError error = {0, NULL};

	REQUIRE(names != NULL);
	memcpy(names, data, size);
	impilo_json_want_begin(&wanted, nodes, IMPILO_JSON_MAX_DEPTH + 1);
	if (impilo_json_want(&wanted, names, size, &error) < 0)
		REQUIRE(error.what != NULL && error.offset <= size);
	else
	{
		REQUIRE(size == 0 || text[0] == '/');
		/* json-c's texts end at a NUL */
		if (memchr(text, '\0', size) == NULL)
			follow(text, size, &wanted, nodes + 1);
	}
	free(names);
	return 0;
}
