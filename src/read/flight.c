/*-------------------------------------------------------------------------
 *
 * flight.c
 *	  Requests in flight, taken in the order in which they were asked.
 *
 * A ring of requests: new ones are asked at its end, answers are taken from
 * its head, so that what comes out has the order of what went in, however the
 * answers arrive.  Each request has a memory context of its own, which goes
 * when the answer is used up.
 *
 * While a caller does not want rows (a cursor, a slow statement around), its
 * requests in flight are not attended to, and may fail for that reason alone.
 * Such a one is asked once more when its turn comes.  What counts is the sum
 * of all absences since it was asked, short as each may be: what is done for
 * it in between may be no more than to find that its time is over.
 *
 * Not here: what is asked, and what an answer means.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/flight.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "read/flight.h"

/*
 * Nobody loses an answer by being away for less than so many seconds in all,
 * and less than this part of the shorter time-out.
 */
#define ATTENDED_SECONDS 1.0
#define ATTENDED_PART 0.5

/*
 * impilo_flight_begin
 *		Nothing is in flight.
 *
 * At most `size` requests will be, by `ask`, to which `arg` is passed.  They
 * belong to `context`.
 */
void
impilo_flight_begin(ImpiloFlight *flight, MemoryContext context,
					ImpiloHttpClient *client, int size,
					ImpiloFlightAsk ask, void *arg)
{
	memset(flight, 0, sizeof(*flight));
	flight->context = context;
	flight->client = client;
	flight->attended = Min(ATTENDED_SECONDS, ATTENDED_PART *
						   impilo_http_shorter_timeout(client) / 1000);
	flight->size = size;
	flight->ask = ask;
	flight->arg = arg;
	flight->time_left = IMPILO_HTTP_FOREVER;
	flight->ring = MemoryContextAllocZero(context, sizeof(ImpiloAsked) * size);
}

/* The n-th of those in flight. */
static ImpiloAsked *
ahead(const ImpiloFlight *flight, int n)
{
	return &flight->ring[(flight->first + n) % flight->size];
}

static void
start(ImpiloFlight *flight, ImpiloAsked *asked, int64 number)
{
	MemoryContext caller;

	asked->number = number;
	asked->away = flight->away;
	asked->context = AllocSetContextCreate(flight->context,
										   "impilo_fdw request",
										   ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(asked->context);
	asked->request = flight->ask(flight->arg, number);
	MemoryContextSwitchTo(caller);
}

static void
forget(ImpiloAsked *asked)
{
	if (asked->context)
		MemoryContextDelete(asked->context);
	memset(asked, 0, sizeof(*asked));
}

static void
drop_head(ImpiloFlight *flight)
{
	flight->first = (flight->first + 1) % flight->size;
	flight->count--;
}

/*
 * impilo_flight_has_room
 *		May one more be asked, where `window` are wanted in flight?
 */
bool
impilo_flight_has_room(const ImpiloFlight *flight, int window)
{
	window = Min(window, flight->size);
	return flight->count < impilo_http_in_flight_limit(flight->client, window);
}

/*
 * impilo_flight_ask
 *		Ask one more; there has to be room for it.
 */
void
impilo_flight_ask(ImpiloFlight *flight, int64 number)
{
	ImpiloAsked *asked = ahead(flight, flight->count);

	asked->in_order = flight->count == 0;
	start(flight, asked, number);
	flight->count++;
}

/*
 * impilo_flight_ask_again
 *		Ask the one at the head again: all before it have been taken now.
 */
void
impilo_flight_ask_again(ImpiloFlight *flight)
{
	ImpiloAsked *head = ahead(flight, 0);
	int64		number = head->number;

	forget(head);
	head->in_order = true;
	start(flight, head, number);
}

/*
 * impilo_flight_leave
 *		A row is handed out: nobody waits until impilo_flight_return.
 */
void
impilo_flight_leave(ImpiloFlight *flight)
{
	INSTR_TIME_SET_CURRENT(flight->left);
}

/*
 * impilo_flight_return
 *		The caller wants the next row.
 */
void
impilo_flight_return(ImpiloFlight *flight)
{
	instr_time	now;

	if (INSTR_TIME_IS_ZERO(flight->left))
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, flight->left);
	INSTR_TIME_SET_ZERO(flight->left);
	flight->away += INSTR_TIME_GET_DOUBLE(now);
}

/* Has it failed in a way that may have to do with nobody waiting for it? */
static bool
has_suffered(const ImpiloFlight *flight, const ImpiloAsked *asked)
{
	const ImpiloHttpReply *reply = impilo_http_reply(asked->request);

	if (flight->away - asked->away < flight->attended)
		return false;
	switch (reply->outcome)
	{
		case IMPILO_HTTP_ANSWERED:
			return reply->status == 429 || reply->status >= 500;
		case IMPILO_HTTP_UNREACHABLE:
		case IMPILO_HTTP_TIMED_OUT:
		case IMPILO_HTTP_LOST:
		case IMPILO_HTTP_CUT:
			return true;
		case IMPILO_HTTP_FORBIDDEN:
		case IMPILO_HTTP_TOO_LARGE:
			break;
	}
	return false;
}

/*
 * impilo_flight_wait
 *		Wait for the one at the head; NULL if time_left is used up before.
 *
 * It stays there until it is taken, asked again, or all are forgotten.
 */
const ImpiloAsked *
impilo_flight_wait(ImpiloFlight *flight)
{
	ImpiloAsked *head = ahead(flight, 0);

	Assert(flight->count > 0);
	if (!impilo_http_wait_within(head->request, &flight->time_left))
		return NULL;
	if (has_suffered(flight, head))
	{
		impilo_flight_ask_again(flight);
		if (!impilo_http_wait_within(head->request, &flight->time_left))
			return NULL;
	}
	return head;
}

/*
 * impilo_flight_take
 *		Take the answer at the head, which has been waited for, to `taken`.
 *
 * It is there until it is forgotten, which has to be before the next one is
 * taken.
 */
void
impilo_flight_take(ImpiloFlight *flight)
{
	ImpiloAsked *head = ahead(flight, 0);

	Assert(flight->taken.context == NULL);
	flight->taken = *head;
	memset(head, 0, sizeof(*head));
	drop_head(flight);
}

/*
 * impilo_flight_forget_taken
 *		Free the answer at hand, if there is one.
 */
void
impilo_flight_forget_taken(ImpiloFlight *flight)
{
	forget(&flight->taken);
}

/*
 * impilo_flight_forget_all
 *		Give up what is in flight.
 */
void
impilo_flight_forget_all(ImpiloFlight *flight)
{
	while (flight->count > 0)
	{
		forget(ahead(flight, 0));
		drop_head(flight);
	}
}
