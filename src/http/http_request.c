/*-------------------------------------------------------------------------
 *
 * http_request.c
 *	  HTTP requests of one backend: many in flight, repeated where that is
 *	  allowed, every wait interruptible.
 *
 * A request is in one of a client's three lists: queued for its first or next
 * attempt, running, done.  The pause before a repetition and the distance that
 * requests_per_second asks for are only times in the queue; so all requests of
 * a client go on while any one of them is waited for.  Nothing goes on while
 * nobody waits, except that starting a request sends it off at once if it can.
 *
 * An error may be thrown out of a wait at any time, and memory contexts may go
 * in any order.  Nothing of libcurl is on the stack then, each request is
 * given up by the reset callback of its context, and the client stays usable.
 *
 * Not here: the attempt itself (http.c), the decisions about repeating and
 * pacing (retry.c), waiting for sockets (wait.c), what an answer means (api.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http_request.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "common/pg_prng.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "http/http_private.h"


/*
 * Time for all attempts of a request, in units of request_timeout: no attempt
 * begins later than this after the first one.  The user has said by
 * request_timeout how long one attempt may take; twice that, two minutes by
 * default, lets through a Retry-After of one minute, the usual window of a
 * rate limit, and keeps the whole below three times what the user said.
 */
#define BUDGET_FACTOR 2

/* libcurl's own steps at a start: without bytes from outside few follow */
#define START_STEPS 4

typedef enum RequestState
{
	QUEUED,						/* waits for its time, or for its turn */
	RUNNING,					/* an attempt is under way */
	DONE,						/* has a reply */
	RELEASED
} RequestState;

struct ImpiloHttpRequest
{
	dlist_node	node;			/* in the client's list for its state */
	ImpiloHttpClient *client;	/* NULL once that is closed */
	RequestState state;
	ImpiloHttpTransfer *transfer;	/* from the first attempt on; holds the
									 * strings of the reply */
	char	   *url;
	char	   *body;			/* NULL: a GET */
	size_t		length;
	ImpiloRetryPolicy policy;
	ImpiloHttpStats *stats;		/* or NULL */
	int64		due;			/* no attempt before this */
	int64		first;			/* begin of the first attempt */
	int64		sent;			/* begin of the last attempt */
	ImpiloHttpReply reply;
	MemoryContextCallback callback;
};

struct ImpiloHttpClient
{
	slist_node	node;			/* in open_clients */
	bool		open;			/* is in open_clients */
	ImpiloHttpConfig config;	/* its numbers and flags only */
	ImpiloHttpPool *pool;
	dlist_head	queued;
	dlist_head	running;
	dlist_head	done;
	int			nrunning;
	int64		last_paced;		/* as impilo_pace_next takes it */
	bool		throttled;		/* else the throttle's limit does not count */
	ImpiloThrottle throttle;
	bool		disconnect;		/* as soon as no request is left */
	MemoryContextCallback callback;
};

/* the clients of this backend, for the end of a transaction */
static slist_head open_clients = SLIST_STATIC_INIT(open_clients);

/* --- one request ---------------------------------------------------------- */

static void
set_state(ImpiloHttpRequest *request, RequestState state)
{
	ImpiloHttpClient *client = request->client;

	dlist_delete(&request->node);
	if (request->state == RUNNING)
		client->nrunning--;
	request->state = state;
	if (state == QUEUED)
		dlist_push_tail(&client->queued, &request->node);
	else if (state == RUNNING)
	{
		dlist_push_tail(&client->running, &request->node);
		client->nrunning++;
	}
	else if (state == DONE)
		dlist_push_tail(&client->done, &request->node);
}

static const char *
or_null(const char *text)
{
	return text[0] ? text : NULL;
}

