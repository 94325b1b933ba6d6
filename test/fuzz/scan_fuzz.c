/*-------------------------------------------------------------------------
 *
 * scan_fuzz.c
 *		  Comparison of the scanner with json-c's tree of the same bytes
 *
 * For any bytes both must agree on the verdict and on the values: at every place
 * of the document by walking it, and at random places by finding them.  json_tree.c
 * names where json-c differs.
 *
 * Bytes that are not JSON are also walked and searched as if they had been
 * checked: this must end and read no other memory.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "json/scan.h"
#include "json_tree.h"

#define MAX_PATHS 16
#define MAX_NODES (1 + MAX_PATHS * IMPILO_JSON_MAX_DEPTH)
#define MAX_POINTER 10000

typedef struct Path
{
	char		pointer[MAX_POINTER];	/* decoded when the path is wanted */
	size_t		length;
	int32_t		slot;			/* of its value in what is found */
} Path;

static Path paths[MAX_PATHS];
static int	npaths;
static ImpiloJsonNode nodes[MAX_NODES];
static ImpiloJsonWanted wanted;

/* --- places ------------------------------------------------------------ */

/* Random numbers, seeded by the document */
static uint32_t
below(Document *doc, uint32_t limit)
{
	doc->seed = doc->seed * UINT64_C(6364136223846793005) +
		UINT64_C(1442695040888963407);
	return (uint32_t) (doc->seed >> 33) % limit;
}

/* A step from this container, mostly to an existing member */
static const char *
random_step(Document *doc, struct json_object *tree)
{
	static const char *const names[] =
	{"0", "1", "2", "3", "4", "5", "6", "7", "id", "content", "", "a"};
	uint32_t	members;

	if (tree == NULL || below(doc, 12) == 0)
		return names[below(doc, 12)];
	if (json_object_is_type(tree, json_type_array) &&
		json_object_array_length(tree) > 0)
		return names[below(doc, 8)];
	if (json_object_is_type(tree, json_type_object) &&
		json_object_object_length(tree) > 0)
	{
		members = below(doc, (uint32_t) json_object_object_length(tree));
		{
			json_object_object_foreach(tree, key, value)
			{
				(void) value;
				if (members-- == 0)
					return key;
			}
		}
	}
	return names[below(doc, 12)];
}

/* The value one step below, if it exists */
static bool
step_down(struct json_object **tree, const char *step)
{
	char	   *end;
	unsigned long index;

	if (json_object_is_type(*tree, json_type_array))
	{
		index = strtoul(step, &end, 10);
		if (*step < '0' || *step > '9' || *end != '\0' ||
			(*step == '0' && step[1] != '\0') ||
			index >= json_object_array_length(*tree))
			return false;
		*tree = json_object_array_get_idx(*tree, index);
		return true;
	}
	return json_object_is_type(*tree, json_type_object) &&
		json_object_object_get_ex(*tree, step, tree);
}

/* Append a step, escaped; false if there is no space */
static bool
add_step(Path *path, const char *step)
{
	if (strlen(step) * 2 + 2 > MAX_POINTER - path->length ||
		strcmp(step, "-") == 0)
		return false;
	path->pointer[path->length++] = '/';
	for (; *step != '\0'; step++)
	{
		if (*step == '~' || *step == '/')
			path->pointer[path->length++] = '~';
		path->pointer[path->length++] = *step == '~' ? '0' :
			*step == '/' ? '1' : *step;
	}
	return true;
}

static void
random_path(Document *doc, struct json_object *tree, Path *path)
{
	int			steps = 0;

	path->length = 0;
	while (steps++ < DEPTH && below(doc, 6) != 0)
	{
		const char *step = random_step(doc, tree);

		if (!add_step(path, step))
			break;
		if (!step_down(&tree, step))
			tree = NULL;
	}
}

/* Paths for any document: those of an order, and the whole */
static void
fixed_paths(void)
{
	static const char *const pointers[] =
	{"/content", "/page", "/total", "/id", "/a", "/0", "/patient/id", ""};

	npaths = sizeof(pointers) / sizeof(pointers[0]);
	for (int i = 0; i < npaths; i++)
	{
		paths[i].length = strlen(pointers[i]);
		memcpy(paths[i].pointer, pointers[i], paths[i].length);
	}
}

/* The value that a pointer leads to, if it exists */
static bool
follow(const Path *path, struct json_object **tree)
{
	char		step[MAX_POINTER];
	size_t		n;

	for (size_t at = 0; at < path->length;)
	{
		for (n = 0, at++; at < path->length && path->pointer[at] != '/'; at++)
		{
			if (path->pointer[at] == '~')
				step[n++] = path->pointer[++at] == '0' ? '~' : '/';
			else
				step[n++] = path->pointer[at];
		}
		step[n] = '\0';
		if (!step_down(tree, step))
			return false;
	}
	return true;
}

