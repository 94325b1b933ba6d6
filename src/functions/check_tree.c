/*-------------------------------------------------------------------------
 *
 * check_tree.c
 *	  What orders hold, as a tree of places, without their values.
 *
 * A place is a member of an object, or all elements of an array together.
 * The columns that are to be checked make their places first; orders then
 * add the places that they have besides.  Of values only their kinds are
 * counted, and how many do not convert to the types of the columns there:
 * what is kept here may be shown to anybody.
 *
 * What of it is worth a word is decided in check.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/check_tree.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "functions/check_tree.h"
#include "json/pointer.h"
#include "rows/iso8601.h"
#include "rows/number.h"

/* a date alone, YYYY-MM-DD */
#define DATE_LENGTH 10

/* the longest text that can be a timestamp, and some more */
#define TIMESTAMP_LENGTH 64

static void see(ImpiloSeen *place, int64 number, const ImpiloJsonSlice *value,
				MemoryContext scratch);


/* ------------------------------------------------------------------------
 * Places
 * ------------------------------------------------------------------------
 */

/*
 * impilo_seen_begin
 *		The place of the order itself.  It and all others of the tree live in
 *		the memory context that it was made in.
 */
ImpiloSeen *
impilo_seen_begin(void)
{
	return palloc0(sizeof(ImpiloSeen));
}

static ImpiloSeen *
find_child(const ImpiloSeen *place, const char *name, size_t length)
{
	ImpiloSeen *child;

	for (child = place->children; child; child = child->next)
		if (!child->element && strncmp(child->name, name, length) == 0 &&
			child->name[length] == '\0')
			return child;
	return NULL;
}

static ImpiloSeen *
add_child(ImpiloSeen *place, const char *name, size_t length)
{
	MemoryContext context = GetMemoryChunkContext(place);
	ImpiloSeen *child = MemoryContextAllocZero(context, sizeof(ImpiloSeen));

	if (name)
	{
		char	   *copy = MemoryContextAlloc(context, length + 1);

		memcpy(copy, name, length);
		copy[length] = '\0';
		child->name = copy;
	}
	child->parent = place;
	child->element = name == NULL;
	if (place->last)
		place->last->next = child;
	else
		place->children = child;
	place->last = child;
	place->nchildren++;
	return child;
}

/*
 * impilo_seen_element
 *		The place of all elements of the array at a place, made if need be.
 */
ImpiloSeen *
impilo_seen_element(ImpiloSeen *array)
{
	ImpiloSeen *child;

	for (child = array->children; child; child = child->next)
		if (child->element)
			return child;
	return add_child(array, NULL, 0);
}

/*
 * impilo_seen_place
 *		The place that a well-formed pointer leads to, made if need be.
 */
ImpiloSeen *
impilo_seen_place(ImpiloSeen *from, const char *pointer)
{
	size_t		length = strlen(pointer);
	size_t		count = impilo_pointer_count(pointer, length);
	ImpiloPointerStep *steps = palloc(Max(count, 1) * sizeof(*steps));
	char	   *names = palloc(length + 1);
	ImpiloPointerError error;

	if (!impilo_pointer_parse(pointer, length, steps, names, &error))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid JSON pointer \"%s\": %s at character %zu",
						pointer, error.what, error.offset + 1)));
	for (size_t i = 0; i < count; i++)
	{
		ImpiloSeen *child = find_child(from, steps[i].name, steps[i].length);

		from = child ? child
			: add_child(from, steps[i].name, steps[i].length);
	}
	return from;
}

/*
 * The place below an array that pointers with this index lead to, or NULL.
 */
static ImpiloSeen *
find_index(const ImpiloSeen *array, int index)
{
	char		name[16];

	if (array->nchildren <= 1)
		return NULL;
	return find_child(array, name, snprintf(name, sizeof(name), "%d", index));
}

/* ------------------------------------------------------------------------
 * Orders
 * ------------------------------------------------------------------------
 */

static ImpiloSeenKind
kind_of_number(const ImpiloJsonSlice *value)
{
	ImpiloNumber number;
	int64_t		integer;

	if (impilo_number_parse(value->data, value->length, &number) &&
		impilo_number_int64(&number, &integer) == IMPILO_NUMBER_OK)
		return IMPILO_SEEN_INTEGER;
	return IMPILO_SEEN_NUMBER;
}

