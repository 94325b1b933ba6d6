/*-------------------------------------------------------------------------
 *
 * canary.c
 *	  Faults for valgrind to find, by LD_PRELOAD: a check that finds nothing
 *	  proves nothing unless it would have found something.
 *
 * The first time that a process of PostgreSQL asks libcurl for a handle, one
 * block is written behind its end and judged by before it was written, and one
 * is lost.  The extension is the caller, so that these are findings whose stack
 * passes through our code, as those of valgrind.sh are that count.  Programs
 * that PostgreSQL starts are spared.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  test/preload/canary.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static volatile int sink;
static bool due = false;

/* valgrind itself, which comes first, has to hand the variable on */
static void
__attribute__((constructor))
canary_wakes(void)
{
	due = strcmp(program_invocation_short_name, "postgres") == 0;
	if (due)
		unsetenv("LD_PRELOAD");
}

static void
canary_reads_and_writes(void)
{
	volatile char *block = malloc(40);

	if (block == NULL)
		return;
	block[40] = 1;
	if (block[20] == 1)
		sink++;
	free((void *) block);
}

static void
canary_loses(void)
{
	char	   *volatile lost = malloc(4242);

	if (lost != NULL)
		lost[0] = 1;
	lost = NULL;
}

void *
curl_easy_init(void)
{
	void	   *(*original) (void) =
	(void *(*) (void)) dlsym(RTLD_NEXT, "curl_easy_init");

	if (due)
	{
		due = false;
		canary_reads_and_writes();
		canary_loses();
	}
	return original();
}
