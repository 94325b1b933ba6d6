/*-------------------------------------------------------------------------
 *
 * import.c
 *	  IMPORT FOREIGN SCHEMA, and the data dictionary.
 *
 * Both tell the table in schema.c, and neither asks the API: it describes
 * itself nowhere.  Comments cannot come with an import, as PostgreSQL takes
 * nothing but CREATE FOREIGN TABLE from it; the extension's script has a
 * function that writes them from the data dictionary.
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

#include "catalog/closest.h"
#include "catalog/schema.h"
#include "fdw/import.h"

/* the only schema that the API has: the version in its address */
#define REMOTE_SCHEMA "v3"

/* Columns of impilo_data_dictionary(). */
enum DictionaryColumn
{
	DICTIONARY_RELATION,
	DICTIONARY_COLUMN,
	DICTIONARY_TYPE,
	DICTIONARY_PATH,
	DICTIONARY_WRITABLE,
	DICTIONARY_DESCRIPTION,
	DICTIONARY_NCOLUMNS
};

PG_FUNCTION_INFO_V1(impilo_data_dictionary_1_0);

/* ------------------------------------------------------------------------
 * IMPORT FOREIGN SCHEMA
 * ------------------------------------------------------------------------
 */

/*
 * Should there be a column for the whole document?
 */
static bool
read_options(ImportForeignSchemaStmt *stmt)
{
	bool		document = true;
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = (DefElem *) lfirst(cell);

		if (strcmp(option->defname, "import_document") == 0)
			document = defGetBoolean(option);
		else
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 errhint("Valid options in this context are: import_document.")));
	}
	return document;
}

/*
 * A name that no table has would import nothing, silently.
 */
static void
warn_of_unknown(ImportForeignSchemaStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->table_list)
	{
		RangeVar   *name = (RangeVar *) lfirst(cell);
		ImpiloClosest closest;

		if (impilo_schema_relation(name->relname))
			continue;
		impilo_closest_begin(&closest, name->relname);
		for (int i = 0; i < impilo_schema_nrelations; i++)
			impilo_closest_offer(&closest, impilo_schema_relations[i].name);
		ereport(WARNING,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("schema \"%s\" has no relation \"%s\"",
						REMOTE_SCHEMA, name->relname),
				 impilo_closest(&closest)
				 ? errhint("Perhaps you meant %s.",
						   impilo_closest_list(&closest))
				 : 0));
	}
}

/*
 * PostgreSQL filters what it is given once more; this only spares the work.
 */
static bool
is_wanted(ImportForeignSchemaStmt *stmt, const ImpiloSchemaRelation *relation)
{
	bool		listed = false;
	ListCell   *cell;

	foreach(cell, stmt->table_list)
	{
		RangeVar   *name = (RangeVar *) lfirst(cell);

		if (strcmp(name->relname, relation->name) == 0)
			listed = true;
	}
	switch (stmt->list_type)
	{
		case FDW_IMPORT_SCHEMA_ALL:
			return true;
		case FDW_IMPORT_SCHEMA_LIMIT_TO:
			return listed;
		case FDW_IMPORT_SCHEMA_EXCEPT:
			return !listed;
	}
	return true;
}

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
 *		Statements that create a foreign table for each relation.
 */
List *
impiloImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	ForeignServer *server = GetForeignServer(serverOid);
	bool		document = read_options(stmt);
	List	   *statements = NIL;

	if (strcmp(stmt->remote_schema, REMOTE_SCHEMA) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("schema \"%s\" is not present on foreign server \"%s\"",
						stmt->remote_schema, server->servername),
				 errhint("The schema is named after the version of the API: \"%s\".",
						 REMOTE_SCHEMA)));
	warn_of_unknown(stmt);
	for (int i = 0; i < impilo_schema_nrelations; i++)
		if (is_wanted(stmt, &impilo_schema_relations[i]))
			statements = lappend(statements,
								 create_statement(&impilo_schema_relations[i],
												  server->servername,
												  document));
	return statements;
}

/* ------------------------------------------------------------------------
 * Data dictionary
 * ------------------------------------------------------------------------
 */

/*
 * Where in an order a column comes from, with * for each element of an array;
 * NULL for what is counted, not read.
 */
static char *
path_of(const ImpiloSchemaRelation *relation, const ImpiloSchemaColumn *column)
{
	if (column->source == IMPILO_SOURCE_ORDER_ID)
		return pstrdup("/id");
	if (column->pointer == NULL)
		return NULL;
	return psprintf("%s%s%s%s%s",
					relation->array ? relation->array : "",
					relation->array ? "/*" : "",
					relation->inner_array ? relation->inner_array : "",
					relation->inner_array ? "/*" : "",
					column->pointer);
}

static void
put_row(ReturnSetInfo *result, const ImpiloSchemaRelation *relation,
		const ImpiloSchemaColumn *column)
{
	Datum		values[DICTIONARY_NCOLUMNS] = {0};
	bool		nulls[DICTIONARY_NCOLUMNS] = {0};
	char	   *path = path_of(relation, column);

	values[DICTIONARY_RELATION] = CStringGetTextDatum(relation->name);
	values[DICTIONARY_COLUMN] = CStringGetTextDatum(column->name);
	values[DICTIONARY_TYPE] = CStringGetTextDatum(column->type);
	nulls[DICTIONARY_PATH] = path == NULL;
	if (path)
		values[DICTIONARY_PATH] = CStringGetTextDatum(path);
	values[DICTIONARY_WRITABLE] = BoolGetDatum(column->write_member != NULL);
	values[DICTIONARY_DESCRIPTION] = CStringGetTextDatum(column->description);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * The row of a relation itself: only its name and what it means.
 */
static void
put_relation(ReturnSetInfo *result, const ImpiloSchemaRelation *relation)
{
	Datum		values[DICTIONARY_NCOLUMNS] = {0};
	bool		nulls[DICTIONARY_NCOLUMNS];

	memset(nulls, true, sizeof(nulls));
	nulls[DICTIONARY_RELATION] = false;
	values[DICTIONARY_RELATION] = CStringGetTextDatum(relation->name);
	nulls[DICTIONARY_DESCRIPTION] = false;
	values[DICTIONARY_DESCRIPTION] = CStringGetTextDatum(relation->description);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * impilo_data_dictionary
 *		Every relation, followed by its columns.
 */
Datum
impilo_data_dictionary_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		const ImpiloSchemaRelation *relation = &impilo_schema_relations[i];

		put_relation(result, relation);
		for (int c = 0; c < relation->ncolumns; c++)
			put_row(result, relation, &relation->columns[c]);
	}
	return (Datum) 0;
}
