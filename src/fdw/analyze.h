/*-------------------------------------------------------------------------
 *
 * analyze.h
 *	  ANALYZE of a foreign table.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/analyze.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_ANALYZE_H
#define IMPILO_ANALYZE_H

#include "foreign/fdwapi.h"

/* in analyze.c */

extern bool impiloAnalyzeForeignTable(Relation relation,
									  AcquireSampleRowsFunc *function,
									  BlockNumber *pages);

#endif							/* IMPILO_ANALYZE_H */
