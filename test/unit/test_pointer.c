/*-------------------------------------------------------------------------
 *
 * test_pointer.c
 *		  JSON Pointers, including the examples of RFC 6901
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "json/scan.h"
#include "unit.h"

/* Steps as "name|name|", or "error: ... at n" */
static const char *
steps_of(const char *pointer)
{
	static char text[400];
	ImpiloJsonNode nodes[16];
	ImpiloJsonWanted wanted;
	ImpiloJsonError error;
	size_t		length = strlen(pointer);
	size_t		at = 0;
	size_t		i;

	impilo_json_want_begin(&wanted, nodes, 16);
	if (impilo_json_want(&wanted, unit_exact(pointer, length), length,
						 &error) < 0)
	{
		snprintf(text, sizeof(text), "error: %s at %d", error.what,
				 (int) error.offset);
		return text;
	}
	text[0] = '\0';
	for (i = 1; i < wanted.used; i++)
		at += (size_t) snprintf(text + at, sizeof(text) - at, "%.*s|",
								(int) nodes[i].length, nodes[i].name);
	return text;
}

static void
parses(const char *pointer, const char *expected)
{
	CHECK_FOR(strcmp(steps_of(pointer), expected) == 0, pointer);
}

static void
test_parse(void)
{
	parses("", "");
	parses("/foo", "foo|");
	parses("/foo/0", "foo|0|");
	parses("/", "|");
	parses("//", "||");
	parses("/a~1b", "a/b|");
	parses("/c%d", "c%d|");
	parses("/i\\j", "i\\j|");
	parses("/k\"l", "k\"l|");
	parses("/ ", " |");
	parses("/m~0n", "m~n|");
	/* ~01 is a tilde and a one, not a slash (RFC 6901 section 4) */
	parses("/~01/~10/~0~1", "~1|/0|~/|");
	parses("/patient/address/city", "patient|address|city|");
	parses("/10/00/01/1a/+1", "10|00|01|1a|+1|");
	parses("/2147483647/2147483648/99999999999",
		   "2147483647|2147483648|99999999999|");
	parses("/-1/--", "-1|--|");
	parses("/caf\xc3\xa9", "caf\xc3\xa9|");
}

static void
test_errors(void)
{
	parses("foo", "error: a pointer must be empty or begin with a slash at 0");
	parses("#/foo",
		   "error: a pointer must be empty or begin with a slash at 0");
	parses("/a/b~", "error: a tilde must be followed by 0 or 1 at 4");
	parses("/a~2/b", "error: a tilde must be followed by 0 or 1 at 2");
	parses("/~/0", "error: a tilde must be followed by 0 or 1 at 1");
	parses("/items/-", "error: the step \"-\" names the element after the "
		   "last one, which cannot be read at 7");
}

void
test_pointer(void)
{
	test_parse();
	test_errors();
}
