/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  The columns of a foreign table bound to places in an order.
 *
 * A table stands for one relation of the schema, and a column for the place
 * that the schema gives its name, or for the one that its option json_pointer
 * gives.  A column that neither explains is an error and not a column of
 * NULLs: nobody would notice those.  It can be found out here only, as the
 * validator of options is not told the names of columns.
 *
 * Reading values from the places is done in rows.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/columns.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "catalog/closest.h"
#include "catalog/options.h"
#include "rows/columns.h"
#include "rows/convert.h"

/*
 * PostgreSQL 18's ATTRIBUTE_GENERATED_VIRTUAL: computed when it is read, and
 * never asked of us.
 */
#define GENERATED_VIRTUAL 'v'


static void
refuse_relation(const char *table, const char *name)
{
	ImpiloClosest closest;
	StringInfoData names;

	impilo_closest_begin(&closest, name);
	initStringInfo(&names);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		impilo_closest_offer(&closest, impilo_schema_relations[i].name);
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ",
						 impilo_schema_relations[i].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
			 errmsg("foreign table \"%s\" is not bound to a relation of the API",
					table),
			 errdetail("\"%s\" is no relation. The relations are %s.",
					   name, names.data),
			 impilo_closest(&closest)
			 ? errhint("Perhaps table option \"relation\" should be %s.",
					   impilo_closest_list(&closest))
			 : errhint("Name one of them in table option \"relation\".")));
}

static const ImpiloSchemaRelation *
bind_relation(Relation relation)
{
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	const char *name = impilo_given_option(table->options, "relation");
	const ImpiloSchemaRelation *found;

	if (name == NULL)
		name = RelationGetRelationName(relation);
	found = impilo_schema_relation(name);
	if (found == NULL)
		refuse_relation(RelationGetRelationName(relation), name);
	return found;
}

static void
refuse_column(const ImpiloTable *table, const char *name)
{
	ImpiloClosest closest;

	impilo_closest_begin(&closest, name);
	for (int i = 0; i < table->relation->ncolumns; i++)
		impilo_closest_offer(&closest, table->relation->columns[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_COLUMN_NAME),
			 errmsg("column \"%s\" of foreign table \"%s\" is not known in relation \"%s\" of the API",
					name, table->name, table->relation->name),
			 impilo_closest(&closest)
			 ? errhint("Perhaps you meant %s; for any other place set column option \"json_pointer\".",
					   impilo_closest_list(&closest))
			 : errhint("Set column option \"json_pointer\" to the place in the row's document.")));
}

/*
 * on_invalid 'null' is a promise, which is refused where it could not be
 * kept.
 */
static void
check_on_invalid(const ImpiloTable *table, const ImpiloColumn *column)
{
	ImpiloConverter *converter = impilo_converter(column->type,
												  column->typmod,
												  CurrentMemoryContext);

	if (impilo_converter_soft(converter))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("option \"on_invalid\" of column \"%s\" of foreign table \"%s\" cannot be 'null'",
					column->name, table->name),
			 errdetail("PostgreSQL %s cannot test whether a value is one of type %s without raising an error.",
					   PG_MAJORVERSION,
					   format_type_with_typemod(column->type, column->typmod)),
			 errhint("Give the column type text or jsonb, and convert it in a view.")));
}

/*
 * Give a column its place from the schema.
 */
static void
bind_place(ImpiloColumn *column, const ImpiloSchemaColumn *place)
{
	column->source = place->source;
	column->pointer = place->pointer;
	column->write_member = place->write_member;
	column->write_id = place->write_id;
}

/*
 * Give a column the place of its option json_pointer.  One that leads to the
 * order's id is as good as the column of that name.
 */
static void
bind_pointer(const ImpiloTable *table, ImpiloColumn *column,
			 const char *pointer)
{
	column->source = IMPILO_SOURCE_POINTER;
	column->pointer = pointer;
	for (int i = 0; i < table->relation->ncolumns; i++)
	{
		const ImpiloSchemaColumn *place = &table->relation->columns[i];

		if (place->source == IMPILO_SOURCE_ORDER_ID && place->pointer &&
			strcmp(place->pointer, pointer) == 0)
			column->source = IMPILO_SOURCE_ORDER_ID;
	}
}

static void
bind_column(const ImpiloTable *table, Form_pg_attribute attribute,
			ImpiloColumn *column)
{
	List	   *options = GetForeignColumnOptions(table->relid,
												  attribute->attnum);
	const char *pointer = impilo_given_option(options, "json_pointer");
	const char *on_invalid = impilo_given_option(options, "on_invalid");
	const ImpiloSchemaColumn *place;

	column->attnum = attribute->attnum;
	column->name = pstrdup(NameStr(attribute->attname));
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	place = impilo_schema_column(table->relation, column->name);
	if (pointer)
		bind_pointer(table, column, pointer);
	else if (place)
		bind_place(column, place);
	else
		refuse_column(table, column->name);
	column->null_on_invalid = on_invalid && strcmp(on_invalid, "null") == 0;
	if (column->null_on_invalid)
		check_on_invalid(table, column);
}

/*
 * impilo_table_bind
 *		What each column of a foreign table stands for.
 *
 * Allocated in CurrentMemoryContext, and independent of the relation, which
 * may be closed.  Raises an error for a table that stands for no relation
 * (FDW_TABLE_NOT_FOUND), for a column that neither the schema nor an option
 * explains (FDW_INVALID_COLUMN_NAME), and for an option that this version of
 * PostgreSQL cannot keep (FEATURE_NOT_SUPPORTED).
 */
ImpiloTable *
impilo_table_bind(Relation relation)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	ImpiloTable *table = palloc0(sizeof(ImpiloTable));

	table->relid = RelationGetRelid(relation);
	table->name = pstrdup(RelationGetRelationName(relation));
	table->relation = bind_relation(relation);
	table->natts = descriptor->natts;
	table->columns = palloc0(Max(table->natts, 1) * sizeof(ImpiloColumn));
	for (int i = 0; i < table->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped &&
			attribute->attgenerated != GENERATED_VIRTUAL)
			bind_column(table, attribute, &table->columns[i]);
	}
	return table;
}

/*
 * impilo_table_order_id
 *		The column that holds the order's id, or InvalidAttrNumber.
 *
 * Only one of type bigint counts: conditions on it become requests, which is
 * right only if they mean exactly what they mean for the id.
 */
AttrNumber
impilo_table_order_id(const ImpiloTable *table)
{
	for (int i = 0; i < table->natts; i++)
		if (table->columns[i].attnum != 0 &&
			table->columns[i].source == IMPILO_SOURCE_ORDER_ID &&
			table->columns[i].type == INT8OID)
			return table->columns[i].attnum;
	return InvalidAttrNumber;
}
