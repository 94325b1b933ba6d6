/*-------------------------------------------------------------------------
 *
 * test_find.c
 *		  Wanted places of a document, in one pass
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "json/scan.h"
#include "unit.h"

#define MAX_PLACES 80

static ImpiloJsonNode nodes[MAX_PLACES];
static ImpiloPointerStep steps[MAX_PLACES];
static ImpiloJsonWanted wanted;
static int32_t slots[MAX_PLACES];
static int	nplaces;
static size_t used_steps;

static void
want(const char *pointer)
{
	ImpiloPointerError error;
	size_t		length = strlen(pointer);
	size_t		count = impilo_pointer_count(pointer, length);
	char	   *names = unit_exact(pointer, length);

	CHECK(impilo_pointer_parse(pointer, length, steps + used_steps, names,
							   &error));
	slots[nplaces] = impilo_json_want(&wanted, steps + used_steps, count);
	CHECK(slots[nplaces] >= 0 && slots[nplaces] <= nplaces);
	nplaces++;
	used_steps += count;
}

/* Want places given one behind the other, separated by blanks */
static void
want_all(const char *pointers)
{
	char		one[100];

	impilo_json_want_begin(&wanted, nodes, MAX_PLACES);
	nplaces = 0;
	used_steps = 0;
	while (*pointers != '\0')
	{
		size_t		length = strcspn(pointers, " ");

		snprintf(one, sizeof(one), "%.*s", (int) length, pointers);
		/* a lone dot stands for the empty pointer */
		want(strcmp(one, ".") == 0 ? "" : one);
		pointers += length + strspn(pointers + length, " ");
	}
}

/* What was found, written one behind the other: "?" where nothing is */
static const char *
find(const char *json, int max_depth)
{
	static char text[500];
	ImpiloJsonSlice found[MAX_PLACES];
	ImpiloJsonError error;
	size_t		length = strlen(json);
	size_t		at = 0;
	int			i;

	if (!impilo_json_find(&wanted, unit_exact(json, length), length,
						  max_depth, found, &error))
	{
		snprintf(text, sizeof(text), "error: %s at %d", error.what,
				 (int) error.offset);
		return text;
	}
	text[0] = '\0';
	for (i = 0; i < nplaces; i++)
	{
		const ImpiloJsonSlice *value = &found[slots[i]];

		if (value->kind == IMPILO_JSON_ABSENT)
			at += (size_t) snprintf(text + at, sizeof(text) - at, "? ");
		else
			at += (size_t) snprintf(text + at, sizeof(text) - at, "%.*s ",
									(int) value->length, value->data);
	}
	return text;
}

/* Both over checked bytes and with a check */
static void
finds(const char *pointers, const char *json, const char *expected)
{
	want_all(pointers);
	CHECK_FOR(strcmp(find(json, IMPILO_JSON_CHECKED), expected) == 0, json);
	/* again, because a set remembers the finds made with it */
	CHECK_FOR(strcmp(find(json, IMPILO_JSON_CHECKED), expected) == 0, json);
	CHECK_FOR(strcmp(find(json, 16), expected) == 0, json);
}

static void
test_places(void)
{
	finds("/id", "{\"id\":7,\"x\":[1,2]}", "7 ");
	finds("/id", " { \"x\" : [ 1 , {\"id\":2} ] , \"id\" : 7 } ", "7 ");
	finds("/id", "{\"x\":{\"id\":2}}", "? ");
	finds("/id", "{}", "? ");
	finds("/id", "[]", "? ");
	finds("/id", "null", "? ");
	finds(".", " [1, 2] ", "[1, 2] ");
	finds(".", "\"x\"", "\"x\" ");
	finds("/a/b/c /a/x /d", "{\"a\":{\"b\":{\"c\":1,\"z\":0},\"x\":2},\"d\":3}",
		  "1 2 3 ");
	finds("/d /a/x /a/b/c", "{\"a\":{\"b\":{\"c\":1,\"z\":0},\"x\":2},\"d\":3}",
		  "3 2 1 ");
	finds("/a/b /c", "{\"a\":null,\"c\":1}", "? 1 ");
	finds("/a/b /c", "{\"a\":\"b\",\"c\":1}", "? 1 ");
	finds("/a/b /c", "{\"a\":[{\"b\":1}],\"c\":1}", "? 1 ");
	finds("/a~1b /m~0n /", "{\"\":0,\"a/b\":1,\"m~n\":2}", "1 2 0 ");
	finds("/caf\xc3\xa9 /ab", "{\"a\\u0062\":2,\"caf\\u00e9\":1}", "1 2 ");
	finds("/ab /ac /ad", "{\"ad\":3,\"ae\":0,\"ac\":2,\"ab\":1}", "1 2 3 ");
}

