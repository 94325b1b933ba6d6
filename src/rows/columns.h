/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  The columns of a foreign table bound to places in an order.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/columns.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_COLUMNS_H
#define IMPILO_COLUMNS_H

#include "access/attnum.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"

#include "catalog/schema.h"
#include "json/scan.h"

/* One column of a foreign table. */
typedef struct ImpiloColumn
{
	AttrNumber	attnum;			/* 0: dropped, or not ours to fill */
	const char *name;			/* the column's name in SQL */
	Oid			type;
	int32		typmod;
	ImpiloColumnSource source;
	const char *pointer;		/* RFC 6901 below the row's document; NULL if
								 * the value does not come from there */
	const char *write_member;	/* member of a create request, or NULL:
								 * read-only */
	bool		write_id;		/* written as {"id": value} */
	bool		null_on_invalid;	/* on_invalid 'null' */
} ImpiloColumn;

/* A foreign table bound to a relation of the API. */
typedef struct ImpiloTable
{
	Oid			relid;
	const char *name;			/* without its schema, for messages */
	const ImpiloSchemaRelation *relation;
	int			natts;			/* of the tuple descriptor */
	ImpiloColumn *columns;		/* [natts], indexed by attnum - 1 */
} ImpiloTable;

/*
 * Reads rows out of orders.  Only columns asked for are converted, in two
 * portions: what the filter needs, and the rest for rows that pass.
 */
typedef struct ImpiloRowReader ImpiloRowReader;

/* in columns.c */

extern ImpiloTable *impilo_table_bind(Relation relation);
extern AttrNumber impilo_table_order_id(const ImpiloTable *table);

/* in rows.c */

extern ImpiloRowReader *impilo_row_reader(const ImpiloTable *table,
										  const Bitmapset *filter,
										  const Bitmapset *rest,
										  MemoryContext context);
extern void impilo_row_reader_order(ImpiloRowReader *reader, int64 id,
									const ImpiloJsonSlice *document,
									const char *request);
extern bool impilo_row_reader_next(ImpiloRowReader *reader);
extern void impilo_row_reader_filter(ImpiloRowReader *reader,
									 Datum *values, bool *nulls);
extern void impilo_row_reader_rest(ImpiloRowReader *reader,
								   Datum *values, bool *nulls);

#endif							/* IMPILO_COLUMNS_H */
