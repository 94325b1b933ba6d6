/*-------------------------------------------------------------------------
 *
 * wait.h
 *	  Wait for sockets, for a time, and for a cancel, all at once.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/wait.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_WAIT_H
#define IMPILO_WAIT_H

#include <poll.h>

/* Sockets to wait for; malloc'd, each array of `size` */
typedef struct ImpiloSockets
{
	struct pollfd *watched;
	struct pollfd *ready;		/* what the last look or sleep has found */
	int			nwatched;
	int			nready;
	int			size;
} ImpiloSockets;

extern bool impilo_wait_watch(ImpiloSockets *sockets, int fd, short events);
extern void impilo_wait_forget(ImpiloSockets *sockets, int fd);
extern void impilo_wait_free(ImpiloSockets *sockets);
extern int	impilo_wait_look(ImpiloSockets *sockets);
extern int	impilo_wait_sleep(ImpiloSockets *sockets, long timeout_ms);

#endif							/* IMPILO_WAIT_H */
