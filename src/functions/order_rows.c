/*-------------------------------------------------------------------------
 *
 * order_rows.c
 *	  Rows of the API's relations from the document of an order.
 *
 * The views of a mirror have exactly the rows of the foreign tables, because
 * the same code makes both.  There is one difference: a stored order must not
 * break a report, so a value that does not fit its column is NULL, and a
 * value that should be an array but is not has no rows.
 * impilo_invalid_values counts such values.
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
 * Bind the columns of a row type by name, or without a row type all columns
 * of the relation with their own types.  The result lives in `context`.
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
	rows->reader = impilo_row_reader(table, NULL, all, NULL, context);
	rows->values = palloc(table->natts * sizeof(Datum));
	rows->nulls = palloc(table->natts * sizeof(bool));
	rows->row = AllocSetContextCreate(context, "impilo_fdw order rows",
									  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	return rows;
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
		impilo_row_reader_fill(rows->reader, false, rows->values, rows->nulls);
		impilo_row_reader_fill(rows->reader, true, rows->values, rows->nulls);
	}
	MemoryContextSwitchTo(caller);
	return more;
}

/*
 * Returns the JSON of an argument in UTF-8, in CurrentMemoryContext.
 */
static ImpiloJsonSlice
json_of(text *document)
{
	char	   *json = text_to_cstring(document);
	char	   *utf8 = pg_server_to_any(json, strlen(json), PG_UTF8);
	ImpiloJsonSlice slice;
	ImpiloJsonError error;

	if (!impilo_json_check(utf8, strlen(utf8), IMPILO_JSON_MAX_DEPTH, &slice,
						   &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("the document of an order cannot be read: %s",
						error.what)));
	return slice;
}

/*
 * impilo_order_rows(relation text, id bigint, document text)
 *		Returns the rows of an order in a relation, with the columns of the
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
	document = json_of(PG_GETARG_TEXT_PP(2));
	impilo_row_reader_order(rows->reader, PG_GETARG_INT64(1), &document,
							"a stored order");
	while (next_row(rows))
		tuplestore_putvalues(result->setResult, result->setDesc,
							 rows->values, rows->nulls);
	return (Datum) 0;
}

/*
 * impilo_invalid_values(document text)
 *		Returns how many values of an order do not fit their columns, over
 *		all relations.
 */
Datum
impilo_invalid_values_1_0(PG_FUNCTION_ARGS)
{
	OrderRows **all = fcinfo->flinfo->fn_extra;
	ImpiloJsonSlice document = json_of(PG_GETARG_TEXT_PP(0));
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
		impilo_row_reader_order(all[i]->reader, 0, &document,
								"a stored order");
		while (next_row(all[i]))
			;
		invalid += all[i]->invalid;
	}
	PG_RETURN_INT64(invalid);
}
