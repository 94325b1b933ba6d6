/*-------------------------------------------------------------------------
 *
 * check_columns.h
 *	  The columns that the drift report lays beside the orders.
 *
 * Between check.c and check_columns.c only.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/check_columns.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CHECK_COLUMNS_H
#define IMPILO_CHECK_COLUMNS_H

#include "nodes/pg_list.h"

#include "functions/check_tree.h"
#include "catalog/table.h"

/* A foreign table of the server. */
typedef struct ImpiloCheckedTable
{
	const char *name;			/* as it is written in SQL */
	ImpiloTable *table;			/* NULL: it cannot be read */
} ImpiloCheckedTable;

/* in check_columns.c */

extern List *impilo_checked_tables(Oid serverid);
extern const ImpiloCheckedTable *impilo_checked_table(const List *tables,
													  const ImpiloSchemaRelation *relation);
extern void impilo_check_columns(ImpiloSeen *root, const List *tables);

#endif							/* IMPILO_CHECK_COLUMNS_H */
