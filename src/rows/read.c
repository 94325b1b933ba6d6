/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Rows of a foreign table read from orders.
 *
 * An order is bytes.  All places that a row needs are found in one pass over
 * them, which skips everything else.  Only what is found is converted: first
 * what the filter needs, and the rest for rows that pass it.  Everything that
 * can be prepared is prepared when the reader is made.
 *
 * A value that does not convert is an error that names the order, the column,
 * the request and the kind of the value, but not the value itself.
 *
 * Not here: which rows are needed, and where the bytes come from.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/read.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "json/scan.h"
#include "rows/convert.h"
#include "rows/read.h"

/* One column to be filled. */
typedef struct OutputColumn
{
	const ImpiloColumn *column;
	ImpiloConverter *converter;
	const char *type_name;		/* looked up now, because it may not be
								 * possible after an error */
	int			slot;			/* in ColumnSet.found, if it has a pointer */
} OutputColumn;

/* Columns that are filled together. */
typedef struct ColumnSet
{
	OutputColumn *columns;
	int			ncolumns;
	ImpiloJsonWanted wanted;	/* their places */
	ImpiloJsonSlice *found;		/* the values, by slot */
} ColumnSet;

/* The array whose elements are rows, or contain the array of rows. */
typedef struct ArrayPath
{
	const char *pointer;		/* one step; NULL: there is no such array */
	ImpiloJsonCursor cursor;
	bool		open;			/* the cursor is in an array */
	int32		position;		/* of the current element, from 1 */
} ArrayPath;

struct ImpiloRowReader
{
	const ImpiloTable *table;
	ColumnSet	filter;
	ColumnSet	rest;
	ArrayPath	outer;			/* pointer NULL: the order is the row */
	ArrayPath	inner;			/* pointer NULL: the outer elements are rows */

	/* the current order */
	int64		id;
	ImpiloJsonSlice document;
	const int64 *listed;		/* values of the columns list_page to
								 * list_size, below 0: NULL */
	const char *request;
	bool		pending;		/* it is the row, and has not been returned */

	ImpiloJsonSlice row;		/* the document of the current row */
};

/* ------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------
 */

/*
 * The pointer from the order to a place in the current row, or in the element
 * that is being opened: an array without a position is not part of it.
 */
static char *
full_pointer(const ImpiloRowReader *reader, const char *pointer)
{
	StringInfoData full;

	initStringInfo(&full);
	if (reader->outer.position > 0)
		appendStringInfo(&full, "%s/%d", reader->outer.pointer,
						 reader->outer.position - 1);
	if (reader->inner.position > 0)
		appendStringInfo(&full, "%s/%d", reader->inner.pointer,
						 reader->inner.position - 1);
	if (pointer)
		appendStringInfoString(&full, pointer);
	return full.data;
}

static void
raise_invalid(const ImpiloRowReader *reader, const OutputColumn *output,
			  const ImpiloConvertError *error)
{
	bool		hint = !error->thrown && output->converter->soft;

	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("order %lld has an invalid value for column \"%s\" of foreign table \"%s\"",
					(long long) reader->id, output->column->name,
					reader->table->name),
			 errdetail("The response to %s has %s at \"%s\", which cannot be read as type %s.",
					   reader->request, error->what,
					   full_pointer(reader, output->column->pointer),
					   output->type_name),
			 hint
			 ? errhint("Column option \"on_invalid\" set to 'null' reads such values as NULL.")
			 : 0,
			 impilo_errtable(reader->table, output->column)));
}

/*
 * Raise the error of an order that is not in the expected form; `detail` says
 * what the response to the request has.
 */
static void
raise_unreadable(const ImpiloRowReader *reader, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("order %lld cannot be read for foreign table \"%s\"",
					(long long) reader->id, reader->table->name),
			 errdetail("The response to %s has %s.", reader->request, detail),
			 impilo_errtable(reader->table, NULL)));
}

/* ------------------------------------------------------------------------
 * Preparation
 * ------------------------------------------------------------------------
 */

/*
 * Add a pointer to a set and return its slot.  The decoded names live in
 * CurrentMemoryContext, with the set.  Names are compared in UTF-8, which an
 * option need not be in.
 */
static int
add_pointer(ImpiloJsonWanted *wanted, const char *written)
{
	char	   *pointer = pg_server_to_any(pstrdup(written), strlen(written),
										   PG_UTF8);
	ImpiloJsonError error;
	int			slot = impilo_json_want(wanted, pointer, strlen(pointer),
										&error);

	if (slot < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid JSON pointer \"%s\": %s at character %zu",
						written, error.what, error.offset + 1)));
	return slot;
}

/*
 * Option on_invalid 'null' is rejected if PostgreSQL could find out only by
 * raising an error that a value is invalid.
 */
