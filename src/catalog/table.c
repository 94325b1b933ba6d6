/*-------------------------------------------------------------------------
 *
 * table.c
 *	  The columns of a foreign table bound to places in an order.
 *
 * A table stands for one relation of the schema.  A column stands for the
 * place that its option json_pointer names, else for the place that the
 * schema gives its name.  A column that has neither is not an error of the
 * table, but of a statement that uses the column.
 *
 * The validator of options cannot check this, because it does not get the
 * names of columns.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/table.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "catalog/options.h"
#include "catalog/table.h"
#include "compat.h"

/* PostgreSQL 18's ATTRIBUTE_GENERATED_VIRTUAL: computed by PostgreSQL */
#define GENERATED_VIRTUAL 'v'


static void
raise_unknown_relation(Relation relation, const char *name)
{
	StringInfoData names;
	const char *match;

	initStringInfo(&names);
	match = impilo_closest_relation(name, &names);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
			 errmsg("foreign table \"%s\" is not bound to a relation of the API",
					RelationGetRelationName(relation)),
			 errdetail("The API has no relation \"%s\". Available relations: %s.",
					   name, names.data),
			 match
			 ? errhint("Perhaps table option \"relation\" should be \"%s\".",
					   match)
			 : errhint("Set table option \"relation\" to one of them."),
			 errtable(relation)));
}

static void
raise_unknown_column(const ImpiloTable *table, const ImpiloColumn *column)
{
	ClosestMatchState closest;
	const char *match;

	initClosestMatch(&closest, column->name, IMPILO_MAX_DISTANCE);
	for (int i = 0; i < table->relation->ncolumns; i++)
		updateClosestMatch(&closest, table->relation->columns[i].name);
	match = getClosestMatch(&closest);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_COLUMN_NAME),
			 errmsg("column \"%s\" of foreign table \"%s\" does not exist in API relation \"%s\"",
					column->name, table->name, table->relation->name),
			 match
			 ? errhint("Perhaps you meant \"%s\". For any other place, set column option \"json_pointer\".",
					   match)
			 : errhint("Set column option \"json_pointer\" to the place in the row's document."),
			 impilo_errtable(table, column)));
}

static void
bind_column(const ImpiloTable *table, Form_pg_attribute attribute,
			ImpiloColumn *column)
{
	List	   *options = GetForeignColumnOptions(table->relid,
												  attribute->attnum);
	const char *pointer = impilo_given_option(options, "json_pointer");
	const char *on_invalid = impilo_given_option(options, "on_invalid");
	const ImpiloSchemaColumn *place = NULL;

	column->attnum = attribute->attnum;
	column->name = pstrdup(NameStr(attribute->attname));
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	column->source = IMPILO_SOURCE_POINTER;
	column->pointer = pointer;
	column->null_on_invalid = on_invalid && strcmp(on_invalid, "null") == 0;

	/*
	 * A pointer can name the place of a column of the schema.  Such a column
	 * can be written too, and conditions on the order's id become lookups.
	 */
	if (pointer == NULL)
		place = impilo_schema_column(table->relation, column->name);
	for (int i = 0; pointer && !place && i < table->relation->ncolumns; i++)
		if (table->relation->columns[i].pointer &&
			strcmp(table->relation->columns[i].pointer, pointer) == 0)
			place = &table->relation->columns[i];
	if (place)
	{
		column->source = place->source;
		column->pointer = place->pointer;
		column->write_member = place->write_member;
	}
	column->unknown = place == NULL && pointer == NULL;
}

/*
 * impilo_table_bind
 *		Returns the columns of a foreign table bound to their places.
 *
 * The result is allocated in CurrentMemoryContext and does not depend on
 * `relation`, which may be closed.  Raises FDW_TABLE_NOT_FOUND if the table
 * does not stand for a relation of the API.
 */
ImpiloTable *
impilo_table_bind(Relation relation)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	ImpiloTable *table = palloc0(sizeof(ImpiloTable));
	const char *name =
	impilo_given_option(GetForeignTable(RelationGetRelid(relation))->options,
						"relation");

	if (name == NULL)
		name = RelationGetRelationName(relation);
	table->relid = RelationGetRelid(relation);
	table->schema = get_namespace_name(RelationGetNamespace(relation));
	table->name = pstrdup(RelationGetRelationName(relation));
	table->relation = impilo_schema_relation(name);
	if (table->relation == NULL)
		raise_unknown_relation(relation, name);
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
 * impilo_table_check
 *		Raises FDW_INVALID_COLUMN_NAME if a statement uses an unknown column.
 *
 * `attributes` is a set of attribute numbers, without an offset.
 */
void
impilo_table_check(const ImpiloTable *table, const Bitmapset *attributes)
{
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i].unknown && bms_is_member(i + 1, attributes))
			raise_unknown_column(table, &table->columns[i]);
	}
}

/*
 * impilo_table_order_id
 *		Returns the column that holds the order's id, or InvalidAttrNumber.
 *
 * Only a column of type bigint counts: conditions on it become requests, so
 * they must have exactly the meaning that they have for the id.
 */
AttrNumber
impilo_table_order_id(const ImpiloTable *table)
{
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i].attnum != 0 &&
			table->columns[i].source == IMPILO_SOURCE_ORDER_ID &&
			table->columns[i].type == INT8OID)
			return table->columns[i].attnum;
	}
	return InvalidAttrNumber;
}

/*
 * impilo_errtable
 *		For use in ereport(): adds the names of the schema, the table and the
 *		column (or NULL), like errtablecol() but without the relation.
 */
int
impilo_errtable(const ImpiloTable *table, const ImpiloColumn *column)
{
	if (table->schema)
		err_generic_string(PG_DIAG_SCHEMA_NAME, table->schema);
	err_generic_string(PG_DIAG_TABLE_NAME, table->name);
	if (column)
		err_generic_string(PG_DIAG_COLUMN_NAME, column->name);
	return 0;					/* the result does not matter */
}
