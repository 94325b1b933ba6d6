/*-------------------------------------------------------------------------
 *
 * canary.c
 *	  Faults for valgrind to find, by LD_PRELOAD: they show that valgrind
 *	  would find a fault of the extension.
 *
 * When a process of PostgreSQL first requests a handle from libcurl, one block
 * is written past its end and read before it is initialized, and three blocks
 * are lost.  The extension is the caller, so that the stack of these findings
 * contains our code, which valgrind.sh requires.  Programs that PostgreSQL
 * starts are not affected.
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

/* valgrind, which starts first, must pass the variable on */
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

/* several blocks, as a copy of an address on the stack can hide one */
static void
canary_loses(void)
{
	for (int i = 0; i < 3; i++)
	{
		char	   *volatile lost = malloc(4242);

		if (lost != NULL)
			lost[0] = 1;
		lost = NULL;
	}
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
