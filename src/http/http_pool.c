/*-------------------------------------------------------------------------
 *
 * http_pool.c
 *	  Transfers on loan: taken, given back, given up.
 *
 * An easy handle and the memory of an answer are kept for the next request: a
 * scan of large pages then needs no new memory for each.  A transfer belongs
 * to its pool; a request has it on loan, and reads its reply in it until it
 * gives it back.
 *
 * A transfer can be given up while it runs.  Before 7.87 libcurl would then
 * wait for a look-up of its name to end, for seconds; such a transfer is left
 * to itself instead: its callbacks refuse it a socket and a body, and when it
 * has ended it is a spare one.  (Closing the pool still waits there.)
 *
 * Not here: what a transfer does (http.c), who borrows (http_request.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http_pool.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "http/http_private.h"


/*
 * Spare transfers kept while requests are made, and once there are none.  A
 * transfer costs libcurl's receive buffer, 256 kB, and up to SPARE_BODY bytes.
 */
#define SPARE_TRANSFERS 16
#define SPARE_TRANSFERS_AT_REST 1
#define SPARE_BODY (1024 * 1024)

/*
 * Make a pool in `context`.
 *
 * It is stored in *holder before anything is acquired, so that whoever closes
 * what is there has no leak if this throws: no memory, or a configuration that
 * this libcurl cannot do.
 */
void
impilo_http_pool_open(ImpiloHttpPool **holder, MemoryContext context,
					  const ImpiloHttpConfig *config)
{
	ImpiloHttpPool *pool = MemoryContextAllocZero(context, sizeof(*pool));
	ImpiloHttpTransfer *transfer;
	const char *why;

	dlist_init(&pool->running);
	pool->timer = INT64_MAX;
	pool->config = *config;
	pool->config.headers = NULL;
	pool->config.user_agent = MemoryContextStrdup(context, config->user_agent);
	if (config->ca_file)
		pool->config.ca_file = MemoryContextStrdup(context, config->ca_file);
	if (config->proxy)
		pool->config.proxy = MemoryContextStrdup(context, config->proxy);
	*holder = pool;

	impilo_http_pool_make_handles(pool, config->headers);
	transfer = impilo_http_transfer_make(pool, &why);
	if (transfer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not set up libcurl"),
				 errdetail("%s says: %s.", impilo_http_library().parts, why)));
	impilo_http_transfer_release(transfer);
}

/*
 * A transfer to be filled in and started; released by the caller.  Does not
 * throw: NULL if there is no memory.
 */
ImpiloHttpTransfer *
impilo_http_transfer_take(ImpiloHttpPool *pool)
{
	ImpiloHttpTransfer *transfer = pool->spare;
	const char *why;

	if (transfer == NULL)
		return impilo_http_transfer_make(pool, &why);
	pool->spare = transfer->next;
	pool->nspare--;
	return transfer;
}

/*
 * Give a transfer back to its pool, answer and all; one that runs is given
 * up.  Does not throw.
 */
void
impilo_http_transfer_release(ImpiloHttpTransfer *transfer)
{
	ImpiloHttpPool *pool = transfer->pool;

	/*
	 * From 8.7 on libcurl may be left with a rewind to do before the next
	 * request of the handle, after one that ended early.  There is none.
	 */
	bool		spoilt = transfer->running ||
	transfer->given < transfer->length ||
	transfer->outcome != IMPILO_HTTP_ANSWERED;

	transfer->request = NULL;
	if (pool != NULL && transfer->running)
	{
		if (impilo_http_transfer_stops_late(transfer))
			return;
		impilo_http_transfer_stop(transfer);
	}
	if (pool == NULL || spoilt || pool->nspare >= SPARE_TRANSFERS)
	{
		impilo_http_transfer_free(transfer);
		return;
	}
	impilo_answer_shrink(&transfer->answer, SPARE_BODY);
	transfer->next = pool->spare;
	pool->spare = transfer;
	pool->nspare++;
}

