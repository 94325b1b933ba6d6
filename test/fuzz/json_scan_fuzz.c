/*-------------------------------------------------------------------------
 *
 * json_scan_fuzz.c
 *		  The scanner held against json-c's tree of the same bytes
 *
 * For any bytes both must come to the same verdict, and then to the same
 * values: at every place of the document by walking it, and at places picked
 * at random by finding them.  Where json-c 0.16, although strict, differs
 * from RFC 8259, known_difference() and compare_string() name the case as
 * narrowly as it can be told, at the very byte.
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

#include "json_find.h"

#define MAX_PATHS 16
#define MAX_NODES (1 + MAX_PATHS * IMPILO_JSON_MAX_DEPTH)
#define DEPTH IMPILO_JSON_MAX_DEPTH

/* What is known about the document at hand */
typedef struct Document
{
	const char *data;
	size_t		size;
	bool		repeated;		/* a name occurs twice in some object */
	bool		odd_names;		/* a name that json-c does not keep */
	uint64_t	seed;
} Document;

typedef struct Path
{
	ImpiloPointerStep steps[DEPTH];
	size_t		count;
} Path;

static Path paths[MAX_PATHS];
static int	npaths;
static ImpiloJsonNode nodes[MAX_NODES];
static ImpiloJsonWanted wanted;

/* --- verdicts ---------------------------------------------------------- */

static bool
json_c_accepts(const Document *doc, struct json_object **tree)
{
	/* deeper than the scanner, which may then say itself what is too deep */
	struct json_tokener *tok = json_tokener_new_ex(4 * DEPTH);
	char	   *text = malloc(doc->size + 1);
	bool		accepted;

	REQUIRE(tok != NULL && text != NULL);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	memcpy(text, doc->data, doc->size);
	text[doc->size] = '\0';
	/* the NUL tells json-c that a number at the end is complete */
	*tree = json_tokener_parse_ex(tok, text, (int) doc->size + 1);
	accepted = json_tokener_get_error(tok) == json_tokener_success;
	json_tokener_free(tok);
	free(text);
	return accepted;
}

static bool
word_at(const Document *doc, size_t at, const char *word)
{
	return doc->size - at >= strlen(word) &&
		memcmp(doc->data + at, word, strlen(word)) == 0;
}

/* Is this a text that json-c accepts although RFC 8259 does not? */
static bool
known_difference(const Document *doc, const ImpiloJsonError *error)
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
	/* words for what is no number: NaN, Infinity, -Infinity */
	if (word_at(doc, at, "NaN") || word_at(doc, at, "Infinity"))
		return true;
	/* its limit is another one */
	return strcmp(error->what, "nested too deeply") == 0;
}

/* --- values ------------------------------------------------------------ */

static void
inside(const Document *doc, const ImpiloJsonSlice *slice)
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

/* Decode a string; the result must fit, and agree with name_equals */
static ImpiloJsonText
decode(const ImpiloJsonSlice *string, char **text, size_t *length)
{
	ImpiloJsonText result;

	*text = malloc(string->length > 0 ? string->length : 1);
	REQUIRE(*text != NULL);
	result = impilo_json_unescape(string, *text, length);
	REQUIRE(*length == 0 || *length < string->length);
	REQUIRE(impilo_json_name_equals(string, *text, *length) ==
			(result == IMPILO_JSON_TEXT_OK));
	return result;
}

/*
 * json-c 0.16 takes a character beyond U+FFFF for half a surrogate pair if
 * its lower 16 bits look like one, as those of \uD976\uDD1E, U+6D91E, do.
 * Does such a character begin here?
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

/* The same text, at least up to where json-c spoils it? */
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
	const char *theirs = json_object_get_string(tree);
	size_t		theirs_length = (size_t) json_object_get_string_len(tree);

	REQUIRE(json_object_is_type(tree, json_type_string));
	REQUIRE(slice->escaped == (memchr(slice->data, '\\', slice->length) !=
							   NULL));
	switch (decode(slice, &text, &length))
	{
		case IMPILO_JSON_TEXT_OK:
			REQUIRE(same_or_spoilt(slice, text, length, theirs,
								   theirs_length));
			break;
		case IMPILO_JSON_TEXT_NUL:
			/* json-c keeps the NUL */
			REQUIRE(has_spoilt(text, length) ||
					(theirs_length > length && theirs[length] == '\0' &&
					 memcmp(text, theirs, length) == 0));
			break;
		case IMPILO_JSON_TEXT_SURROGATE:
			/* json-c puts U+FFFD in its place */
			REQUIRE(has_spoilt(text, length) ||
					(theirs_length >= length + 3 &&
					 memcmp(text, theirs, length) == 0 &&
					 memcmp(theirs + length, "\xef\xbf\xbd", 3) == 0));
			break;
		case IMPILO_JSON_TEXT_INVALID:
			REQUIRE(!"a checked string decodes");
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

static void compare_value(Document *doc, const ImpiloJsonSlice *slice,
						  struct json_object *tree);

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
	while (impilo_json_next_element(&strict, &element, &error) == 1)
	{
		REQUIRE(impilo_json_next_element(&loose, &again, &error) == 1);
		REQUIRE(again.data == element.data && again.kind == element.kind &&
				again.length == element.length);
		REQUIRE(n < json_object_array_length(tree));
		compare_value(doc, &element, json_object_array_get_idx(tree, n));
		n++;
	}
	REQUIRE(impilo_json_next_element(&strict, &element, &error) == 0);
	REQUIRE(impilo_json_next_element(&loose, &again, &error) == 0);
	REQUIRE(n == json_object_array_length(tree));
}

