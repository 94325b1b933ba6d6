/*-------------------------------------------------------------------------
 *
 * import.h
 *	  IMPORT FOREIGN SCHEMA, and the data dictionary.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/import.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_IMPORT_H
#define IMPILO_IMPORT_H

#include "nodes/parsenodes.h"

/* in import.c */

extern List *impiloImportForeignSchema(ImportForeignSchemaStmt *stmt,
									   Oid serverOid);

#endif							/* IMPILO_IMPORT_H */
