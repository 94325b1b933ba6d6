/*-------------------------------------------------------------------------
 *
 * error.c
 *	  Errors of create requests: what exists, what may, what does not.
 *
 * Drivers and connection pools repeat a statement by themselves after an
 * error of class 08, 40, 53 or 57.  After a request of the transaction that
 * may have created an order, that would create it twice, so no error raised
 * here has one of these then: it is IU001 if it is not known whether an order
 * was created, IU002 if it is known that some were.  Both say which rows and
 * external ids are concerned, and how to find out.
 *
 * Which SQLSTATE a single request's failure has otherwise is api.c's to say.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/error.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "create/error.h"

/* rows, orders and external ids that one message names */
#define NAMED_MAX 20

static int
count_state(const ImpiloPosting *postings, int n, ImpiloPostingState state)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
		count += postings[i].state == state;
	return count;
}

static const ImpiloPosting *
first_of(const ImpiloPosting *postings, int n, ImpiloPostingState state)
{
	for (int i = 0; i < n; i++)
	{
		if (postings[i].state == state)
			return &postings[i];
	}
	return NULL;
}

static void
append_row(StringInfo text, const ImpiloOrderRequest *draft)
{
	appendStringInfo(text, "row " INT64_FORMAT, draft->row);
	for (int i = 0; i < draft->nids && i < NAMED_MAX; i++)
		appendStringInfo(text, "%s\"%s\"",
						 i > 0 ? ", " : " with external ids ",
						 pg_any_to_server(draft->ids[i],
										  strlen(draft->ids[i]), PG_UTF8));
}

/*
 * "Created: order 17 (row 1 with external ids "a"), …".
 */
static void
append_created(StringInfo text, const ImpiloPosting *postings, int n,
			   int64 before)
{
	int			named = 0;

	for (int i = 0; i < n && named < NAMED_MAX; i++)
	{
		if (postings[i].state != IMPILO_POSTING_DONE)
			continue;
		appendStringInfo(text, "%s" INT64_FORMAT " (",
						 named > 0 ? ", " : " Orders that exist: ",
						 postings[i].order.id);
		append_row(text, postings[i].draft);
		appendStringInfoChar(text, ')');
		named++;
	}
	if (count_state(postings, n, IMPILO_POSTING_DONE) > named)
		appendStringInfo(text, " and %d more",
						 count_state(postings, n, IMPILO_POSTING_DONE) - named);
	if (named > 0)
		appendStringInfoChar(text, '.');
	if (before > 0)
		appendStringInfo(text, " Created before these: " INT64_FORMAT ".",
						 before);
}

static void
append_waiting(StringInfo text, const ImpiloPosting *postings, int n)
{
	const ImpiloPosting *first = first_of(postings, n, IMPILO_POSTING_WAITS);

	if (first)
		appendStringInfo(text, " From row " INT64_FORMAT " on, nothing was sent.",
						 first->draft->row);
}

/*
 * "Row 3 with external ids "a": POST /order failed: …".
 */
static void
append_unknown(StringInfo text, const ImpiloPosting *posting)
{
	int			start = text->len;

	append_row(text, posting->draft);
	text->data[start] = pg_toupper((unsigned char) text->data[start]);
	appendStringInfo(text, ": %s", posting->error.detail
					 ? posting->error.detail : posting->error.message);
	if (text->data[text->len - 1] != '.')
		appendStringInfoChar(text, '.');
	if (posting->matches > 1)
		appendStringInfo(text, " Two orders match: " INT64_FORMAT " and " INT64_FORMAT ".",
						 posting->match, posting->doubtful);
	else if (posting->matches == 1)
		appendStringInfo(text, " Order " INT64_FORMAT " matches more than one row.",
						 posting->match);
	else if (posting->doubtful != 0)
		appendStringInfo(text, " Order " INT64_FORMAT " matches, but may be older.",
						 posting->doubtful);
}

/*
 * The query that finds out whether the orders exist.
 */