static void
want_paths(void)
{
	static char decoded[MAX_PATHS][MAX_POINTER];
	ImpiloJsonError error;

	impilo_json_want_begin(&wanted, nodes, MAX_NODES);
	for (int i = 0; i < npaths; i++)
	{
		memcpy(decoded[i], paths[i].pointer, paths[i].length);
		paths[i].slot = impilo_json_want(&wanted, decoded[i], paths[i].length,
										 &error);
		REQUIRE(paths[i].slot >= 0 && paths[i].slot <= i);
	}
}

/* Find the paths in a valid document; repeated names are not checked */
static void
find_in_valid(Document *doc, const ImpiloJsonSlice *document,
			  struct json_object *root)
{
	ImpiloJsonSlice found[MAX_PATHS];
	ImpiloJsonError error;
	bool		clear = impilo_json_find(&wanted, document, found, &error);

	REQUIRE(clear || doc->repeated || doc->odd_names);
	REQUIRE(clear || strcmp(error.what, "duplicate member") == 0);
	if (!clear || doc->repeated || doc->odd_names)
		return;
	for (int i = 0; i < npaths; i++)
	{
		struct json_object *tree = root;
		bool		there = follow(&paths[i], &tree);

		REQUIRE(there == (found[paths[i].slot].kind != IMPILO_JSON_ABSENT));
		if (there)
			fuzz_compare_value(doc, &found[paths[i].slot], tree);
	}
}

/* --- bytes that are treated as if they were checked -------------------- */

static void
survive(const Document *doc)
{
	ImpiloJsonSlice found[MAX_PATHS];
	ImpiloJsonSlice slice = {doc->data, doc->size, IMPILO_JSON_STRING, true};
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonCursor cursor;
	ImpiloJsonError error = {0, ""};
	char	   *text;
	size_t		length;
	int64_t		number;
	int			i;

	slice.kind = doc->size > 0 && *doc->data == '[' ? IMPILO_JSON_ARRAY
		: IMPILO_JSON_OBJECT;
	if (impilo_json_find(&wanted, &slice, found, &error))
	{
		for (i = 0; i < wanted.slots; i++)
		{
			if (found[i].kind != IMPILO_JSON_ABSENT)
				fuzz_inside(doc, &found[i]);
		}
	}
	value = impilo_json_member(&slice, "id");
	if (value.kind != IMPILO_JSON_ABSENT)
		fuzz_inside(doc, &value);
	impilo_json_begin(&cursor, &slice, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &value, &error) == 1)
		fuzz_inside(doc, &value);
	impilo_json_begin(&cursor, &slice, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, &name, &value, &error) == 1)
	{
		fuzz_inside(doc, &name);
		fuzz_inside(doc, &value);
	}
	REQUIRE(error.offset <= doc->size);
	slice.kind = IMPILO_JSON_STRING;
	if (doc->size >= 2)
	{
		fuzz_decode(&slice, &text, &length);
		free(text);
	}
	slice.kind = IMPILO_JSON_NUMBER;
	(void) impilo_json_int64(&slice, &number);
}

/* --- the target -------------------------------------------------------- */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Document	doc = {(const char *) data, size, false, false, 7};
	ImpiloJsonSlice value;
	ImpiloJsonError error = {0, ""};
	struct json_object *tree = NULL;
	bool		ours;
	bool		theirs;
	size_t		i;

	ours = impilo_json_check(doc.data, size, DEPTH, &value, &error);
	theirs = fuzz_json_c_accepts(&doc, ours, &tree);

	/* json-c ends at the first NUL */
	if (memchr(data, '\0', size) != NULL)
		REQUIRE(!ours);
	else if (ours != theirs)
		REQUIRE(theirs && fuzz_known_difference(&doc, &error));

	for (i = 0; i < size; i++)
		doc.seed = (doc.seed ^ data[i]) * UINT64_C(1099511628211);
	fixed_paths();
	want_paths();
	survive(&doc);
	if (ours)
	{
		fuzz_compare_value(&doc, &value, tree);
		find_in_valid(&doc, &value, tree);
		npaths = 1 + (int) below(&doc, MAX_PATHS);
		for (i = 0; i < (size_t) npaths; i++)
			random_path(&doc, tree, &paths[i]);
		want_paths();
		find_in_valid(&doc, &value, tree);
	}
	json_object_put(tree);
	return 0;
}
