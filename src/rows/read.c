/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Rows out of orders.
 *
 * An order is bytes.  All wanted places of a row are found in one pass over
 * them, which skips everything else, and only what is found is converted:
 * first what the filter needs, and the rest for rows that pass it.  What can
 * be prepared is prepared when the reader is made, so that a row costs
 * nothing but its values.
 *
 * A value that does not convert is an error that tells the order, the column,
 * the request and what kind of value it is, but not the value.
 *
 * Which rows are wanted, and where the bytes come from, is not known here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/read.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "json/scan.h"
#include "json/pointer.h"
#include "rows/convert.h"
#include "rows/read.h"

/* a 64-bit integer as text */
#define INTEGER_LENGTH 24

/* One column to be filled. */
typedef struct ReaderColumn
{
	const ImpiloColumn *column;
	ImpiloConverter *converter;
	const char *type_name;		/* looked up before anything can fail: an
								 * error may leave no way to do it later */
	int			slot;			/* in Portion.found, if it has a pointer */
} ReaderColumn;

/* Columns that are filled together. */
typedef struct Portion
{
	ReaderColumn *columns;
	int			ncolumns;
	ImpiloJsonWanted wanted;
	ImpiloJsonSlice *found;
	int			nfound;			/* 0: no need to look into the bytes */
} Portion;

/* The array whose elements are rows, or hold the array of those. */
typedef struct ArrayPlace
{
	const char *pointer;
	ImpiloJsonWanted wanted;
	ImpiloJsonCursor cursor;
	bool		open;			/* the cursor stands in an array */
	int32		position;		/* of the element passed last, from 1 */
} ArrayPlace;

struct ImpiloRowReader
{
	const ImpiloTable *table;
	Portion		filter;
	Portion		rest;
	ArrayPlace	outer;			/* pointer NULL: the order is the row */
	ArrayPlace	inner;			/* pointer NULL: the outer elements are */

	/* the order at hand */
	int64		id;
	ImpiloJsonSlice document;
	const int64 *listed;		/* values of the columns list_page to
								 * list_size, below 0: NULL */
	const char *request;
	bool		pending;		/* it is the row, and was not given yet */

	ImpiloJsonSlice row;		/* the document of the row at hand */
};

/* ------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------
 */

/*
 * Pointer from the order to a place of the row at hand.
 */
static char *
full_pointer(const ImpiloRowReader *reader, const char *pointer)
{
	StringInfoData full;

	initStringInfo(&full);
	if (reader->outer.pointer)
		appendStringInfo(&full, "%s/%d", reader->outer.pointer,
						 reader->outer.position - 1);
	if (reader->inner.pointer)
		appendStringInfo(&full, "%s/%d", reader->inner.pointer,
						 reader->inner.position - 1);
	if (pointer)
		appendStringInfoString(&full, pointer);
	return full.data;
}

static void
raise_invalid(const ImpiloRowReader *reader, const ReaderColumn *target,
			  const ImpiloConvertError *error)
{
	bool		hint = !error->hard && impilo_converter_soft(target->converter);

	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("order %lld has an invalid value for column \"%s\" of foreign table \"%s\"",
					(long long) reader->id, target->column->name,
					reader->table->name),
			 errdetail("The answer to %s has %s at \"%s\", which cannot be read as type %s.",
					   reader->request, error->what,
					   full_pointer(reader, target->column->pointer),
					   target->type_name),
			 hint
			 ? errhint("Column option \"on_invalid\" set to 'null' reads such values as NULL.")
			 : 0));
}

static void
raise_broken(const ImpiloRowReader *reader, const ImpiloJsonError *error)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("order %lld cannot be read for foreign table \"%s\"",
					(long long) reader->id, reader->table->name),
			 errdetail("The answer to %s has an error in that order: %s.",
					   reader->request, error->what)));
}

static void
raise_no_array(const ImpiloRowReader *reader, const char *kind,
			   const char *pointer)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("order %lld cannot be read for foreign table \"%s\"",
					(long long) reader->id, reader->table->name),
			 errdetail("The answer to %s has %s at \"%s\" instead of an array.",
					   reader->request, kind, pointer)));
}

