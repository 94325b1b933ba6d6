/*-------------------------------------------------------------------------
 *
 * unit.c
 *		  Run the unit tests of the modules in pure C
 *
 * Prints each check that fails and, as the last line, the numbers of both.
 *
 *-------------------------------------------------------------------------
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int	passed = 0;
static int	failed = 0;

/* all copies, so that the leak sanitizer finds them in use */
typedef struct Copy
{
	struct Copy *next;
	char	   *bytes;
} Copy;

static Copy *copies = NULL;

void
unit_fact(bool holds, const char *file, int line, const char *fact,
		  const char *about)
{
	if (holds)
	{
		passed++;
		return;
	}
	failed++;
	printf("%s:%d: not so: %s%s%s\n", file, line, fact, about ? ": " : "",
		   about ? about : "");
}

char *
unit_exact(const char *bytes, size_t length)
{
	Copy	   *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		abort();
	copy->bytes = malloc(length > 0 ? length : 1);
	if (copy->bytes == NULL)
		abort();
	/* an empty copy is the end of its one byte */
	if (length > 0)
		memcpy(copy->bytes, bytes, length);
	copy->next = copies;
	copies = copy;
	return length > 0 ? copy->bytes : copy->bytes + 1;
}

int
main(void)
{
	test_scan();
	test_find();
	test_pointer();
	test_schema();
	test_page();
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
