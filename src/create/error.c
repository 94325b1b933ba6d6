/*-------------------------------------------------------------------------
 *
 * error.c
 *	  Errors of create requests: what exists, what may exist, what does not.
 *
 * Drivers and connection pools repeat a statement by themselves after an
 * error of class 08, 40, 53 or 57.  Once a request of the transaction may have
 * created an order, that would create it twice, so no error raised here has
 * one of these classes then.  It is IU001 if the outcome of a request is
 * unknown, IU002 if the transaction has created orders.  A refusal by the API
 * keeps its own SQLSTATE (class 23) if the statement itself created nothing.
 *
 * Clients often show nothing but the message, so it contains the reason.  The
 * detail names the rows, the orders of the transaction and the rows that were
 * not sent; the hint how to find out.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/error.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "create/create.h"

/* rows, orders and external ids that one message names */
#define NAMED_MAX 20

static const ImpiloCreateAttempt *
first_attempt(const ImpiloCreateAttempt *attempts, int n,
			  ImpiloOrderState state)
{
	for (int i = 0; i < n; i++)
		if (attempts[i].state == state)
			return &attempts[i];
	return NULL;
}

static char *
shown_id(const char *id)
{
	return pg_any_to_server(id, strlen(id), PG_UTF8);
}

/*
 * `row 4 (external ids "a", "b")`, palloc'd.
 */
static char *
show_row(const ImpiloOrderRequest *row)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "row " INT64_FORMAT, row->row);
	for (int i = 0; i < row->nids && i < NAMED_MAX; i++)
		appendStringInfo(&text, "%s\"%s\"", i > 0 ? ", " : " (external ids ",
						 shown_id(row->ids[i]));
	if (row->nids > NAMED_MAX)
		appendStringInfo(&text, " and %d more", row->nids - NAMED_MAX);
	if (row->nids > 0)
		appendStringInfoChar(&text, ')');
	return text.data;
}

/*
 * Append the orders of the transaction that exist, and note in the journal
 * that they were named.
 */
static void
append_created(StringInfo text)
{
	StringInfoData ids;
	int64		created = 0;
	dlist_iter	iter;

	impilo_orders_named = true;
	initStringInfo(&ids);
	dlist_foreach(iter, &impilo_journal)
	{
		const ImpiloJournalEntry *entry = impilo_journal_entry(iter);

		if (entry->subid == InvalidSubTransactionId)
			continue;
		if (entry->state >= IMPILO_ORDER_CREATED && created++ < NAMED_MAX)
			appendStringInfo(&ids, "%s" INT64_FORMAT,
							 created > 1 ? ", " : "", entry->id);
	}
	if (created == 0)
		return;
	appendStringInfo(text, ngettext(" This transaction has created " INT64_FORMAT " order: %s",
									" This transaction has created " INT64_FORMAT " orders: %s",
									created),
					 created, ids.data);
	if (created > NAMED_MAX)
		appendStringInfo(text, ", and " INT64_FORMAT " more",
						 created - NAMED_MAX);
	appendStringInfoChar(text, '.');
}

/*
 * Append the rows that were not sent: those of the batch that wait, and those
 * of the statement behind it.
 */
static void
append_not_sent(StringInfo text, const ImpiloCreator *creator,
				const ImpiloCreateAttempt *attempts, int n)
{
	const ImpiloCreateAttempt *waiting = first_attempt(attempts, n,
													   IMPILO_ORDER_NOT_SENT);
	int64		end = attempts[n - 1].row->row;
	int64		first = waiting ? waiting->row->row : end + 1;
	int64		last = Max(end, creator->last_row);

	if (first < last)
		appendStringInfo(text, " Rows " INT64_FORMAT " to " INT64_FORMAT " were not sent.",
						 first, last);
	else if (first == last)
		appendStringInfo(text, " Row " INT64_FORMAT " was not sent.", first);
}

/*
 * Append why the outcome of an attempt is unknown.
 */
static void
append_unknown(StringInfo text, const ImpiloCreateAttempt *attempt)
{
	char	   *row = show_row(attempt->row);

	row[0] = pg_toupper((unsigned char) row[0]);
	appendStringInfo(text, "%s: %s", row, attempt->error.detail
					 ? attempt->error.detail : attempt->error.message);
	if (text->data[text->len - 1] != '.')
		appendStringInfoChar(text, '.');
	if (attempt->matches > 1)
		appendStringInfo(text, " Two orders match: " INT64_FORMAT " and " INT64_FORMAT ".",
						 attempt->match, attempt->possible_match);
	else if (attempt->matches == 1)
		appendStringInfo(text, " Order " INT64_FORMAT " matches more than one row.",
						 attempt->match);
	else if (attempt->possible_match != 0)
		appendStringInfo(text, " Order " INT64_FORMAT " matches, but may be older.",
						 attempt->possible_match);
}