/* What the transfer tells, as the caller will see it */
static void
fill_reply(ImpiloHttpRequest *request)
{
	const ImpiloHttpTransfer *transfer = request->transfer;
	const ImpiloAnswer *answer = &transfer->answer;
	ImpiloHttpReply *reply = &request->reply;
	int64		now = (int64) time(NULL);
	int64_t		date;

	reply->outcome = transfer->outcome;
	reply->may_have_acted = transfer->may_have_acted;
	reply->status = transfer->status;
	reply->times = impilo_http_transfer_times(transfer);
	reply->http2 = transfer->http2;
	reply->body = answer->body ? answer->body : "";
	reply->length = answer->used;
	reply->content_type = or_null(answer->content_type);
	reply->location = or_null(answer->location);
	reply->failure = or_null(transfer->failure);
	reply->date = -1;
	if (impilo_http_date(answer->date, strlen(answer->date), now, &date))
		reply->date = date + Max(strtol(answer->age, NULL, 10), 0);
	reply->retry_after = impilo_retry_after(answer->retry_after,
											strlen(answer->retry_after),
											reply->date >= 0 ?
											reply->date : now);
	if (request->stats)
		request->stats->bytes += transfer->received;
}

/* No attempt could be made, nor an answer be kept: there is no memory */
static void
fill_empty_reply(ImpiloHttpRequest *request, const char *failure)
{
	memset(&request->reply, 0, sizeof(request->reply));
	request->reply.outcome = IMPILO_HTTP_UNREACHABLE;
	request->reply.body = "";
	request->reply.date = -1;
	request->reply.retry_after = IMPILO_RETRY_AFTER_NONE;
	request->reply.failure = failure;
	request->reply.refusal = IMPILO_RETRY_FINAL;
}

static ImpiloAttemptOutcome
attempt_outcome(const ImpiloHttpTransfer *transfer)
{
	if (transfer->hopeless)
		return IMPILO_ATTEMPT_FAILED;
	switch (transfer->outcome)
	{
		case IMPILO_HTTP_ANSWERED:
			return IMPILO_ATTEMPT_ANSWERED;
		case IMPILO_HTTP_TIMED_OUT:
			return IMPILO_ATTEMPT_TIMED_OUT;
		case IMPILO_HTTP_UNREACHABLE:
		case IMPILO_HTTP_LOST:
		case IMPILO_HTTP_CUT:
			return transfer->may_have_acted ? IMPILO_ATTEMPT_LOST :
				IMPILO_ATTEMPT_UNSENT;
		case IMPILO_HTTP_FORBIDDEN:
		case IMPILO_HTTP_TOO_LARGE:
			break;
	}
	return IMPILO_ATTEMPT_FAILED;
}

/* Milliseconds within which a next attempt may begin */
static int64
budget_left(const ImpiloHttpRequest *request, int64 now)
{
	int64		all = (int64) request->client->config.request_timeout *
	BUDGET_FACTOR;

	return Max(0, all - (now - request->first) / 1000);
}

/*
 * The limit of requests in flight follows the answers of all requests.  It
 * begins with as many as there are when the server first says that it is too
 * many, and is forgotten when it has grown back to that.
 */
static void
heed_answer(ImpiloHttpClient *client, const ImpiloHttpRequest *request,
			int64 now)
{
	int32		retry_after = (int32) request->reply.retry_after;

	if (request->reply.outcome != IMPILO_HTTP_ANSWERED)
		return;
	if (request->reply.status != 429)
	{
		if (!client->throttled)
			return;
		impilo_throttle_accepted(&client->throttle);
		client->throttled = client->throttle.limit < client->throttle.maximum;
		return;
	}
	if (!client->throttled)
	{
		impilo_throttle_init(&client->throttle, client->nrunning);
		client->throttled = true;
	}

	/* who cannot wait so long fails; the next one shall ask for itself */
	if ((int64) retry_after * 1000 > budget_left(request, now))
		retry_after = IMPILO_RETRY_AFTER_NONE;
	impilo_throttle_refused(&client->throttle, request->sent, now,
							retry_after);
}

/* An attempt has ended: done, or once more? */
static void
end_attempt(ImpiloHttpRequest *request)
{
	ImpiloHttpClient *client = request->client;
	int64		now = impilo_http_now();
	ImpiloAttempt attempt;
	ImpiloRetryVerdict verdict;
	int64_t		delay_ms = 0;

	fill_reply(request);
	heed_answer(client, request, now);

	attempt.policy = request->policy;
	attempt.outcome = attempt_outcome(request->transfer);
	attempt.status = request->reply.status;
	attempt.number = request->reply.attempts;
	attempt.max_retries = client->config.max_retries;
	attempt.budget_ms = budget_left(request, now);
	attempt.retry_after = (int32) request->reply.retry_after;
	attempt.random = pg_prng_double(&pg_global_prng_state);
	verdict = impilo_retry_decide(&attempt, &delay_ms);

	if (verdict == IMPILO_RETRY_AGAIN)
	{
		request->due = now + delay_ms * 1000;
		set_state(request, QUEUED);
		return;
	}
	request->reply.refusal = verdict;
	set_state(request, DONE);
}

