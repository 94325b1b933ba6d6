/*-------------------------------------------------------------------------
 *
 * http.h
 *	  HTTP requests: many in flight, retried, every wait interruptible.
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

/* microseconds that never pass, to which a time can be added */
#define IMPILO_HTTP_FOREVER (PG_INT64_MAX / 2)

typedef struct ImpiloHttpClient ImpiloHttpClient;
typedef struct ImpiloHttpRequest ImpiloHttpRequest;

/* The settings of a client, which copies them. */
typedef struct ImpiloHttpConfig
{
	const char *base_url;		/* without a trailing slash */
	const char *user_agent;
	const char *const *headers; /* "Name: value" of every request, ended by
								 * NULL; secret: never shown anywhere */
	const char *ca_file;		/* PEM file of trusted authorities, or NULL */
	const char *proxy;			/* proxy URL; NULL: none, whatever the
								 * environment says */
	int			connect_timeout;	/* ms for name lookup, TCP and TLS */
	int			request_timeout;	/* ms for one attempt */
	int			max_retries;	/* further attempts after the first */
	double		requests_per_second;	/* 0: not limited */
	size_t		max_response_size;	/* bytes of one body, decompressed */
	bool		keep_connections;	/* beyond the transaction */
	struct ImpiloHttpStats *totals; /* of all requests; not copied */
} ImpiloHttpConfig;

/* What requests cost, of one scan or of all requests to a server. */
typedef struct ImpiloHttpStats
{
	int64		requests;		/* attempts sent, retries included */
	int64		retries;		/* of these, retries */
	int64		throttled;		/* responses with status 429 */
	int64		bytes;			/* bytes of bodies received, decompressed */
	instr_time	waited;			/* time spent sending, waiting and receiving */
} ImpiloHttpStats;

typedef enum ImpiloHttpMethod
{
	IMPILO_HTTP_GET,			/* retried whenever that may help */
	IMPILO_HTTP_GET_ONCE,		/* not retried */
	IMPILO_HTTP_POST			/* sent again only if the server certainly did
								 * not process it */
} ImpiloHttpMethod;

/* How a request ended. */
typedef enum ImpiloHttpOutcome
{
	IMPILO_HTTP_ANSWERED,		/* a complete response, of any status */
	IMPILO_HTTP_UNREACHABLE,	/* no connection: name, route, refused */
	IMPILO_HTTP_UNTRUSTED,		/* TLS: certificate or authorities */
	IMPILO_HTTP_FORBIDDEN,		/* refused here: plain http to an address that
								 * is not loopback, a bad URL */
	IMPILO_HTTP_HELD,			/* not sent: Retry-After of an earlier
								 * response is longer than the request may
								 * wait */
	IMPILO_HTTP_TIMED_OUT,		/* connect_timeout or request_timeout */
	IMPILO_HTTP_LOST,			/* connection lost before the response */
	IMPILO_HTTP_CUT,			/* response shorter than announced */
	IMPILO_HTTP_UNREADABLE,		/* response in an encoding that libcurl cannot
								 * decode */
	IMPILO_HTTP_TOO_LARGE		/* body or header beyond the limit */
} ImpiloHttpOutcome;

/* How long the parts of an attempt took, in ms; -1: it did not get so far. */
typedef struct ImpiloHttpTimes
{
	double		lookup;			/* of the name */
	double		connect;		/* TCP; this and the one before are about 0
								 * over an existing connection */
	double		tls;			/* handshake */
	double		answer;			/* from then to the first byte of the response */
	double		total;
} ImpiloHttpTimes;

/* The result of a request; the strings belong to it. */
typedef struct ImpiloHttpReply
{
	const char *request;		/* as messages show it: "GET /order/42"; lives
								 * as long as the context of the request */
	ImpiloHttpOutcome outcome;
	bool		may_have_acted; /* some byte of the last attempt's request
								 * body (of a GET: of the request) may have
								 * reached the server */
	int			status;			/* HTTP status, 0 if none was received */
	const char *body;			/* NUL-terminated for convenience; may contain
								 * NULs; never NULL */
	size_t		length;
	const char *content_type;	/* as received, or NULL */
	const char *redirect;		/* scheme, host and port of a redirect's
								 * target, or NULL */
	int64		date;			/* Date header plus Age, seconds since the
								 * epoch, or -1 */
	TimestampTz sent_at;		/* begin of the last attempt */
	int64		retry_after;	/* Retry-After, seconds from now, or -1 */
	int			attempts;		/* how often it was sent */
	const char *failure;		/* libcurl's own words if there was no
								 * complete response, else NULL.  Names the
								 * host, never a header. */
	ImpiloHttpTimes times;		/* of the last attempt */
	bool		http2;			/* the response came over HTTP/2 */
} ImpiloHttpReply;

/* in http.c */

extern ImpiloHttpClient *impilo_http_open(MemoryContext context,
										  const ImpiloHttpConfig *config);
extern ImpiloHttpRequest *impilo_http_start(ImpiloHttpClient *client,
											MemoryContext context,
											ImpiloHttpMethod method,
											const char *path,
											const char *body, size_t length,
											ImpiloHttpStats *stats);
extern const ImpiloHttpReply *impilo_http_wait(ImpiloHttpRequest *request,
											   int64 *left);
extern void impilo_http_wait_any(ImpiloHttpClient *client,
								 ImpiloHttpRequest *const *requests, int n);
extern void impilo_http_release(ImpiloHttpRequest *request);
extern int	impilo_http_in_flight_limit(const ImpiloHttpClient *client,
										int wanted);
extern const char *impilo_http_library(const char **tls, const char **http2);

#endif							/* IMPILO_HTTP_H */
