/*-------------------------------------------------------------------------
 *
 * modify_plan.c
 *	  Planning of INSERT, and what is refused at the start of a statement.
 *
 * An order that was created cannot be taken back, so whatever can be refused
 * is refused before the first request: tables that are not orders, RETURNING
 * of values that are not known, and transactions that clients or workers
 * repeat as a whole.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/modify_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "foreign/foreign.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "replication/logicalworker.h"
#include "utils/rel.h"

#include "fdw/modify.h"

bool		impilo_allow_create = true;


/*
 * impiloIsForeignRelUpdatable
 *		Orders can be inserted, unless option updatable forbids it.
 *
 * Raises no error: the catalog's views call this for every table, also for
 * one whose options are wrong.
 */
int
impiloIsForeignRelUpdatable(Relation relation)
{
	ForeignTable *foreign = GetForeignTable(RelationGetRelid(relation));
	const char *name = impilo_given_option(foreign->options, "relation");
	const ImpiloSchemaRelation *found;
	ImpiloTableOptions options;

	impilo_table_options(RelationGetRelid(relation), &options);
	found = impilo_schema_relation(name ? name : RelationGetRelationName(relation));
	if (!options.updatable || found == NULL || found->array != NULL)
		return 0;
	return 1 << CMD_INSERT;
}

/*
 * impiloAddForeignUpdateTargets
 *		The first callback of UPDATE and DELETE: refuse them.
 */
void
impiloAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
							  RangeTblEntry *target_rte,
							  Relation target_relation)
{
	bool		update = root->parse->commandType == CMD_UPDATE;

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot %s foreign table \"%s\"",
					update ? "update" : "delete from",
					RelationGetRelationName(target_relation)),
			 errdetail("The API has no call to change or remove an order."),
			 errhint("Orders can be read and created only.")));
}

/* ------------------------------------------------------------------------
 * Refusals
 * ------------------------------------------------------------------------
 */

/*
 * Raise an error unless the API can create what this table shows.
 */
static void
require_updatable_orders(const ImpiloTable *table,
						 const ImpiloTableOptions *options)
{
	if (table->relation->array != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot insert into foreign table \"%s\"", table->name),
				 errdetail("It shows a part of orders (relation \"%s\"), and the API creates whole orders only.",
						   table->relation->name),
				 errhint("Insert into the foreign table of relation \"orders\": its columns order_items, order_kits and external_order_ids take what belongs to an order.")));
	if (!options->updatable)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign table \"%s\" does not allow inserts",
						table->name),
				 errhint("Option \"updatable\" of the table or its server is 'false'.")));
}

/*
 * Refuse a plain INSERT where clients or workers repeat a transaction by
 * themselves: the repetition would create its orders again.
 *
 * postgres_fdw always uses REPEATABLE READ on its remote side, and does not
 * repeat; there, the option set for the table itself is the user's consent.
 */
static void
refuse_repeated_transaction(const ImpiloTable *table,
							const ForeignTable *foreign)
{
	const char *post_at = impilo_given_option(foreign->options, "post_at");
	bool		repeatable_read = XactIsoLevel == XACT_REPEATABLE_READ;

	if (IsLogicalWorker())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot insert into foreign table \"%s\" in a logical replication worker",
						table->name),
				 errdetail("The worker repeats a transaction that fails, which would create its orders again."),
				 errhint("Use INSERT ... ON CONFLICT DO NOTHING, or set option \"post_at\" to 'commit'.")));
	if (!IsolationUsesXactSnapshot() ||
		(repeatable_read && post_at && strcmp(post_at, "statement") == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot insert into foreign table \"%s\" in a transaction of isolation level %s",
					table->name,
					repeatable_read ? "REPEATABLE READ" : "SERIALIZABLE"),
			 errdetail("Clients repeat such a transaction after a serialization failure, which would create its orders again."),
			 repeatable_read
			 ? errhint("Use INSERT ... ON CONFLICT DO NOTHING or isolation level READ COMMITTED, or set option \"post_at\" of the foreign table itself to 'statement'.")
			 : errhint("Use INSERT ... ON CONFLICT DO NOTHING or isolation level READ COMMITTED.")));
}

/*
 * impilo_check_insert
 *		Refuse what can be refused when a statement starts.
 */
void
impilo_check_insert(const ImpiloTable *table, const ForeignTable *foreign,
					const ImpiloTableOptions *options, bool do_nothing)
{
	require_updatable_orders(table, options);
	if (options->post_at == IMPILO_POST_AT_NEVER)
		return;
	if (!impilo_allow_create)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot insert into foreign table \"%s\": creating orders is switched off",
						table->name),
				 errhint("Parameter \"impilo_fdw.allow_create\" is off. Only superusers can switch it on.")));
	if (options->post_at == IMPILO_POST_AT_STATEMENT)
	{
		if (!do_nothing)
			refuse_repeated_transaction(table, foreign);
		return;
	}
	if (IsolationIsSerializable())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot create orders at the commit of a serializable transaction"),
				 errdetail("A serialization failure would be detected only after the orders were created."),
				 errhint("Use another isolation level, or set option \"post_at\" to 'statement'.")));
	if (do_nothing)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ON CONFLICT DO NOTHING requires option \"post_at\" to be 'statement'"),
				 errdetail("Conflicts are found in the list of orders, where orders that wait for the commit are missing.")));
}