/* Does a name occur again in the rest of an object? */
static bool
occurs_again(ImpiloJsonCursor cursor, const char *text, size_t length)
{
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError error;

	while (impilo_json_next_member(&cursor, &name, &value, &error) == 1)
	{
		if (impilo_json_name_equals(&name, text, length))
			return true;
	}
	return false;
}

/*
 * Does json-c keep the names of an object as they are?  Its names are C
 * strings, and hold U+FFFD where half a surrogate pair is missing.
 */
static bool
names_are_kept(ImpiloJsonCursor cursor)
{
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	bool		kept = true;

	while (impilo_json_next_member(&cursor, &name, &value, &error) == 1)
	{
		char	   *text;
		size_t		length;

		if (decode(&name, &text, &length) != IMPILO_JSON_TEXT_OK ||
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

	decode(name, &text, &length);
	/* of repeated names json-c keeps the last value */
	if (occurs_again(*rest, text, length))
		doc->repeated = true;
	else if (!doc->odd_names)
	{
		char	   *key = strndup(text, length);

		REQUIRE(key != NULL);
		REQUIRE(json_object_object_get_ex(tree, key, &theirs));
		compare_value(doc, value, theirs);
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
	while (impilo_json_next_member(&strict, &name, &value, &error) == 1)
	{
		REQUIRE(impilo_json_next_member(&loose, &name_again, &again,
										&error) == 1);
		REQUIRE(name_again.data == name.data && again.data == value.data &&
				again.length == value.length && again.kind == value.kind);
		compare_member(doc, &loose, &name, &value, tree);
		n++;
	}
	REQUIRE(impilo_json_next_member(&strict, &name, &value, &error) == 0);
	REQUIRE(impilo_json_next_member(&loose, &name, &value, &error) == 0);
	if (!doc->repeated && !doc->odd_names)
		REQUIRE(n == json_object_object_length(tree));
}

static void
compare_value(Document *doc, const ImpiloJsonSlice *slice,
			  struct json_object *tree)
{
	inside(doc, slice);
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
			REQUIRE(!"a value has a kind");
	}
}

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
		REQUIRE(impilo_json_want(&wanted, paths[i].steps, paths[i].count,
								 i) == NULL);
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
		REQUIRE(there == (found[i].kind != IMPILO_JSON_ABSENT));
		if (there)
			compare_value(doc, &found[i], tree);
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
		if (found[i].kind == IMPILO_JSON_ABSENT)
			continue;
		inside(doc, &found[i]);
		accepted = impilo_json_check(found[i].data, found[i].length,
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
		for (i = 0; i < npaths; i++)
		{
			if (found[i].kind != IMPILO_JSON_ABSENT)
				inside(doc, &found[i]);
		}
	}
	REQUIRE(error.offset <= doc->size);
	impilo_json_begin(&cursor, &slice, IMPILO_JSON_CHECKED);
	while (impilo_json_next_element(&cursor, &value, &error) == 1)
		inside(doc, &value);
	impilo_json_begin(&cursor, &slice, IMPILO_JSON_CHECKED);
	while (impilo_json_next_member(&cursor, &name, &value, &error) == 1)
	{
		inside(doc, &name);
		inside(doc, &value);
	}
	REQUIRE(error.offset <= doc->size);
	decode(&slice, &text, &length);
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
	theirs = json_c_accepts(&doc, &tree);

	/* json-c ends at a NUL, wherever it stands */
	if (memchr(data, '\0', size) != NULL)
		REQUIRE(!ours);
	else if (ours != theirs)
		REQUIRE(theirs && known_difference(&doc, &error));

	for (i = 0; i < size; i++)
		doc.seed = (doc.seed ^ data[i]) * UINT64_C(1099511628211);
	fixed_paths();
	want_paths();
	find_is_a_check(&doc, ours);
	survive(&doc);
	if (ours)
	{
		compare_value(&doc, &value, tree);
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
