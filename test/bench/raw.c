/*
 * raw.c
 *		The same requests as those of the extension, with discarded responses:
 *		a lower bound for any client.
 *
 *	raw BASE_URL KEY IN_FLIGHT pages SIZE
 *	raw BASE_URL KEY IN_FLIGHT orders FIRST COUNT [STEP]
 *	raw BASE_URL KEY IN_FLIGHT create COUNT
 *
 * Prints milliseconds, from the first connection to the last response.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"

static long first_id;
static long step = 1;

static void
ask_order(Work *work, long number, char *path, char *body)
{
	(void) work;
	(void) body;
	snprintf(path, PATH_SIZE, "/order/%ld", first_id + number * step);
}

static void
ask_create(Work *work, long number, char *path, char *body)
{
	(void) work;
	snprintf(path, PATH_SIZE, "/order");
	snprintf(body, BODY_SIZE,
			 "{\"externalOrderIds\":[\"raw_%ld\"],\"patient\":{\"id\":%ld},"
			 "\"orderItems\":[{\"item\":{\"id\":1000},\"count\":2}]}",
			 number, number + 1);
}

int
main(int argc, char **argv)
{
	Work		work = {0};
	const char *what;
	double		begin;

	if (argc < 6)
		die("usage: raw BASE_URL KEY IN_FLIGHT pages|orders|create NUMBER...");
	work.base_url = argv[1];
	work.key = argv[2];
	work.in_flight = number_of(argv[3]);
	what = argv[4];
	fetch_begin(&work);
	begin = milliseconds();
	if (strcmp(what, "pages") == 0)
		list_pages(&work, number_of(argv[5]));
	else if (strcmp(what, "orders") == 0 && argc > 6)
	{
		first_id = number_of(argv[5]);
		if (argc > 7)
			step = number_of(argv[7]);
		work.ask = ask_order;
		fetch(&work, 0, number_of(argv[6]));
	}
	else if (strcmp(what, "create") == 0)
	{
		work.ask = ask_create;
		fetch(&work, 0, number_of(argv[5]));
	}
	else
		die("what is \"%s\"?", what);
	printf("%.1f\n", milliseconds() - begin);
	fetch_end();
	return 0;
}
