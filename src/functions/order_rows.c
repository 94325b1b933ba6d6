/*-------------------------------------------------------------------------
 *
 * order_rows.c
 *	  Rows of the API's relations from an order that is in the database.
 *
 * The views of a mirror must have exactly the rows of the foreign tables, so
 * they are made by the code that reads the foreign tables.  There is one
 * difference: a value that does not fit is NULL, and an array that is none
 * has no rows, because a stored order must not break every report.
 * impilo_invalid_values counts what became NULL in this way.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/order_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "catalog/table.h"
#include "compat.h"
#include "rows/read.h"

PG_FUNCTION_INFO_V1(impilo_order_rows_1_0);
PG_FUNCTION_INFO_V1(impilo_invalid_values_1_0);

/* A relation prepared for a call site, in its FmgrInfo's context. */
typedef struct OrderRows
{
	ImpiloTable table;
	ImpiloRowReader *reader;
	int64		invalid;
	Datum	   *values;			/* of one row */
	bool	   *nulls;
	MemoryContext row;			/* reset after each row */
} OrderRows;

/*
 * Bind columns by name: those of a row type, or without one all columns of
 * the relation with their own types.  The result lives in `context`.
 */
static OrderRows *
bind(const ImpiloSchemaRelation *relation, TupleDesc row, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	OrderRows  *rows = palloc0(sizeof(OrderRows));
	ImpiloTable *table = &rows->table;
	Bitmapset  *all = NULL;

	table->name = relation->name;
	table->relation = relation;
	table->invalid = &rows->invalid;
	table->natts = row ? row->natts : relation->ncolumns;
	table->columns = palloc0(table->natts * sizeof(ImpiloColumn));
	for (int i = 0; i < table->natts; i++)
	{
		ImpiloColumn *column = &table->columns[i];
		const char *name = row ? NameStr(TupleDescAttr(row, i)->attname)
		: relation->columns[i].name;
		const ImpiloSchemaColumn *place = impilo_schema_column(relation, name);

		if (place == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("API relation \"%s\" has no column \"%s\"",
							relation->name, name)));
		column->attnum = i + 1;
		column->name = place->name;
		column->source = place->source;
		column->pointer = place->pointer;
		parseTypeString(place->type, &column->type, &column->typmod, 0);
		if (row && TupleDescAttr(row, i)->atttypid != column->type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of API relation \"%s\" has type %s",
							name, relation->name, place->type)));
		all = bms_add_member(all, i + 1);
	}
	rows->reader = impilo_row_reader(table, NULL, all, context);
	rows->values = palloc(table->natts * sizeof(Datum));
	rows->nulls = palloc(table->natts * sizeof(bool));
	rows->row = AllocSetContextCreate(context, "impilo_fdw order rows",
									  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	return rows;
}

/*
 * Give the bytes of an order to the reader of a relation.  The bytes are
 * well-formed: PostgreSQL wrote them.
 */
static void
take_order(OrderRows *rows, int64 id, const ImpiloJsonSlice *document)
{
	impilo_row_reader_order(rows->reader, id, document, "a stored order");
}

/*
 * Move to the next row and convert its columns into rows->values, which are
 * valid until the next call.  Returns false at the end.
 */
static bool
next_row(OrderRows *rows)
{
	MemoryContext caller;
	bool		more;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(rows->row);
	caller = MemoryContextSwitchTo(rows->row);
	more = impilo_row_reader_next(rows->reader);
	if (more)
	{
		impilo_row_reader_filter(rows->reader, rows->values, rows->nulls);
		impilo_row_reader_rest(rows->reader, rows->values, rows->nulls);
	}
	MemoryContextSwitchTo(caller);
	return more;
}

/*
 * The text of a jsonb value in UTF-8, in CurrentMemoryContext.
 */
static ImpiloJsonSlice
json_of(Jsonb *document)
{
	char	   *text = JsonbToCString(NULL, &document->root, VARSIZE(document));
	char	   *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);
	ImpiloJsonSlice slice;
	ImpiloJsonError error;

	if (!impilo_json_check(utf8, strlen(utf8), IMPILO_JSON_MAX_DEPTH, &slice,
						   &error))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("the document of an order cannot be read: %s",
						error.what)));
	return slice;
}

/*
 * impilo_order_rows(relation text, id bigint, document jsonb)
 *		The rows that an order has in a relation, with the columns of the
 *		query's column definition list.
 */
Datum
impilo_order_rows_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	OrderRows  *rows;
	char	   *name;
	ImpiloJsonSlice document;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	rows = fcinfo->flinfo->fn_extra;
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (rows == NULL || strcmp(rows->table.relation->name, name) != 0)
	{
		const ImpiloSchemaRelation *relation = impilo_schema_relation(name);

		if (relation == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the API has no relation \"%s\"", name)));
		rows = bind(relation, result->setDesc, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = rows;
	}
	document = json_of(PG_GETARG_JSONB_P(2));
	take_order(rows, PG_GETARG_INT64(1), &document);
	while (next_row(rows))
		tuplestore_putvalues(result->setResult, result->setDesc,
							 rows->values, rows->nulls);
	return (Datum) 0;
}

/*
 * impilo_invalid_values(document jsonb)
 *		How many values of an order do not fit the columns of any relation.
 */
Datum
impilo_invalid_values_1_0(PG_FUNCTION_ARGS)
{
	OrderRows **all = fcinfo->flinfo->fn_extra;
	ImpiloJsonSlice document = json_of(PG_GETARG_JSONB_P(0));
	int64		invalid = 0;

	if (all == NULL)
	{
		all = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt,
								 impilo_schema_nrelations * sizeof(*all));
		for (int i = 0; i < impilo_schema_nrelations; i++)
			all[i] = bind(&impilo_schema_relations[i], NULL,
						  fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = all;
	}
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		all[i]->invalid = 0;
		take_order(all[i], 0, &document);
		while (next_row(all[i]))
			;
		invalid += all[i]->invalid;
	}
	PG_RETURN_INT64(invalid);
}
