/*-------------------------------------------------------------------------
 *
 * table.h
 *	  The columns of a foreign table bound to places in an order.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/table.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_TABLE_H
#define IMPILO_TABLE_H

#include "access/attnum.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"

#include "catalog/schema.h"

/* One column of a foreign table. */
typedef struct ImpiloColumn
{
	AttrNumber	attnum;			/* 0: dropped, or computed by PostgreSQL */
	const char *name;			/* the column's name in SQL */
	Oid			type;
	int32		typmod;
	bool		unknown;		/* it has no place; see impilo_table_check */
	ImpiloColumnSource source;
	const char *pointer;		/* RFC 6901 below the row's document; NULL if
								 * the value does not come from there */
	const char *write_member;	/* member of a create request that INSERT
								 * writes, or NULL: read-only */
	bool		null_on_invalid;	/* option on_invalid is 'null' */
} ImpiloColumn;

/* A foreign table bound to a relation of the API. */
typedef struct ImpiloTable
{
	Oid			relid;
	const char *schema;			/* name of its schema */
	const char *name;
	const ImpiloSchemaRelation *relation;
	int			natts;			/* of the tuple descriptor */
	ImpiloColumn *columns;		/* [natts], indexed by attnum - 1 */
	int64	   *invalid;		/* NULL, or: values that are invalid are read
								 * as NULL, and counted here */
} ImpiloTable;

/* in table.c */

extern ImpiloTable *impilo_table_bind(Relation relation);
extern void impilo_table_check(const ImpiloTable *table,
							   const Bitmapset *attributes);
extern AttrNumber impilo_table_order_id(const ImpiloTable *table);
extern int	impilo_errtable(const ImpiloTable *table,
							const ImpiloColumn *column);

#endif							/* IMPILO_TABLE_H */
