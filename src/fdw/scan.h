/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  The executor's callbacks of a scan.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_SCAN_H
#define IMPILO_SCAN_H

#include "foreign/fdwapi.h"

/* in scan.c */

extern void impiloBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *impiloIterateForeignScan(ForeignScanState *node);
extern void impiloReScanForeignScan(ForeignScanState *node);
extern void impiloEndForeignScan(ForeignScanState *node);
extern void impiloExplainForeignScan(ForeignScanState *node,
									 struct ExplainState *es);
extern void impilo_set_system_columns(TupleTableSlot *slot);

#endif							/* IMPILO_SCAN_H */