/* ------------------------------------------------------------------------
 * Preparing
 * ------------------------------------------------------------------------
 */

/*
 * Add a pointer to a set of places and return its slot.  The steps live in
 * CurrentMemoryContext, with the set.  Names are compared in UTF-8, which an
 * option need not be in.
 */
static int
want(ImpiloJsonWanted *wanted, const char *written)
{
	const char *pointer = pg_server_to_any(written, strlen(written), PG_UTF8);
	size_t		length = strlen(pointer);
	size_t		count = impilo_pointer_count(pointer, length);
	ImpiloPointerStep *steps = palloc(Max(count, 1) * sizeof(*steps));
	char	   *names = palloc(length + 1);
	ImpiloPointerError error;
	int			slot;

	if (!impilo_pointer_parse(pointer, length, steps, names, &error))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid JSON pointer \"%s\": %s at character %zu",
						written, error.what, error.offset + 1)));
	slot = impilo_json_want(wanted, steps, count);
	if (slot < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("cannot use JSON pointer \"%s\": it has more than %d steps",
						written, IMPILO_JSON_MAX_DEPTH)));
	return slot;
}

static size_t
nodes_of(const char *pointer)
{
	size_t		count = impilo_pointer_count(pointer, strlen(pointer));

	return Max(count, 1);
}

static void
prepare_array(ArrayPlace *place, const char *pointer)
{
	size_t		capacity;

	place->pointer = pointer;
	if (pointer == NULL)
		return;
	capacity = 1 + nodes_of(pointer);
	impilo_json_want_begin(&place->wanted,
						   palloc(capacity * sizeof(ImpiloJsonNode)),
						   capacity);
	(void) want(&place->wanted, pointer);
}

/*
 * Does the value come from a place that has to be found?
 */
static bool
has_place(const ImpiloColumn *column)
{
	return column->source == IMPILO_SOURCE_POINTER;
}

/*
 * Option on_invalid 'null' is rejected if PostgreSQL could find out only by
 * raising an error that a value is invalid.
 */
static void
check_on_invalid(const ImpiloTable *table, const ReaderColumn *target)
{
	if (!target->column->null_on_invalid ||
		impilo_converter_soft(target->converter))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("option \"on_invalid\" of column \"%s\" of foreign table \"%s\" cannot be 'null'",
					target->column->name, table->name),
			 errdetail("PostgreSQL %s cannot test whether a value is valid for type %s without raising an error.",
					   PG_MAJORVERSION, target->type_name),
			 errhint("Give the column type text or jsonb, and convert it in a view."),
			 impilo_errtable(table, target->column)));
}

static void
prepare_portion(const ImpiloTable *table, const Bitmapset *attributes,
				const Bitmapset *without, Portion *portion)
{
	size_t		capacity = 1;
	int			attnum = -1;

	portion->columns = palloc0(Max(bms_num_members(attributes), 1) *
							   sizeof(ReaderColumn));
	while ((attnum = bms_next_member(attributes, attnum)) >= 0)
	{
		const ImpiloColumn *column;
		ReaderColumn *target;

		Assert(attnum > 0 && attnum <= table->natts);
		column = &table->columns[attnum - 1];
		if (column->attnum == 0 || bms_is_member(attnum, without))
			continue;
		target = &portion->columns[portion->ncolumns++];
		target->column = column;
		target->converter = impilo_converter(column->type, column->typmod,
											 CurrentMemoryContext);
		target->type_name = format_type_with_typemod(column->type,
													 column->typmod);
		check_on_invalid(table, target);
		if (!has_place(column))
			continue;
		portion->nfound++;
		capacity += nodes_of(column->pointer);
	}

	portion->found = palloc0(Max(portion->nfound, 1) *
							 sizeof(ImpiloJsonSlice));
	impilo_json_want_begin(&portion->wanted,
						   palloc(capacity * sizeof(ImpiloJsonNode)),
						   capacity);
	for (int i = 0; i < portion->ncolumns; i++)
		if (has_place(portion->columns[i].column))
			portion->columns[i].slot =
				want(&portion->wanted, portion->columns[i].column->pointer);
}

