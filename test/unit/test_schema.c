/*-------------------------------------------------------------------------
 *
 * test_schema.c
 *		  The table of relations and columns follows its rules
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "json/scan.h"
#include "catalog/schema.h"
#include "unit.h"

/* PostgreSQL's NAMEDATALEN, less the terminating NUL */
#define MAX_NAME 63

/* a path in snake_case: "/patient/firstName" is patient_first_name */
static const char *
snake_case(const char *pointer)
{
	static char name[200];
	size_t		used = 0;

	for (const char *c = pointer + 1; *c && used < sizeof(name) - 2; c++)
	{
		if (isupper((unsigned char) *c))
			name[used++] = '_';
		name[used++] = *c == '/' ? '_' : (char) tolower((unsigned char) *c);
	}
	name[used] = '\0';
	return name;
}

static bool
is_pointer(const char *text)
{
	ImpiloJsonNode nodes[32];
	ImpiloJsonWanted wanted;
	ImpiloJsonError error;

	impilo_json_want_begin(&wanted, nodes, 32);
	return impilo_json_want(&wanted, unit_exact(text, strlen(text)),
							strlen(text), &error) == 0;
}

static bool
is_sentence(const char *text)
{
	size_t		length = strlen(text);

	return length > 10 && isupper((unsigned char) text[0]) &&
		text[length - 1] == '.' && strstr(text, "  ") == NULL;
}

/* The two names that do not follow the rule */
static bool
is_exception(const ImpiloSchemaColumn *column)
{
	return (strcmp(column->name, "device_id") == 0 &&
			strcmp(column->pointer, "/id") == 0) ||
		(strcmp(column->name, "external_order_id") == 0 &&
		 strcmp(column->pointer, "") == 0);
}

static void
check_column(const ImpiloSchemaRelation *relation,
			 const ImpiloSchemaColumn *column)
{
	char		about[200];

	snprintf(about, sizeof(about), "%s.%s", relation->name, column->name);
	CHECK_FOR(strlen(column->name) <= MAX_NAME, about);
	CHECK_FOR(impilo_schema_column(relation, column->name) == column, about);
	CHECK_FOR(is_sentence(column->description), about);
	CHECK_FOR(column->pointer == NULL || is_pointer(column->pointer), about);
	CHECK_FOR(!column->write_member || relation->array == NULL, about);
	if (column->source == IMPILO_SOURCE_POINTER)
		CHECK_FOR(is_exception(column) ||
				  strcmp(snake_case(column->pointer), column->name) == 0,
				  about);
	else if (column->source != IMPILO_SOURCE_DOCUMENT)
		CHECK_FOR(column->pointer == NULL || relation->array == NULL, about);
}

/* no two paths have the same name, and no two names the same path */
static void
check_distinct(const ImpiloSchemaRelation *relation)
{
	for (int i = 0; i < relation->ncolumns; i++)
		for (int j = 0; j < i; j++)
		{
			const ImpiloSchemaColumn *a = &relation->columns[i];
			const ImpiloSchemaColumn *b = &relation->columns[j];

			CHECK_FOR(strcmp(a->name, b->name) != 0, a->name);
			CHECK_FOR(a->source != IMPILO_SOURCE_POINTER ||
					  b->source != IMPILO_SOURCE_POINTER ||
					  strcmp(a->pointer, b->pointer) != 0, a->name);
		}
}

void
test_schema(void)
{
	const ImpiloSchemaRelation *orders = impilo_schema_relation("orders");
	int			written = 0;

	CHECK(impilo_schema_nrelations == 10);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		const ImpiloSchemaRelation *relation = &impilo_schema_relations[i];

		CHECK_FOR(impilo_schema_relation(relation->name) == relation,
				  relation->name);
		CHECK_FOR(is_sentence(relation->description), relation->name);
		CHECK_FOR(relation->array == NULL || is_pointer(relation->array),
				  relation->name);
		CHECK_FOR(relation->inner_array == NULL ||
				  (relation->array && is_pointer(relation->inner_array)),
				  relation->name);
		CHECK_FOR(relation->columns[0].source == IMPILO_SOURCE_ORDER_ID,
				  relation->name);
		CHECK_FOR(relation->columns[relation->ncolumns - 1].source ==
				  IMPILO_SOURCE_DOCUMENT, relation->name);
		for (int c = 0; c < relation->ncolumns; c++)
			check_column(relation, &relation->columns[c]);
		check_distinct(relation);
	}

	CHECK(impilo_schema_relation("order") == NULL);
	CHECK(impilo_schema_relation("Orders") == NULL);
	CHECK(orders != NULL);
	CHECK(impilo_schema_column(orders, "count") == NULL);
	CHECK(impilo_schema_column(orders, "patient_site_address_zip_code") != NULL);
	for (int c = 0; c < orders->ncolumns; c++)
		written += orders->columns[c].write_member != NULL;
	CHECK(written == 11);
}
