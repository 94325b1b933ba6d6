/*-------------------------------------------------------------------------
 *
 * test_pointer.c
 *		  JSON Pointers, the examples of RFC 6901 among them
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "json/pointer.h"
#include "unit.h"

/* Steps as "name#index|name#index|", or "error: … at n" */
static const char *
steps_of(const char *pointer)
{
	static char text[400];
	ImpiloPointerStep steps[16];
	ImpiloPointerError error;
	size_t		length = strlen(pointer);
	size_t		count = impilo_pointer_count(pointer, length);
	size_t		at = 0;
	size_t		i;
	char		again[100];
	char	   *names = unit_exact(pointer, length);

	if (!impilo_pointer_parse(unit_exact(pointer, length), length, steps,
							  names, &error))
	{
		snprintf(text, sizeof(text), "error: %s at %d", error.what,
				 (int) error.offset);
		return text;
	}
	text[0] = '\0';
	for (i = 0; i < count; i++)
		at += (size_t) snprintf(text + at, sizeof(text) - at, "%.*s#%d|",
								(int) steps[i].length, steps[i].name,
								(int) steps[i].index);

	/* what was taken apart can be put together again */
	CHECK(impilo_pointer_format(steps, count, again, sizeof(again)) == length);
	CHECK_FOR(memcmp(again, pointer, length) == 0, pointer);
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
	parses("/foo", "foo#-1|");
	parses("/foo/0", "foo#-1|0#0|");
	parses("/", "#-1|");
	parses("//", "#-1|#-1|");
	parses("/a~1b", "a/b#-1|");
	parses("/c%d", "c%d#-1|");
	parses("/i\\j", "i\\j#-1|");
	parses("/k\"l", "k\"l#-1|");
	parses("/ ", " #-1|");
	parses("/m~0n", "m~n#-1|");
	/* ~01 is a tilde and a one, not a slash (RFC 6901 section 4) */
	parses("/~01/~10/~0~1", "~1#-1|/0#-1|~/#-1|");
	parses("/patient/address/city", "patient#-1|address#-1|city#-1|");
	parses("/10/00/01/1a/+1", "10#10|00#-1|01#-1|1a#-1|+1#-1|");
	parses("/2147483647/2147483648/99999999999",
		   "2147483647#2147483647|2147483648#-1|99999999999#-1|");
	parses("/-1/--", "-1#-1|--#-1|");
	parses("/caf\xc3\xa9", "caf\xc3\xa9#-1|");
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

static void
test_format(void)
{
	ImpiloPointerStep steps[2];
	char		buffer[8];

	steps[0] = impilo_pointer_step("a/~b", 4);
	steps[1] = impilo_pointer_step("12", 2);
	CHECK(steps[0].index == IMPILO_POINTER_NO_INDEX && steps[1].index == 12);
	memset(buffer, '.', sizeof(buffer));
	CHECK(impilo_pointer_format(steps, 2, buffer, 5) == 10);
	CHECK(memcmp(buffer, "/a~1~...", 8) == 0);
	CHECK(impilo_pointer_format(steps, 2, NULL, 0) == 10);
	CHECK(impilo_pointer_format(steps, 0, NULL, 0) == 0);
	CHECK(impilo_pointer_step("", 0).index == IMPILO_POINTER_NO_INDEX);
	CHECK(impilo_pointer_step("0", 1).index == 0);
}

void
test_pointer(void)
{
	test_parse();
	test_errors();
	test_format();
}