/*
 * impilo_row_reader
 *		Prepare to read some columns of a table's rows.
 *
 * The members of `filter` and `rest` are attribute numbers of user columns,
 * without an offset; a column in both belongs to the filter.  The reader
 * lives in `context` and keeps `table` by reference.
 */
ImpiloRowReader *
impilo_row_reader(const ImpiloTable *table, const Bitmapset *filter,
				  const Bitmapset *rest, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloRowReader *reader = palloc0(sizeof(ImpiloRowReader));

	reader->table = table;
	impilo_table_check(table, filter);
	impilo_table_check(table, rest);
	prepare_portion(table, filter, NULL, &reader->filter);
	prepare_portion(table, rest, filter, &reader->rest);
	prepare_array(&reader->outer, table->relation->array);
	prepare_array(&reader->inner, table->relation->inner_array);
	MemoryContextSwitchTo(caller);
	return reader;
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

/*
 * Stand before the first element of an array in a document.  If there is
 * none, or null, there are no elements.
 */
static void
open_array(ImpiloRowReader *reader, ArrayPlace *place,
		   const ImpiloJsonSlice *document)
{
	ImpiloJsonSlice array;
	ImpiloJsonError error;

	place->open = false;
	place->position = 0;
	if (!impilo_json_find(&place->wanted, document->data, document->length,
						  IMPILO_JSON_CHECKED, &array, &error))
		raise_broken(reader, &error);
	if (array.kind == IMPILO_JSON_ABSENT || array.kind == IMPILO_JSON_NULL)
		return;
	if (array.kind != IMPILO_JSON_ARRAY)
		raise_no_array(reader, impilo_convert_kind(&array),
					   place == &reader->outer ? place->pointer
					   : psprintf("%s/%d%s", reader->outer.pointer,
								  reader->outer.position - 1,
								  place->pointer));
	impilo_json_begin(&place->cursor, &array, IMPILO_JSON_CHECKED);
	place->open = true;
}

static bool
next_element(ImpiloRowReader *reader, ArrayPlace *place,
			 ImpiloJsonSlice *element)
{
	ImpiloJsonError error;
	int			more;

	if (!place->open)
		return false;
	more = impilo_json_next(&place->cursor, NULL, element, &error);
	if (more < 0)
		raise_broken(reader, &error);
	place->position++;
	place->open = more > 0;
	return place->open;
}

/*
 * impilo_row_reader_order
 *		Take an order to read the rows of.
 *
 * `document` has passed the check of scan.h.  Its bytes and `request`
 * (for messages, as "GET /order/42") have to stay until the next order.
 */
void
impilo_row_reader_order(ImpiloRowReader *reader, int64 id,
						const ImpiloJsonSlice *document, const char *request)
{
	reader->id = id;
	reader->document = *document;
	reader->request = request;
	reader->pending = reader->outer.pointer == NULL;
	reader->inner.open = false;
	if (reader->pending)
		reader->row = *document;
	else
		open_array(reader, &reader->outer, document);
}

/*
 * impilo_row_reader_listed
 *		Set what columns list_page, list_place, list_total and list_size are:
 *		four values, which have to stay; below 0 means NULL.
 */
void
impilo_row_reader_listed(ImpiloRowReader *reader, const int64 *listed)
{
	reader->listed = listed;
}

/*
 * impilo_row_reader_next
 *		Stand on the order's next row, or return false if there is none.
 */
bool
impilo_row_reader_next(ImpiloRowReader *reader)
{
	ImpiloJsonSlice element;

	if (reader->outer.pointer == NULL)
	{
		bool		pending = reader->pending;

		reader->pending = false;
		return pending;
	}
	if (reader->inner.pointer == NULL)
		return next_element(reader, &reader->outer, &reader->row);
	while (!next_element(reader, &reader->inner, &reader->row))
	{
		CHECK_FOR_INTERRUPTS();
		if (!next_element(reader, &reader->outer, &element))
			return false;
		open_array(reader, &reader->inner, &element);
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------
 */

static void
fill_value(const ImpiloRowReader *reader, const ReaderColumn *target,
		   const ImpiloJsonSlice *value, Datum *result, bool *isnull)
{
	static const ImpiloJsonSlice nothing = {NULL, 0, IMPILO_JSON_ABSENT, false};
	ImpiloConvertError error;
	ImpiloConvertError error_of_null;

	if (likely(impilo_convert(target->converter, value, result, isnull,
							  &error)))
		return;
	if (error.hard || !target->column->null_on_invalid ||
		!impilo_convert(target->converter, &nothing, result, isnull,
						&error_of_null))
		raise_invalid(reader, target, &error);
}

/*
 * An id or a position.  Types other than the usual ones take it as the number
 * that the API would have sent.
 */
static void
fill_integer(const ImpiloRowReader *reader, const ReaderColumn *target,
			 int64 integer, Datum *result, bool *isnull)
{
	char		buffer[INTEGER_LENGTH];
	ImpiloJsonSlice number = {buffer, 0, IMPILO_JSON_NUMBER, false};

	*isnull = false;
	if (target->column->type == INT8OID)
		*result = Int64GetDatum(integer);
	else
	{
		number.length = snprintf(buffer, sizeof(buffer), INT64_FORMAT,
								 integer);
		fill_value(reader, target, &number, result, isnull);
	}
}

static void
fill_portion(ImpiloRowReader *reader, Portion *portion, Datum *values,
			 bool *nulls)
{
	ImpiloJsonError error;

	if (portion->nfound > 0 &&
		!impilo_json_find(&portion->wanted, reader->row.data,
						  reader->row.length, IMPILO_JSON_CHECKED,
						  portion->found, &error))
		raise_broken(reader, &error);
	for (int i = 0; i < portion->ncolumns; i++)
	{
		const ReaderColumn *target = &portion->columns[i];
		int			at = target->column->attnum - 1;
		int			number;
		const ArrayPlace *rows = reader->inner.pointer ? &reader->inner
		: &reader->outer;

		switch (target->column->source)
		{
			case IMPILO_SOURCE_POINTER:
				fill_value(reader, target, &portion->found[target->slot],
						   &values[at], &nulls[at]);
				break;
			case IMPILO_SOURCE_DOCUMENT:
				fill_value(reader, target, &reader->row,
						   &values[at], &nulls[at]);
				break;
			case IMPILO_SOURCE_ORDER_ID:
				if (reader->document.kind != IMPILO_JSON_NULL)
					fill_integer(reader, target, reader->id,
								 &values[at], &nulls[at]);
				break;
			case IMPILO_SOURCE_LIST_PAGE:
			case IMPILO_SOURCE_LIST_PLACE:
			case IMPILO_SOURCE_LIST_TOTAL:
			case IMPILO_SOURCE_LIST_SIZE:
				number = target->column->source - IMPILO_SOURCE_LIST_PAGE;
				if (reader->listed && reader->listed[number] >= 0)
					fill_integer(reader, target, reader->listed[number],
								 &values[at], &nulls[at]);
				break;
			case IMPILO_SOURCE_POSITION:
				fill_integer(reader, target, rows->position,
							 &values[at], &nulls[at]);
				break;
			case IMPILO_SOURCE_OUTER_POSITION:
				fill_integer(reader, target, reader->outer.position,
							 &values[at], &nulls[at]);
				break;
		}
	}
}

/*
 * impilo_row_reader_filter
 *		Fill in the filter's columns of the row at hand; all others are NULL.
 *
 * Values are allocated in CurrentMemoryContext.  Raises an error for a value
 * that does not convert, with an SQLSTATE of class 22 in most cases.
 */
void
impilo_row_reader_filter(ImpiloRowReader *reader, Datum *values, bool *nulls)
{
	memset(nulls, true, reader->table->natts * sizeof(bool));
	fill_portion(reader, &reader->filter, values, nulls);
}

/*
 * impilo_row_reader_rest
 *		Fill in the columns that were not the filter's.
 *
 * To be called after impilo_row_reader_filter for the same row; leaves what
 * that has filled.
 */
void
impilo_row_reader_rest(ImpiloRowReader *reader, Datum *values, bool *nulls)
{
	fill_portion(reader, &reader->rest, values, nulls);
}
