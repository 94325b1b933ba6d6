/*-------------------------------------------------------------------------
 *
 * reconcile.c
 *	  Find what a create request of unknown outcome has created.
 *
 * The API does not recognise a repeated request, so whether a request whose
 * response was lost has created its order can only be read from the list.  An
 * order found there is taken for the request's own only if it cannot be
 * another one:
 *
 * - it has the row's external ids, all of them and no others, and is for the
 *	 same patient or site;
 * - it is not an order that this session is known to have created;
 * - it is not older than the request: the server's options promise that
 *	 external ids are unique; or it was not in the list that was read before
 *	 the first request; or its first event is not before the request was sent,
 *	 by the server's own clock;
 * - it is the only such order, and of one row only.
 *
 * The server's clock is the Date header, plus Age, of a small request made
 * for that.  The header is cut to seconds and a response takes its time, so
 * the time of sending is computed early by up to a second and that time: an
 * order that someone else created with the same ids for the same recipient
 * within that second would be taken for ours.
 *
 * Absence proves nothing: the order may appear later.  The list is searched
 * until reconcile_timeout has passed; the last search begins after that.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/reconcile.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "create/create.h"
#include "read/list.h"

/*
 * Between searches.  A second is sometimes what an API needs to list what it
 * has created; reading the whole list more often than every eight would burden
 * a server that is failing already.
 */
#define SEARCH_DELAY_MS 1000
#define SEARCH_DELAY_MAX_MS 8000

/* orders that one search fetches by id because the list does not show ids */
#define CANDIDATES_MAX 100

/* One search of the list for the rows of unknown outcome. */
typedef struct Search
{
	ImpiloCreator *creator;
	ImpiloCreateAttempt *attempts;
	int			n;
	HTAB	   *rows;			/* of SoughtRows */
	HTAB	   *recipients;		/* of the rows */
	MemoryContext results;		/* for the orders found */
	MemoryContext working;
	bool		needs_clock;	/* the server's clock decides what is older */
	bool		clock_known;
	int64		clock_ahead;	/* server's clock less ours, microseconds */
	bool		shows_ids;		/* some order of the list does */
	int64		candidates[CANDIDATES_MAX]; /* orders that do not, and may be
											 * the ones that are sought */
	int			ncandidates;	/* may exceed CANDIDATES_MAX */
} Search;

/* Rows with the same smallest external id. */
typedef struct SoughtRows
{
	uint64		hash;			/* of the id; the key */
	List	   *attempts;
} SoughtRows;

/* ------------------------------------------------------------------------
 * One search
 * ------------------------------------------------------------------------
 */

static bool
is_sought(const ImpiloCreateAttempt *attempt)
{
	return attempt->state == IMPILO_ORDER_UNKNOWN &&
		attempt->identity.nids > 0;
}

static SoughtRows *
find_rows(const Search *search, const ImpiloIdentity *identity,
		  HASHACTION action, bool *found)
{
	const char *id = identity->ids[0];
	uint64		hash = hash_bytes_extended((const unsigned char *) id,
										   strlen(id), 0);

	return hash_search(search->rows, &hash, action, found);
}

/*
 * Forget what an earlier search has found, or a part of the list.
 */
static void
forget_matches(Search *search)
{
	for (int i = 0; i < search->n; i++)
	{
		search->attempts[i].matches = 0;
		search->attempts[i].match = search->attempts[i].possible_match = 0;
	}
}

static void
begin_search(Search *search)
{
	search->rows = impilo_create_hash("impilo_fdw rows of unknown outcome",
									  sizeof(uint64), sizeof(SoughtRows),
									  search->working);
	search->recipients = impilo_create_hash("impilo_fdw recipients",
											sizeof(uint64), sizeof(uint64),
											search->working);
	search->creator->search_error = NULL;
	search->shows_ids = false;
	search->ncandidates = 0;
	forget_matches(search);
	for (int i = 0; i < search->n; i++)
	{
		ImpiloCreateAttempt *attempt = &search->attempts[i];
		SoughtRows *rows;
		bool		found;

		if (!is_sought(attempt))
			continue;
		rows = find_rows(search, &attempt->identity, HASH_ENTER, &found);
		rows->attempts = lappend(found ? rows->attempts : NIL, attempt);
		hash_search(search->recipients, &attempt->identity.recipient,
					HASH_ENTER, NULL);
	}
}

/*
 * Read the server's clock, once.  The response belongs to `working`.
 */
static void
read_clock(Search *search)
{
	ImpiloCreator *creator = search->creator;
	ImpiloHttpRequest *request;
	int64		date;

	if (search->clock_known || !search->needs_clock)
		return;
	request = impilo_api_get_page(creator->connection->api,
								  search->working, 1, 1, &creator->stats);
	date = impilo_http_wait(request, NULL)->date;
	search->clock_known = date >= 0;
	if (search->clock_known)
		search->clock_ahead = time_t_to_timestamptz((pg_time_t) date) -
			GetCurrentTimestamp();
}