static ImpiloSeenKind
kind_of_string(const ImpiloJsonSlice *value)
{
	size_t		length = value->length - 2;
	ImpiloIsoTime time;

	if (value->escaped || length > TIMESTAMP_LENGTH ||
		!impilo_iso8601_parse(value->data + 1, length, &time))
		return IMPILO_SEEN_STRING;
	return length == DATE_LENGTH ? IMPILO_SEEN_DATE : IMPILO_SEEN_TIMESTAMP;
}

static ImpiloSeenKind
kind_of_array(const ImpiloJsonSlice *value)
{
	ImpiloSeenKind kind = IMPILO_SEEN_EMPTY;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError error;

	impilo_json_begin(&cursor, value, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &error) > 0)
	{
		if (element.kind != IMPILO_JSON_STRING)
			return IMPILO_SEEN_ARRAY;
		kind = IMPILO_SEEN_STRINGS;
	}
	return kind;
}

static ImpiloSeenKind
kind_of(const ImpiloJsonSlice *value)
{
	switch (value->kind)
	{
		case IMPILO_JSON_ABSENT:
		case IMPILO_JSON_NULL:
			break;
		case IMPILO_JSON_BOOL:
			return IMPILO_SEEN_BOOLEAN;
		case IMPILO_JSON_NUMBER:
			return kind_of_number(value);
		case IMPILO_JSON_STRING:
			return kind_of_string(value);
		case IMPILO_JSON_ARRAY:
			return kind_of_array(value);
		case IMPILO_JSON_OBJECT:
			return IMPILO_SEEN_OBJECT;
	}
	return IMPILO_SEEN_NULL;
}

/*
 * Count for each column of a place whether it could show the value.
 */
static void
try_columns(ImpiloSeen *place, const ImpiloJsonSlice *value,
			MemoryContext scratch)
{
	for (ImpiloSeenColumn *column = place->columns; column;
		 column = column->next)
	{
		MemoryContext caller;
		ImpiloConvertError error;
		Datum		result;
		bool		isnull;

		if (column->converter == NULL)
			continue;
		caller = MemoryContextSwitchTo(scratch);
		if (!impilo_convert(column->converter, value, &result, &isnull,
							&error))
		{
			if (error.hard)
				ereport(ERROR,
						(errcode(error.sqlstate),
						 errmsg("column \"%s\" of %s cannot be checked",
								column->name, column->table),
						 errdetail("Type %s raised an error for %s.",
								   column->type, error.what)));
			column->unfit++;
			if (error.sqlstate == ERRCODE_UNTRANSLATABLE_CHARACTER ||
				error.sqlstate == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE)
				column->characters++;
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(scratch);
	}
}

static void
see_elements(ImpiloSeen *place, int64 number, const ImpiloJsonSlice *array,
			 MemoryContext scratch)
{
	ImpiloSeen *any = impilo_seen_element(place);
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError error;
	int			index = 0;

	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &error) > 0)
	{
		ImpiloSeen *one = find_index(place, index++);

		see(any, number, &element, scratch);
		if (one)
			see(one, number, &element, scratch);
	}
}

static void
see_members(ImpiloSeen *place, int64 number, const ImpiloJsonSlice *object,
			MemoryContext scratch)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError error;

	impilo_json_begin(&cursor, object, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, &name, &value, &error) > 0)
	{
		char	   *decoded = palloc(name.length);
		size_t		length;
		ImpiloSeen *child;

		/* a name with a NUL in it can be neither shown nor pointed to */
		if (impilo_json_unescape(&name, decoded, &length) != IMPILO_JSON_TEXT_OK)
			continue;
		child = find_child(place, decoded, length);
		if (child == NULL && place->nchildren < IMPILO_CHECK_MAX_MEMBERS)
			child = add_child(place, decoded, length);
		pfree(decoded);
		if (child)
			see(child, number, &value, scratch);
		else
			place->crowded = true;
	}
}

static void
see(ImpiloSeen *place, int64 number, const ImpiloJsonSlice *value,
	MemoryContext scratch)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	place->met = true;
	place->values[kind_of(value)]++;
	if (value->kind <= IMPILO_JSON_NULL)
		return;
	if (place->order != number)
		place->orders++;
	place->order = number;
	try_columns(place, value, scratch);
	if (value->kind == IMPILO_JSON_ARRAY)
		see_elements(place, number, value, scratch);
	else if (value->kind == IMPILO_JSON_OBJECT)
		see_members(place, number, value, scratch);
}

/*
 * impilo_seen_order
 *		Add an order to the tree.
 *
 * `number` is from 1 and another for each order; `document` has passed the
 * check of scan.h; `scratch` is emptied.  Raises an error if a type
 * raises one that it should have reported.
 */
