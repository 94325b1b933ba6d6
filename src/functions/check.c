/*-------------------------------------------------------------------------
 *
 * check.c
 *	  The drift report: the API's orders against the columns that show them.
 *
 * An API grows, and nobody is told.  One page of the list is read and laid
 * beside the schema and the foreign tables of the server: members that no
 * column shows, columns that no order fills, values that do not fit.  Each
 * finding names places, kinds and numbers, never a value, and where SQL can
 * mend it the statement that does.
 *
 * The rule for columns is that of the schema: a scalar of a nested object is
 * a column, an array is one of type jsonb, and the members of the elements of
 * an array are columns where a relation stands for it.  The whole document
 * shows everything and so does not count.
 *
 * Nothing is changed here, and nothing is kept for the next time.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/connection.h"
#include "functions/check.h"
#include "functions/check_columns.h"
#include "functions/check_tree.h"
#include "json/pointer.h"
#include "json/text.h"

/* Columns of impilo_check_schema(). */
enum ReportColumn
{
	REPORT_FINDING,
	REPORT_TABLE,
	REPORT_COLUMN,
	REPORT_TYPE,
	REPORT_PATH,
	REPORT_KINDS,
	REPORT_UNFIT,
	REPORT_ORDERS,
	REPORT_ORDERS_READ,
	REPORT_STATEMENT,
	REPORT_NCOLUMNS
};

typedef struct Check
{
	ImpiloSeen *root;
	List	   *tables;			/* of ImpiloCheckedTable, by name */
	int64		orders;			/* read */
	ReturnSetInfo *result;
} Check;

/* One row of the report; strings may be NULL. */
typedef struct Finding
{
	const char *finding;
	const char *table;
	const char *column;
	const char *type;
	int64		unfit;			/* 0: not told */
	const char *statement;
} Finding;

PG_FUNCTION_INFO_V1(impilo_check_schema_1_0);


/* ------------------------------------------------------------------------
 * Paths and names
 * ------------------------------------------------------------------------
 */

/*
 * Pointer to a place from one above it, in UTF-8.  Elements of arrays are *,
 * which no pointer of RFC 6901 can say.
 */
static char *
pointer_between(const ImpiloSeen *above, const ImpiloSeen *place)
{
	ImpiloPointerStep step;
	char	   *head;
	char	   *text;
	size_t		length;
	size_t		size;

	if (place == above || place->parent == NULL)
		return pstrdup("");
	head = pointer_between(above, place->parent);
	if (place->element)
		return psprintf("%s/*", head);
	step = impilo_pointer_step(place->name, strlen(place->name));
	size = impilo_pointer_format(&step, 1, NULL, 0);
	length = strlen(head);
	text = palloc(length + size + 1);

	memcpy(text, head, length);
	impilo_pointer_format(&step, 1, text +length, size);
	text[		length + size] = '\0';
	return text;
}

/*
 * The text in the database's encoding, or NULL if that has no such
 * characters.
 */
static char *
in_database(const char *utf8)
{
	ImpiloJsonSlice slice = {utf8, strlen(utf8), IMPILO_JSON_OBJECT, false};
	text	   *result;

	if (impilo_text(&slice, IMPILO_TEXT_OF_JSON, impilo_text_conversion(),
					&result) != IMPILO_TEXT_OK)
		return NULL;
	return text_to_cstring(result);
}

/*
 * The same for a person to read, whatever is in it.
 */
static char *
readable(const char *utf8)
{
	char	   *converted = in_database(utf8);

	return converted ? converted
		: impilo_text_clean(utf8, strlen(utf8), strlen(utf8));
}

/*
 * The place of the document of the row that a place belongs to.
 */
static const ImpiloSeen *
row_of(const ImpiloSeen *place)
{
	while (place->rows == NULL)
		place = place->parent;
	return place;
}

/*
 * The path in snake_case: /patient/nickName is patient_nick_name.
 */