static void
check_on_invalid(const ImpiloTable *table, const OutputColumn *output)
{
	if (!output->column->null_on_invalid || output->converter->soft)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("option \"on_invalid\" of column \"%s\" of foreign table \"%s\" cannot be 'null'",
					output->column->name, table->name),
			 errdetail("PostgreSQL %s cannot test whether a value is valid for type %s without raising an error.",
					   PG_MAJORVERSION, output->type_name),
			 errhint("Give the column type text or jsonb, and convert it in a view."),
			 impilo_errtable(table, output->column)));
}

static void
prepare_columns(const ImpiloTable *table, const Bitmapset *attributes,
				const Bitmapset *without, ColumnSet *set)
{
	int			attnum = -1;
	int			size = Max(bms_num_members(attributes), 1);
	size_t		nodes = 1;

	impilo_table_check(table, attributes);
	set->columns = palloc0(size * sizeof(OutputColumn));
	set->found = palloc0(size * sizeof(ImpiloJsonSlice));
	while ((attnum = bms_next_member(attributes, attnum)) >= 0)
	{
		const ImpiloColumn *column;
		OutputColumn *output;

		Assert(attnum > 0 && attnum <= table->natts);
		column = &table->columns[attnum - 1];
		if (column->attnum == 0 || bms_is_member(attnum, without))
			continue;
		output = &set->columns[set->ncolumns++];
		output->column = column;
		output->converter = impilo_converter(column->type, column->typmod,
											 CurrentMemoryContext);
		output->type_name = format_type_with_typemod(column->type,
													 column->typmod);
		check_on_invalid(table, output);
		for (const char *p = column->pointer; p && *p; p++)
			nodes += *p == '/';
	}

	impilo_json_want_begin(&set->wanted, palloc(nodes * sizeof(ImpiloJsonNode)),
						   nodes);
	for (int i = 0; i < set->ncolumns; i++)
	{
		OutputColumn *output = &set->columns[i];

		if (output->column->source == IMPILO_SOURCE_POINTER)
			output->slot = add_pointer(&set->wanted, output->column->pointer);
	}
}

/*
 * impilo_row_reader
 *		Prepare to read some columns of a table's rows.
 *
 * `filter` and `rest` are sets of attribute numbers of user columns, without
 * an offset; a column in both belongs to the filter.  `listed` are the values of
 * list_page, list_place, list_total and list_size, below 0 for NULL; or NULL.
 * The reader lives in `context` and keeps `table` and `listed` by reference.
 */
