/*-------------------------------------------------------------------------
 *
 * insert_plan.c
 *	  What the two ways of an INSERT have in common: who may, and as whom.
 *
 * Core runs an INSERT either row by row, or in batches that lose RETURNING;
 * or, as a "direct modification", the wrapper runs all of it.  The first two
 * are in insert.c, the third in direct_insert.c.  All of them ask here what
 * may be inserted into at all, as which role, and what of the answer is
 * wanted, and all of them explain themselves in the same words.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/insert_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "commands/explain.h"
#include "foreign/foreign.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/insert_plan.h"

/*
 * Raise an error unless the API can create what this table shows.
 */
static void
require_orders(const ImpiloTable *table)
{
	if (table->relation->array == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot insert into foreign table \"%s\"", table->name),
			 errdetail("It shows a part of orders (relation \"%s\"), and the API creates whole orders only.",
					   table->relation->name),
			 errhint("Insert into the foreign table of relation \"orders\": its columns order_items, order_kits and external_order_ids take what belongs to an order.")));
}

static void
require_updatable(const ImpiloTable *table, const ImpiloTableOptions *options)
{
	if (!options->updatable)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign table \"%s\" does not allow inserts",
						table->name),
				 errhint("Option updatable of the table or its server is 'false'.")));
}

/*
 * Orders that wait for the commit have no id yet.
 */
static void
require_known(const ImpiloTable *table, AttrNumber attnum)
{
	const ImpiloColumn *column = attnum > 0 ? &table->columns[attnum - 1] : NULL;

	if (column && (column->attnum == 0 || column->write_member))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot return %s%s%s of an order that is created at commit",
					column ? "column \"" : "the whole row",
					column ? column->name : "", column ? "\"" : ""),
			 errdetail("Option post_at of foreign table \"%s\" is 'commit': what only the API knows is not known before.",
					   table->name),
			 errhint("Return inserted columns only, or call impilo_created_orders() after the commit.")));
}

/*
 * The columns that RETURNING needs, as a list of attribute numbers.
 */
static List *
returned_columns(List *returning, Index rti, const ImpiloTable *table,
				 ImpiloPostAt post_at)
{
	Bitmapset  *attributes = NULL;
	List	   *columns = NIL;
	int			member = -1;

	pull_varattnos((Node *) returning, rti, &attributes);
	while ((member = bms_next_member(attributes, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum < 0)
			continue;			/* tableoid is no concern of ours */
		if (post_at == IMPILO_POST_AT_COMMIT)
			require_known(table, attnum);
		if (attnum > 0)
		{
			columns = list_append_unique_int(columns, attnum);
			continue;
		}
		for (int i = 1; i <= table->natts; i++)
			columns = list_append_unique_int(columns, i);
	}
	return columns;
}

/*
 * impilo_insert_plan
 *		The private list of an INSERT's plan.
 *
 * Raises an error for a table that can not be inserted into, and for a
 * RETURNING that can not be answered.
 */
List *
impilo_insert_plan(PlannerInfo *root, const ModifyTable *plan, Index rti,
				   int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(rti, root);
	Relation	relation = table_open(rte->relid, NoLock);
	ForeignTable *foreign = GetForeignTable(rte->relid);
	ImpiloTable *table = impilo_table_bind(relation);
	ImpiloTableOptions options;
	List	   *returned = NIL;

	impilo_table_options(foreign, GetForeignServer(foreign->serverid),
						 &options);
	require_orders(table);
	require_updatable(table, &options);
	if (plan->returningLists)
		returned = returned_columns(list_nth(plan->returningLists,
											 subplan_index),
									rti, table, options.post_at);
	table_close(relation, NoLock);
	return list_make3(makeBoolean(plan->onConflictAction == ONCONFLICT_NOTHING),
					  makeBoolean(plan->canSetTag),
					  returned);
}

/*
 * impilo_insert_all_columns
 *		All columns of a table.
 */
Bitmapset *
impilo_insert_all_columns(Relation relation)
{
	return bms_add_range(NULL, 1, RelationGetNumberOfAttributes(relation));
}

/*
 * Copies of production are told not to create orders.
 */
static void
require_setting(Relation relation, const ImpiloTableOptions *options)
{
	if (!impilo_allow_create && options->post_at != IMPILO_POST_AT_NEVER)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot insert into foreign table \"%s\": creating orders is switched off",
						RelationGetRelationName(relation)),
				 errhint("Setting impilo_fdw.allow_create is off, as it should be in copies of production; only a superuser can change it.")));
}