/*
 * Returns whether an order can only have been created after the request was
 * sent.
 */
static bool
is_not_older(const Search *search, const ImpiloCreateAttempt *attempt,
			 const ImpiloIdentity *identity)
{
	const ImpiloCreator *creator = search->creator;
	TimestampTz sent;

	if (creator->connection->options.unique_external_ids)
		return true;
	if (creator->known)
		return !impilo_known_order(creator, identity->id);
	if (!search->clock_known || identity->first_event == DT_NOEND)
		return false;

	/* an event may be stated in whole seconds */
	sent = attempt->sent_at + search->clock_ahead;
	sent -= ((sent % USECS_PER_SEC) + USECS_PER_SEC) % USECS_PER_SEC;
	return identity->first_event >= sent;
}

/*
 * Note that orders could not be read, so that nothing is settled: a match
 * among the others would not be known to be the only one.
 */
static void
note_error(Search *search, const ImpiloApiError *error)
{
	search->creator->search_error = MemoryContextStrdup(search->results,
														error->message);
}

/*
 * Fetch an order by its id, as the list may show less of it.  Returns false if
 * that fails or the order does not exist any more.  The order belongs to the
 * current memory context.
 */
static bool
fetch_order(Search *search, int64 id, ImpiloOrder *order,
			ImpiloIdentity *identity)
{
	ImpiloApi  *api = search->creator->connection->api;
	ImpiloHttpRequest *request = impilo_api_get_order(api, CurrentMemoryContext,
													  id, &search->creator->stats);
	ImpiloOrder fetched;
	ImpiloApiError error;

	if (!impilo_api_order(api, request, id, &fetched, &error))
	{
		if (error.message)
			note_error(search, &error);
		return false;
	}
	*order = fetched;
	impilo_identify(order, identity);
	return true;
}

/*
 * Note an order with the attempt whose ids and recipient it has.
 */
static void
note_match(Search *search, ImpiloCreateAttempt *attempt,
		   const ImpiloIdentity *identity, const ImpiloOrder *order)
{
	if (!is_not_older(search, attempt, identity) || ++attempt->matches > 1)
	{
		attempt->possible_match = identity->id;
		return;
	}
	attempt->match = identity->id;
	attempt->order = *order;
	attempt->order.request = MemoryContextStrdup(search->results,
												 order->request);
	if (search->creator->keep_documents)
	{
		size_t		length = order->document.length;
		char	   *copy = MemoryContextAllocHuge(search->results, length + 1);

		memcpy(copy, order->document.data, length);
		copy[length] = '\0';
		attempt->order.document.data = copy;
	}
	else
		memset(&attempt->order.document, 0, sizeof(ImpiloJsonSlice));
}

/*
 * Returns whether an order has the external ids of a row, all of them and no
 * others, and its recipient.
 */
static bool
is_same(const ImpiloIdentity *order, const ImpiloIdentity *row)
{
	return order->nids == row->nids && order->recipient == row->recipient &&
		impilo_common_ids(order, row) == row->nids;
}

/*
 * Compare an order with the rows that are sought.  If its events are needed
 * but not shown, as in the short elements of a list, it is fetched.
 */
static void
match_order(Search *search, ImpiloOrder order, ImpiloIdentity identity)
{
	bool		fetch = search->needs_clock && identity.first_event == DT_NOEND;
	SoughtRows *rows = find_rows(search, &identity, HASH_FIND, NULL);
	ListCell   *lc;

	foreach(lc, rows ? rows->attempts : NIL)
	{
		ImpiloCreateAttempt *attempt = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (!is_same(&identity, &attempt->identity))
			continue;
		if (fetch && fetch_order(search, order.id, &order, &identity) &&
			!is_same(&identity, &attempt->identity))
			return;
		fetch = false;
		note_match(search, attempt, &identity, &order);
	}
}

/*
 * Look at one order of the list.
 */
static void
look_at_order(Search *search, const ImpiloOrder *order)
{
	const ImpiloCreator *creator = search->creator;
	ImpiloIdentity identity;

	impilo_identify(order, &identity);
	search->shows_ids |= identity.shows_ids;
	if (impilo_journal_find(creator->connection, order->id))
		return;
	if (identity.nids > 0)
		match_order(search, *order, identity);
	if (identity.shows_ids || impilo_known_order(creator, order->id) ||
		(identity.recipient != 0 &&
		 !hash_search(search->recipients, &identity.recipient, HASH_FIND, NULL)))
		return;
	if (search->ncandidates < CANDIDATES_MAX)
		search->candidates[search->ncandidates] = order->id;
	search->ncandidates++;
}

/*
 * Fetch the orders that may be the ones that are sought, from a list that
 * does not show external ids.  If they are too many, none is, for the reason
 * given at note_error.
 */
