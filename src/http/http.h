/*-------------------------------------------------------------------------
 *
 * http.h
 *	  HTTP requests of one backend: a pool of connections, many requests in
 *	  flight, every wait interruptible.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_HTTP_H
#define IMPILO_HTTP_H

#include "datatype/timestamp.h"
#include "portability/instr_time.h"

#include "http/retry.h"

/* microseconds that never pass, to which a time can be added */
#define IMPILO_HTTP_FOREVER (PG_INT64_MAX / 2)

typedef struct ImpiloHttpClient ImpiloHttpClient;
typedef struct ImpiloHttpRequest ImpiloHttpRequest;

/* What a client is told once, when it is opened; all of it is copied. */
typedef struct ImpiloHttpConfig
{
	const char *user_agent;
	const char *const *headers; /* "Name: value" of every request, ended by
								 * NULL; secret: never shown anywhere */
	const char *ca_file;		/* PEM file of trusted authorities, or NULL */
	const char *proxy;			/* proxy URL; NULL: none, whatever the
								 * environment says */
	int			connect_timeout;	/* ms for name look-up, TCP and TLS */
	int			request_timeout;	/* ms for one attempt, all of it */
	int			max_retries;	/* further attempts after the first */
	double		requests_per_second;	/* 0: not limited */
	size_t		max_response_size;	/* bytes of one body, decompressed */
	bool		keep_connections;	/* keep them beyond one statement */
} ImpiloHttpConfig;

/* What requests cost; shared by the requests of one scan, for EXPLAIN. */
typedef struct ImpiloHttpStats
{
	int64		requests;		/* attempts sent, the repeated ones included */
	int64		retries;		/* of these, repeated ones */
	int64		bytes;			/* bytes of bodies received, decompressed */
	instr_time	waited;			/* time spent waiting for the network */
} ImpiloHttpStats;

/*
 * How a request ended.  For a request that must not be repeated the question
 * is whether the server may have acted on it: see may_have_acted below.
 */
typedef enum ImpiloHttpOutcome
{
	IMPILO_HTTP_ANSWERED,		/* a complete answer, of whatever status */
	IMPILO_HTTP_UNREACHABLE,	/* no connection: name, route, refused, TLS */
	IMPILO_HTTP_FORBIDDEN,		/* we refused to: plain http to an address
								 * that is not loopback, a bad URL */
	IMPILO_HTTP_TIMED_OUT,		/* connect_timeout or request_timeout */
	IMPILO_HTTP_LOST,			/* connection lost before the answer was
								 * complete */
	IMPILO_HTTP_CUT,			/* body shorter than announced, or its
								 * encoding is broken */
	IMPILO_HTTP_TOO_LARGE		/* body or header beyond the limit */
} ImpiloHttpOutcome;

/* How long the parts of an attempt took, in ms; -1: it did not come so far */
typedef struct ImpiloHttpTimes
{
	double		lookup;			/* of the name */
	double		connect;		/* TCP; of these two, next to nothing over a
								 * connection that was there already */
	double		tls;			/* handshake */
	double		answer;			/* from then to the first byte of the answer */
	double		total;
} ImpiloHttpTimes;

typedef struct ImpiloHttpReply
{
	ImpiloHttpOutcome outcome;
	bool		may_have_acted; /* some byte of the last attempt's request
								 * body (of a GET: of the request) may have
								 * reached the server */
	int			status;			/* HTTP status, 0 if none was received */
	const char *body;			/* NUL-terminated for convenience; may hold
								 * NULs itself; never NULL */
	size_t		length;
	const char *content_type;	/* as received, or NULL */
	const char *location;		/* target of a redirect, or NULL */
	int64		date;			/* Date header plus Age, seconds since the
								 * epoch, or -1 */
	TimestampTz sent_at;		/* begin of the last attempt */
	int64		retry_after;	/* Retry-After, seconds from now, or -1 */
	int			attempts;		/* how often it was sent */
	const char *failure;		/* libcurl's own words for the DETAIL if there
								 * was no complete answer; else NULL.  Differs
								 * between libcurl's releases, names the host,
								 * never a header */
	ImpiloHttpTimes times;		/* of the last attempt */
	bool		http2;			/* it was answered by HTTP/2 */
	ImpiloRetryVerdict refusal; /* why it was not tried once more */
} ImpiloHttpReply;

/* The libraries behind this, with their versions */
typedef struct ImpiloHttpLibrary
{
	const char *parts;			/* libcurl and all that it consists of */
	const char *tls;			/* the library of TLS, or NULL */
	const char *http2;			/* version of nghttp2, or NULL: no HTTP/2 */
} ImpiloHttpLibrary;

/* in http_request.c */

extern ImpiloHttpClient *impilo_http_open(MemoryContext context,
										  const ImpiloHttpConfig *config);
extern ImpiloHttpRequest *impilo_http_start(ImpiloHttpClient *client,
											MemoryContext context,
											const char *url,
											const char *body, size_t length,
											ImpiloRetryPolicy policy,
											ImpiloHttpStats *stats);
extern bool impilo_http_done(const ImpiloHttpRequest *request);
extern int	impilo_http_shorter_timeout(const ImpiloHttpClient *client);
extern void impilo_http_wait(ImpiloHttpRequest *request);
extern bool impilo_http_wait_within(ImpiloHttpRequest *request, int64 *left);
extern void impilo_http_wait_any(ImpiloHttpClient *client,
								 ImpiloHttpRequest *const *requests, int n);
extern const ImpiloHttpReply *impilo_http_reply(const ImpiloHttpRequest *request);
extern void impilo_http_release(ImpiloHttpRequest *request);
extern int	impilo_http_in_flight_limit(const ImpiloHttpClient *client, int wanted);
extern int	impilo_http_uncertain_posts(ImpiloHttpClient *client);

/* in http.c */

extern ImpiloHttpLibrary impilo_http_library(void);

#endif							/* IMPILO_HTTP_H */