/*
 * impilo_insert_begin
 *		Make ready to insert, as the role that core has checked for it.
 *
 * `returned` are the columns to read from the answers, NULL if none.  Lives
 * as long as the query.  Sends nothing.
 */
ImpiloInserter *
impilo_insert_begin(EState *estate, ResultRelInfo *rinfo, bool do_nothing,
					const Bitmapset *returned)
{
	Relation	relation = rinfo->ri_RelationDesc;
	ForeignTable *foreign;
	ImpiloTableOptions options;
	ImpiloInserterConfig config = {
		.options = &options,
		.userid = impilo_check_as_user(rinfo, estate),
		.command = estate->es_output_cid,
		.do_nothing = do_nothing,
		.returned = returned
	};
	ImpiloInserter *inserter;

	/* options that forbid to create count at once, also in a transaction */
	AcceptInvalidationMessages();
	foreign = GetForeignTable(RelationGetRelid(relation));
	impilo_table_options(foreign, GetForeignServer(foreign->serverid),
						 &options);
	require_setting(relation, &options);
	inserter = impilo_inserter(relation, &config, estate->es_query_cxt);
	require_orders(impilo_inserter_table(inserter));
	require_updatable(impilo_inserter_table(inserter), &options);
	return inserter;
}

/*
 * impilo_insert_reads_server
 *		Does the statement read from the server that it creates orders on?
 */
bool
impilo_insert_reads_server(EState *estate, ResultRelInfo *rinfo)
{
	Oid			serverid;
	Index		rti = 0;
	ListCell   *lc;

	serverid = GetForeignTable(RelationGetRelid(rinfo->ri_RelationDesc))->serverid;
	foreach(lc, estate->es_range_table)
	{
		RangeTblEntry *rte = lfirst(lc);

		rti++;
		if (rte->rtekind == RTE_RELATION &&
			rte->relkind == RELKIND_FOREIGN_TABLE &&
			rti != rinfo->ri_RangeTableIndex &&
			GetForeignTable(rte->relid)->serverid == serverid)
			return true;
	}
	return false;
}

/*
 * impilo_insert_explain
 *		Say what is sent, and how rows go together.
 *
 * `why_single` is the reason for sending them one at a time, NULL if they go
 * in batches of `batch_size`.
 */
void
impilo_insert_explain(Relation relation, int batch_size,
					  const char *why_single, ExplainState *es)
{
	ForeignTable *foreign = GetForeignTable(RelationGetRelid(relation));
	ImpiloTableOptions options;

	impilo_table_options(foreign, GetForeignServer(foreign->serverid),
						 &options);
	ExplainPropertyText("Remote Request", impilo_api_show_create(), es);
	if (why_single)
		ExplainPropertyText("Rows", psprintf("one at a time, because of %s",
											 why_single), es);
	else if (batch_size <= 1)
		ExplainPropertyText("Rows", "one at a time", es);
	else
		ExplainPropertyText("Rows",
							psprintf("in batches of %d, %d in flight",
									 batch_size,
									 Min(batch_size, options.max_concurrency)),
							es);
	if (options.post_at == IMPILO_POST_AT_COMMIT)
		ExplainPropertyText("Sent", "when the transaction commits", es);
	else if (options.post_at == IMPILO_POST_AT_NEVER)
		ExplainPropertyText("Sent", "never", es);
}

/*
 * impilo_insert_explain_stats
 *		Say what requests have cost, and what was not sent.
 *
 * Core counts conflicts, too, but not those of an INSERT that was taken over.
 */
void
impilo_insert_explain_stats(const ImpiloInserter *inserter, ExplainState *es)
{
	const ImpiloHttpStats *stats = impilo_inserter_stats(inserter);

	if (!es->analyze)
		return;
	if (impilo_inserter_skipped(inserter) >= 0)
		ExplainPropertyInteger("Existing Orders", NULL,
							   impilo_inserter_skipped(inserter), es);
	ExplainPropertyInteger("Requests", NULL, stats->requests, es);
	if (stats->retries > 0)
		ExplainPropertyInteger("Retries", NULL, stats->retries, es);
	ExplainPropertyInteger("Received", "bytes", stats->bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Waited", "ms",
							 INSTR_TIME_GET_MILLISEC(stats->waited), 3, es);
}
