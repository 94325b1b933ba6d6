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

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "create/create.h"
#include "fdw/fdw.h"
#include "fdw/modify.h"
#include "fdw/scan.h"
#include "read/list.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(impilo_fdw_handler_1_0);

void		_PG_init(void);


/* ------------------------------------------------------------------------
 * Settings
 *
 * Both settings can prevent orders.  The library is loaded at its first use,
 * and until then a setting is a placeholder, to which a client or a
 * configuration file can give any value.  So both fail closed: a value that
 * turns out to be invalid or unauthorised has the safe meaning, and neither
 * RESET nor a reload of the configuration changes that.
 * ------------------------------------------------------------------------
 */

/* the settings are being defined: values given before are applied again */
static bool defining = false;

/* whether check_allow_create has refused a value */
static bool allow_create_refused = false;

static const struct config_enum_entry post_at_values[] = {
	{"", IMPILO_POST_AT_STATEMENT, true},
	{"statement", IMPILO_POST_AT_STATEMENT, false},
	{"commit", IMPILO_POST_AT_COMMIT, false},
	{"never", IMPILO_POST_AT_NEVER, false},
	{NULL, 0, false}
};

/*
 * Any role can switch allow_create off, only a superuser on.  PostgreSQL lets
 * only superusers, and those to whom they grant it, change the sources that
 * are accepted here without a check: the configuration file, and the settings
 * of databases and roles, which are checked when they are made (PGC_S_TEST).
 *
 * While the settings are defined, the current user can be the owner of a
 * SECURITY DEFINER function that happens to load the library; the role that
 * called it counts.
 */
static bool
check_allow_create(bool *newval, void **extra, GucSource source)
{
	if (!*newval || source < PGC_S_CLIENT || source == PGC_S_OVERRIDE ||
		InitializingParallelWorker ||
		(IsTransactionState() &&
		 superuser_arg(defining ? GetOuterUserId() : GetUserId())))
		return true;
	allow_create_refused = true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("permission denied to set parameter \"impilo_fdw.allow_create\" to \"on\"");
	GUC_check_errdetail("Only superusers can switch it on.");
	return false;
}

/*
 * Returns whether a value is valid, as a Boolean value if `values` is NULL.
 */
static bool
is_valid(const char *value, const struct config_enum_entry *values)
{
	bool		parsed;

	if (values == NULL)
		return parse_bool(value, &parsed);
	for (; values->name; values++)
		if (pg_strcasecmp(values->name, value) == 0)
			return true;
	return false;
}

/*
 * Returns whether a setting that is not defined yet has an invalid value, now
 * or after RESET: a valid value of the session can hide an invalid one of the
 * configuration, which PostgreSQL drops when the setting is defined.
 */
static bool
has_invalid_value(const char *name, const struct config_enum_entry *values)
{
	const char *value = GetConfigOption(name, true, false);
	const char *reset = value ? GetConfigOptionResetString(name) : NULL;

	return value && (!is_valid(value, values) ||
					 (reset && reset[0] && !is_valid(reset, values)));
}

/*
 * Gives a setting its safe value, for RESET too.  In a parallel worker the
 * leader's value counts, which it gets after the library was loaded.
 */
static void
fail_closed(const char *name, const char *value)
{
	if (!InitializingParallelWorker)
		SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

static void
define_settings(void)
{
	bool		allow_create_invalid =
	has_invalid_value("impilo_fdw.allow_create", NULL);
	bool		post_at_invalid =
	has_invalid_value("impilo_fdw.post_at", post_at_values);

	defining = true;
	DefineCustomBoolVariable("impilo_fdw.allow_create",
							 "Allows INSERT to create orders.",
							 "Turn this off in copies of a production database.",
							 &impilo_allow_create, true, PGC_USERSET, 0,
							 check_allow_create, NULL, NULL);
	defining = false;
	if (allow_create_refused || allow_create_invalid)
		fail_closed("impilo_fdw.allow_create", "off");

	DefineCustomEnumVariable("impilo_fdw.post_at",
							 "Overrides option \"post_at\" of foreign tables towards safety.",
							 "\"commit\" and \"never\" take the place of an option that posts earlier.",
							 &impilo_post_at, IMPILO_POST_AT_STATEMENT,
							 post_at_values, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	if (post_at_invalid)
		fail_closed("impilo_fdw.post_at", "never");

	DefineCustomIntVariable("impilo_fdw.progress_interval",
							"Reports the progress of long list scans at this interval.",
							"0 reports nothing.",
							&impilo_progress_interval, 0, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	MarkGUCPrefixReserved("impilo_fdw");
}

/*
 * Module start.  Nothing of libcurl or json-c is initialised here: this may
 * be the postmaster.
 */
void
_PG_init(void)
{
	impilo_commit_init();
	impilo_join_init();
	define_settings();
}

/*
 * impilo_fdw_handler
 *		Returns the callbacks of this wrapper.
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
	routine->ReparameterizeForeignPathByChild = impiloReparameterizeForeignPathByChild;

	/* Scanning, and EXPLAIN of it (scan.c) */
	routine->BeginForeignScan = impiloBeginForeignScan;
	routine->IterateForeignScan = impiloIterateForeignScan;
	routine->ReScanForeignScan = impiloReScanForeignScan;
	routine->EndForeignScan = impiloEndForeignScan;
	routine->ExplainForeignScan = impiloExplainForeignScan;

	/* Planning of INSERT, and refusals (modify_plan.c) */
	routine->IsForeignRelUpdatable = impiloIsForeignRelUpdatable;
	routine->AddForeignUpdateTargets = impiloAddForeignUpdateTargets;
	routine->PlanForeignModify = impiloPlanForeignModify;
	routine->PlanDirectModify = impiloPlanDirectModify;

	/* INSERT that the wrapper runs as a whole (modify.c) */
	routine->BeginDirectModify = impiloBeginDirectModify;
	routine->IterateDirectModify = impiloIterateDirectModify;
	routine->EndDirectModify = impiloEndDirectModify;
	routine->ExplainDirectModify = impiloExplainDirectModify;

	/* INSERT and COPY that core runs, row by row or in batches (modify.c) */
	routine->BeginForeignModify = impiloBeginForeignModify;
	routine->GetForeignModifyBatchSize = impiloGetForeignModifyBatchSize;
	routine->ExecForeignInsert = impiloExecForeignInsert;
	routine->ExecForeignBatchInsert = impiloExecForeignBatchInsert;
	routine->BeginForeignInsert = impiloBeginForeignInsert;
	routine->EndForeignInsert = impiloEndForeignInsert;
	routine->ExplainForeignModify = impiloExplainForeignModify;

	/* ANALYZE (analyze.c) */
	routine->AnalyzeForeignTable = impiloAnalyzeForeignTable;

	/* IMPORT FOREIGN SCHEMA (import.c) */
	routine->ImportForeignSchema = impiloImportForeignSchema;

	PG_RETURN_POINTER(routine);
}
