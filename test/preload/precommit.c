/*-------------------------------------------------------------------------
 *
 * precommit.c
 *	  A module for tests: runs a statement while a transaction commits.
 *
 * Other extensions do so too, in a callback for XACT_EVENT_PRE_COMMIT.  The
 * callbacks of a session run in the reverse order in which they were
 * registered, here when this library is loaded.  The setting
 * precommit.statement contains the statement.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  test/preload/precommit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static void
run_statement(XactEvent event, void *arg)
{
	const char *statement = GetConfigOption("precommit.statement", true, false);

	if (event != XACT_EVENT_PRE_COMMIT || statement == NULL || !*statement)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	SPI_execute(statement, false, 0);
	SPI_finish();
	PopActiveSnapshot();
}

void
_PG_init(void)
{
	RegisterXactCallback(run_statement, NULL);
}
