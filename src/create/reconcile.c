/*-------------------------------------------------------------------------
 *
 * reconcile.c
 *	  Finds in the list what a create request of unknown outcome created.
 *
 * The API does not recognise a repeated request, so whether a request whose
 * answer was lost has created its order can only be read from the list.  An
 * order found there is taken for the request's own only if it cannot be
 * another one:
 *
 * - it has the row's external ids, all of them and no others, and is for the
 *	 same patient or site (match.c);
 * - it is no order that this session is known to have created;
 * - it is not older than the request: the server's options promise that
 *	 external ids are never used again; or it was not in the list that was read
 *	 before the first request; or its first event is not before the request
 *	 was sent, by the server's own clock;
 * - it is the only such order, and of one request only.
 *
 * The server's clock is read from the Date header of a small request made for
 * that.  The header is cut to seconds and an answer takes its time, so what
 * is computed as the time of sending is early by up to a second and that
 * time: an order that somebody else created with the same ids for the same
 * recipient within that second would be taken for ours.
 *
 * Not found proves nothing: the order may appear later.  How often to look
 * is decided above (create.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/reconcile.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "create/conflict.h"
#include "create/match.h"
#include "create/reconcile.h"
#include "read/list.h"

/* One look-up. */
typedef struct Lookup
{
	const ImpiloCreateTarget *target;
	ImpiloPosting *postings;
	int			n;
	ImpiloHttpStats *stats;
	MemoryContext results;		/* for what is found */
	MemoryContext working;		/* for the look-up itself */
	bool		clock_known;
	int64		clock_ahead;	/* server's clock less ours, microseconds */
} Lookup;

static bool
is_sought(const ImpiloPosting *posting)
{
	return posting->state == IMPILO_POSTING_UNKNOWN &&
		posting->draft->nids > 0;
}

/*
 * Ask for the time that the server has.
 */
static void
read_clock(Lookup *lookup)
{
	ImpiloHttpRequest *request;
	int64		date;

	request = impilo_api_get_page(lookup->target->connection->api,
								  lookup->working, 1, 1, lookup->stats);
	impilo_http_wait(request);
	date = impilo_http_reply(request)->date;
	lookup->clock_known = date >= 0;
	if (lookup->clock_known)
		lookup->clock_ahead = time_t_to_timestamptz((pg_time_t) date) -
			GetCurrentTimestamp();
	impilo_http_release(request);
}

/*
 * Can the order only have been created after the request was sent?
 */
static bool
is_not_older(const Lookup *lookup, const ImpiloPosting *posting,
			 const ImpiloIdentity *identity)
{
	const ImpiloCreateTarget *target = lookup->target;
	TimestampTz sent;

	if (target->connection->options.unique_external_ids)
		return true;
	if (target->before)
		return !impilo_existing_has(target->before, identity->id);
	if (!lookup->clock_known || identity->first_event == DT_NOEND)
		return false;

	/* an event may be told in whole seconds */
	sent = posting->started_at + lookup->clock_ahead;
	sent -= ((sent % USECS_PER_SEC) + USECS_PER_SEC) % USECS_PER_SEC;
	return identity->first_event >= sent;
}

/*
 * Note an order with a posting whose ids and recipient it has.
 */
static void
note_match(Lookup *lookup, ImpiloPosting *posting,
		   const ImpiloIdentity *identity, const ImpiloOrder *order)
{
	char	   *copy;

	if (!is_not_older(lookup, posting, identity))
	{
		posting->doubtful = identity->id;
		return;
	}
	posting->matches++;
	if (posting->matches > 1)
	{
		posting->doubtful = identity->id;
		return;
	}
	copy = MemoryContextAllocHuge(lookup->results, order->document.length + 1);
	memcpy(copy, order->document.data, order->document.length);
	copy[order->document.length] = '\0';
	posting->match = identity->id;
	posting->order = *order;
	posting->order.document.data = copy;
	posting->order.request = MemoryContextStrdup(lookup->results,
												 order->request);
}

