/*-------------------------------------------------------------------------
 *
 * import.c
 *	  IMPORT FOREIGN SCHEMA, and the data dictionary.
 *
 * Both are made from the table in schema.c; no request is sent.  PostgreSQL
 * accepts only CREATE FOREIGN TABLE from an import, so impilo_comment_tables()
 * adds comments afterwards.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/import.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "catalog/options.h"
#include "catalog/schema.h"
#include "fdw/fdw.h"

/* the only remote schema: the version in the API's address */
#define REMOTE_SCHEMA "v3"

PG_FUNCTION_INFO_V1(impilo_data_dictionary_1_0);


static char *
create_statement(const ImpiloSchemaRelation *relation, const char *server,
				 bool document)
{
	StringInfoData sql;
	const char *separator = "\n\t";

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s (",
					 quote_identifier(relation->name));
	for (int i = 0; i < relation->ncolumns; i++)
	{
		const ImpiloSchemaColumn *column = &relation->columns[i];

		if (column->source == IMPILO_SOURCE_DOCUMENT && !document)
			continue;
		appendStringInfo(&sql, "%s%s %s", separator,
						 quote_identifier(column->name), column->type);
		separator = ",\n\t";
	}
	appendStringInfo(&sql, "\n) SERVER %s OPTIONS (relation %s)",
					 quote_identifier(server),
					 quote_literal_cstr(relation->name));
	return sql.data;
}

/*
 * impiloImportForeignSchema
 *		Returns statements that create a foreign table for each relation, to
 *		which PostgreSQL applies LIMIT TO and EXCEPT.
 *
 * Warns of names in these lists that are not relations.  Option
 * import_document says whether a table has a column for the whole document.
 */
List *
impiloImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	ForeignServer *server = GetForeignServer(serverOid);
	bool		document = true;
	List	   *statements = NIL;
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = (DefElem *) lfirst(cell);

		if (strcmp(option->defname, "import_document") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 errhint("Valid options in this context are: import_document.")));
		document = defGetBoolean(option);
	}
	if (strcmp(stmt->remote_schema, REMOTE_SCHEMA) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("schema \"%s\" is not present on foreign server \"%s\"",
						stmt->remote_schema, server->servername),
				 errhint("The schema is named after the version of the API: \"%s\".",
						 REMOTE_SCHEMA)));
	foreach(cell, stmt->table_list)
	{
		const char *name = ((RangeVar *) lfirst(cell))->relname;
		const char *match = impilo_closest_relation(name, NULL);

		if (impilo_schema_relation(name) == NULL)
			ereport(WARNING,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("schema \"%s\" has no relation \"%s\"",
							REMOTE_SCHEMA, name),
					 match ? errhint("Perhaps you meant \"%s\".", match) : 0));
	}
	for (int i = 0; i < impilo_schema_nrelations; i++)
		statements = lappend(statements,
							 create_statement(&impilo_schema_relations[i],
											  server->servername, document));
	return statements;
}

/*
 * Returns where in an order a column comes from, with * for each element of an
 * array, or NULL for a position.
 */
static char *
path_of(const ImpiloSchemaRelation *relation, const ImpiloSchemaColumn *column)
{
	if (column->source == IMPILO_SOURCE_ORDER_ID)
		return "/id";
	if (column->pointer == NULL)
		return NULL;
	return psprintf("%s%s%s%s%s",
					relation->array ? relation->array : "",
					relation->array ? "/*" : "",
					relation->inner_array ? relation->inner_array : "",
					relation->inner_array ? "/*" : "",
					column->pointer);
}

/*
 * impilo_data_dictionary() returns setof (relation, column_name, type,
 * json_path, writable, description)
 *		The contents of schema.c, each relation before its columns.
 */
Datum
impilo_data_dictionary_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	AttInMetadata *attributes;

	InitMaterializedSRF(fcinfo, 0);
	attributes = TupleDescGetAttInMetadata(result->setDesc);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		const ImpiloSchemaRelation *relation = &impilo_schema_relations[i];

		for (int c = -1; c < relation->ncolumns; c++)
		{
			const ImpiloSchemaColumn *column = c < 0 ? NULL : &relation->columns[c];
			const char *values[] = {
				relation->name,
				column ? column->name : NULL,
				column ? column->type : NULL,
				column ? path_of(relation, column) : NULL,
				column ? (column->write_member ? "true" : "false") : NULL,
				column ? column->description : relation->description
			};

			tuplestore_puttuple(result->setResult,
								BuildTupleFromCStrings(attributes,
													   (char **) values));
		}
	}
	return (Datum) 0;
}