static void
test_prefixes(void)
{
	finds("/a /a/b . /a/b/c", "{\"a\":{\"b\":{\"c\":1}},\"z\":2}",
		  "{\"b\":{\"c\":1}} {\"c\":1} {\"a\":{\"b\":{\"c\":1}},\"z\":2} 1 ");
	finds("/a/b /a /z", "{\"a\":{\"b\":[\"]\"],\"x\":[{}]},\"z\":2}",
		  "[\"]\"] {\"b\":[\"]\"],\"x\":[{}]} 2 ");
	finds("/a /a/b", "{\"a\":5}", "5 ? ");
	/* what is found whole goes on behind a container that is left early */
	finds(". /a/0 /b", "{\"a\":[1,2],\"b\":3}", "{\"a\":[1,2],\"b\":3} 1 3 ");
	finds("/x /x/a/b /x/c /d", "{\"x\":{\"a\":{\"b\":1,\"z\":2},\"c\":3},\"d\":4}",
		  "{\"a\":{\"b\":1,\"z\":2},\"c\":3} 1 3 4 ");
	finds("/a /a /a/b /a/b . .", "{\"a\":{\"b\":1}}",
		  "{\"b\":1} {\"b\":1} 1 1 {\"a\":{\"b\":1}} {\"a\":{\"b\":1}} ");
}

static void
test_indexes(void)
{
	finds("/0 /2", "[10,11,12,13]", "10 12 ");
	finds("/2 /0", "[10,[11],12,13]", "12 10 ");
	finds("/5", "[10]", "? ");
	finds("/0", "[]", "? ");
	finds("/0 /x", "{\"x\":1,\"0\":2}", "2 1 ");
	finds("/0 /x", "[5,6]", "5 ? ");
	finds("/x", "[5,6]", "? ");
	finds("/01 /1", "[5,6]", "? 6 ");
	finds("/a/1/c/0 /a/0/c /z", "{\"a\":[{\"c\":1},{\"c\":[2,3]},4],\"z\":9}",
		  "2 1 9 ");
	finds("/a/2 /a", "{\"a\":[[],{},3,[4]]}", "3 [[],{},3,[4]] ");
}

/* Where the pass ends, and what it therefore does not see */
static void
test_stop(void)
{
	want_all("/a /b/c");
	CHECK(strcmp(find("{\"b\":{\"c\":1,\"d\":2},\"a\":3,!", 0), "3 1 ") == 0);
	CHECK(strcmp(find("{\"a\":3,\"b\":{\"c\":1,!", 0), "3 1 ") == 0);
	CHECK(strcmp(find("{\"a\":3,\"b\":{\"c\":1,!", 16),
				 "error: member name expected at 18") == 0);
	CHECK(strcmp(find("{\"b\":{\"c\":1,!},\"a\":3", 0), "3 1 ") == 0);
	CHECK(strcmp(find("{\"a\":3,\"b\":{\"x\":1", 0),
				 "error: unterminated object at 17") == 0);
	CHECK(strcmp(find("{\"a\":3} x", 16),
				 "error: text after the end of the value at 8") == 0);
	CHECK(strcmp(find("", 0), "error: value expected at 0") == 0);
	CHECK(strcmp(find("", 16), "error: value expected at 0") == 0);
	CHECK(strcmp(find("{\"a\":", 0), "error: value expected at 5") == 0);
	CHECK(strcmp(find("{\"b\":", 0), "error: value expected at 5") == 0);

	/* no place at all: nothing to look for, but the check is made */
	impilo_json_want_begin(&wanted, nodes, 1);
	nplaces = 0;
	CHECK(strcmp(find("[1,2]", 0), "") == 0);
	CHECK(strcmp(find("[1,2", 16), "error: unterminated array at 4") == 0);
}

static void
test_duplicates(void)
{
	want_all("/a /b/c");
	CHECK(strcmp(find("{\"a\":1,\"a\":1,\"b\":{\"c\":2}}", 0),
				 "error: duplicate member at 7") == 0);
	CHECK(strcmp(find("{\"b\":{\"c\":2,\"\\u0063\":2},\"a\":1}", 16),
				 "error: duplicate member at 12") == 0);
	CHECK(strcmp(find("{\"b\":{},\"b\":{\"c\":2},\"a\":1}", 0),
				 "error: duplicate member at 8") == 0);
	CHECK(strcmp(find("{\"b\":1,\"b\":{\"c\":2},\"a\":1}", 0),
				 "error: duplicate member at 7") == 0);
	/* behind the end of the pass, and of no interest */
	CHECK(strcmp(find("{\"b\":{\"c\":2},\"a\":1,\"a\":3}", 0), "1 2 ") == 0);
	CHECK(strcmp(find("{\"b\":{\"c\":2},\"a\":1,\"a\":3}", 16),
				 "error: duplicate member at 19") == 0);
	CHECK(strcmp(find("{\"x\":1,\"x\":2,\"b\":{\"c\":2,\"a\":5},\"a\":1}", 16),
				 "1 2 ") == 0);
}