static char *
snake_case(const char *pointer)
{
	StringInfoData name;
	char		before = '\0';

	initStringInfo(&name);
	for (const char *c = pointer; *c; c++)
	{
		bool		letter = isalnum((unsigned char) *c) || IS_HIGHBIT_SET(*c);

		if (*c == '~')			/* of an escape the digit is no letter either */
			c++;
		if (!letter || (*c >= 'A' && *c <= 'Z' && islower((unsigned char) before)))
		{
			if (name.len > 0 && name.data[name.len - 1] != '_')
				appendStringInfoChar(&name, '_');
		}
		if (letter)
			appendStringInfoChar(&name, *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		before = *c;
	}
	while (name.len > 0 && name.data[name.len - 1] == '_')
		name.data[--name.len] = '\0';
	if (name.len == 0)
		appendStringInfoString(&name, "value");
	return name.data;
}

static bool
has_column(const ImpiloTable *table, const ImpiloSchemaRelation *relation,
		   const char *name)
{
	if (impilo_schema_column(relation, name))
		return true;
	for (int i = 0; table && i < table->natts; i++)
		if (table->columns[i].attnum != 0 &&
			strcmp(table->columns[i].name, name) == 0)
			return true;
	return false;
}

/*
 * A name for a new column of a table (which may be NULL) that none of it has.
 */
static char *
new_name(const ImpiloTable *table, const ImpiloSchemaRelation *relation,
		 const char *pointer)
{
	char	   *base = snake_case(pointer);
	char	   *name;
	int			number = 1;

	/* leaves room for a number */
	base[pg_mbcliplen(base, strlen(base), NAMEDATALEN - 1 - 4)] = '\0';
	name = base;
	while (has_column(table, relation, name))
		name = psprintf("%s_%d", base, ++number);
	return name;
}

/* ------------------------------------------------------------------------
 * Rows of the report
 * ------------------------------------------------------------------------
 */

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;

	if (text)
		values[column] = CStringGetTextDatum(text);
}

/*
 * Put a row of the report; `place` is NULL if it is about none.
 */
static void
put(Check *check, const ImpiloSeen *place, const Finding *finding)
{
	Datum		values[REPORT_NCOLUMNS] = {0};
	bool		nulls[REPORT_NCOLUMNS] = {0};

	put_text(values, nulls, REPORT_FINDING, finding->finding);
	put_text(values, nulls, REPORT_TABLE, finding->table);
	put_text(values, nulls, REPORT_COLUMN, finding->column);
	put_text(values, nulls, REPORT_TYPE, finding->type);
	put_text(values, nulls, REPORT_PATH,
			 place ? readable(pointer_between(check->root, place)) : NULL);
	put_text(values, nulls, REPORT_KINDS,
			 place && place->met ? impilo_seen_kinds(place) : NULL);
	values[REPORT_UNFIT] = Int64GetDatum(finding->unfit);
	nulls[REPORT_UNFIT] = finding->unfit == 0;
	values[REPORT_ORDERS] = Int64GetDatum(place ? place->orders : 0);
	nulls[REPORT_ORDERS] = place == NULL;
	values[REPORT_ORDERS_READ] = Int64GetDatum(check->orders);
	put_text(values, nulls, REPORT_STATEMENT, finding->statement);
	tuplestore_putvalues(check->result->setResult, check->result->setDesc,
						 values, nulls);
}

/* ------------------------------------------------------------------------
 * Members that no column shows
 * ------------------------------------------------------------------------
 */

/*
 * Report a place for which there should be a column of this type.
 */
