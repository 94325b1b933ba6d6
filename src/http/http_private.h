/*-------------------------------------------------------------------------
 *
 * http_private.h
 *	  What the files of the HTTP room tell each other.
 *
 * http.c carries out single attempts with libcurl, over sockets of
 * http_socket.c; http_pool.c keeps its handles; http_request.c makes of the
 * attempts the requests of http.h.  Nobody else includes this.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http_private.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_HTTP_PRIVATE_H
#define IMPILO_HTTP_PRIVATE_H

#include <signal.h>

#include "lib/ilist.h"

#include "http/answer.h"
#include "http/http.h"
#include "http/wait.h"


typedef struct ImpiloHttpPool ImpiloHttpPool;

/*
 * One attempt at a time, and the memory of its answer.  Belongs to a pool and
 * is used again and again; malloc'd, because libcurl's callbacks write it.
 */
typedef struct ImpiloHttpTransfer
{
	void	   *easy;			/* libcurl's easy handle */
	ImpiloHttpPool *pool;		/* NULL: only the answer is left */
	struct ImpiloHttpTransfer *next;	/* among the spare ones */

	/* set by who took it, before each start */
	ImpiloHttpRequest *request; /* NULL: nobody wants the answer */
	const char *url;
	const char *body;			/* NULL: GET, else POST */
	size_t		length;

	/* told while it runs */
	size_t		given;			/* bytes of the body that libcurl has taken */
	int64		received;		/* bytes of the answer's body */

	/* told at its end */
	ImpiloAnswer answer;
	ImpiloHttpOutcome outcome;
	bool		may_have_acted; /* as in ImpiloHttpReply */
	bool		hopeless;		/* another attempt would end the same way */
	int			status;
	bool		http2;
	ImpiloHttpTimes times;		/* as libcurl counts: from the start */
	char		failure[256];	/* printable ASCII; empty if answered */

	/* private to http.c */
	dlist_node	node;			/* in the pool's list of running ones */
	bool		running;
	bool		not_loopback;	/* we refused to connect */
	bool		no_socket;		/* we could not, for lack of a socket */
	char		error[256];		/* libcurl's words; CURL_ERROR_SIZE */
} ImpiloHttpTransfer;

/* Transfers, and the connections that they go over */
struct ImpiloHttpPool
{
	ImpiloHttpConfig config;	/* without the headers */
	ImpiloSockets sockets;		/* to wait for, before impilo_http_pool_act */
	int64		timer;			/* when to call that, as impilo_http_now;
								 * INT64_MAX: never */
	dlist_head	running;
	ImpiloHttpTransfer *spare;
	int			nspare;

	/* private to http.c */
	void	   *multi;			/* made with the first attempt */
	void	   *share;			/* TLS sessions */
	struct curl_slist *get_headers;
	struct curl_slist *post_headers;
	bool		broken;			/* the multi handle has failed */
};

/* microseconds of a clock that never steps back */
static inline int64
impilo_http_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/* in http_pool.c */

extern void impilo_http_pool_open(ImpiloHttpPool **holder,
								  MemoryContext context,
								  const ImpiloHttpConfig *config);
extern void impilo_http_pool_close(ImpiloHttpPool *pool);
extern void impilo_http_pool_rest(ImpiloHttpPool *pool);
extern ImpiloHttpTransfer *impilo_http_pool_ended(ImpiloHttpPool *pool);
extern ImpiloHttpTransfer *impilo_http_transfer_take(ImpiloHttpPool *pool);
extern void impilo_http_transfer_release(ImpiloHttpTransfer *transfer);
extern void impilo_http_transfer_orphan(ImpiloHttpTransfer *transfer);
extern ImpiloHttpTimes impilo_http_transfer_times(const ImpiloHttpTransfer *transfer);
extern void impilo_http_transfer_explain(ImpiloHttpTransfer *transfer,
										 const char *failure);

/* in http.c */

extern void impilo_http_pool_make_handles(ImpiloHttpPool *pool,
										  const char *const *headers);
extern void impilo_http_pool_free_handles(ImpiloHttpPool *pool);
extern void impilo_http_pool_disconnect(ImpiloHttpPool *pool);
extern void impilo_http_pool_act(ImpiloHttpPool *pool);
extern ImpiloHttpTransfer *impilo_http_pool_next_ended(ImpiloHttpPool *pool);
extern ImpiloHttpTransfer *impilo_http_transfer_make(ImpiloHttpPool *pool,
													 const char **why);
extern bool impilo_http_transfer_start(ImpiloHttpTransfer *transfer);
extern void impilo_http_transfer_stop(ImpiloHttpTransfer *transfer);
extern bool impilo_http_transfer_stops_late(ImpiloHttpTransfer *transfer);
extern void impilo_http_transfer_free_handle(ImpiloHttpTransfer *transfer);
extern void impilo_http_transfer_free(ImpiloHttpTransfer *transfer);

/* in http_signals.c */

extern void impilo_http_block_signals(sigset_t *before);
extern void impilo_http_restore_signals(const sigset_t *before);

/* in http_socket.c */

struct sockaddr;
extern bool impilo_http_socket_is_loopback(const struct sockaddr *address);
extern int	impilo_http_socket_open(int family, int type, int protocol);
extern int	impilo_http_socket_close(void *arg, int fd);

#endif							/* IMPILO_HTTP_PRIVATE_H */
