/*-------------------------------------------------------------------------
 *
 * check_columns.c
 *	  The columns that the drift report lays beside the orders.
 *
 * Every column of the schema, and every one of the server's foreign tables,
 * makes its place known.  Those whose types and values are checked are the
 * columns of the tables, and the schema's own where no table stands for their
 * relation: what nobody reads with cannot fail.
 *
 * Orders are not seen here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/check_columns.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "functions/check_columns.h"


/*
 * impilo_checked_table
 *		The first of the tables that is bound to a relation, or NULL.
 */
const ImpiloCheckedTable *
impilo_checked_table(const List *tables, const ImpiloSchemaRelation *relation)
{
	ListCell   *cell;

	foreach(cell, tables)
	{
		const ImpiloCheckedTable *checked = lfirst(cell);

		if (checked->table && checked->table->relation == relation)
			return checked;
	}
	return NULL;
}

/*
 * The place of the documents of a relation's rows.
 */
static ImpiloSeen *
place_of_rows(ImpiloSeen *root, const ImpiloSchemaRelation *relation)
{
	ImpiloSeen *place = root;

	if (relation->array)
		place = impilo_seen_element(impilo_seen_place(place, relation->array));
	if (relation->inner_array)
		place = impilo_seen_element(impilo_seen_place(place,
													  relation->inner_array));
	return place;
}

static ImpiloSeenColumn *
add_column(ImpiloSeen *place, const char *table, const char *name,
		   const char *type)
{
	ImpiloSeenColumn *column = palloc0(sizeof(*column));
	ImpiloSeenColumn **end = &place->columns;

	while (*end)
		end = &(*end)->next;
	*end = column;
	column->table = table;
	column->name = name;
	column->type = type;
	return column;
}

/*
 * The place that a column shows, or NULL: it counts something, or shows the
 * whole document, which does not make a member known.
 */
static ImpiloSeen *
place_of_column(ImpiloSeen *root, const ImpiloSchemaRelation *relation,
				ImpiloColumnSource source, const char *pointer)
{
	if (source == IMPILO_SOURCE_ORDER_ID)
		return impilo_seen_place(root, "/id");
	if (source != IMPILO_SOURCE_POINTER)
		return NULL;
	return impilo_seen_place(place_of_rows(root, relation),
							 pg_server_to_any(pointer, strlen(pointer),
											  PG_UTF8));
}

static Oid
type_of(const ImpiloSchemaColumn *column)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			types[] = {
		{"bigint", INT8OID},
		{"boolean", BOOLOID},
		{"date", DATEOID},
		{"integer", INT4OID},
		{"jsonb", JSONBOID},
		{"text", TEXTOID},
		{"text[]", TEXTARRAYOID},
		{"timestamp with time zone", TIMESTAMPTZOID}
	};

	for (int i = 0; i < lengthof(types); i++)
		if (strcmp(types[i].name, column->type) == 0)
			return types[i].type;
	elog(ERROR, "impilo_fdw: the schema has a type \"%s\"", column->type);
	return InvalidOid;			/* keep compiler quiet */
}

/*
 * The columns of the schema make their places known.  Where no table stands
 * for their relation, they are checked as well.
 */
static void
add_schema(ImpiloSeen *root, const List *tables)
{
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		const ImpiloSchemaRelation *relation = &impilo_schema_relations[i];
		bool		checked = impilo_checked_table(tables, relation) == NULL;

		place_of_rows(root, relation)->rows = relation;
		for (int c = 0; c < relation->ncolumns; c++)
		{
			const ImpiloSchemaColumn *column = &relation->columns[c];
			ImpiloSeen *place = place_of_column(root, relation,
												column->source,
												column->pointer);

			if (place == NULL)
				continue;
			place->shown = true;
			if (checked)
				add_column(place, quote_identifier(relation->name),
						   column->name, column->type)->converter =
					impilo_converter(type_of(column), -1,
									 CurrentMemoryContext);
		}
	}
}

static void
add_table(ImpiloSeen *root, const ImpiloCheckedTable *checked)
{
	const ImpiloTable *table = checked->table;

	for (int i = 0; i < table->natts; i++)
	{
		const ImpiloColumn *column = &table->columns[i];
		ImpiloConverter *converter;
		ImpiloSeenColumn *added;
		ImpiloSeen *place;

		if (column->attnum == 0)
			continue;
		place = place_of_column(root, table->relation, column->source,
								column->pointer);
		if (place == NULL)
			continue;
		place->shown = true;
		added = add_column(place, checked->name, column->name,
						   format_type_with_typemod(column->type,
													column->typmod));

		added->lenient = column->null_on_invalid;

		/* a type that can only be tried by raising errors is not tried */
		converter = impilo_converter(column->type, column->typmod,
									 CurrentMemoryContext);
		if (impilo_converter_soft(converter))
			added->converter = converter;
	}
}

static int
by_name(const ListCell *a, const ListCell *b)
{
	return strcmp(((const ImpiloCheckedTable *) lfirst(a))->name,
				  ((const ImpiloCheckedTable *) lfirst(b))->name);
}

/*
 * What the columns of a table stand for.  NULL, and a warning that says why,
 * if the table is not right, which is an error where it is read.
 */
static ImpiloTable *
bind_table(Relation relation, const char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	ImpiloTable *volatile table = NULL;

	PG_TRY();
	{
		ImpiloTable *bound = impilo_table_bind(relation);

		impilo_table_check(bound, bms_add_range(NULL, 1, bound->natts));
		table = bound;
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			class = ERRCODE_TO_CATEGORY(geterrcode());

		/* binding holds nothing but memory, so going on is safe */
		if (class != ERRCODE_TO_CATEGORY(ERRCODE_FDW_ERROR) &&
			class != ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("foreign table %s cannot be read", name),
				 errdetail_internal("%s", error->message),
				 error->hint ? errhint("%s", error->hint) : 0));
	}
	PG_END_TRY();
	return table;
}

/*
 * impilo_checked_tables
 *		The foreign tables of a server: ImpiloCheckedTable, by name.
 *
 * Allocated in CurrentMemoryContext.
 */
List *
impilo_checked_tables(Oid serverid)
{
	Relation	catalog = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	row;
	List	   *oids = NIL;
	List	   *tables = NIL;
	ListCell   *cell;

	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_foreign_table table = (Form_pg_foreign_table) GETSTRUCT(row);

		if (table->ftserver == serverid)
			oids = lappend_oid(oids, table->ftrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	list_sort(oids, list_oid_cmp);
	foreach(cell, oids)
	{
		Relation	relation = try_relation_open(lfirst_oid(cell),
												 AccessShareLock);
		ImpiloCheckedTable *checked;

		if (relation == NULL)	/* dropped meanwhile */
			continue;
		checked = palloc(sizeof(*checked));
		checked->name =
			quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
									   RelationGetRelationName(relation));
		checked->table = bind_table(relation, checked->name);
		tables = lappend(tables, checked);
		relation_close(relation, AccessShareLock);
	}
	list_sort(tables, by_name);
	return tables;
}

/*
 * impilo_check_columns
 *		Make places of the schema's columns and those of these tables.
 */
void
impilo_check_columns(ImpiloSeen *root, const List *tables)
{
	ListCell   *cell;

	add_schema(root, tables);
	foreach(cell, tables)
	{
		const ImpiloCheckedTable *checked = lfirst(cell);

		if (checked->table)
			add_table(root, checked);
	}
}
