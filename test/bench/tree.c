/*
 * tree.c
 *		Reading the list with json-c: each page becomes a tree, and twelve
 *		members of every order are looked up.
 *
 *	tree BASE_URL KEY IN_FLIGHT SIZE
 *
 * Prints milliseconds, as raw does.  The members are not converted to rows or
 * jsonb, which would take more time.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "fetch.h"

/* The columns of the wide query; at most three steps each */
static const char *const members[][3] = {
	{"id"},
	{"externalOrderIds"},
	{"currentStatus"},
	{"patient", "id"},
	{"patient", "firstName"},
	{"patient", "lastName"},
	{"patient", "dateOfBirth"},
	{"patient", "address", "city"},
	{"site", "name"},
	{"orderItems"},
	{"orderEvents"},
	{"devices"}
};

#define NMEMBERS (sizeof(members) / sizeof(members[0]))

static struct json_tokener *tokener;
static unsigned long met;		/* members, so that the compiler keeps the
								 * lookups */

static void
take_order(struct json_object *order)
{
	for (size_t i = 0; i < NMEMBERS; i++)
	{
		struct json_object *at = order;

		for (int step = 0; step < 3 && members[i][step]; step++)
			if (!json_object_object_get_ex(at, members[i][step], &at))
				break;
		if (at != NULL)
			met += json_object_get_type(at) != json_type_null;
	}
}

static void
take_page(Work *work, long number, Answer *answer)
{
	struct json_object *page;
	struct json_object *content;

	(void) work;
	json_tokener_reset(tokener);
	page = json_tokener_parse_ex(tokener, answer->data, (int) answer->length);
	if (page == NULL || !json_object_object_get_ex(page, "content", &content))
		die("page %ld cannot be read", number);
	for (size_t i = 0; i < json_object_array_length(content); i++)
		take_order(json_object_array_get_idx(content, i));
	json_object_put(page);
}

int
main(int argc, char **argv)
{
	Work		work = {0};
	double		begin;

	if (argc != 5)
		die("usage: tree BASE_URL KEY IN_FLIGHT SIZE");
	work.base_url = argv[1];
	work.key = argv[2];
	work.in_flight = number_of(argv[3]);
	work.take = take_page;
	tokener = json_tokener_new();
	fetch_begin(&work);
	begin = milliseconds();
	list_pages(&work, number_of(argv[4]));
	printf("%.1f\n", milliseconds() - begin);
	fetch_end();
	return met == 0;
}