static void
compare_order(Lookup *lookup, const ImpiloOrder *order)
{
	ImpiloIdentity identity;

	impilo_identify(order, &identity);
	for (int i = 0; i < lookup->n; i++)
	{
		ImpiloPosting *posting = &lookup->postings[i];

		if (is_sought(posting) &&
			impilo_common_ids(&identity, posting->draft) == posting->draft->nids &&
			impilo_same_recipient(&identity, posting->draft) &&
			!impilo_journal_knows(lookup->target->connection->serverid, order->id))
			note_match(lookup, posting, &identity, order);
	}
}

static void
read_list(Lookup *lookup)
{
	const ImpiloCreateTarget *target = lookup->target;
	MemoryContext order_context;
	MemoryContext caller;
	ImpiloList *list;
	ImpiloOrder order;

	read_clock(lookup);
	order_context = AllocSetContextCreate(lookup->working,
										  "impilo_fdw order identity",
										  ALLOCSET_SMALL_SIZES);
	list = impilo_list_open(target->connection->api, lookup->working,
							target->fetch_size, target->max_concurrency,
							true, lookup->stats);
	while (impilo_list_next(list, &order, NULL))
	{
		MemoryContextReset(order_context);
		caller = MemoryContextSwitchTo(order_context);
		compare_order(lookup, &order);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Is the order that was found for this posting found for another one, too?
 */
static bool
is_shared(const Lookup *lookup, const ImpiloPosting *posting)
{
	for (int i = 0; i < lookup->n; i++)
	{
		const ImpiloPosting *other = &lookup->postings[i];

		if (other != posting && other->matches > 0 &&
			other->match == posting->match)
			return true;
	}
	return false;
}

static void
settle(Lookup *lookup)
{
	for (int i = 0; i < lookup->n; i++)
	{
		ImpiloPosting *posting = &lookup->postings[i];

		if (!is_sought(posting) || posting->matches == 0)
			continue;
		if (posting->matches == 1 && !is_shared(lookup, posting))
		{
			posting->state = IMPILO_POSTING_DONE;
			impilo_journal_created(posting->entry, posting->match);
		}
		else if (posting->matches == 1)
			posting->doubtful = posting->match;
	}
}

/*
 * What a part of the list says is no result.
 */
static void
forget_matches(Lookup *lookup)
{
	for (int i = 0; i < lookup->n; i++)
	{
		lookup->postings[i].matches = 0;
		lookup->postings[i].match = 0;
		lookup->postings[i].doubtful = 0;
	}
}

/*
 * Does this error have to go on?  A cancel, the end of the server, and what
 * is wrong with this backend itself; but not trouble with the network or the
 * API.
 */
static bool
is_fatal(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_OPERATOR_INTERVENTION ||
		class == ERRCODE_INTERNAL_ERROR ||
		sqlstate == ERRCODE_OUT_OF_MEMORY;
}

/*
 * impilo_outcome_find
 *		Read the list once, to its end, and settle the postings found in it.
 *
 * Looks for the postings of unknown outcome that have external ids.  Those
 * found are done: their orders are palloc'd in the current memory context.
 * If the list can not be read they stay unknown, and the result is false: no
 * error is raised except for a cancel and the like.
 */
bool
impilo_outcome_find(const ImpiloCreateTarget *target, ImpiloPosting *postings,
					int n, ImpiloHttpStats *stats)
{
	MemoryContext caller = CurrentMemoryContext;
	Lookup		lookup = {
		.target = target,
		.postings = postings,
		.n = n,
		.stats = stats,
		.results = caller
	};
	volatile bool read = false;

	forget_matches(&lookup);
	lookup.working = AllocSetContextCreate(caller, "impilo_fdw look-up",
										   ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		MemoryContextSwitchTo(lookup.working);
		read_list(&lookup);
		read = true;
		MemoryContextSwitchTo(caller);
		settle(&lookup);
	}
	PG_CATCH();
	{
		/* reading holds nothing but memory, so going on is safe */
		MemoryContextSwitchTo(caller);
		if (is_fatal(geterrcode()))
			PG_RE_THROW();
		FlushErrorState();
		forget_matches(&lookup);
	}
	PG_END_TRY();
	MemoryContextDelete(lookup.working);
	return read;
}