static void
begin_attempt(ImpiloHttpRequest *request)
{
	ImpiloHttpTransfer *transfer = request->transfer;
	ImpiloHttpStats *stats = request->stats;

	if (transfer == NULL)
		transfer = impilo_http_transfer_take(request->client->pool);
	if (transfer == NULL)
	{
		fill_empty_reply(request, "out of memory");
		set_state(request, DONE);
		return;
	}
	request->transfer = transfer;
	transfer->request = request;
	transfer->url = request->url;
	transfer->body = request->body;
	transfer->length = request->length;
	request->sent = impilo_http_now();
	request->reply.sent_at = GetCurrentTimestamp();
	if (request->reply.attempts++ == 0)
		request->first = request->sent;
	if (stats)
	{
		stats->requests++;
		if (request->reply.attempts > 1)
			stats->retries++;
	}
	set_state(request, RUNNING);
	if (!impilo_http_transfer_start(transfer))
		end_attempt(request);
}

/* --- all requests of a client ---------------------------------------------- */

static int
limit_in_flight(const ImpiloHttpClient *client)
{
	return client->throttled ? client->throttle.limit : PG_INT32_MAX;
}

/* When the next attempt of whichever request may begin */
static int64
gate(const ImpiloHttpClient *client, int64 now)
{
	return Max(client->throttle.hold_until_us,
			   impilo_pace_next(client->last_paced, now,
								client->config.requests_per_second));
}

/* Begin the attempts whose time has come, in the order of the queue */
static void
begin_due(ImpiloHttpClient *client)
{
	dlist_mutable_iter iter;
	int64		now;

	if (dlist_is_empty(&client->queued))
		return;
	now = impilo_http_now();
	dlist_foreach_modify(iter, &client->queued)
	{
		ImpiloHttpRequest *request =
		dlist_container(ImpiloHttpRequest, node, iter.cur);

		if (request->due > now)
			continue;
		if (client->nrunning >= limit_in_flight(client) ||
			gate(client, now) > now)
			break;
		client->last_paced = now;
		begin_attempt(request);
	}
}

/* When there is something to do though no socket is ready; INT64_MAX: never */
static int64
next_time(ImpiloHttpClient *client, int64 now)
{
	int64		timer = client->pool->timer;
	int64		due = INT64_MAX;
	dlist_iter	iter;

	if (client->nrunning >= limit_in_flight(client))
		return timer;
	dlist_foreach(iter, &client->queued)
		due = Min(due, dlist_container(ImpiloHttpRequest, node,
									   iter.cur)->due);
	if (due != INT64_MAX)
		due = Max(due, gate(client, now));
	return Min(due, timer);
}

/* Let libcurl go on, and take what has ended */
static void
act(ImpiloHttpClient *client)
{
	ImpiloHttpTransfer *transfer;

	impilo_http_pool_act(client->pool);
	while ((transfer = impilo_http_pool_ended(client->pool)) != NULL)
		end_attempt(transfer->request);
	begin_due(client);
}

/*
 * Wait until something has happened, not beyond `until`, and act on it.  The
 * time goes to the account of `request`, for which the caller waits.
 */
static void
wait_once(ImpiloHttpClient *client, ImpiloHttpRequest *request, int64 until)
{
	ImpiloSockets *sockets = &client->pool->sockets;
	int64		now;
	int64		next;
	long		timeout_ms;
	instr_time	begin;
	instr_time	end;

	CHECK_FOR_INTERRUPTS();

	/* a large body is there piece after piece: spare it the full wait */
	if (impilo_wait_look(sockets) == 0)
	{
		now = impilo_http_now();
		next = Min(next_time(client, now), until);
		timeout_ms = next == INT64_MAX ? -1 :
			Min((next - now + 999) / 1000, PG_INT32_MAX);
		if (next > now)
		{
			INSTR_TIME_SET_CURRENT(begin);
			(void) impilo_wait_sleep(sockets, timeout_ms);
			INSTR_TIME_SET_CURRENT(end);
			if (request->stats)
				INSTR_TIME_ACCUM_DIFF(request->stats->waited, end, begin);
		}
	}
	act(client);
}