/*
 * The pool is about to be closed: part with it, keep the answer; one that
 * runs is given up.  To be released all the same.  Does not throw.
 */
void
impilo_http_transfer_orphan(ImpiloHttpTransfer *transfer)
{
	if (transfer->running)
		impilo_http_transfer_stop(transfer);
	impilo_http_transfer_free_handle(transfer);
	transfer->pool = NULL;
}

/*
 * Why there is no answer: `failure`, unless we know better because it was us
 * who refused.  Does not throw.
 */
void
impilo_http_transfer_explain(ImpiloHttpTransfer *transfer,
							 const char *failure)
{
	const ImpiloAnswer *answer = &transfer->answer;

	if (answer->body_too_large || answer->header_too_large)
	{
		transfer->outcome = IMPILO_HTTP_TOO_LARGE;
		failure = answer->body_too_large ? "the body is too large" :
			"the header is too large";
	}
	else if (answer->no_memory)
	{
		transfer->outcome = IMPILO_HTTP_LOST;
		failure = "out of memory";
	}
	else if (transfer->not_loopback &&
			 transfer->outcome == IMPILO_HTTP_UNREACHABLE)
	{
		transfer->outcome = IMPILO_HTTP_FORBIDDEN;
		failure = "plain http is for loopback addresses only";
	}
	else if (transfer->no_socket &&
			 transfer->outcome == IMPILO_HTTP_UNREACHABLE)
		failure = "too many open files";
	if (transfer->outcome == IMPILO_HTTP_TOO_LARGE ||
		transfer->outcome == IMPILO_HTTP_FORBIDDEN || answer->no_memory)
		transfer->hopeless = true;
	strlcpy(transfer->failure, failure, sizeof(transfer->failure));
	impilo_answer_clean(transfer->failure);
}

/*
 * How long the parts of the last attempt took.  libcurl counts each from the
 * start, and gives 0 for what did not happen.
 */
ImpiloHttpTimes
impilo_http_transfer_times(const ImpiloHttpTransfer *transfer)
{
	const ImpiloHttpTimes *until = &transfer->times;
	ImpiloHttpTimes took = {.total = until->total};

	took.lookup = until->lookup > 0 ? until->lookup : -1;
	took.connect = until->connect > 0 ? until->connect - until->lookup : -1;
	took.tls = until->tls > 0 ? until->tls - until->connect : -1;
	took.answer = transfer->status == 0 ? -1
		: until->answer - Max(until->tls, until->connect);
	return took;
}

/*
 * The next transfer of a request that has ended since the last call, or NULL.
 * It is on loan still, to be started once more or released.  Does not throw.
 */
ImpiloHttpTransfer *
impilo_http_pool_ended(ImpiloHttpPool *pool)
{
	ImpiloHttpTransfer *transfer;

	while ((transfer = impilo_http_pool_next_ended(pool)) != NULL &&
		   transfer->request == NULL)
		impilo_http_transfer_release(transfer);
	return transfer;
}

static void
trim_spare(ImpiloHttpPool *pool, int most)
{
	while (pool->nspare > most)
	{
		ImpiloHttpTransfer *transfer = pool->spare;

		pool->spare = transfer->next;
		pool->nspare--;
		impilo_http_transfer_free(transfer);
	}
}

/* No request is left for now: keep little memory.  Does not throw. */
void
impilo_http_pool_rest(ImpiloHttpPool *pool)
{
	trim_spare(pool, SPARE_TRANSFERS_AT_REST);
}

/*
 * Free all but the pool's own palloc'd memory.  The transfers on loan have
 * parted before; what still runs is wanted by nobody.  Does not throw.
 */
void
impilo_http_pool_close(ImpiloHttpPool *pool)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->running)
	{
		ImpiloHttpTransfer *transfer =
		dlist_container(ImpiloHttpTransfer, node, iter.cur);

		impilo_http_transfer_stop(transfer);
		impilo_http_transfer_free(transfer);
	}
	trim_spare(pool, 0);
	impilo_http_pool_free_handles(pool);
	impilo_wait_free(&pool->sockets);
}
