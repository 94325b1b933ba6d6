/*-------------------------------------------------------------------------
 *
 * create.c
 *	  Orders created once: a request per row.
 *
 * An order ships medical devices to a patient's home.  A lost order is harm,
 * and so is one that was created twice, and the API does not recognise a
 * repeated request.  So a request is sent again only if it is certain that
 * nothing was created, and an outcome that cannot be found out is an error:
 *
 *	how the request ended               the order       what follows
 *	----------------------------------  --------------  -----------------------
 *	2xx, and the response is the order  exists          done
 *	no connection, no byte sent, 429    does not exist  sent again by http/, at
 *	                                                    last an error
 *	other 4xx, redirect elsewhere       does not exist  error, the other rows
 *	                                                    are not sent
 *	408, 425, 5xx, 302, 303             may exist       search
 *	connection lost or timeout after a  may exist       search
 *	  byte of the body was sent
 *	2xx, response truncated, too large  may exist       search
 *	  or not an order
 *	2xx, an order that existed before,  may exist       search
 *	  or that contradicts the row
 *	cancelled while in flight           may exist       the cancel's own error;
 *	                                                    its context says how
 *	                                                    many may exist
 *
 *	search (reconcile.c), the row has external ids:
 *	  one order that is certainly it    exists          done
 *	  not found                         may exist       again until
 *	                                                    reconcile_timeout, then
 *	                                                    IU001
 *	  several, or maybe an older one    may exist       IU001
 *	row without external ids            may exist       IU001
 *
 * Requests of a batch are in flight together.  The first that fails keeps
 * those not yet sent from being sent.  One of unknown outcome does not, until
 * as many are unknown as may be in flight: then the server fails, rather than
 * a request.  The search starts after all requests of the batch have ended.
 *
 * The rules for a row are checked before (rows/write.c).  Orders whose
 * transaction aborts are reported by journal.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/create.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "create/create.h"

/* The attempts of one call, and those of them that are in flight. */
typedef struct Batch
{
	ImpiloCreator *creator;
	ImpiloCreateAttempt *attempts;
	int			n;
	int			next;			/* the first that was not sent */
	ImpiloCreateAttempt **flying;	/* [max_concurrency] */
	ImpiloHttpRequest **requests;	/* theirs */
	int			nflying;
	int			nunknown;
	bool		refused;		/* one certainly failed */
	Size		kept;			/* bytes of responses that the caller reads */
	bool		full;			/* as many as memory allows: the caller reads
								 * these before the other rows are sent */
} Batch;

/*
 * Error context callback: report what an error that is not about an order,
 * such as a cancel, leaves behind.
 */
static void
report_in_doubt(void *arg)
{
	const Batch *batch = arg;
	int64		created = batch->creator->created;
	int			in_doubt = 0;

	for (int i = 0; i < batch->n; i++)
	{
		ImpiloOrderState state = batch->attempts[i].state;

		created += state == IMPILO_ORDER_CREATED;
		in_doubt += state == IMPILO_ORDER_IN_FLIGHT ||
			state == IMPILO_ORDER_UNKNOWN;
	}
	if (created + in_doubt > 0)
		errcontext("creating orders of foreign table \"%s\": " INT64_FORMAT " were created, %d more may have been created",
				   batch->creator->name, created, in_doubt);
}

static void
start_attempt(Batch *batch, ImpiloCreateAttempt *attempt)
{
	ImpiloCreator *creator = batch->creator;

	attempt->entry = impilo_journal_posting(creator, attempt->row);
	attempt->request = impilo_api_post_order(creator->connection->api,
											 CurrentMemoryContext,
											 attempt->row->body,
											 attempt->row->length,
											 &creator->stats);
	attempt->state = IMPILO_ORDER_IN_FLIGHT;
	batch->requests[batch->nflying] = attempt->request;
	batch->flying[batch->nflying++] = attempt;
}

/*
 * Returns whether the response is an order that existed before, or that
 * contradicts the row, and describes the error then.
 */
static bool
is_another_order(const ImpiloCreator *creator, ImpiloCreateAttempt *attempt)
{
	const ImpiloConnection *connection = creator->connection;
	int64		id = attempt->order.id;
	const ImpiloJournalEntry *entry = impilo_journal_find(connection, id);
	const char *why;

	if (entry && !entry->forgotten)
		why = "another request has created";
	else if (impilo_known_order(creator, id))
		why = "existed before the request";
	else
		why = impilo_contradiction(&attempt->order, attempt->row);
	if (why == NULL)
		return false;
	impilo_api_error(connection->api, IMPILO_API_CONTENT,
					 psprintf("The response to %s is order " INT64_FORMAT ", which %s.",
							  IMPILO_CREATE_REQUEST, id, why),
					 &attempt->error);
	return true;
}

