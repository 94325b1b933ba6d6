/*-------------------------------------------------------------------------
 *
 * names.c
 *	  Name resolution for tests, by LD_PRELOAD: getaddrinfo() returns what
 *	  IMPILO_TEST_NAMES says.
 *
 * A test cannot change the resolver of its machine.  The variable contains
 * "name=address name=address …".  A name may have several addresses.  If the
 * address is "never", the lookup takes a minute.  For "name=one/other" a process
 * gets the first address until its working folder (for a backend, the data
 * folder) contains a file "turned", and then the other, however often libcurl
 * looks it up.  All other names go to the resolver.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  test/preload/names.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*LookUp) (const char *, const char *, const struct addrinfo *,
					   struct addrinfo **);

/* look up one address and prepend the results to `*result` */
static int
add(LookUp original, const char *address, const char *service,
	const struct addrinfo *hints, struct addrinfo **result)
{
	struct addrinfo *found;
	struct addrinfo *last;
	int			status = original(address, service, hints, &found);

	if (status != 0)
		return status;
	for (last = found; last->ai_next != NULL; last = last->ai_next)
		;
	last->ai_next = *result;
	*result = found;
	return 0;
}

int
getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	LookUp		original = (LookUp) dlsym(RTLD_NEXT, "getaddrinfo");
	const char *at = getenv("IMPILO_TEST_NAMES");
	char		name[256];
	char		address[256];
	char	   *other;
	int			used;
	bool		known = false;

	*result = NULL;
	while (node != NULL && at != NULL &&
		   sscanf(at, " %255[^= ]=%255s%n", name, address, &used) == 2)
	{
		at += used;
		if (strcasecmp(name, node) != 0)
			continue;
		if (strcmp(address, "never") == 0)
		{
			sleep(60);
			return EAI_AGAIN;
		}
		other = strchr(address, '/');
		if (other != NULL)
		{
			*other++ = '\0';
			if (access("turned", F_OK) == 0)
				memmove(address, other, strlen(other) + 1);
		}
		known = true;
		(void) add(original, address, service, hints, result);
	}
	if (!known)
		return original(node, service, hints, result);
	return *result != NULL ? 0 : EAI_NONAME;
}
