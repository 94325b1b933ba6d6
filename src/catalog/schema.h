/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  The relations and columns that version 3 of the API offers.
 *
 * Does not depend on PostgreSQL.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/schema.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_SCHEMA_H
#define IMPILO_SCHEMA_H

#include <stddef.h>

/* Where a column's value comes from. */
typedef enum ImpiloColumnSource
{
	IMPILO_SOURCE_POINTER,		/* `pointer` in the row's document */
	IMPILO_SOURCE_ORDER_ID,		/* the order's id: `id` of orders, `order_id`
								 * of the other relations */
	IMPILO_SOURCE_POSITION,		/* position of the element, from 1 */
	IMPILO_SOURCE_OUTER_POSITION,	/* position in the array around that */
	IMPILO_SOURCE_DOCUMENT,		/* the row's whole document */
	IMPILO_SOURCE_LIST_PAGE,	/* the page of the list that the order was on,
								 * and of that response: */
	IMPILO_SOURCE_LIST_PLACE,	/* the order's place in the list, from 1 */
	IMPILO_SOURCE_LIST_TOTAL,	/* the number of orders */
	IMPILO_SOURCE_LIST_SIZE		/* the number of orders per page */
} ImpiloColumnSource;

typedef struct ImpiloSchemaColumn
{
	const char *name;			/* snake_case */
	ImpiloColumnSource source;
	const char *pointer;		/* RFC 6901, from the row's document; NULL for
								 * positions and for `order_id` */
	const char *type;			/* SQL type for IMPORT FOREIGN SCHEMA */
	const char *write_member;	/* member of a create request that INSERT
								 * writes, or NULL: read-only */
	const char *description;	/* a sentence, for the data dictionary */
} ImpiloSchemaColumn;

typedef struct ImpiloSchemaRelation
{
	const char *name;
	const char *array;			/* pointer of the array whose elements are the
								 * rows; NULL: the order is the row */
	const char *inner_array;	/* pointer, in an element of `array`, of the
								 * array whose elements are the rows, or NULL */
	const char *description;	/* a sentence, for the data dictionary */
	const ImpiloSchemaColumn *columns;
	int			ncolumns;
} ImpiloSchemaRelation;

/* in schema.c */

extern const ImpiloSchemaRelation impilo_schema_relations[];
extern const int impilo_schema_nrelations;

/*
 * These return the entry with this name, or NULL.  Relation orders has four
 * more columns than the table shows, which are not imported: list_page,
 * list_place, list_total and list_size.
 */
extern const ImpiloSchemaRelation *impilo_schema_relation(const char *name);
extern const ImpiloSchemaColumn *impilo_schema_column(const ImpiloSchemaRelation *relation,
													  const char *name);

#endif							/* IMPILO_SCHEMA_H */