/* With a depth everything is checked but what the caller will walk */
static void
test_checked(void)
{
	want_all("/content /page /s/t");
	CHECK(strcmp(find("{\"x\":[1 2],\"content\":[1 2],\"page\":1}", 0),
				 "[1 2] 1 ? ") == 0);
	CHECK(strcmp(find("{\"x\":[1 2],\"content\":[1 2],\"page\":1}", 16),
				 "error: comma or closing bracket expected at 8") == 0);
	CHECK(strcmp(find("{\"content\":[1 2],\"page\":1}", 16),
				 "[1 2] 1 ? ") == 0);
	CHECK(strcmp(find("{\"content\":[1 2,\"page\":1}", 16),
				 "error: unterminated object at 25") == 0);
	CHECK(strcmp(find("{\"s\":[1 2]}", 16),
				 "error: comma or closing bracket expected at 8") == 0);
	CHECK(strcmp(find("{\"s\":{\"u\":[1 2]}}", 16),
				 "error: comma or closing bracket expected at 13") == 0);
	CHECK(strcmp(find("{\"page\":01}", 16),
				 "error: comma or closing brace expected at 9") == 0);

	/* a caller cannot know that an array could not be led through */
	want_all("/s /s/t");
	CHECK(strcmp(find("{\"s\":[1,2]}", 16), "[1,2] ? ") == 0);
	CHECK(strcmp(find("{\"s\":[1 2]}", 16),
				 "error: comma or closing bracket expected at 8") == 0);

	/* the limit counts what is walked, passed and left to the caller */
	want_all("/content /page /s/t");
	CHECK(strcmp(find("{\"page\":1}", 1), "? 1 ? ") == 0);
	CHECK(strcmp(find("{\"content\":[]}", 2), "[] ? ? ") == 0);
	CHECK(strcmp(find("{\"content\":[]}", 1),
				 "error: nested too deeply at 11") == 0);
	CHECK(strcmp(find("{\"x\":[[]]}", 2),
				 "error: nested too deeply at 6") == 0);
	CHECK(strcmp(find("{\"s\":{}}", 1),
				 "error: nested too deeply at 5") == 0);
}

static void
test_limits(void)
{
	static ImpiloPointerStep deep[IMPILO_JSON_MAX_DEPTH + 1];
	static ImpiloJsonNode small[3];
	ImpiloJsonSlice found;
	ImpiloJsonError error;
	char		json[4 * IMPILO_JSON_MAX_DEPTH + 1];
	size_t		i;

	for (i = 0; i <= IMPILO_JSON_MAX_DEPTH; i++)
		deep[i] = impilo_pointer_step("0", 1);
	impilo_json_want_begin(&wanted, nodes, MAX_PLACES);
	CHECK(impilo_json_want(&wanted, deep, IMPILO_JSON_MAX_DEPTH + 1) == -1);
	CHECK(impilo_json_want(&wanted, deep, IMPILO_JSON_MAX_DEPTH) == 0);

	/* the deepest place there can be */
	for (i = 0; i < IMPILO_JSON_MAX_DEPTH; i++)
	{
		json[i] = '[';
		json[IMPILO_JSON_MAX_DEPTH + 1 + i] = ']';
	}
	json[IMPILO_JSON_MAX_DEPTH] = '7';
	CHECK(impilo_json_find(&wanted, json, 2 * IMPILO_JSON_MAX_DEPTH + 1, 999,
						   &found, &error) && found.length == 1 &&
		  *found.data == '7');

	impilo_json_want_begin(&wanted, small, 3);
	CHECK(impilo_json_want(&wanted, deep, 2) == 0);
	CHECK(impilo_json_want(&wanted, deep, 1) == 1);
	CHECK(impilo_json_want(&wanted, deep, 1) == 1);
	CHECK(impilo_json_want(&wanted, deep, 3) == -1);
	CHECK(impilo_json_want(&wanted, deep, 0) == 2);
}

void
test_find(void)
{
	test_places();
	test_prefixes();
	test_indexes();
	test_stop();
	test_duplicates();
	test_checked();
	test_limits();
}