static void
fetch_candidates(Search *search, MemoryContext order_context)
{
	if (search->shows_ids || search->ncandidates > CANDIDATES_MAX)
		return;
	MemoryContextSwitchTo(order_context);
	for (int i = 0; i < search->ncandidates && !search->creator->search_error; i++)
	{
		ImpiloOrder order;
		ImpiloIdentity identity;

		MemoryContextReset(order_context);
		if (fetch_order(search, search->candidates[i], &order, &identity) &&
			identity.nids > 0)
			match_order(search, order, identity);
	}
}

/*
 * Settle the attempts after the whole list was read: an order that was found
 * for one of them only is its order.
 */
static void
settle(Search *search)
{
	ImpiloCreateAttempt *end = search->attempts + search->n;

	for (ImpiloCreateAttempt *attempt = search->attempts; attempt < end; attempt++)
	{
		if (attempt->matches != 1)
			continue;
		/* not often: a failing server keeps the others from being sent */
		for (ImpiloCreateAttempt *other = search->attempts; other < end; other++)
		{
			if (other != attempt && other->matches == 1 &&
				other->match == attempt->match)
				attempt->possible_match = attempt->match;
		}
		if (attempt->possible_match == attempt->match)
			continue;
		attempt->state = IMPILO_ORDER_CREATED;
		impilo_journal_created(attempt->entry, attempt->match);
		search->creator->connection->stats->created++;
	}
}

/*
 * Read the list once, to its end, and settle the attempts found in it.  If
 * the list or an order of it cannot be read, nothing is settled, and
 * creator->search_error says why.  Returns how many attempts that can be
 * sought are left.
 */
static int
search_list(Search *search)
{
	ImpiloCreator *creator = search->creator;
	MemoryContext caller = MemoryContextSwitchTo(search->working);
	MemoryContext order_context = AllocSetContextCreate(search->working,
														"impilo_fdw order identity",
														ALLOCSET_SMALL_SIZES);
	ImpiloList *list;
	ImpiloOrder order;
	ImpiloApiError error;
	int			left = 0;

	begin_search(search);
	read_clock(search);
	list = impilo_list_open(creator->connection->api, search->working,
							creator->fetch_size, creator->max_concurrency,
							true, &creator->stats, NULL);
	while (impilo_list_next(list, &order, &error))
	{
		MemoryContextReset(order_context);
		MemoryContextSwitchTo(order_context);
		look_at_order(search, &order);
		MemoryContextSwitchTo(search->working);
	}
	if (error.message)
		note_error(search, &error);
	else
		fetch_candidates(search, order_context);
	if (creator->search_error)
		forget_matches(search);
	else
		settle(search);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(search->working);
	for (int i = 0; i < search->n; i++)
		left += is_sought(&search->attempts[i]);
	return left;
}

/* ------------------------------------------------------------------------
 * All searches of a batch
 * ------------------------------------------------------------------------
 */

/*
 * impilo_reconcile
 *		Search the list for the orders of unknown outcome, until all are found
 *		or reconcile_timeout has passed.  Returns how many are left unknown.
 *
 * The orders found belong to the current memory context.
 */
int
impilo_reconcile(ImpiloCreator *creator, ImpiloCreateAttempt *attempts, int n)
{
	const ImpiloConnection *connection = creator->connection;
	int			timeout = connection->options.reconcile_timeout;
	Search		search = {
		.creator = creator,
		.attempts = attempts,
		.n = n,
		.needs_clock = creator->known == NULL &&
		!connection->options.unique_external_ids,
		.results = CurrentMemoryContext
	};
	long		delay = SEARCH_DELAY_MS;
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	int			sought = 0;
	int			unknown = 0;

	for (int i = 0; i < n; i++)
	{
		impilo_identify_row(attempts[i].row, &attempts[i].identity);
		sought += is_sought(&attempts[i]);
	}
	if (sought > 0)
		ereport(NOTICE,
				(errmsg_plural("searching the list of server \"%s\" for %d order of unknown outcome",
							   "searching the list of server \"%s\" for %d orders of unknown outcome",
							   sought, connection->server_name, sought),
				 errdetail("Option \"reconcile_timeout\" limits the search to %g s.",
						   timeout / 1000.0)));

	search.working = AllocSetContextCreate(CurrentMemoryContext,
										   "impilo_fdw search",
										   ALLOCSET_DEFAULT_SIZES);
	while (sought > 0)
	{
		TimestampTz begin = GetCurrentTimestamp();
		TimestampTz next;

		sought = search_list(&search);
		if (sought == 0 || begin >= end)
			break;
		next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
		impilo_sleep_until(Min(next, Max(end, GetCurrentTimestamp())));
		delay = Min(delay * 2, SEARCH_DELAY_MAX_MS);
	}
	MemoryContextDelete(search.working);
	for (int i = 0; i < n; i++)
		unknown += attempts[i].state == IMPILO_ORDER_UNKNOWN;
	return unknown;
}
