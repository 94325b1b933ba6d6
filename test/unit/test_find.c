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
static ImpiloJsonWanted wanted;
static int32_t slots[MAX_PLACES];
static int	nplaces;

static void
want(const char *pointer)
{
	ImpiloJsonError error;
	size_t		length = strlen(pointer);

	slots[nplaces] = impilo_json_want(&wanted, unit_exact(pointer, length),
									  length, &error);
	CHECK(slots[nplaces] >= 0 && slots[nplaces] <= nplaces);
	nplaces++;
}

/* Add places, separated by blanks, to the set of wanted places */
static void
want_all(const char *pointers)
{
	char		one[100];

	impilo_json_want_begin(&wanted, nodes, MAX_PLACES);
	nplaces = 0;
	while (*pointers != '\0')
	{
		size_t		length = strcspn(pointers, " ");

		snprintf(one, sizeof(one), "%.*s", (int) length, pointers);
		/* a single dot stands for the empty pointer */
		want(strcmp(one, ".") == 0 ? "" : one);
		pointers += length + strspn(pointers + length, " ");
	}
}

/* Values that were found, one after another; "?" for a missing one */
static const char *
find(const char *json)
{
	static char text[500];
	ImpiloJsonSlice found[MAX_PLACES];
	ImpiloJsonSlice document = {0};
	ImpiloJsonError error;
	size_t		at = 0;
	int			i;

	document.length = strlen(json);
	document.data = unit_exact(json, document.length);
	document.kind = *json == '{' ? IMPILO_JSON_OBJECT : *json == '['
		? IMPILO_JSON_ARRAY : IMPILO_JSON_STRING;
	if (!impilo_json_find(&wanted, &document, found, &error))
	{
		snprintf(text, sizeof(text), "error: %s", error.what);
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

static void
finds(const char *pointers, const char *json, const char *expected)
{
	want_all(pointers);
	CHECK_FOR(strcmp(find(json), expected) == 0, json);
	/* twice, because a set remembers earlier finds */
	CHECK_FOR(strcmp(find(json), expected) == 0, json);
}

static void
test_places(void)
{
	finds("/id", "{\"id\":7,\"x\":[1,2]}", "7 ");
	finds("/id", "{ \"x\" : [ 1 , {\"id\":2} ] , \"id\" : 7 }", "7 ");
	finds("/id", "{\"x\":{\"id\":2}}", "? ");
	finds("/id", "{}", "? ");
	finds("/id", "[]", "? ");
	finds("/id", "null", "? ");
	finds(".", "[1, 2]", "[1, 2] ");
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
	/* the search continues after a container that is left early */
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

/* The bytes that the pass reads, and the errors that it therefore misses */
static void
test_stop(void)
{
	want_all("/a /b/c");
	CHECK(strcmp(find("{\"b\":{\"c\":1,\"d\":2},\"a\":3,!"), "3 1 ") == 0);
	CHECK(strcmp(find("{\"a\":3,\"b\":{\"c\":1,!}"), "3 1 ") == 0);
	CHECK(strcmp(find("{\"a\":3,\"b\":{\"c\":1,!"),
				 "error: unterminated array or object") == 0);
	CHECK(strcmp(find("{\"b\":{\"c\":1,!},\"a\":3"), "3 1 ") == 0);
	CHECK(strcmp(find("{\"a\":3,\"b\":{\"x\":1}"), "3 ? ") == 0);
	CHECK(strcmp(find("{\"a\":"), "error: value expected") == 0);
	CHECK(strcmp(find("{\"b\":"), "error: value expected") == 0);

	/* no wanted place */
	impilo_json_want_begin(&wanted, nodes, 1);
	nplaces = 0;
	CHECK(strcmp(find("[1,2]"), "") == 0);
}

static void
test_duplicates(void)
{
	want_all("/a /b/c");
	CHECK(strcmp(find("{\"a\":1,\"a\":1,\"b\":{\"c\":2}}"),
				 "error: duplicate member") == 0);
	CHECK(strcmp(find("{\"b\":{},\"b\":{\"c\":2},\"a\":1}"),
				 "error: duplicate member") == 0);
	CHECK(strcmp(find("{\"b\":1,\"b\":{\"c\":2},\"a\":1}"),
				 "error: duplicate member") == 0);
	/* an error after the wanted place is not found */
	CHECK(strcmp(find("{\"b\":{\"c\":2,\"\\u0063\":2},\"a\":1}"), "1 2 ") == 0);
	CHECK(strcmp(find("{\"b\":{\"c\":2},\"a\":1,\"a\":3}"), "1 2 ") == 0);
	CHECK(strcmp(find("{\"x\":1,\"x\":2,\"b\":{\"c\":2,\"a\":5},\"a\":1}"),
				 "1 2 ") == 0);
	want_all("/b/c /b/d");
	CHECK(strcmp(find("{\"b\":{\"c\":2,\"\\u0063\":2},\"a\":1}"),
				 "error: duplicate member") == 0);
}

static void
test_limits(void)
{
	static ImpiloJsonNode small[3];
	ImpiloJsonSlice found;
	ImpiloJsonError error;
	ImpiloJsonSlice document = {0};
	char		json[4 * IMPILO_JSON_MAX_DEPTH + 1];
	char		deep[2 * IMPILO_JSON_MAX_DEPTH + 3];
	size_t		i;

	for (i = 0; i <= IMPILO_JSON_MAX_DEPTH; i++)
		memcpy(deep + 2 * i, "/0", 2);
	impilo_json_want_begin(&wanted, nodes, MAX_PLACES);
	CHECK(impilo_json_want(&wanted, deep, 2 * IMPILO_JSON_MAX_DEPTH + 2,
						   &error) == -1);
	CHECK(strcmp(error.what, "too many steps") == 0);
	CHECK(impilo_json_want(&wanted, deep, 2 * IMPILO_JSON_MAX_DEPTH,
						   &error) == 0);

	/* the deepest possible place */
	for (i = 0; i < IMPILO_JSON_MAX_DEPTH; i++)
	{
		json[i] = '[';
		json[IMPILO_JSON_MAX_DEPTH + 1 + i] = ']';
	}
	json[IMPILO_JSON_MAX_DEPTH] = '7';
	CHECK(impilo_json_check(json, 2 * IMPILO_JSON_MAX_DEPTH + 1, 999,
							&document, &error));
	CHECK(impilo_json_find(&wanted, &document, &found, &error) &&
		  found.length == 1 && *found.data == '7');

	impilo_json_want_begin(&wanted, small, 3);
	CHECK(impilo_json_want(&wanted, deep, 4, &error) == 0);
	CHECK(impilo_json_want(&wanted, deep, 2, &error) == 1);
	CHECK(impilo_json_want(&wanted, deep, 2, &error) == 1);
	CHECK(impilo_json_want(&wanted, deep, 6, &error) == -1);
	CHECK(impilo_json_want(&wanted, deep, 0, &error) == 2);
}

void
test_find(void)
{
	test_places();
	test_prefixes();
	test_indexes();
	test_stop();
	test_duplicates();
	test_limits();
}