static char *
query_hint(const ImpiloCreateTarget *target, const ImpiloPosting *postings,
		   int n)
{
	StringInfoData ids;
	int			named = 0;

	initStringInfo(&ids);
	for (int i = 0; i < n && named < NAMED_MAX; i++)
	{
		const ImpiloOrderRequest *draft = postings[i].draft;

		if (postings[i].state != IMPILO_POSTING_UNKNOWN || draft->nids == 0)
			continue;
		appendStringInfo(&ids, "%s%s", named > 0 ? ", " : "",
						 quote_literal_cstr(pg_any_to_server(draft->ids[0],
															 strlen(draft->ids[0]),
															 PG_UTF8)));
		named++;
	}
	if (named == 0 || target->ids_column == NULL)
		return psprintf("Before anything is inserted again, look at the newest orders: SELECT * FROM %s ORDER BY id DESC LIMIT 20. With external_order_ids they could be found for certain.",
						target->relation);
	return psprintf("Before anything is inserted again, find out: SELECT * FROM %s WHERE %s && ARRAY[%s].",
					target->relation, target->ids_column, ids.data);
}

static void
raise_unknown(const ImpiloCreateTarget *target, const ImpiloPosting *postings,
			  int n, int64 before)
{
	int			unknown = count_state(postings, n, IMPILO_POSTING_UNKNOWN);
	int			named = 0;
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < n && named < NAMED_MAX; i++)
	{
		if (postings[i].state != IMPILO_POSTING_UNKNOWN)
			continue;
		if (named++ > 0)
			appendStringInfoChar(&detail, '\n');
		append_unknown(&detail, &postings[i]);
	}
	append_created(&detail, postings, n, before);
	append_waiting(&detail, postings, n);
	ereport(ERROR,
			(errcode(IMPILO_ERRCODE_OUTCOME_UNKNOWN),
			 errmsg_plural("it is not known whether %d order was created",
						   "it is not known whether %d orders were created",
						   unknown, unknown),
			 errdetail_internal("%s", detail.data),
			 errhint("%s", query_hint(target, postings, n))));
}

/*
 * A row that was refused, or not sent, after orders that exist.
 */
static void
raise_after_orders(const ImpiloCreateTarget *target,
				   const ImpiloPosting *postings, int n,
				   int64 before, const ImpiloPosting *failed)
{
	StringInfoData detail;

	initStringInfo(&detail);
	if (failed->error.detail)
		appendStringInfoString(&detail, failed->error.detail);
	if (detail.len > 0 && detail.data[detail.len - 1] != '.')
		appendStringInfoChar(&detail, '.');
	append_created(&detail, postings, n, before);
	append_waiting(&detail, postings, n);
	ereport(ERROR,
			(errcode(IMPILO_ERRCODE_ORDERS_EXIST),
			 errmsg("order of row " INT64_FORMAT " was not created, but others were: %s",
					failed->draft->row, failed->error.message),
			 errdetail_internal("%s", detail.data),
			 errhint("Do not insert the rows whose orders exist again. SELECT * FROM impilo_created_orders() lists them.")));
}

/*
 * impilo_report
 *		Raise the error of postings of which not all are done.
 *
 * `before` is how many orders were created before these, by the same
 * statement or commit.
 */
void
impilo_report(const ImpiloCreateTarget *target, const ImpiloPosting *postings,
			  int n, int64 before)
{
	const ImpiloPosting *failed;

	if (first_of(postings, n, IMPILO_POSTING_UNKNOWN))
		raise_unknown(target, postings, n, before);

	failed = first_of(postings, n, IMPILO_POSTING_NOTHING);
	Assert(failed);
	if (before > 0 || first_of(postings, n, IMPILO_POSTING_DONE) ||
		(impilo_api_invites_retry(failed->error.sqlstate) &&
		 impilo_journal_may_have_created()))
		raise_after_orders(target, postings, n, before, failed);

	ereport(ERROR,
			(errcode(failed->error.sqlstate),
			 errmsg_internal("%s", failed->error.message),
			 failed->error.detail
			 ? errdetail_internal("%s", failed->error.detail) : 0,
			 failed->error.hint ? errhint("%s", failed->error.hint) : 0,
			 errcontext("row " INT64_FORMAT " for foreign table \"%s\"",
						failed->draft->row, target->name)));
}