void
impilo_seen_order(ImpiloSeen *root, int64 number,
				  const ImpiloJsonSlice *document, MemoryContext scratch)
{
	see(root, number, document, scratch);
}

/*
 * What is shown below one place is shown below another as well.
 */
static void
copy_shown(ImpiloSeen *to, const ImpiloSeen *from)
{
	to->shown |= from->shown;
	for (const ImpiloSeen *child = from->children; child; child = child->next)
	{
		ImpiloSeen *twin = child->element ? impilo_seen_element(to)
		: find_child(to, child->name, strlen(child->name));

		if (twin)
			copy_shown(twin, child);
	}
}

/*
 * impilo_seen_share
 *		To be called when all orders were added: what a column shows of one
 *		element of an array is known of all of them.
 */
void
impilo_seen_share(ImpiloSeen *place)
{
	bool		array = impilo_seen_arrays(place) > 0;

	for (ImpiloSeen *child = place->children; child; child = child->next)
	{
		impilo_seen_share(child);
		if (array && !child->element &&
			impilo_pointer_step(child->name, strlen(child->name)).index >= 0)
			copy_shown(impilo_seen_element(place), child);
	}
}

/* ------------------------------------------------------------------------
 * Telling
 * ------------------------------------------------------------------------
 */

/*
 * impilo_seen_values
 *		How many values a place has had that were not null.
 */
int64
impilo_seen_values(const ImpiloSeen *place)
{
	int64		sum = 0;

	for (int i = IMPILO_SEEN_NULL + 1; i < IMPILO_SEEN_KINDS; i++)
		sum += place->values[i];
	return sum;
}

/*
 * impilo_seen_arrays
 *		How many of them were arrays.
 */
int64
impilo_seen_arrays(const ImpiloSeen *place)
{
	return place->values[IMPILO_SEEN_EMPTY] +
		place->values[IMPILO_SEEN_STRINGS] + place->values[IMPILO_SEEN_ARRAY];
}

/*
 * impilo_seen_type
 *		The narrowest SQL type for all that was seen at a place; where that
 *		was nothing but null, the type that takes everything.
 */
const char *
impilo_seen_type(const ImpiloSeen *place)
{
	const int64 *values = place->values;
	int64		all = impilo_seen_values(place);
	int64		numbers = values[IMPILO_SEEN_INTEGER] +
	values[IMPILO_SEEN_NUMBER];
	int64		times = values[IMPILO_SEEN_DATE] +
	values[IMPILO_SEEN_TIMESTAMP];

	if (all == 0)
		return "jsonb";
	if (all == values[IMPILO_SEEN_BOOLEAN])
		return "boolean";
	if (all == values[IMPILO_SEEN_INTEGER])
		return "bigint";
	if (all == numbers)
		return "numeric";
	if (all == values[IMPILO_SEEN_DATE])
		return "date";
	if (all == times)
		return "timestamp with time zone";
	if (all == values[IMPILO_SEEN_BOOLEAN] + numbers + times +
		values[IMPILO_SEEN_STRING])
		return "text";
	if (values[IMPILO_SEEN_STRINGS] > 0 &&
		all == values[IMPILO_SEEN_STRINGS] + values[IMPILO_SEEN_EMPTY])
		return "text[]";
	return "jsonb";
}

/*
 * impilo_seen_kinds
 *		The kinds of values that were seen, each with its number.
 */
char *
impilo_seen_kinds(const ImpiloSeen *place)
{
	static const char *const names[IMPILO_SEEN_KINDS] = {
		[IMPILO_SEEN_NULL] = "null",
		[IMPILO_SEEN_BOOLEAN] = "boolean",
		[IMPILO_SEEN_INTEGER] = "integer",
		[IMPILO_SEEN_NUMBER] = "number",
		[IMPILO_SEEN_DATE] = "date",
		[IMPILO_SEEN_TIMESTAMP] = "timestamp",
		[IMPILO_SEEN_STRING] = "string",
		[IMPILO_SEEN_EMPTY] = "empty array",
		[IMPILO_SEEN_STRINGS] = "array of strings",
		[IMPILO_SEEN_ARRAY] = "array",
		[IMPILO_SEEN_OBJECT] = "object"
	};
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < IMPILO_SEEN_KINDS; i++)
		if (place->values[i] > 0)
			appendStringInfo(&text, "%s%s: " INT64_FORMAT,
							 text.len > 0 ? ", " : "", names[i],
							 place->values[i]);
	return text.data;
}