/* ------------------------------------------------------------------------
 * The plan
 * ------------------------------------------------------------------------
 */

/*
 * impilo_returned_columns
 *		The set of columns that RETURNING needs, from their attribute numbers;
 *		0 stands for the whole row.
 *
 * With post_at 'commit', columns that only the API sets are refused: at
 * planning, and again at execution, as the setting may have changed.
 */
Bitmapset *
impilo_returned_columns(const ImpiloTable *table, List *attnums, ImpiloPostAt post_at)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	foreach(lc, attnums)
	{
		int			attnum = lfirst_int(lc);
		const ImpiloColumn *column = attnum > 0 ? &table->columns[attnum - 1] : NULL;

		if (post_at == IMPILO_POST_AT_COMMIT &&
			!(column && (column->attnum == 0 || column->write_member)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot return %s%s%s of an order that is created at commit",
							column ? "column \"" : "the whole row",
							column ? column->name : "", column ? "\"" : ""),
					 errdetail("Option \"post_at\" of foreign table \"%s\" is 'commit': values assigned by the API are not available before the commit.",
							   table->name),
					 errhint("Return inserted columns only, or call impilo_created_orders() after the commit.")));
		columns = column ? bms_add_member(columns, attnum)
			: bms_add_range(columns, 1, table->natts);
	}
	return columns;
}

/*
 * impiloPlanForeignModify
 *		The private list of an INSERT's plan.
 *
 * Raises an error for a table that cannot be inserted into, for a RETURNING
 * that cannot be answered, and if the INSERT gives a value to an unknown
 * column or returns one.
 */
List *
impiloPlanForeignModify(PlannerInfo *root, ModifyTable *plan,
						Index resultRelation, int subplan_index)
{
	Oid			relid = planner_rt_fetch(resultRelation, root)->relid;
	Relation	relation = table_open(relid, NoLock);
	ImpiloTable *table = impilo_table_bind(relation);
	ImpiloTableOptions options;
	Bitmapset  *attributes = NULL;
	int			member = -1;
	List	   *returned = NIL;
	Bitmapset  *columns;
	ListCell   *cell;

	table_close(relation, NoLock);
	impilo_table_options(relid, &options);
	require_updatable_orders(table, &options);
	if (plan->returningLists)
		pull_varattnos(list_nth(plan->returningLists, subplan_index),
					   resultRelation, &attributes);
	while ((member = bms_next_member(attributes, member)) >= 0)
	{
		if (member + FirstLowInvalidHeapAttributeNumber >= 0)
			returned = lappend_int(returned,
								   member + FirstLowInvalidHeapAttributeNumber);
	}
	columns = impilo_returned_columns(table, returned, options.post_at);
	foreach(cell, outerPlan(plan)->targetlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk && entry->resno <= table->natts &&
			!(IsA(entry->expr, Const) && castNode(Const, entry->expr)->constisnull))
			columns = bms_add_member(columns, entry->resno);
	}
	impilo_table_check(table, columns);
	return list_make3(makeBoolean(plan->onConflictAction == ONCONFLICT_NOTHING),
					  makeBoolean(plan->canSetTag), returned);
}

/*
 * impiloPlanDirectModify
 *		Take an INSERT over: put the plan of its rows below a ForeignScan.
 */
bool
impiloPlanDirectModify(PlannerInfo *root, ModifyTable *plan,
					   Index resultRelation, int subplan_index)
{
	Plan	   *rows = outerPlan(plan);
	ForeignScan *scan;

	if (plan->operation != CMD_INSERT)
		return false;

	scan = makeNode(ForeignScan);
	scan->scan.plan.startup_cost = rows->startup_cost;
	scan->scan.plan.total_cost = rows->total_cost;
	scan->scan.plan.plan_rows = rows->plan_rows;
	scan->scan.plan.plan_width = rows->plan_width;
	scan->scan.plan.lefttree = rows;
	scan->scan.scanrelid = resultRelation;
	scan->operation = CMD_INSERT;
	scan->resultRelation = resultRelation;
	scan->fs_server = GetForeignServerIdByRelId(planner_rt_fetch(resultRelation, root)->relid);
	scan->fdw_private = impiloPlanForeignModify(root, plan, resultRelation,
												subplan_index);
	outerPlan(plan) = &scan->scan.plan;
	return true;
}