/* --- ends ------------------------------------------------------------------ */

static void
rest_if_idle(ImpiloHttpClient *client)
{
	if (!dlist_is_empty(&client->queued) ||
		!dlist_is_empty(&client->running) ||
		!dlist_is_empty(&client->done))
		return;
	impilo_http_pool_rest(client->pool);
	if (client->disconnect)
		impilo_http_pool_disconnect(client->pool);
	client->disconnect = false;
}

/*
 * Give up a request, or only its reply.
 *
 * An attempt under way is broken off: its connection is closed, or its stream
 * of HTTP/2 reset.  What the reply pointed to is gone.  The struct itself goes
 * with its context, so a context should live about as long as a request does.
 * Does nothing the second time; accepts NULL; does not throw.
 */
void
impilo_http_release(ImpiloHttpRequest *request)
{
	ImpiloHttpClient *client;

	if (request == NULL || request->state == RELEASED)
		return;
	client = request->client;
	if (client != NULL)
		set_state(request, RELEASED);
	request->state = RELEASED;
	request->client = NULL;
	if (request->transfer != NULL)
		impilo_http_transfer_release(request->transfer);
	request->transfer = NULL;
	pfree(request->url);
	if (request->body != NULL)
		pfree(request->body);
	request->url = request->body = NULL;
	if (client != NULL)
		rest_if_idle(client);
}

static void
release_request(void *arg)
{
	impilo_http_release((ImpiloHttpRequest *) arg);
}

/* The requests of one list outlive their client: each gets its reply */
static void
part_with(ImpiloHttpClient *client, dlist_head *list)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, list)
	{
		ImpiloHttpRequest *request =
		dlist_container(ImpiloHttpRequest, node, iter.cur);
		bool		unfinished = request->state != DONE;

		if (request->transfer != NULL)
			impilo_http_transfer_orphan(request->transfer);
		if (unfinished && request->transfer != NULL)
			fill_reply(request);
		else if (unfinished)
			fill_empty_reply(request, "the client was closed");
		set_state(request, DONE);
		dlist_delete(&request->node);
		request->reply.refusal = IMPILO_RETRY_FINAL;
		request->client = NULL;
	}
}

static void
close_client(void *arg)
{
	ImpiloHttpClient *client = (ImpiloHttpClient *) arg;

	if (client->open)
		slist_delete(&open_clients, &client->node);
	part_with(client, &client->queued);
	part_with(client, &client->running);
	part_with(client, &client->done);
	if (client->pool != NULL)
		impilo_http_pool_close(client->pool);
	client->pool = NULL;
}

/* keep_connections off: at the end of a transaction, as postgres_fdw does */
static void
end_transaction(XactEvent event, void *arg)
{
	slist_iter	iter;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	slist_foreach(iter, &open_clients)
	{
		ImpiloHttpClient *client =
		slist_container(ImpiloHttpClient, node, iter.cur);

		if (!client->config.keep_connections)
		{
			client->disconnect = true;
			rest_if_idle(client);
		}
	}
}

/* --- for the rooms above ---------------------------------------------------- */

/*
 * Make a client, which lives as long as `context`.
 *
 * Deleting the context closes its connections; requests that are left then get
 * a reply that says so.  Throws if there is no memory or if this libcurl
 * cannot do what is asked for; connects to nothing.
 */
ImpiloHttpClient *
impilo_http_open(MemoryContext context, const ImpiloHttpConfig *config)
{
	static bool registered = false;
	ImpiloHttpClient *client = MemoryContextAllocZero(context,
													  sizeof(*client));

	dlist_init(&client->queued);
	dlist_init(&client->running);
	dlist_init(&client->done);
	client->last_paced = INT64_MIN;
	client->config = *config;
	client->callback.func = close_client;
	client->callback.arg = client;
	MemoryContextRegisterResetCallback(context, &client->callback);

	if (!registered)
		RegisterXactCallback(end_transaction, NULL);
	registered = true;
	impilo_http_pool_open(&client->pool, context, config);
	slist_push_head(&open_clients, &client->node);
	client->open = true;
	return client;
}

