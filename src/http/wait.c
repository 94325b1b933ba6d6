/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Wait for sockets, for a time, and for a cancel, all at once.
 *
 * Every wait of this extension for the network happens here, on a
 * WaitEventSet that holds the sockets together with the process latch: so a
 * cancel, a statement_timeout or a shutdown ends any of them at once, and
 * pg_stat_activity shows that the backend waits and for whom.
 *
 * A set is built for each wait.  Sockets come and go with each step of a
 * connection, and the few system calls are small beside a network's round
 * trip; a set that was kept would have to be told of every closed socket
 * before the kernel gives its number to another.
 *
 * Not here: whose sockets these are, and what happens when they are ready.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/wait.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <poll.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "http/wait.h"


/* so many events are taken at once; the rest show up at the next wait */
#define EVENTS_AT_ONCE 32

/* to begin with; each request in flight needs one or two */
#define FIRST_SIZE 16

static bool
enlarge(ImpiloSockets *sockets)
{
	int			size = Max(sockets->size * 2, FIRST_SIZE);
	struct pollfd *grown;

	grown = realloc(sockets->watched, size * sizeof(struct pollfd));
	if (grown == NULL)
		return false;
	sockets->watched = grown;
	grown = realloc(sockets->ready, size * sizeof(struct pollfd));
	if (grown == NULL)
		return false;
	sockets->ready = grown;
	sockets->size = size;
	return true;
}

/*
 * Watch a socket for POLLIN, POLLOUT, both or (for now) nothing; if it is
 * watched already, for these from now on.
 *
 * Fit for a libcurl callback: does not throw.  False if there is no memory.
 */
bool
impilo_wait_watch(ImpiloSockets *sockets, int fd, short events)
{
	int			i;

	for (i = 0; i < sockets->nwatched; i++)
	{
		if (sockets->watched[i].fd == fd)
			break;
	}
	if (i == sockets->nwatched)
	{
		if (i == sockets->size && !enlarge(sockets))
			return false;
		sockets->nwatched++;
	}
	sockets->watched[i].fd = fd;
	sockets->watched[i].events = events;
	sockets->watched[i].revents = 0;
	return true;
}

/* Stop watching a socket.  Fit for a libcurl callback: does not throw. */
void
impilo_wait_forget(ImpiloSockets *sockets, int fd)
{
	for (int i = 0; i < sockets->nwatched; i++)
	{
		if (sockets->watched[i].fd == fd)
		{
			sockets->watched[i] = sockets->watched[--sockets->nwatched];
			return;
		}
	}
}

/* Give the memory back; the struct stays usable.  Does not throw. */
void
impilo_wait_free(ImpiloSockets *sockets)
{
	free(sockets->watched);
	free(sockets->ready);
	memset(sockets, 0, sizeof(*sockets));
}

/*
 * Which of the sockets are ready?  Never waits and does not throw.
 *
 * Returns how many, and leaves them in `ready` with `revents` of poll(2).
 */
int
impilo_wait_look(ImpiloSockets *sockets)
{
	sockets->nready = 0;
	if (sockets->nwatched == 0 ||
		poll(sockets->watched, sockets->nwatched, 0) <= 0)
		return 0;
	for (int i = 0; i < sockets->nwatched; i++)
	{
		/* an error shows up even where nothing is waited for: no use then */
		if (sockets->watched[i].events != 0 &&
			sockets->watched[i].revents != 0)
			sockets->ready[sockets->nready++] = sockets->watched[i];
	}
	return sockets->nready;
}

static void
add_sockets(WaitEventSet *set, ImpiloSockets *sockets)
{
	for (int i = 0; i < sockets->nwatched; i++)
	{
		struct pollfd *watched = &sockets->watched[i];
		uint32		events = 0;

		if (watched->events & POLLIN)
			events |= WL_SOCKET_READABLE;
		if (watched->events & POLLOUT)
			events |= WL_SOCKET_WRITEABLE;
		if (events != 0)
			AddWaitEventToSet(set, events, watched->fd, NULL, watched);
	}
}

static void
wait_for_set(WaitEventSet *set, ImpiloSockets *sockets, long timeout_ms)
{
	static uint32 wait_event = 0;
	WaitEvent	events[EVENTS_AT_ONCE];
	int			n;

	if (wait_event == 0)
		wait_event = ImpiloWaitEvent("ImpiloFdwRequest");
	n = WaitEventSetWait(set, timeout_ms, events, EVENTS_AT_ONCE, wait_event);
	for (int i = 0; i < n; i++)
	{
		struct pollfd *watched = (struct pollfd *) events[i].user_data;
		struct pollfd *ready;

		if (watched == NULL)
			continue;
		ready = &sockets->ready[sockets->nready++];
		*ready = *watched;
		ready->revents =
			((events[i].events & WL_SOCKET_READABLE) ? POLLIN : 0) |
			((events[i].events & WL_SOCKET_WRITEABLE) ? POLLOUT : 0);
	}
}

/*
 * Wait until a socket is ready, the time is up (milliseconds; -1: no limit)
 * or somebody wakes this backend.
 *
 * Returns as impilo_wait_look does.  Throws what an interrupt throws, first
 * of all a cancel.
 */
int
impilo_wait_sleep(ImpiloSockets *sockets, long timeout_ms)
{
	WaitEventSet *set;

	sockets->nready = 0;

	/* before PostgreSQL 17 no resource owner closes the kernel's object */
	set = ImpiloCreateWaitEventSet(sockets->nwatched + 2);
	PG_TRY();
	{
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		if (IsUnderPostmaster)
			AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET,
							  NULL, NULL);
		add_sockets(set, sockets);
		wait_for_set(set, sockets, timeout_ms);
	}
	PG_FINALLY();
	{
		FreeWaitEventSet(set);
	}
	PG_END_TRY();

	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return sockets->nready;
}
