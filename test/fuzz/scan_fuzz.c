/*-------------------------------------------------------------------------
 *
 * scan_fuzz.c
 *		  The scanner held against json-c's tree of the same bytes
 *
 * For any bytes both must come to the same verdict, and then to the same
 * values: at every place of the document by walking it, and at places picked
 * at random by finding them.  json_tree.c names where json-c differs.
 *
 * Bytes that are no JSON are also walked and searched as if they had been
 * checked: then nothing is promised but that it ends and reads nothing else.
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

typedef struct Path
{
	ImpiloPointerStep steps[DEPTH];
	size_t		count;
	int32_t		slot;			/* of its value in what is found */
} Path;

static Path paths[MAX_PATHS];
static int	npaths;
static ImpiloJsonNode nodes[MAX_NODES];
static ImpiloJsonWanted wanted;

/* --- places ------------------------------------------------------------ */

/* Random numbers that follow from the document */
static uint32_t
below(Document *doc, uint32_t limit)
{
	doc->seed = doc->seed * UINT64_C(6364136223846793005) +
		UINT64_C(1442695040888963407);
	return (uint32_t) (doc->seed >> 33) % limit;
}

static ImpiloPointerStep
literal_step(const char *name)
{
	return impilo_pointer_step(name, strlen(name));
}

/* A step from this container: mostly to something that is there */
static ImpiloPointerStep
random_step(Document *doc, struct json_object *tree)
{
	static const char *const names[] =
	{"0", "1", "2", "3", "4", "5", "6", "7", "id", "content", "", "a"};
	uint32_t	members;

	if (tree == NULL || below(doc, 12) == 0)
		return literal_step(names[below(doc, 12)]);
	if (json_object_is_type(tree, json_type_array) &&
		json_object_array_length(tree) > 0)
		return literal_step(names[below(doc, 8)]);
	if (json_object_is_type(tree, json_type_object) &&
		json_object_object_length(tree) > 0)
	{
		members = below(doc, (uint32_t) json_object_object_length(tree));
		{
			json_object_object_foreach(tree, key, value)
			{
				(void) value;
				if (members-- == 0)
					return literal_step(key);
			}
		}
	}
	return literal_step(names[below(doc, 12)]);
}

/* The value one step below, if it is there */
static bool
step_down(struct json_object **tree, const ImpiloPointerStep *step)
{
	char	   *key;
	bool		found = false;

	if (json_object_is_type(*tree, json_type_array))
	{
		if (step->index < 0 ||
			(size_t) step->index >= json_object_array_length(*tree))
			return false;
		*tree = json_object_array_get_idx(*tree, (size_t) step->index);
		return true;
	}
	if (json_object_is_type(*tree, json_type_object))
	{
		key = strndup(step->name, step->length);
		REQUIRE(key != NULL);
		found = json_object_object_get_ex(*tree, key, tree);
		free(key);
	}
	return found;
}

static void
random_path(Document *doc, struct json_object *tree, Path *path)
{
	path->count = 0;
	while (path->count < DEPTH && below(doc, 6) != 0)
	{
		path->steps[path->count] = random_step(doc, tree);
		if (!step_down(&tree, &path->steps[path->count++]))
			tree = NULL;
	}
}

/* Paths for any document: those of a page and of an order, and the whole */
static void
fixed_paths(void)
{
	static const char *const names[] =
	{"content", "page", "total", "id", "a", "0", "patient"};
	size_t		i;

	npaths = 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		paths[npaths].count = 1;
		paths[npaths++].steps[0] = literal_step(names[i]);
	}
	paths[npaths - 1].count = 2;
	paths[npaths - 1].steps[1] = literal_step("id");
}

static void
want_paths(void)
{
	int			i;

	impilo_json_want_begin(&wanted, nodes, MAX_NODES);
	for (i = 0; i < npaths; i++)
	{
		paths[i].slot = impilo_json_want(&wanted, paths[i].steps,
										 paths[i].count);
		REQUIRE(paths[i].slot >= 0 && paths[i].slot <= i);
	}
}

