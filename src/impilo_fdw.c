/*-------------------------------------------------------------------------
 *
 * impilo_fdw.c
 *	  Foreign data wrapper for the order API of Impilo: start of the module,
 *	  and its table of contents.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/impilo_fdw.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "utils/guc.h"

#include "fdw/analyze.h"
#include "fdw/import.h"
#include "fdw/insert.h"
#include "fdw/plan.h"
#include "fdw/scan.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(impilo_fdw_handler_1_0);

void		_PG_init(void);


/*
 * Module start.  Nothing of libcurl or json-c is initialised here: this may
 * be the postmaster.
 */
void
_PG_init(void)
{
	DefineCustomBoolVariable("impilo_fdw.allow_create",
							 "Permits to create orders.",
							 "Set it off in copies of production.",
							 &impilo_allow_create, true, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	MarkGUCPrefixReserved("impilo_fdw");
}

/*
 * impilo_fdw_handler
 *		What PostgreSQL may ask of this wrapper.
 */
Datum
impilo_fdw_handler_1_0(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	/* Planning a scan (plan.c) */
	routine->GetForeignRelSize = impiloGetForeignRelSize;
	routine->GetForeignPaths = impiloGetForeignPaths;
	routine->GetForeignPlan = impiloGetForeignPlan;
	routine->GetForeignUpperPaths = impiloGetForeignUpperPaths;

	/* Scanning, and EXPLAIN of it (scan.c) */
	routine->BeginForeignScan = impiloBeginForeignScan;
	routine->IterateForeignScan = impiloIterateForeignScan;
	routine->ReScanForeignScan = impiloReScanForeignScan;
	routine->EndForeignScan = impiloEndForeignScan;
	routine->ExplainForeignScan = impiloExplainForeignScan;

	/* INSERT and COPY, row by row or in batches (insert.c) */
	routine->IsForeignRelUpdatable = impiloIsForeignRelUpdatable;
	routine->AddForeignUpdateTargets = impiloAddForeignUpdateTargets;
	routine->PlanForeignModify = impiloPlanForeignModify;
	routine->BeginForeignModify = impiloBeginForeignModify;
	routine->GetForeignModifyBatchSize = impiloGetForeignModifyBatchSize;
	routine->ExecForeignInsert = impiloExecForeignInsert;
	routine->ExecForeignBatchInsert = impiloExecForeignBatchInsert;
	routine->EndForeignModify = impiloEndForeignModify;
	routine->BeginForeignInsert = impiloBeginForeignInsert;
	routine->EndForeignInsert = impiloEndForeignInsert;
	routine->ExplainForeignModify = impiloExplainForeignModify;

	/* INSERT that the wrapper runs as a whole (direct_insert.c) */
	routine->PlanDirectModify = impiloPlanDirectModify;
	routine->BeginDirectModify = impiloBeginDirectModify;
	routine->IterateDirectModify = impiloIterateDirectModify;
	routine->EndDirectModify = impiloEndDirectModify;
	routine->ExplainDirectModify = impiloExplainDirectModify;

	/* ANALYZE (analyze.c) */
	routine->AnalyzeForeignTable = impiloAnalyzeForeignTable;

	/* IMPORT FOREIGN SCHEMA (import.c) */
	routine->ImportForeignSchema = impiloImportForeignSchema;

	PG_RETURN_POINTER(routine);
}