/*
 * Queue a request, and send it off as far as that goes without waiting.
 *
 * GET if `body` is NULL, else POST of `length` bytes of JSON; url and body are
 * copied.  The request belongs to `context`.  `stats`, if given, is added to
 * until the request is released, and must live that long.  Throws only for
 * lack of memory, and then has sent nothing.
 */
ImpiloHttpRequest *
impilo_http_start(ImpiloHttpClient *client, MemoryContext context,
				  const char *url, const char *body, size_t length,
				  ImpiloRetryPolicy policy, ImpiloHttpStats *stats)
{
	ImpiloHttpRequest *request;

	request = MemoryContextAllocZero(context, sizeof(*request));
	request->url = MemoryContextStrdup(context, url);
	if (body != NULL)
	{
		request->body = MemoryContextAlloc(context, length + 1);
		memcpy(request->body, body, length);
		request->length = length;
	}
	request->policy = policy;
	request->stats = stats;
	request->state = QUEUED;
	request->client = client;
	dlist_push_tail(&client->queued, &request->node);
	request->callback.func = release_request;
	request->callback.arg = request;
	MemoryContextRegisterResetCallback(context, &request->callback);

	begin_due(client);
	for (int i = 0; i < START_STEPS && request->state == RUNNING &&
		 client->pool->timer <= impilo_http_now(); i++)
		act(client);
	return request;
}

/* Has it a reply?  Does not throw, and lets nothing go on. */
bool
impilo_http_done(const ImpiloHttpRequest *request)
{
	return request->state == DONE;
}

/* Milliseconds after which an attempt may be given up, at the earliest */
int
impilo_http_shorter_timeout(const ImpiloHttpClient *client)
{
	return Min(client->config.connect_timeout, client->config.request_timeout);
}

/*
 * Wait until a request is done; all others of its client go on meanwhile.
 *
 * Throws nothing but what an interrupt throws; how the request ended is in its
 * reply.
 */
void
impilo_http_wait(ImpiloHttpRequest *request)
{
	int64		forever = IMPILO_HTTP_FOREVER;

	(void) impilo_http_wait_within(request, &forever);
}

/*
 * The same, but for `*left` microseconds at most, of which what it has taken
 * is taken off.  Is the request done?
 */
bool
impilo_http_wait_within(ImpiloHttpRequest *request, int64 *left)
{
	int64		until = impilo_http_now() + *left;

	if (request->state == QUEUED)
		begin_due(request->client);
	while ((request->state == QUEUED || request->state == RUNNING) &&
		   *left > 0)
	{
		wait_once(request->client, request, until);
		*left = until - impilo_http_now();
	}
	return request->state == DONE;
}

/* Wait until at least one of `n` requests of the client is done */
void
impilo_http_wait_any(ImpiloHttpClient *client,
					 ImpiloHttpRequest *const *requests, int n)
{
	if (n <= 0)
		return;
	begin_due(client);
	for (;;)
	{
		for (int i = 0; i < n; i++)
		{
			if (requests[i]->state == DONE)
				return;
		}
		wait_once(client, requests[0], INT64_MAX);
	}
}

/* The reply of a request that is done; valid until it is released */
const ImpiloHttpReply *
impilo_http_reply(const ImpiloHttpRequest *request)
{
	Assert(request->state == DONE);
	return &request->reply;
}

/*
 * Of `wanted` requests, how many should be in flight at the moment?  Fewer if
 * the server has said lately that there were too many; at least 1.
 */
int
impilo_http_in_flight_limit(const ImpiloHttpClient *client, int wanted)
{
	return Max(1, Min(wanted, limit_in_flight(client)));
}

/* POSTs under way of which the server may have the body: it may act on them */
int
impilo_http_uncertain_posts(ImpiloHttpClient *client)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, &client->running)
	{
		const ImpiloHttpRequest *request =
		dlist_container(ImpiloHttpRequest, node, iter.cur);

		if (request->body != NULL && request->transfer->given > 0)
			n++;
	}
	return n;
}