/*
 * The request of an attempt has ended.
 */
static void
end_attempt(Batch *batch, ImpiloCreateAttempt *attempt)
{
	ImpiloCreator *creator = batch->creator;
	ImpiloOrderState state = impilo_api_created(creator->connection->api,
												attempt->request,
												&attempt->order,
												&attempt->error);

	attempt->sent_at = impilo_http_wait(attempt->request, NULL)->sent_at;
	if (state == IMPILO_ORDER_CREATED && is_another_order(creator, attempt))
		state = IMPILO_ORDER_UNKNOWN;
	attempt->state = state;
	if (state == IMPILO_ORDER_CREATED)
	{
		impilo_journal_created(attempt->entry, attempt->order.id);
		creator->connection->stats->created++;
		if (creator->keep_documents)
		{
			batch->kept += attempt->order.document.length;
			batch->full = batch->kept > work_mem * (Size) 1024;
			return;				/* the order is in the request's memory */
		}
	}
	else if (state == IMPILO_ORDER_UNKNOWN)
	{
		attempt->entry->state = state;
		batch->nunknown++;
	}
	else
	{
		impilo_journal_drop(attempt->entry);
		attempt->entry = NULL;
		batch->refused = true;
	}
	memset(&attempt->order.document, 0, sizeof(attempt->order.document));
	impilo_http_release(attempt->request);
	attempt->request = NULL;
}

/*
 * Send the rows that wait, and wait for all requests to end.
 */
static void
send_attempts(Batch *batch)
{
	int			limit = batch->creator->max_concurrency;
	ImpiloHttpClient *http = batch->creator->connection->api->http;

	for (;;)
	{
		int			left = 0;

		while (batch->next < batch->n && !batch->refused && !batch->full &&
			   batch->nunknown < limit &&
			   batch->nflying < impilo_http_in_flight_limit(http, limit))
		{
			CHECK_FOR_INTERRUPTS();
			start_attempt(batch, &batch->attempts[batch->next++]);
		}
		if (batch->nflying == 0)
			break;
		impilo_http_wait_any(http, batch->requests, batch->nflying);
		for (int i = 0; i < batch->nflying; i++)
		{
			ImpiloCreateAttempt *attempt = batch->flying[i];
			int64		no_time = 0;

			if (impilo_http_wait(attempt->request, &no_time))
			{
				end_attempt(batch, attempt);
				continue;
			}
			batch->flying[left] = attempt;
			batch->requests[left++] = attempt->request;
		}
		batch->nflying = left;
	}
}

/*
 * impilo_create
 *		Create the orders of some rows, each once.
 *
 * `orders` is filled in, in the order of the rows; what they point to lives
 * in the current memory context.  Returns how many rows became orders: fewer
 * than `n`, but at least one, if the responses that the caller reads
 * (keep_documents) exceed work_mem.  Raises an error unless all that were sent
 * exist: see error.c.  A cancel is raised as it is.
 */
int
impilo_create(ImpiloCreator *creator, ImpiloOrderRequest *const *rows, int n,
			  ImpiloOrder *orders)
{
	Batch		batch = {.creator = creator,.n = n};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = report_in_doubt,
		.arg = &batch
	};

	batch.attempts = palloc0(n * sizeof(ImpiloCreateAttempt));
	for (int i = 0; i < n; i++)
		batch.attempts[i].row = rows[i];
	batch.flying = palloc(creator->max_concurrency * sizeof(ImpiloCreateAttempt *));
	batch.requests = palloc(creator->max_concurrency * sizeof(ImpiloHttpRequest *));

	error_context_stack = &context;
	do
	{
		send_attempts(&batch);
		if (batch.nunknown > 0)
			batch.nunknown = impilo_reconcile(creator, batch.attempts, batch.next);
	} while (batch.next < n && !batch.refused && batch.nunknown == 0 &&
			 !batch.full);
	error_context_stack = context.previous;

	if (batch.refused || batch.nunknown > 0)
		impilo_raise_create_error(creator, batch.attempts, n);
	for (int i = 0; i < batch.next; i++)
		orders[i] = batch.attempts[i].order;
	creator->created += batch.next;
	return batch.next;
}