/* What was found against the tree; nothing is known if names are repeated */
static void
compare_found(Document *doc, const ImpiloJsonSlice *found,
			  struct json_object *root)
{
	int			i;
	size_t		j;

	for (i = 0; i < npaths; i++)
	{
		struct json_object *tree = root;
		bool		there = true;

		for (j = 0; j < paths[i].count && there; j++)
			there = step_down(&tree, &paths[i].steps[j]);
		REQUIRE(there == (found[paths[i].slot].kind != IMPILO_JSON_ABSENT));
		if (there)
			fuzz_compare_value(doc, &found[paths[i].slot], tree);
	}
}

/* Find the paths in a valid document, in both ways */
static void
find_in_valid(Document *doc, struct json_object *tree)
{
	ImpiloJsonSlice found[MAX_PATHS];
	ImpiloJsonError error;
	int			depth;

	for (depth = 0; depth <= DEPTH; depth += DEPTH)
	{
		bool		clear = impilo_json_find(&wanted, doc->data, doc->size,
											 depth, found, &error);

		REQUIRE(clear || doc->repeated || doc->odd_names);
		REQUIRE(clear || strcmp(error.what, "duplicate member") == 0);
		if (clear && !doc->repeated && !doc->odd_names)
			compare_found(doc, found, tree);
	}
}

/*
 * Find with a check, and check what it left to the caller: together that is
 * as strict as a check of the whole, except that it also sees duplicates.
 */
static void
find_is_a_check(const Document *doc, bool valid)
{
	ImpiloJsonSlice found[MAX_PATHS];
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	bool		accepted;
	int			i;

	accepted = impilo_json_find(&wanted, doc->data, doc->size, DEPTH, found,
								&error);
	if (!accepted)
	{
		REQUIRE(error.offset <= doc->size);
		if (strcmp(error.what, "duplicate member") == 0)
			return;
	}
	for (i = 0; accepted && i < npaths; i++)
	{
		if (found[paths[i].slot].kind == IMPILO_JSON_ABSENT)
			continue;
		fuzz_inside(doc, &found[paths[i].slot]);
		accepted = impilo_json_check(found[paths[i].slot].data,
									 found[paths[i].slot].length,
									 DEPTH - (int) paths[i].count, &value,
									 &error);
	}
	REQUIRE(accepted == valid);
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

	if (impilo_json_find(&wanted, doc->data, doc->size, IMPILO_JSON_CHECKED,
						 found, &error))
	{
		for (i = 0; i < wanted.slots; i++)
		{
			if (found[i].kind != IMPILO_JSON_ABSENT)
				fuzz_inside(doc, &found[i]);
		}
	}
	REQUIRE(error.offset <= doc->size);
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
	fuzz_decode(&slice, &text, &length);
	free(text);
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

	/* json-c ends at a NUL, wherever it stands */
	if (memchr(data, '\0', size) != NULL)
		REQUIRE(!ours);
	else if (ours != theirs)
		REQUIRE(theirs && fuzz_known_difference(&doc, &error));

	for (i = 0; i < size; i++)
		doc.seed = (doc.seed ^ data[i]) * UINT64_C(1099511628211);
	fixed_paths();
	want_paths();
	find_is_a_check(&doc, ours);
	survive(&doc);
	if (ours)
	{
		fuzz_compare_value(&doc, &value, tree);
		find_in_valid(&doc, tree);
		npaths = 1 + (int) below(&doc, MAX_PATHS);
		for (i = 0; i < (size_t) npaths; i++)
			random_path(&doc, tree, &paths[i]);
		want_paths();
		find_in_valid(&doc, tree);
		find_is_a_check(&doc, ours);
	}
	json_object_put(tree);
	return 0;
}
