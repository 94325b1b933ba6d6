/*-------------------------------------------------------------------------
 *
 * create.c
 *	  Orders created once: the outcome machine.
 *
 * An order ships medical devices to somebody's home.  A lost order is harm,
 * and so is one that was created twice, and the API does not recognise a
 * repeated request.  So a request is sent again only if it is certain that
 * nothing was created, and an outcome that can not be found out is an error:
 *
 *	how the request ended               the order       what follows
 *	----------------------------------  --------------  -----------------------
 *	2xx, and the answer is an order     exists          done
 *	no connection, not a byte sent      does not exist  sent again (http.c), at
 *	                                                    last an error
 *	429                                 does not exist  sent again (http.c), at
 *	                                                    last an error
 *	other 4xx, redirect elsewhere       does not exist  error, the rest of the
 *	                                                    rows is not sent
 *	408, 425, 5xx                       may exist       look-up
 *	302, 303                            may exist       look-up
 *	connection lost, or time-out,       may exist       look-up
 *	  after a byte of the body was sent
 *	2xx, answer cut short or too large  may exist       look-up
 *	2xx, answer is no order, or one     may exist       look-up
 *	  that another request has created,
 *	  or that contradicts the draft
 *	  (match.c)
 *	cancelled while in flight           may exist       the cancel's own error;
 *	                                                    context and WARNING say
 *	                                                    how many may exist
 *
 *	look-up (outcome.c), row has external ids:
 *	  one order that is certainly it    exists          done
 *	  not found                         may exist       again until reconcile_timeout
 *	                                                    is over; then IU001, or
 *	                                                    with repost
 *	                                                    'after_lookup', unless
 *	                                                    the answer was 2xx, it
 *	                                                    is sent once more
 *	  several, or maybe an older one    may exist       IU001
 *	row without external ids            may exist       IU001
 *
 * Requests of a batch fly together.  The first that fails keeps those not yet
 * sent from being sent; one of unknown outcome does not, until as many are
 * unknown as may fly at once: then the server fails, rather than a request.
 * The look-ups come after all requests of the batch have ended, one reading
 * of the list for all.
 *
 * What a row asks for was checked before (draft.c).  What is done about
 * orders whose transaction aborts is journal.c's.
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
#include "create/match.h"
#include "create/reconcile.h"
#include "create/error.h"
#include "http/wait.h"

/*
 * Between look-ups.  A second is some times what an API needs to show what it
 * has created; reading the whole list more often than every eight would
 * burden a server that is in trouble already.
 */
#define LOOKUP_DELAY_MS 1000
#define LOOKUP_DELAY_MAX_MS 8000

struct ImpiloCreator
{
	ImpiloCreateTarget target;
	ImpiloHttpStats stats;
	int64		created;		/* orders, in batches that are done */
};

/* The postings of one call, and those of them that fly. */
typedef struct Batch
{
	ImpiloCreator *creator;
	ImpiloPosting *postings;
	int			n;
	ImpiloPosting **flying;		/* [max_concurrency] */
	ImpiloHttpRequest **requests;	/* theirs */
	int			nflying;
	int			nunknown;
	bool		refused;		/* one certainly failed */
	bool		looked_up;		/* the last look-up has read the whole list */
} Batch;

/*
 * impilo_creator
 *		Make ready to create orders in one statement.
 *
 * `target` is copied, but not what it points to.  Sends nothing.
 */
ImpiloCreator *
impilo_creator(const ImpiloCreateTarget *target, MemoryContext context)
{
	ImpiloCreator *creator = MemoryContextAllocZero(context,
													sizeof(ImpiloCreator));

	creator->target = *target;
	impilo_api_set_guard(impilo_journal_may_have_created);
	return creator;
}

/*
 * impilo_creator_target, impilo_creator_stats
 *		Where orders go, and what requests have cost so far.
 */
ImpiloCreateTarget *
impilo_creator_target(ImpiloCreator *creator)
{
	return &creator->target;
}

ImpiloHttpStats *
impilo_creator_stats(ImpiloCreator *creator)
{
	return &creator->stats;
}

/*
 * impilo_creator_follows
 *		The commit that this creator is part of has created so many orders
 *		until now, its own included: errors have to count them.
 */
void
impilo_creator_follows(ImpiloCreator *creator, int64 ncreated)
{
	creator->created = ncreated;
}

/*
 * Is this a posting of unknown outcome that waits to be sent once more?
 */
static bool
waits_again(const ImpiloPosting *posting)
{
	return posting->state == IMPILO_POSTING_WAITS && posting->reposted;
}

/*
 * An error that is not about an order, such as a cancel, goes its way; but it
 * says which orders it leaves in doubt.
 */
static void
tell_in_doubt(void *arg)
{
	const Batch *batch = arg;
	int			in_doubt = 0;

	for (int i = 0; i < batch->n; i++)
	{
		const ImpiloPosting *posting = &batch->postings[i];

		in_doubt += posting->state == IMPILO_POSTING_FLIES ||
			posting->state == IMPILO_POSTING_UNKNOWN ||
			waits_again(posting);
	}
	if (in_doubt > 0)
		errcontext(ngettext("%d order of foreign table \"%s\" may have been created",
							"%d orders of foreign table \"%s\" may have been created",
							in_doubt),
				   in_doubt, batch->creator->target.name);
}