/*
 * The query that finds out whether the orders exist.
 */
static char *
query_hint(const ImpiloCreator *creator,
		   const ImpiloCreateAttempt *attempts, int n, int unknown)
{
	StringInfoData ids;
	int			named = 0;

	if (creator->ids_column && unknown > NAMED_MAX)
		return psprintf("Before you insert anything again, find out which orders exist: SELECT * FROM %s WHERE %s && (SELECT array_agg(x) FROM impilo_created_orders() c, unnest(c.external_order_ids) x WHERE c.state = 'unknown').",
						creator->relation, creator->ids_column);
	initStringInfo(&ids);
	for (int i = 0; i < n; i++)
	{
		const ImpiloOrderRequest *row = attempts[i].row;

		if (attempts[i].state == IMPILO_ORDER_UNKNOWN && row->nids > 0)
			appendStringInfo(&ids, "%s%s", named++ > 0 ? ", " : "",
							 quote_literal_cstr(shown_id(row->ids[0])));
	}
	if (named == 0 || creator->ids_column == NULL)
		return psprintf("Before you insert anything again, look at the newest orders: SELECT * FROM %s ORDER BY id DESC LIMIT 20. Set external_order_ids to be able to identify orders.",
						creator->relation);
	return psprintf("Before you insert anything again, find out which orders exist: SELECT * FROM %s WHERE %s && ARRAY[%s].",
					creator->relation, creator->ids_column, ids.data);
}

pg_noreturn static void
raise_unknown(const ImpiloCreator *creator,
			  const ImpiloCreateAttempt *attempts, int n)
{
	const ImpiloCreateAttempt *first = first_attempt(attempts, n,
													 IMPILO_ORDER_UNKNOWN);
	StringInfoData detail;
	int			unknown = 0;

	initStringInfo(&detail);
	for (int i = 0; i < n; i++)
	{
		if (attempts[i].state != IMPILO_ORDER_UNKNOWN ||
			unknown++ >= NAMED_MAX)
			continue;
		if (unknown > 1)
			appendStringInfoChar(&detail, '\n');
		append_unknown(&detail, &attempts[i]);
	}
	if (unknown > NAMED_MAX)
		appendStringInfo(&detail, "\nThe outcome of %d more rows is unknown.",
						 unknown - NAMED_MAX);
	if (creator->search_error)
		appendStringInfo(&detail, " The list of orders could not be searched: %s.",
						 creator->search_error);
	append_created(&detail);
	append_not_sent(&detail, creator, attempts, n);
	ereport(ERROR,
			(errcode(IMPILO_ERRCODE_OUTCOME_UNKNOWN),
			 errmsg_plural("it is not known whether %d order was created: %s",
						   "it is not known whether %d orders were created: %s",
						   unknown, unknown, first->error.message),
			 errdetail_internal("%s", detail.data),
			 errhint("%s", query_hint(creator, attempts, n, unknown)),
			 impilo_errcreator(creator)));
}

/*
 * impilo_raise_create_error
 *		Raise the error of a batch that did not become orders.
 */
void
impilo_raise_create_error(const ImpiloCreator *creator,
						  const ImpiloCreateAttempt *attempts, int n)
{
	const ImpiloCreateAttempt *failed;
	const ImpiloApiError *error;
	bool		created;
	bool		repeated;		/* clients repeat after its class */
	StringInfoData detail;

	if (first_attempt(attempts, n, IMPILO_ORDER_UNKNOWN))
		raise_unknown(creator, attempts, n);

	failed = first_attempt(attempts, n, IMPILO_ORDER_NOT_CREATED);
	Assert(failed);
	error = &failed->error;
	repeated = impilo_api_invites_retry(error->sqlstate);
	created = creator->created > 0 ||
		first_attempt(attempts, n, IMPILO_ORDER_CREATED) != NULL;
	if (impilo_running_orders == 0)
		ereport(ERROR,
				(errcode(error->sqlstate),
				 errmsg_internal("%s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0,
				 errcontext("%s for foreign table \"%s\"",
							show_row(failed->row), creator->name),
				 impilo_errcreator(creator)));

	initStringInfo(&detail);
	if (error->detail)
		appendStringInfoString(&detail, error->detail);
	if (detail.len > 0 && detail.data[detail.len - 1] != '.')
		appendStringInfoChar(&detail, '.');
	append_created(&detail);
	append_not_sent(&detail, creator, attempts, n);
	ereport(ERROR,
			(errcode(created || repeated
					 ? IMPILO_ERRCODE_ORDERS_EXIST : error->sqlstate),
			 errmsg(repeated ? "%s was not created: %s" : "%s was refused: %s",
					show_row(failed->row), error->message),
			 errdetail_internal("%s", detail.data),
			 errhint("Do not insert the rows whose orders exist again. Use impilo_created_orders() to list them."),
			 impilo_errcreator(creator)));
}