static void
put_new(Check *check, const ImpiloSeen *place, Finding found,
		const char *type)
{
	const ImpiloSeen *row = row_of(place);
	const ImpiloCheckedTable *checked = impilo_checked_table(check->tables, row->rows);
	const char *table = checked ? checked->name
	: quote_identifier(row->rows->name);
	char	   *pointer = in_database(pointer_between(row, place));

	found.table = table;
	/* what the database cannot write, it cannot point to */
	if (pointer)
	{
		found.column = new_name(checked ? checked->table : NULL, row->rows,
								pointer);
		found.type = type;
		found.statement =
			psprintf("ALTER FOREIGN TABLE %s ADD COLUMN %s %s OPTIONS (json_pointer %s)",
					 table, quote_identifier(found.column), type,
					 quote_literal_cstr(pointer));
	}
	put(check, place, &found);
}

/*
 * Has a column its place somewhere below this one?
 */
static bool
leads_to_columns(const ImpiloSeen *place)
{
	for (const ImpiloSeen *child = place->children; child; child = child->next)
		if (child->shown || leads_to_columns(child))
			return true;
	return false;
}

/*
 * Report what is not shown, from a place down.
 */
static void
find_new(Check *check, const ImpiloSeen *place)
{
	int64		objects = place->values[IMPILO_SEEN_OBJECT];
	bool		enter = leads_to_columns(place) ||
	(objects > 0 && objects == impilo_seen_values(place) &&
	 place->nchildren > 0 && !place->crowded);

	check_stack_depth();
	for (const ImpiloSeen *child = place->children; child; child = child->next)
		if (child->element && child->rows)
			find_new(check, child);
	if (!place->met || (place->shown && !(place->rows && objects > 0)))
		return;
	if (!enter)
	{
		Finding		found = {.finding = "new member"};

		put_new(check, place, found, impilo_seen_type(place));
		return;
	}
	for (const ImpiloSeen *child = place->children; child; child = child->next)
		if (!child->element)
			find_new(check, child);
}

/* ------------------------------------------------------------------------
 * Columns without values
 * ------------------------------------------------------------------------
 */

static void
find_absent(Check *check, const ImpiloSeen *place)
{
	check_stack_depth();
	if (place->orders == 0)
		for (const ImpiloSeenColumn *column = place->columns; column;
			 column = column->next)
		{
			Finding		found = {
				.finding = "absent",
				.table = column->table,
				.column = column->name,
				.type = column->type
			};

			put(check, place, &found);
		}
	for (const ImpiloSeen *child = place->children; child; child = child->next)
	{
		if (child->rows && child->orders == 0)
		{
			/* of an array without elements one row tells enough */
			const ImpiloCheckedTable *checked = impilo_checked_table(check->tables, child->rows);
			Finding		found = {
				.finding = "absent",
				.table = checked ? checked->name
				: quote_identifier(child->rows->name)
			};

			put(check, child, &found);
		}
		else
			find_absent(check, child);
	}
}

/* ------------------------------------------------------------------------
 * Values that do not fit
 * ------------------------------------------------------------------------
 */

/*
 * A type for a column whose own does not fit.  What was seen may suggest the
 * type that it has, where that has a limit or a constraint beyond.
 */
static const char *
other_type(const ImpiloSeen *place, const char *type)
{
	const char *seen = impilo_seen_type(place);

	if (strcmp(seen, type) != 0)
		return seen;
	return strcmp(type, "text") == 0 ? "jsonb" : "text";
}

/*
 * The statement after which a column's values fit, or NULL.  No type takes
 * characters that the database cannot hold; the column can do without them.
 */
static char *
mend_column(const ImpiloSeen *place, const ImpiloSeenColumn *column)
{
	char	   *head = psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s",
								column->table,
								quote_identifier(column->name));

	if (column->unfit > column->characters)
		return psprintf("%s TYPE %s", head,
						other_type(place, column->type));
	return column->lenient ? NULL
		: psprintf("%s OPTIONS (ADD on_invalid 'null')", head);
}

/*
 * Report values that should be arrays, as their elements are rows, and those
 * that should be objects, as their members have columns.
 */