static void
start_posting(Batch *batch, ImpiloPosting *posting)
{
	ImpiloCreateTarget *target = &batch->creator->target;
	const ImpiloOrderRequest *draft = posting->draft;
	ImpiloJournalNote note = {
		.userid = target->userid,
		.serverid = target->connection->serverid,
		.umid = target->connection->umid,
		.account = impilo_api_account(target->connection->api),
		.relation = target->relation,
		.row = draft->row,
		.to_site = draft->to_site,
		.recipient = draft->recipient,
		.nids = draft->nids,
		.ids = draft->ids,
		.command = target->command
	};

	if (posting->entry == NULL)
		posting->entry = impilo_journal_posting(&note);
	else
		impilo_journal_posting_again(posting->entry);
	posting->started_at = GetCurrentTimestamp();
	posting->request = impilo_api_post_order(target->connection->api,
											 CurrentMemoryContext,
											 draft->body, draft->length,
											 IMPILO_RETRY_UNSENT,
											 &batch->creator->stats);
	posting->state = IMPILO_POSTING_FLIES;
	batch->requests[batch->nflying] = posting->request;
	batch->flying[batch->nflying++] = posting;
}

/*
 * Is the answer an order that another request of the transaction has created,
 * or one that nobody asked for?  Describes the error then.
 */
static bool
is_another(const Batch *batch, ImpiloPosting *posting)
{
	const ImpiloConnection *connection = batch->creator->target.connection;
	const char *why;

	if (impilo_journal_given(connection->serverid, posting->order.id))
		why = "another request has created";
	else
		why = impilo_contradicts(&posting->order, posting->draft);
	if (why == NULL)
		return false;
	impilo_api_describe_content(connection->server_name,
								psprintf("The answer to %s is order " INT64_FORMAT ", which %s.",
										 impilo_api_show_create(),
										 posting->order.id, why),
								&posting->error);
	return true;
}

/*
 * A posting's request has ended.
 */
static void
end_posting(Batch *batch, ImpiloPosting *posting)
{
	ImpiloApi  *api = batch->creator->target.connection->api;
	int			status = impilo_http_reply(posting->request)->status;
	ImpiloCreateOutcome outcome = impilo_api_created(api, posting->request,
													 &posting->order,
													 &posting->error);

	if (outcome == IMPILO_CREATE_DONE && is_another(batch, posting))
		outcome = IMPILO_CREATE_UNKNOWN;
	if (status >= 200 && status <= 299)
		posting->answered = true;

	/* a second request does not settle the first one's outcome */
	if (posting->reposted && outcome != IMPILO_CREATE_DONE)
		outcome = IMPILO_CREATE_UNKNOWN;

	switch (outcome)
	{
		case IMPILO_CREATE_DONE:
			posting->state = IMPILO_POSTING_DONE;
			impilo_journal_created(posting->entry, posting->order.id);
			return;				/* the order is in the request's memory */
		case IMPILO_CREATE_NOT_SENT:
		case IMPILO_CREATE_REFUSED:
			posting->state = IMPILO_POSTING_NOTHING;
			impilo_journal_nothing(posting->entry);
			posting->entry = NULL;
			batch->refused = true;
			break;
		case IMPILO_CREATE_UNKNOWN:
			posting->state = IMPILO_POSTING_UNKNOWN;
			impilo_journal_unknown(posting->entry);
			batch->nunknown++;
			break;
	}
	impilo_http_release(posting->request);
	posting->request = NULL;
}

static void
end_postings(Batch *batch)
{
	int			left = 0;

	for (int i = 0; i < batch->nflying; i++)
	{
		ImpiloPosting *posting = batch->flying[i];

		if (impilo_http_done(posting->request))
		{
			end_posting(batch, posting);
			continue;
		}
		batch->flying[left] = posting;
		batch->requests[left++] = posting->request;
	}
	batch->nflying = left;
}

/*
 * May one more request be sent?
 */
static bool
may_start(const Batch *batch)
{
	const ImpiloCreateTarget *target = &batch->creator->target;
	ImpiloHttpClient *http = impilo_api_http(target->connection->api);

	return !batch->refused &&
		batch->nunknown < target->max_concurrency &&
		batch->nflying < impilo_http_in_flight_limit(http,
													 target->max_concurrency);
}

/*
 * What was to be sent once more, and was not, is of unknown outcome as before.
 */
static void
give_up_reposts(Batch *batch)
{
	for (int i = 0; i < batch->n; i++)
	{
		if (!waits_again(&batch->postings[i]))
			continue;
		batch->postings[i].state = IMPILO_POSTING_UNKNOWN;
		batch->nunknown++;
	}
}

/*
 * Send the requests of the postings that wait, and wait for all to end.
 */
