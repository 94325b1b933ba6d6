/*-------------------------------------------------------------------------
 *
 * fdw.h
 *	  The callbacks that are not about one statement: ANALYZE, and IMPORT
 *	  FOREIGN SCHEMA.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/fdw.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_FDW_H
#define IMPILO_FDW_H

#include "foreign/fdwapi.h"

/* in analyze.c */

extern bool impiloAnalyzeForeignTable(Relation relation,
									  AcquireSampleRowsFunc *function,
									  BlockNumber *pages);

/* in import.c */

extern List *impiloImportForeignSchema(ImportForeignSchemaStmt *stmt,
									   Oid serverOid);

#endif							/* IMPILO_FDW_H */