ImpiloRowReader *
impilo_row_reader(const ImpiloTable *table, const Bitmapset *filter,
				  const Bitmapset *rest, const int64 *listed,
				  MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloRowReader *reader = palloc0(sizeof(ImpiloRowReader));

	reader->table = table;
	reader->listed = listed;
	prepare_columns(table, filter, NULL, &reader->filter);
	prepare_columns(table, rest, filter, &reader->rest);
	reader->outer.pointer = table->relation->array;
	reader->inner.pointer = table->relation->inner_array;
	MemoryContextSwitchTo(caller);
	return reader;
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

/*
 * Position the cursor before the first element of an array in a document.  If
 * the array is absent or null, there are no elements.
 */
static void
open_array(ImpiloRowReader *reader, ArrayPath *path,
		   const ImpiloJsonSlice *document)
{
	ImpiloJsonSlice array = impilo_json_member(document, path->pointer + 1);

	path->open = false;
	path->position = 0;
	if (array.kind == IMPILO_JSON_ARRAY)
	{
		impilo_json_begin(&path->cursor, &array, IMPILO_JSON_CHECKED);
		path->open = true;
	}
	else if (array.kind > IMPILO_JSON_NULL && reader->table->invalid)
		(*reader->table->invalid)++;
	else if (array.kind > IMPILO_JSON_NULL)
		raise_unreadable(reader,
						 psprintf("%s at \"%s\" instead of an array",
								  impilo_json_kind(&array),
								  full_pointer(reader, path->pointer)));
}

static bool
next_element(ImpiloRowReader *reader, ArrayPath *path,
			 ImpiloJsonSlice *element)
{
	ImpiloJsonError error;

	if (!path->open)
		return false;
	path->position++;
	path->open = impilo_json_next(&path->cursor, NULL, element, &error) > 0;
	return path->open;
}

/*
 * impilo_row_reader_order
 *		Start reading the rows of an order.
 *
 * `document` has passed the check of json/scan.h.  Its bytes and `request`
 * (for messages, as "GET /order/42") must stay until the next order.
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
	reader->inner.position = 0;
	if (reader->pending)
		reader->row = *document;
	else
		open_array(reader, &reader->outer, document);
}

/*
 * impilo_row_reader_next
 *		Go to the order's next row; returns false if there is none.
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
fill_value(const ImpiloRowReader *reader, const OutputColumn *output,
		   const ImpiloJsonSlice *value, Datum *result, bool *isnull)
{
	static const ImpiloJsonSlice absent = {NULL, 0, IMPILO_JSON_ABSENT, false};
	ImpiloConvertError error;
	ImpiloConvertError error_of_null;

	if (likely(impilo_convert(output->converter, value, result, isnull,
							  &error)))
		return;
	if (error.thrown ||
		!(output->column->null_on_invalid || reader->table->invalid) ||
		!impilo_convert(output->converter, &absent, result, isnull,
						&error_of_null))
		raise_invalid(reader, output, &error);
	if (reader->table->invalid)
		(*reader->table->invalid)++;
}

/*
 * An id or a position, for any type as if the API had sent it as a number.
 */
static void
fill_integer(const ImpiloRowReader *reader, const OutputColumn *output,
			 int64 integer, Datum *result, bool *isnull)
{
	char		digits[MAXINT8LEN + 1];
	ImpiloJsonSlice number = {digits, 0, IMPILO_JSON_NUMBER, false};

	if (output->column->type == INT8OID)
	{
		*result = Int64GetDatum(integer);
		*isnull = false;
		return;
	}
	number.length = pg_lltoa(integer, digits);
	fill_value(reader, output, &number, result, isnull);
}

static void
fill_columns(ImpiloRowReader *reader, ColumnSet *set, Datum *values,
			 bool *nulls)
{
	const ArrayPath *rows = reader->inner.pointer ? &reader->inner
	: &reader->outer;
	ImpiloJsonError error;

	if (set->wanted.slots > 0 &&
		!impilo_json_find(&set->wanted, &reader->row, set->found, &error))
		raise_unreadable(reader,
						 psprintf("an error in that order: %s", error.what));
	for (int i = 0; i < set->ncolumns; i++)
	{
		const OutputColumn *output = &set->columns[i];
		Datum	   *value = &values[output->column->attnum - 1];
		bool	   *isnull = &nulls[output->column->attnum - 1];
		int			number;

		switch (output->column->source)
		{
			case IMPILO_SOURCE_POINTER:
				fill_value(reader, output, &set->found[output->slot],
						   value, isnull);
				break;
			case IMPILO_SOURCE_DOCUMENT:
				fill_value(reader, output, &reader->row, value, isnull);
				break;
			case IMPILO_SOURCE_ORDER_ID:
				if (reader->document.kind != IMPILO_JSON_NULL)
					fill_integer(reader, output, reader->id, value, isnull);
				break;
			case IMPILO_SOURCE_LIST_PAGE:
			case IMPILO_SOURCE_LIST_PLACE:
			case IMPILO_SOURCE_LIST_TOTAL:
			case IMPILO_SOURCE_LIST_SIZE:
				number = output->column->source - IMPILO_SOURCE_LIST_PAGE;
				if (reader->listed && reader->listed[number] >= 0)
					fill_integer(reader, output, reader->listed[number],
								 value, isnull);
				break;
			case IMPILO_SOURCE_POSITION:
				fill_integer(reader, output, rows->position, value, isnull);
				break;
			case IMPILO_SOURCE_OUTER_POSITION:
				fill_integer(reader, output, reader->outer.position, value,
							 isnull);
				break;
		}
	}
}

/*
 * impilo_row_reader_fill
 *		Fill in the filter's columns of the current row, with NULL in all
 *		others; or, after that, the `rest`.
 *
 * Values are allocated in CurrentMemoryContext.  Raises an error for a value
 * that does not convert, in most cases with an SQLSTATE of class 22.
 */
void
impilo_row_reader_fill(ImpiloRowReader *reader, bool rest, Datum *values,
					   bool *nulls)
{
	if (!rest)
		memset(nulls, true, reader->table->natts * sizeof(bool));
	fill_columns(reader, rest ? &reader->rest : &reader->filter, values, nulls);
}

/*
 * impilo_set_system_columns
 *		Set the system columns of a row as postgres_fdw does: no transaction,
 *		no location, and the table's OID.
 *
 * Call it after all columns that are needed are set.  Rows of partitioned
 * tables can be in slots without system columns.
 */
void
impilo_set_system_columns(TupleTableSlot *slot)
{
	HeapTuple	tuple;

	if (!TTS_IS_HEAPTUPLE(slot))
		return;
	tuple = ExecFetchSlotHeapTuple(slot, true, NULL);
	HeapTupleHeaderSetXmin(tuple->t_data, InvalidTransactionId);
	HeapTupleHeaderSetXmax(tuple->t_data, InvalidTransactionId);
	HeapTupleHeaderSetCmin(tuple->t_data, FirstCommandId);
}