static void
send_postings(Batch *batch)
{
	ImpiloHttpClient *http = impilo_api_http(batch->creator->target.connection->api);
	int			next = 0;

	for (;;)
	{
		while (next < batch->n && may_start(batch))
		{
			ImpiloPosting *posting = &batch->postings[next++];

			CHECK_FOR_INTERRUPTS();
			if (posting->state == IMPILO_POSTING_WAITS)
				start_posting(batch, posting);
		}
		if (batch->nflying == 0)
			break;
		impilo_http_wait_any(http, batch->requests, batch->nflying);
		end_postings(batch);
	}
	give_up_reposts(batch);
}

/*
 * How many postings are of unknown outcome but can be looked up?
 */
static int
count_unknown(const Batch *batch)
{
	int			n = 0;

	for (int i = 0; i < batch->n; i++)
		n += batch->postings[i].state == IMPILO_POSTING_UNKNOWN &&
			batch->postings[i].draft->nids > 0;
	return n;
}

/*
 * Look for the orders of unknown outcome until all are found, or reconcile_timeout
 * is over.  From the last look on it has to pass once more before a row of
 * unknown outcome may be taken for new (existing.c).
 */
static void
look_up(Batch *batch)
{
	ImpiloCreator *creator = batch->creator;
	TimestampTz end;
	long		delay = LOOKUP_DELAY_MS;
	ImpiloSockets none = {0};

	end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									  creator->target.connection->options.reconcile_timeout);
	while (count_unknown(batch) > 0)
	{
		long		left;

		batch->looked_up = impilo_outcome_find(&creator->target,
											   batch->postings, batch->n,
											   &creator->stats);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (count_unknown(batch) == 0 || left <= 0)
			break;
		(void) impilo_wait_sleep(&none, Min(delay, left));
		CHECK_FOR_INTERRUPTS();
		delay = Min(delay * 2, LOOKUP_DELAY_MAX_MS);
	}
	batch->nunknown = 0;
	for (int i = 0; i < batch->n; i++)
	{
		if (batch->postings[i].state != IMPILO_POSTING_UNKNOWN)
			continue;
		impilo_journal_unknown(batch->postings[i].entry);
		batch->nunknown++;
	}
}

/*
 * Let those that no look-up has found be sent once more, if the server's
 * options allow for it.  Not one whose answer was 2xx: it says that an order
 * was created, even if it does not show it, or another one.  Returns false if
 * there is none.
 */
static bool
repost(Batch *batch)
{
	const ImpiloServerOptions *options = &batch->creator->target.connection->options;
	bool		any = false;

	if (options->repost != IMPILO_REPOST_AFTER_LOOKUP || batch->refused ||
		!batch->looked_up)
		return false;
	for (int i = 0; i < batch->n; i++)
	{
		ImpiloPosting *posting = &batch->postings[i];

		if (posting->state != IMPILO_POSTING_UNKNOWN || posting->reposted ||
			posting->answered || posting->draft->nids == 0 || posting->doubtful != 0)
			continue;
		posting->state = IMPILO_POSTING_WAITS;
		posting->reposted = true;
		batch->nunknown--;
		any = true;
	}
	return any;
}

/*
 * Is there something left to send, and no reason to stop?
 */
static bool
is_unfinished(const Batch *batch)
{
	if (batch->refused || batch->nunknown > 0)
		return false;
	for (int i = 0; i < batch->n; i++)
	{
		if (batch->postings[i].state == IMPILO_POSTING_WAITS)
			return true;
	}
	return false;
}

static void
run_batch(Batch *batch)
{
	do
	{
		send_postings(batch);
		look_up(batch);
	} while (repost(batch) || is_unfinished(batch));
}

/*
 * impilo_create
 *		Create the orders that some drafts ask for, each once.
 *
 * `orders` is filled in, in the order of the drafts; what they point to lives
 * in the current memory context.  Raises an error unless all exist: the one
 * of the first request that failed if no order was created, else IU001 or
 * IU002 (report.c).  A cancel is raised as it is.
 */
void
impilo_create(ImpiloCreator *creator, ImpiloOrderRequest *const *drafts, int n,
			  ImpiloOrder *orders)
{
	Batch		batch = {.creator = creator,.n = n};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = tell_in_doubt,
		.arg = &batch
	};

	batch.postings = palloc0(n * sizeof(ImpiloPosting));
	for (int i = 0; i < n; i++)
		batch.postings[i].draft = drafts[i];
	batch.flying = palloc(creator->target.max_concurrency * sizeof(ImpiloPosting *));
	batch.requests = palloc(creator->target.max_concurrency * sizeof(ImpiloHttpRequest *));

	error_context_stack = &context;
	run_batch(&batch);
	error_context_stack = context.previous;

	for (int i = 0; i < n; i++)
	{
		if (batch.postings[i].state != IMPILO_POSTING_DONE)
			impilo_report(&creator->target, batch.postings, n,
						  creator->created);
		orders[i] = batch.postings[i].order;
	}
	creator->created += n;
}