static void
find_unfit_container(Check *check, const ImpiloSeen *place)
{
	int64		values = impilo_seen_values(place);
	Finding		found = {.finding = "type"};

	for (const ImpiloSeen *child = place->children; child; child = child->next)
	{
		const ImpiloCheckedTable *checked;

		if (!child->rows)
			continue;
		checked = impilo_checked_table(check->tables, child->rows);
		found.table = checked ? checked->name
			: quote_identifier(child->rows->name);
		found.unfit = values - impilo_seen_arrays(place);
		if (found.unfit > 0)
			put(check, place, &found);
	}
	found.unfit = values - place->values[IMPILO_SEEN_OBJECT];
	if (!place->shown && found.unfit > 0 && leads_to_columns(place))
		put_new(check, place, found, "jsonb");
}

static void
find_unfit(Check *check, const ImpiloSeen *place)
{
	check_stack_depth();
	for (const ImpiloSeenColumn *column = place->columns; column;
		 column = column->next)
	{
		Finding		found = {
			.finding = "type",
			.table = column->table,
			.column = column->name,
			.type = column->type,
			.unfit = column->unfit
		};

		if (column->unfit == 0)
			continue;
		found.statement = mend_column(place, column);
		put(check, place, &found);
	}
	find_unfit_container(check, place);
	for (const ImpiloSeen *child = place->children; child; child = child->next)
		find_unfit(check, child);
}

/*
 * Report the tables that cannot be read: of their columns nothing is known.
 */
static void
find_unreadable(Check *check)
{
	ListCell   *cell;

	foreach(cell, check->tables)
	{
		const ImpiloCheckedTable *checked = lfirst(cell);
		Finding		found = {
			.finding = "unreadable table",
			.table = checked->name
		};

		if (checked->table == NULL)
			put(check, NULL, &found);
	}
}

/* ------------------------------------------------------------------------
 * The page
 * ------------------------------------------------------------------------
 */

static void
read_page(Check *check, ImpiloConnection *connection, int size)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw check",
												  ALLOCSET_DEFAULT_SIZES);
	ImpiloPage	page;
	ImpiloOrder order;

	impilo_api_first_page(connection->api, size, NULL, &page);
	while (impilo_api_page_next(connection->api, &page, &order))
		impilo_seen_order(check->root, ++check->orders, &order.document,
						  scratch);
	MemoryContextDelete(scratch);
}

/* ------------------------------------------------------------------------
 * The function
 * ------------------------------------------------------------------------
 */

/*
 * impilo_check_schema
 *		Read one page of a server's list, and tell how it differs from the
 *		columns that there are.
 *
 * As the current user: with that user's mapping, and only with the right to
 * use the server.  Sends one request, or two if pages are counted from 0.
 * A foreign table of the server that cannot be read is a finding, and a
 * warning says why.
 */
Datum
impilo_check_schema_1_0(PG_FUNCTION_ARGS)
{
	ForeignServer *server = impilo_server_by_name(NameStr(*PG_GETARG_NAME(0)),
												  fcinfo->flinfo->fn_oid);
	int			size = PG_GETARG_INT32(1);
	Check		check = {0};
	ImpiloConnection *connection;

	if (size < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("page size must be greater than zero")));
	InitMaterializedSRF(fcinfo, 0);
	check.result = (ReturnSetInfo *) fcinfo->resultinfo;
	check.root = impilo_seen_begin();
	check.tables = impilo_checked_tables(server->serverid);
	impilo_check_columns(check.root, check.tables);

	connection = impilo_connection(GetUserId(), server->serverid,
								   CurrentMemoryContext);
	read_page(&check, connection, size);
	find_unreadable(&check);
	if (check.orders == 0)
		ereport(NOTICE,
				(errmsg("server \"%s\" has no orders to check", server->servername)));
	else
	{
		impilo_seen_share(check.root);
		find_new(&check, check.root);
		find_absent(&check, check.root);
		find_unfit(&check, check.root);
	}
	return (Datum) 0;
}
