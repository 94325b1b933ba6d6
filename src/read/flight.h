/*-------------------------------------------------------------------------
 *
 * flight.h
 *	  Requests in flight, taken in the order in which they were asked.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/read/flight.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_FLIGHT_H
#define IMPILO_FLIGHT_H

#include "http/http.h"

/* How one is asked; what it takes is allocated in CurrentMemoryContext. */
typedef ImpiloHttpRequest *(*ImpiloFlightAsk) (void *arg, int64 number);

typedef struct ImpiloAsked
{
	MemoryContext context;		/* its own; NULL: there is none */
	ImpiloHttpRequest *request;
	int64		number;			/* of the page, or id of the order */
	bool		in_order;		/* asked when all before it had been taken */
	double		away;			/* that of the flight when it was asked */
} ImpiloAsked;

/* Only `time_left` is for others to set, `count` and `taken` to read. */
typedef struct ImpiloFlight
{
	MemoryContext context;
	ImpiloHttpClient *client;
	ImpiloFlightAsk ask;
	void	   *arg;
	int64		time_left;		/* microseconds that it may wait in all; at
								 * first IMPILO_HTTP_FOREVER */
	ImpiloAsked *ring;
	int			size;			/* of the ring */
	int			first;			/* the oldest one in it */
	int			count;			/* in flight */
	ImpiloAsked taken;			/* the one whose answer is at hand */
	instr_time	left;			/* when its caller was left last */
	double		away;			/* seconds in all that nobody waited */
	double		attended;		/* of these, as many do no harm */
} ImpiloFlight;

/* in flight.c */

extern void impilo_flight_begin(ImpiloFlight *flight, MemoryContext context,
								ImpiloHttpClient *client, int size,
								ImpiloFlightAsk ask, void *arg);
extern bool impilo_flight_has_room(const ImpiloFlight *flight, int window);
extern void impilo_flight_ask(ImpiloFlight *flight, int64 number);
extern const ImpiloAsked *impilo_flight_wait(ImpiloFlight *flight);
extern void impilo_flight_ask_again(ImpiloFlight *flight);
extern void impilo_flight_take(ImpiloFlight *flight);
extern void impilo_flight_forget_taken(ImpiloFlight *flight);
extern void impilo_flight_forget_all(ImpiloFlight *flight);
extern void impilo_flight_leave(ImpiloFlight *flight);
extern void impilo_flight_return(ImpiloFlight *flight);

#endif							/* IMPILO_FLIGHT_H */
