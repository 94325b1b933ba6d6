/*-------------------------------------------------------------------------
 *
 * pointer_fuzz.c
 *		  JSON Pointers taken apart, put together and followed
 *
 * What parses must give the same text again, and lead to the same place in a
 * document built for it as json-c's own json_pointer_get.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <stdbool.h>
#include <string.h>

#include "json/scan.h"

/* above it an index is used as a name only, to keep the document small */
#define MAX_INDEX 20

/* --- a document in which the steps lead to the number 42 --------------- */

static struct json_object *
document_for(const ImpiloPointerStep *steps, size_t count)
{
	struct json_object *inner = json_object_new_int(42);
	struct json_object *outer;

	while (count-- > 0)
	{
		const ImpiloPointerStep *step = &steps[count];

		/* arrays and objects in turn where both would do */
		if (step->index >= 0 && step->index <= MAX_INDEX && count % 2 == 0)
		{
			outer = json_object_new_array();
			json_object_array_put_idx(outer, (size_t) step->index, inner);
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

static void
follow(const char *text, size_t length, const ImpiloPointerStep *steps,
	   size_t count)
{
	static ImpiloJsonNode nodes[IMPILO_JSON_MAX_DEPTH + 2];
	struct json_object *tree = document_for(steps, count);
	struct json_object *place = NULL;
	const char *json = json_object_to_json_string(tree);
	char	   *pointer = strndup(text, length);
	ImpiloJsonWanted wanted;
	ImpiloJsonSlice found;
	ImpiloJsonError error;

	REQUIRE(pointer != NULL);
	impilo_json_want_begin(&wanted, nodes, IMPILO_JSON_MAX_DEPTH + 2);
	REQUIRE(impilo_json_want(&wanted, steps, count) == 0);
	REQUIRE(impilo_json_find(&wanted, json, strlen(json),
							 IMPILO_JSON_CHECKED, &found, &error));
	REQUIRE(found.length == 2 && memcmp(found.data, "42", 2) == 0);
	REQUIRE(json_pointer_get(tree, pointer, &place) == 0);
	REQUIRE(json_object_get_int(place) == 42);
	free(pointer);
	json_object_put(tree);
}

/* --- the target -------------------------------------------------------- */

/* Is an index exactly what its name says, and no other name one? */
static void
check_index(const ImpiloPointerStep *step)
{
	char		digits[16];
	int			length;

	if (step->index == IMPILO_POINTER_NO_INDEX)
	{
		/* then it is not written as a number below 2^31 */
		REQUIRE(step->length != 1 || *step->name < '0' || *step->name > '9');
		return;
	}
	length = snprintf(digits, sizeof(digits), "%d", (int) step->index);
	REQUIRE(step->length == (size_t) length &&
			memcmp(step->name, digits, step->length) == 0);
}

static void
round_trip(const char *text, size_t length, const ImpiloPointerStep *steps,
		   size_t count)
{
	char	   *again = malloc(length > 0 ? length : 1);
	size_t		cut = length / 2;

	REQUIRE(again != NULL);
	REQUIRE(impilo_pointer_format(steps, count, again, length) == length);
	REQUIRE(memcmp(again, text, length) == 0);
	memset(again, 0, length);
	REQUIRE(impilo_pointer_format(steps, count, again, cut) == length);
	REQUIRE(memcmp(again, text, cut) == 0);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	size_t		count = impilo_pointer_count(text, size);
	ImpiloPointerStep *steps = malloc((count > 0 ? count : 1) *
									  sizeof(*steps));
	char	   *names = malloc(size > 0 ? size : 1);
	ImpiloPointerError error = {0, NULL};
	size_t		i;

	REQUIRE(steps != NULL && names != NULL);
	if (!impilo_pointer_parse(text, size, steps, names, &error))
		REQUIRE(error.what != NULL && error.offset < size);
	else
	{
		REQUIRE(size == 0 || text[0] == '/');
		for (i = 0; i < count; i++)
			check_index(&steps[i]);
		round_trip(text, size, steps, count);
		/* json-c's texts end at a NUL */
		if (memchr(text, '\0', size) == NULL &&
			count <= IMPILO_JSON_MAX_DEPTH)
			follow(text, size, steps, count);
	}
	free(steps);
	free(names);
	return 0;
}
