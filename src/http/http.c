/*-------------------------------------------------------------------------
 *
 * http.c
 *	  HTTP requests: many in flight, retried, every wait interruptible.
 *
 * This is the only file that uses libcurl.  A client has one multi handle,
 * which keeps the connections, and a template from which the easy handle of
 * each attempt is copied.  A request is queued for its first or next attempt,
 * running, or done.  The pause before a retry and the distance that
 * requests_per_second asks for are only times in the queue, so all requests
 * of a client progress while any one of them is waited for.  Between waits
 * nothing progresses, except that starting a request sends it if it can.
 *
 * An interrupt may throw out of a wait at any time, and memory contexts may be
 * deleted in any order.  Nothing of libcurl is on the stack then: each request
 * is canceled by the reset callback of its context, and the client stays
 * usable.  No PostgreSQL error may be thrown through a libcurl callback: the
 * callbacks set flags, and allocate without errors.
 *
 * A POST must never be sent twice.  libcurl itself repeats a request of any
 * method if a connection that it reused ends without a response.  The body
 * comes from a callback that returns each byte once and cannot be rewound, so
 * libcurl cannot repeat it.  The same callback knows whether any byte of the
 * body may have left: before, no server can have acted on it.
 *
 * A POST goes over HTTP/1.1, so a connection that ends concerns one POST and
 * not all that are in flight.  It has connections of its own: libcurl keeps
 * those apart whose range of TLS versions differs.
 *
 * libcurl's threads, which look up names, inherit the signal mask of this
 * thread.  All signals are blocked while libcurl may start one, because a
 * handler of the backend must not run there.
 *
 * Redirects are not followed, cookies not kept, netrc and the proxies of the
 * environment not used, certificates always verified.  Plain http goes to
 * loopback addresses only, checked after the name was resolved.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "common/pg_prng.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "http/http.h"

/*
 * The longest wait without a look at interrupts, in milliseconds.  A signal
 * ends the wait at once, unless it arrives just before it.
 */
#define WAIT_SLICE 50

/*
 * Time for all attempts of a request, in units of request_timeout: no attempt
 * begins later than this after the first.  Twice the default of a minute
 * admits a Retry-After of one minute, the usual window of a rate limit.
 */
#define BUDGET_FACTOR 2

/*
 * The pause before the n-th retry is random, below RETRY_BASE times 2^(n-1)
 * and below RETRY_CAP, in milliseconds.
 */
#define RETRY_BASE 250
#define RETRY_CAP 10000

/* the longest Retry-After that holds back later requests, in seconds */
#define HOLD_MAX 300

/* good responses in a row that raise a lowered limit of requests by one */
#define RECOVERY 10

/* bytes received at once: a page of several hundred kB in few system calls */
#define RECEIVE_SIZE (256 * 1024L)

/* first size of a body that the server does not announce */
#define BODY_SIZE (16 * 1024)

/* all header lines of a response; servers themselves limit them to 8 to 64 kB */
#define HEADER_MAX (128 * 1024)

/*
 * Handles and bodies that are kept for the next requests: new memory for each
 * page would cost more than reading it.  One handle is kept when no request
 * is left.
 */
#define SPARE_MAX 16
#define SPARE_BODY_SIZE (1024 * 1024)

/* idle connections that are kept, and for how many seconds */
#define KEPT_CONNECTIONS 64L
#define KEPT_SECONDS 30L

typedef enum RequestState
{
	QUEUED,						/* waits for its time or for its turn */
	RUNNING,					/* an attempt is in progress */
	DONE,						/* has a reply */
	RELEASED
} RequestState;

struct ImpiloHttpRequest
{
	dlist_node	node;			/* in the client's list for its state */
	ImpiloHttpClient *client;	/* NULL once it is released */
	RequestState state;
	MemoryContext context;		/* of the request */
	ImpiloHttpMethod method;
	char	   *url;
	const char *body;
	size_t		length;
	ImpiloHttpStats *stats;
	int64		due;			/* no attempt before this */
	int64		first;			/* begin of the first attempt */
	int64		sent;			/* begin of the last attempt */
	ImpiloHttpReply reply;
	MemoryContextCallback callback;

	/* of the current attempt */
	CURL	   *easy;
	size_t		given;			/* bytes of the body that libcurl has taken */
	char	   *received;		/* the response's body, in the client's
								 * context; or NULL */
	size_t		received_size;	/* allocated */
	size_t		header_bytes;
	time_t		date;			/* Date, or -1 */
	long		age;			/* Age, seconds */
	bool		too_large;
	bool		no_memory;
	bool		not_loopback;	/* we refused to connect */
	bool		no_socket;		/* we could not, for lack of a file */
	char		error[CURL_ERROR_SIZE];
};

struct ImpiloHttpClient
{
	slist_node	node;			/* in open_clients */
	MemoryContext context;
	ImpiloHttpConfig config;	/* its other strings are not kept */
	CURL	   *template;
	CURL	   *spare_handles[SPARE_MAX];
	int			nspare_handles;
	char	   *spare_bodies[SPARE_MAX];
	size_t		spare_sizes[SPARE_MAX]; /* theirs */
	int			nspare_bodies;
	CURLM	   *multi;			/* NULL: no connection yet */
	CURLSH	   *share;			/* TLS sessions */
	struct curl_slist *get_headers;
	struct curl_slist *post_headers;
	dlist_head	queued;
	dlist_head	running;
	dlist_head	done;
	int			nrunning;
	int64		last_start;		/* of an attempt; for requests_per_second */

	/*
	 * How many requests may be in flight: halved when the server answers 429,
	 * one more after RECOVERY good responses, no limit once it has grown back
	 * to where it was.
	 */
	int			limit;			/* 0: none */
	int			limit_before;
	int			good;			/* responses since the last change */
	int64		limited_at;
	int64		held_until;		/* Retry-After: nothing is sent before */

	bool		disconnect;		/* as soon as no request is left */
	MemoryContextCallback callback;
};

/* the statistics of requests whose caller does not want any */
static ImpiloHttpStats ignored;

/* the clients of this backend, for the end of a transaction */
static slist_head open_clients = SLIST_STATIC_INIT(open_clients);

/* microseconds of a clock that never steps back */
static int64
clock_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/* ------------------------------------------------------------------------
 * Callbacks of libcurl: none of them may throw
 * ------------------------------------------------------------------------
 */

static bool
is_header(const char *line, size_t length, const char *name)
{
	return length > strlen(name) &&
		pg_strncasecmp(line, name, strlen(name)) == 0;
}

/* The line does not end with a NUL. */
static void
copy_value(char *value, size_t size, const char *from, size_t length)
{
	length = Min(length, size - 1);
	memcpy(value, from, length);
	value[length] = '\0';
}

/*
 * Read the headers that libcurl does not report itself.
 */
static size_t
receive_header(char *line, size_t one, size_t length, void *arg)
{
	ImpiloHttpRequest *request = arg;
	char		value[64];

	request->header_bytes += length;
	if (request->header_bytes > HEADER_MAX)
	{
		request->too_large = true;
		return 0;
	}
	if (is_header(line, length, "HTTP/"))
	{
		/* a response after an interim one (100, 103) */
		request->date = -1;
		request->age = 0;
	}
	else if (is_header(line, length, "Date:"))
	{
		copy_value(value, sizeof(value), line + 5, length - 5);
		request->date = curl_getdate(value, NULL);
	}
	else if (is_header(line, length, "Age:"))
	{
		copy_value(value, sizeof(value), line + 4, length - 4);
		request->age = Min(Max(strtol(value, NULL, 10), 0), PG_INT32_MAX);
	}
	return length;
}

/*
 * Make room for a body of `length` bytes.
 */
static bool
reserve_body(ImpiloHttpRequest *request, size_t length)
{
	size_t		size = Min(length, request->client->config.max_response_size) + 1;
	char	   *body;

	if (size <= request->received_size)
		return true;
	body = MemoryContextAllocExtended(request->client->context, size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (body == NULL)
	{
		request->no_memory = true;
		return false;
	}
	if (request->received)
	{
		memcpy(body, request->received, request->reply.length);
		pfree(request->received);
	}
	request->received = body;
	request->received_size = size;
	return true;
}

static size_t
receive_body(char *data, size_t one, size_t length, void *arg)
{
	ImpiloHttpRequest *request = arg;
	ImpiloHttpClient *client = request->client;
	size_t		used = request->reply.length;
	curl_off_t	announced;

	if (length > client->config.max_response_size - used)
	{
		request->too_large = true;
		return 0;
	}
	if (request->received == NULL && client->nspare_bodies > 0)
	{
		request->received = client->spare_bodies[--client->nspare_bodies];
		request->received_size = client->spare_sizes[client->nspare_bodies];
	}

	/* a compressed body will be longer, but this is a good first size */
	if (used == 0 &&
		curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
						  &announced) == CURLE_OK &&
		announced > 0 && !reserve_body(request, announced))
		return 0;
	if (used + length >= request->received_size &&
		!reserve_body(request, Max(Max(used + length,
									   request->received_size * 2),
								   BODY_SIZE)))
		return 0;
	memcpy(request->received + used, data, length);
	request->reply.length += length;
	return length;
}

/*
 * Return each byte once: see the head of this file.  Being asked for more
 * means that libcurl wants to repeat the request.
 */
static size_t
send_body(char *buffer, size_t size, size_t n, void *arg)
{
	ImpiloHttpRequest *request = arg;
	size_t		length = Min(size * n, request->length - request->given);

	if (request->given == request->length)
		return CURL_READFUNC_ABORT;
	memcpy(buffer, request->body + request->given, length);
	request->given += length;
	return length;
}

/* Whatever is not certainly https: libcurl would guess. */
static bool
is_plain(const char *url)
{
	return pg_strncasecmp(url, "https://", 8) != 0;
}

/* 127.0.0.0/8, ::1, and the former as an address of IPv6 */
static bool
is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
	{
		const struct sockaddr_in *in4 = (const struct sockaddr_in *) address;

		return (ntohl(in4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
	}
	if (address->sa_family == AF_INET6)
	{
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) address;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			 in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	}
	return false;
}

/*
 * The name is resolved, and libcurl is about to connect.  PostgreSQL counts
 * the files of a backend, and programs that it starts must not inherit a
 * connection.
 */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	ImpiloHttpRequest *request = arg;
	int			fd;

	if (is_plain(request->url) && !is_loopback(&address->addr))
	{
		request->not_loopback = true;
		return CURL_SOCKET_BAD;
	}
	if (!AcquireExternalFD())
	{
		request->no_socket = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype, address->protocol);
	if (fd < 0)
	{
		ReleaseExternalFD();
		request->no_socket = true;
		return CURL_SOCKET_BAD;
	}
	(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static int
close_socket(void *arg, curl_socket_t fd)
{
	ReleaseExternalFD();
	return close(fd);
}

/* ------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------
 */

/*
 * Returns the version of nghttp2, by which libcurl speaks HTTP/2, or NULL.
 */
static const char *
http2_library(void)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	return (info->features & CURL_VERSION_HTTP2) ? info->nghttp2_version : NULL;
}

/* Return from the function with libcurl's code unless the option was taken. */
#define SET(option, value) \
	do { \
		CURLcode	code_ = curl_easy_setopt(easy, option, value); \
		if (code_ != CURLE_OK) \
			return code_; \
	} while (0)

/*
 * Set what is the same for all requests of a client.  libcurl copies strings.
 */
static CURLcode
set_client_options(CURL *easy, const ImpiloHttpConfig *config)
{
	CURLcode	code;

	if ((code = impilo_curl_restrict_protocols(easy)) != CURLE_OK ||
		(code = impilo_curl_quick_exit(easy)) != CURLE_OK)
		return code;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (config->ca_file)
		SET(CURLOPT_CAINFO, config->ca_file);
	if (config->ca_file && config->proxy)
		SET(CURLOPT_PROXY_CAINFO, config->ca_file);
	SET(CURLOPT_PROXY, config->proxy ? config->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_MAXAGE_CONN, KEPT_SECONDS);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) config->connect_timeout);
	SET(CURLOPT_TIMEOUT_MS, (long) config->request_timeout);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_USERAGENT, config->user_agent);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	/* our headers are for the server, not for a proxy on the way */
	SET(CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	SET(CURLOPT_ACCEPT_ENCODING, "");
	SET(CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) config->max_response_size);
	SET(CURLOPT_HEADERFUNCTION, receive_header);
	SET(CURLOPT_WRITEFUNCTION, receive_body);
	SET(CURLOPT_READFUNCTION, send_body);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	return CURLE_OK;
}

static CURLcode
set_request_options(ImpiloHttpRequest *request)
{
	ImpiloHttpClient *client = request->client;
	CURL	   *easy = request->easy;
	bool		plain = is_plain(request->url);
	bool		post = request->method == IMPILO_HTTP_POST;

	SET(CURLOPT_PRIVATE, request);
	SET(CURLOPT_ERRORBUFFER, request->error);
	SET(CURLOPT_SHARE, client->share);
	SET(CURLOPT_HEADERDATA, request);
	SET(CURLOPT_WRITEDATA, request);
	SET(CURLOPT_READDATA, request);
	SET(CURLOPT_OPENSOCKETDATA, request);
	SET(CURLOPT_URL, request->url);
	if (plain)
		SET(CURLOPT_PROXY, "");
	if (post)
	{
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->length);
		SET(CURLOPT_HTTPHEADER, client->post_headers);
		SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
		SET(CURLOPT_SSLVERSION, (long) (CURL_SSLVERSION_TLSv1_2 |
										CURL_SSLVERSION_MAX_TLSv1_3));
	}
	else
	{
		SET(CURLOPT_HTTPGET, 1L);
		SET(CURLOPT_HTTPHEADER, client->get_headers);
		SET(CURLOPT_HTTP_VERSION, (long) (http2_library() ?
										  CURL_HTTP_VERSION_2TLS :
										  CURL_HTTP_VERSION_1_1));
		SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
		/* multiplex over a connection that is being made */
		SET(CURLOPT_PIPEWAIT, plain ? 0L : 1L);
	}
	return CURLE_OK;
}

/* ------------------------------------------------------------------------
 * The reply
 * ------------------------------------------------------------------------
 */

/*
 * What libcurl's codes mean.  Others are a connection that was lost or never
 * made, or a response whose body was cut.
 */
static const struct
{
	CURLcode	code;
	ImpiloHttpOutcome outcome;
}			outcomes[] =

{
	{CURLE_OK, IMPILO_HTTP_ANSWERED},
	{CURLE_PEER_FAILED_VERIFICATION, IMPILO_HTTP_UNTRUSTED},
	{CURLE_SSL_CACERT_BADFILE, IMPILO_HTTP_UNTRUSTED},
	{CURLE_SSL_CERTPROBLEM, IMPILO_HTTP_UNTRUSTED},
	{CURLE_SSL_CIPHER, IMPILO_HTTP_UNTRUSTED},
	{CURLE_SSL_INVALIDCERTSTATUS, IMPILO_HTTP_UNTRUSTED},
	{CURLE_SSL_ISSUER_ERROR, IMPILO_HTTP_UNTRUSTED},
	{CURLE_URL_MALFORMAT, IMPILO_HTTP_FORBIDDEN},
	{CURLE_LOGIN_DENIED, IMPILO_HTTP_FORBIDDEN},
	/* of the URL; if something was sent: no response of HTTP/1.0 or newer */
	{CURLE_UNSUPPORTED_PROTOCOL, IMPILO_HTTP_FORBIDDEN},
	{CURLE_OPERATION_TIMEDOUT, IMPILO_HTTP_TIMED_OUT},
	{CURLE_BAD_CONTENT_ENCODING, IMPILO_HTTP_UNREADABLE},
	{CURLE_FILESIZE_EXCEEDED, IMPILO_HTTP_TOO_LARGE},
	{CURLE_WEIRD_SERVER_REPLY, IMPILO_HTTP_CUT},
	{CURLE_WRITE_ERROR, IMPILO_HTTP_CUT}
};

/*
 * `sent`: some byte of the request may have left.
 */
static ImpiloHttpOutcome
outcome_of(const ImpiloHttpRequest *request, CURLcode code, bool sent)
{
	if (request->too_large)
		return IMPILO_HTTP_TOO_LARGE;
	if (request->not_loopback && !sent)
		return IMPILO_HTTP_FORBIDDEN;
	for (int i = 0; i < lengthof(outcomes); i++)
	{
		if (outcomes[i].code != code)
			continue;
		if (sent && outcomes[i].outcome == IMPILO_HTTP_FORBIDDEN)
			return IMPILO_HTTP_CUT;
		return outcomes[i].outcome;
	}
	if (!sent)
		return IMPILO_HTTP_UNREACHABLE;
	return request->reply.status >= 200 ? IMPILO_HTTP_CUT : IMPILO_HTTP_LOST;
}

/*
 * Returns a copy of a text of libcurl in printable ASCII: it can contain what
 * a server sent, in any encoding.
 */
static const char *
printable(const ImpiloHttpRequest *request, const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *copy = MemoryContextAllocExtended(request->context, size,
												  MCXT_ALLOC_NO_OOM);

	if (copy == NULL)
		return "out of memory";
	strlcpy(copy, text, size);
	for (char *c = copy; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return copy;
}

/*
 * Returns scheme, host and port of a redirect, without what could be a secret
 * or name a patient; NULL if there is none.
 */
static const char *
redirect_of(const ImpiloHttpRequest *request)
{
	CURLU	   *url = curl_url();
	char	   *target = NULL;
	char	   *scheme = NULL;
	char	   *host = NULL;
	char	   *port = NULL;
	const char *result = NULL;
	char		shown[300];

	(void) curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &target);
	if (url && target &&
		curl_url_set(url, CURLUPART_URL, target, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
	{
		(void) curl_url_get(url, CURLUPART_PORT, &port, 0);
		snprintf(shown, sizeof(shown), "%s://%s%s%s", scheme, host,
				 port ? ":" : "", port ? port : "");
		result = printable(request, shown);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return result;
}

/* Returns a time of libcurl in milliseconds, counted from the start. */
static double
time_of(CURL *easy, CURLINFO info)
{
	curl_off_t	us = 0;

	(void) curl_easy_getinfo(easy, info, &us);
	return us / 1000.0;
}

static void
fill_times(ImpiloHttpRequest *request)
{
	ImpiloHttpTimes *times = &request->reply.times;
	double		lookup = time_of(request->easy, CURLINFO_NAMELOOKUP_TIME_T);
	double		connect = time_of(request->easy, CURLINFO_CONNECT_TIME_T);
	double		tls = time_of(request->easy, CURLINFO_APPCONNECT_TIME_T);
	double		answer = time_of(request->easy, CURLINFO_STARTTRANSFER_TIME_T);

	times->lookup = lookup > 0 ? lookup : -1;
	times->connect = connect > 0 ? connect - lookup : -1;
	times->tls = tls > 0 ? tls - connect : -1;
	times->answer = request->reply.status == 0 ? -1
		: answer - Max(tls, connect);
	times->total = time_of(request->easy, CURLINFO_TOTAL_TIME_T);
}

/*
 * Why there is no complete response: libcurl's text, unless we refused.
 */
static const char *
failure_of(const ImpiloHttpRequest *request, CURLcode code)
{
	switch (request->reply.outcome)
	{
		case IMPILO_HTTP_ANSWERED:
			return NULL;
		case IMPILO_HTTP_TOO_LARGE:
			return request->header_bytes > HEADER_MAX
				? "the header is too large" : "the body is too large";
		case IMPILO_HTTP_FORBIDDEN:
			if (request->not_loopback)
				return "plain http is for loopback addresses only";
			break;
		case IMPILO_HTTP_UNREACHABLE:
			if (request->no_socket)
				return "too many open files";
			break;
		default:
			break;
	}
	if (request->no_memory)
		return "out of memory";
	return printable(request, request->error[0] ? request->error
					 : curl_easy_strerror(code));
}

/*
 * Fill in the reply of an attempt that has ended or is to be canceled.
 */
static void
fill_reply(ImpiloHttpRequest *request, CURLcode code)
{
	ImpiloHttpReply *reply = &request->reply;
	CURL	   *easy = request->easy;
	curl_off_t	pretransfer = 0;
	curl_off_t	wait = 0;
	long		status = 0;
	long		size = 0;
	long		version = 0;
	char	   *type = NULL;
	bool		sent;

	(void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	(void) curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
	(void) curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &size);
	(void) curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	(void) curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
	(void) curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &wait);

	/* one alone proves nothing: of 8.23's time, or of what a proxy received */
	sent = pretransfer > 0 && size > 0;
	reply->may_have_acted = request->given > 0 ||
		(sent && request->length == 0);
	reply->status = (int) status;
	reply->http2 = version == CURL_HTTP_VERSION_2_0;
	reply->outcome = outcome_of(request, code, sent);
	reply->failure = failure_of(request, code);
	reply->body = "";
	if (request->received)
	{
		request->received[reply->length] = '\0';
		reply->body = request->received;
	}
	reply->content_type = type ? printable(request, type) : NULL;
	reply->redirect = status >= 300 && status < 400 ? redirect_of(request) : NULL;
	reply->date = request->date >= 0 ? request->date + request->age : -1;
	reply->retry_after = wait > 0 ? Min(wait, PG_INT32_MAX) : -1;
	fill_times(request);
	request->stats->bytes += reply->length;
	request->client->config.totals->bytes += reply->length;
}

/*
 * The reply of a request for which no attempt could be made.
 */
static void
fill_unsent_reply(ImpiloHttpRequest *request, ImpiloHttpOutcome outcome,
				  const char *failure)
{
	ImpiloHttpReply *reply = &request->reply;

	reply->outcome = outcome;
	reply->may_have_acted = false;
	reply->status = 0;
	reply->body = "";
	reply->length = 0;
	reply->content_type = reply->redirect = NULL;
	reply->date = reply->retry_after = -1;
	reply->failure = failure;
}

/* ------------------------------------------------------------------------
 * Attempts
 * ------------------------------------------------------------------------
 */

/*
 * Block all signals but those of a crash in this code, for which blocking is
 * undefined.
 */
static void
block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	(void) pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
restore_signals(const sigset_t *before)
{
	(void) pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void
set_state(ImpiloHttpRequest *request, RequestState state)
{
	ImpiloHttpClient *client = request->client;

	dlist_delete(&request->node);
	if (request->state == RUNNING)
		client->nrunning--;
	request->state = state;
	if (state == QUEUED)
		dlist_push_tail(&client->queued, &request->node);
	else if (state == RUNNING)
	{
		dlist_push_tail(&client->running, &request->node);
		client->nrunning++;
	}
	else if (state == DONE)
		dlist_push_tail(&client->done, &request->node);
}

/*
 * Free the handle of an attempt.  If it is in progress this ends it, which
 * closes its connection, or resets its stream of HTTP/2.  The handle of a
 * complete GET is kept; others may have something left to do.
 */
static void
free_handle(ImpiloHttpRequest *request, bool complete)
{
	ImpiloHttpClient *client = request->client;

	if (request->easy == NULL)
		return;
	if (request->state == RUNNING)
		(void) curl_multi_remove_handle(client->multi, request->easy);
	if (complete && request->method != IMPILO_HTTP_POST &&
		client->nspare_handles < SPARE_MAX)
		client->spare_handles[client->nspare_handles++] = request->easy;
	else
		curl_easy_cleanup(request->easy);
	request->easy = NULL;
}

static void
free_body(ImpiloHttpRequest *request)
{
	ImpiloHttpClient *client = request->client;

	if (request->received == NULL)
		return;
	if (request->received_size <= SPARE_BODY_SIZE &&
		client->nspare_bodies < SPARE_MAX)
	{
		client->spare_sizes[client->nspare_bodies] = request->received_size;
		client->spare_bodies[client->nspare_bodies++] = request->received;
	}
	else
		pfree(request->received);
	request->received = NULL;
	request->received_size = 0;
}

static void
free_spare(ImpiloHttpClient *client, int handles_left)
{
	while (client->nspare_handles > handles_left)
		curl_easy_cleanup(client->spare_handles[--client->nspare_handles]);
	while (client->nspare_bodies > 0)
		pfree(client->spare_bodies[--client->nspare_bodies]);
}

/*
 * Microseconds within which a next attempt may begin.
 */
static int64
budget_left(const ImpiloHttpRequest *request, int64 now)
{
	int64		all = (int64) request->client->config.request_timeout *
	BUDGET_FACTOR * 1000;

	return request->reply.attempts == 0 ? all
		: Max(0, all - (now - request->first));
}

/*
 * Adapt to a response: fewer requests in flight after a 429, more later.
 * Refusals of requests that were sent before the limit was lowered do not
 * lower it again: they belong to the same burst.
 */
static void
adapt_limit(ImpiloHttpClient *client, const ImpiloHttpRequest *request,
			int64 now)
{
	const ImpiloHttpReply *reply = &request->reply;

	if (reply->outcome != IMPILO_HTTP_ANSWERED)
		return;
	if (reply->status == 429)
	{
		request->stats->throttled++;
		client->config.totals->throttled++;
		client->good = 0;
		if (reply->retry_after > 0)
			client->held_until = Max(client->held_until, now +
									 Min(reply->retry_after, HOLD_MAX) *
									 INT64CONST(1000000));
		if (client->limit > 0 && request->sent < client->limited_at)
			return;
		if (client->limit == 0)
			client->limit = client->limit_before = Max(client->nrunning, 1);
		client->limit = (client->limit + 1) / 2;
		client->limited_at = now;
	}
	else if (client->limit > 0 && ++client->good >= RECOVERY)
	{
		client->good = 0;
		if (++client->limit >= client->limit_before)
			client->limit = 0;
	}
}

/*
 * Returns whether another attempt may help and is allowed.  A timeout is
 * final: the user has said how long one request may take.
 */
static bool
may_retry(const ImpiloHttpRequest *request)
{
	const ImpiloHttpReply *reply = &request->reply;
	bool		get = request->method == IMPILO_HTTP_GET;

	if (reply->attempts > request->client->config.max_retries ||
		request->method == IMPILO_HTTP_GET_ONCE || request->no_memory)
		return false;
	switch (reply->outcome)
	{
		case IMPILO_HTTP_ANSWERED:
			if (reply->status == 429)
				return true;	/* it was not processed */
			return get &&
				(reply->status == 408 || reply->status == 425 ||
				 (reply->status >= 500 && reply->status <= 599 &&
				  reply->status != 501 && reply->status != 505));
		case IMPILO_HTTP_UNREACHABLE:
		case IMPILO_HTTP_LOST:
		case IMPILO_HTTP_CUT:
			return get || !reply->may_have_acted;
		default:
			return false;
	}
}

/*
 * Returns the pause before the next attempt, in microseconds: random, and not
 * shorter than Retry-After asks for.
 */
static int64
pause_before_retry(const ImpiloHttpReply *reply)
{
	double		limit = RETRY_BASE * (double) (1 << Min(reply->attempts - 1, 10));

	return (int64) (pg_prng_double(&pg_global_prng_state) *
					Min(limit, RETRY_CAP) * 1000) +
		Max(reply->retry_after, 0) * INT64CONST(1000000);
}

/*
 * An attempt has ended: the request is done, or will be sent again.
 */
static void
end_attempt(ImpiloHttpRequest *request, CURLcode code)
{
	int64		now = clock_now();
	int64		pause;

	fill_reply(request, code);
	free_handle(request, code == CURLE_OK);
	adapt_limit(request->client, request, now);
	pause = pause_before_retry(&request->reply);
	if (!may_retry(request) || pause >= budget_left(request, now))
	{
		set_state(request, DONE);
		return;
	}
	request->due = now + pause;
	set_state(request, QUEUED);
}

/*
 * Make the handle of an attempt and give it to libcurl.
 */
static bool
start_handle(ImpiloHttpRequest *request)
{
	ImpiloHttpClient *client = request->client;
	sigset_t	before;
	bool		added;

	if (client->multi == NULL)
	{
		client->multi = curl_multi_init();
		if (client->multi == NULL ||
			curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS,
							  KEPT_CONNECTIONS) != CURLM_OK ||
			impilo_curl_multi_quick_exit(client->multi) != CURLM_OK)
			return false;
	}
	request->easy = client->nspare_handles > 0
		? client->spare_handles[--client->nspare_handles]
		: curl_easy_duphandle(client->template);
	if (request->easy == NULL || set_request_options(request) != CURLE_OK)
		return false;
	block_signals(&before);
	added = curl_multi_add_handle(client->multi, request->easy) == CURLM_OK;
	restore_signals(&before);
	return added;
}

static void
begin_attempt(ImpiloHttpRequest *request, int64 now)
{
	ImpiloHttpReply *reply = &request->reply;
	ImpiloHttpStats *totals = request->client->config.totals;

	request->given = 0;
	request->header_bytes = 0;
	request->date = -1;
	request->age = 0;
	request->not_loopback = request->no_socket = false;
	request->error[0] = '\0';
	reply->length = 0;
	if (!start_handle(request))
	{
		free_handle(request, false);
		fill_unsent_reply(request, IMPILO_HTTP_UNREACHABLE, "out of memory");
		set_state(request, DONE);
		return;
	}
	request->sent = now;
	reply->sent_at = GetCurrentTimestamp();
	if (reply->attempts++ == 0)
		request->first = now;
	request->stats->requests++;
	request->stats->retries += reply->attempts > 1;
	totals->requests++;
	totals->retries += reply->attempts > 1;
	set_state(request, RUNNING);
}

/* ------------------------------------------------------------------------
 * All requests of a client
 * ------------------------------------------------------------------------
 */

/*
 * Returns when the next attempt of any request may begin.
 */
static int64
next_start(const ImpiloHttpClient *client)
{
	int64		next = client->held_until;

	if (client->config.requests_per_second > 0)
		next = Max(next, client->last_start +
				   (int64) Min(1e6 / client->config.requests_per_second, 1e15));
	return next;
}

/*
 * Begin the attempts whose time has come, in the order of the queue.  A
 * request that would have to wait too long for the end of a Retry-After fails
 * instead.
 */
static void
begin_due(ImpiloHttpClient *client)
{
	dlist_mutable_iter iter;
	int64		now = clock_now();

	dlist_foreach_modify(iter, &client->queued)
	{
		ImpiloHttpRequest *request = dlist_container(ImpiloHttpRequest, node,
													 iter.cur);

		if (client->held_until - now > budget_left(request, now))
		{
			fill_unsent_reply(request, IMPILO_HTTP_HELD, NULL);
			request->reply.retry_after = (client->held_until - now) / 1000000 + 1;
			set_state(request, DONE);
			continue;
		}
		if (request->due > now)
			continue;
		if ((client->limit > 0 && client->nrunning >= client->limit) ||
			next_start(client) > now)
			break;
		client->last_start = now;
		begin_attempt(request, now);
	}
}

/*
 * Returns the time of the next start, or PG_INT64_MAX if that depends on a
 * response.
 */
static int64
next_due(ImpiloHttpClient *client)
{
	int64		due = PG_INT64_MAX;
	dlist_iter	iter;

	if (client->limit > 0 && client->nrunning >= client->limit)
		return due;
	dlist_foreach(iter, &client->queued)
		due = Min(due, dlist_container(ImpiloHttpRequest, node, iter.cur)->due);
	return due == PG_INT64_MAX ? due : Max(due, next_start(client));
}

/*
 * Close the connections, which must not be in use.
 */
static void
close_connections(ImpiloHttpClient *client)
{
	(void) curl_multi_cleanup(client->multi);
	client->multi = NULL;
}

/*
 * Let libcurl send and receive what it can without waiting, and handle what
 * has ended.
 */
static void
progress(ImpiloHttpClient *client)
{
	CURLMsg    *message;
	CURLMcode	code = CURLM_OK;
	sigset_t	before;
	int			running;
	int			left;

	if (client->multi)
	{
		block_signals(&before);
		code = curl_multi_perform(client->multi, &running);
		restore_signals(&before);
		while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
		{
			char	   *request = NULL;
			CURLcode	result = message->data.result;

			if (message->msg == CURLMSG_DONE &&
				curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
								  &request) == CURLE_OK && request)
				end_attempt((ImpiloHttpRequest *) request, result);
		}
	}
	if (code != CURLM_OK)
	{
		/* out of memory: the next attempt gets a new handle */
		while (!dlist_is_empty(&client->running))
			end_attempt(dlist_head_element(ImpiloHttpRequest, node,
										   &client->running),
						CURLE_OUT_OF_MEMORY);
		close_connections(client);
	}
	begin_due(client);
}

/*
 * Wait until something has happened, not beyond `until`, and handle it.  The
 * time is added to `stats`.
 */
static void
wait_once(ImpiloHttpClient *client, ImpiloHttpStats *stats, int64 until)
{
	static uint32 wait_event = 0;
	int64		now = clock_now();
	int64		wait = Min(Min(next_due(client), until) - now,
						   WAIT_SLICE * INT64CONST(1000));
	instr_time	begin;
	instr_time	end;

	if (wait_event == 0)
		wait_event = ImpiloWaitEvent("ImpiloFdwRequest");
	CHECK_FOR_INTERRUPTS();
	if (!PostmasterIsAlive())
		proc_exit(1);
	INSTR_TIME_SET_CURRENT(begin);
	if (wait > 0)
	{
		int			ms = (int) ((wait + 999) / 1000);

		pgstat_report_wait_start(wait_event);
		if (client->multi)
			(void) curl_multi_poll(client->multi, NULL, 0, ms, NULL);
		else
			pg_usleep(wait);
		pgstat_report_wait_end();
		CHECK_FOR_INTERRUPTS();
	}
	progress(client);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(stats->waited, end, begin);
	INSTR_TIME_ACCUM_DIFF(client->config.totals->waited, end, begin);
}

static void
rest_if_idle(ImpiloHttpClient *client)
{
	if (!dlist_is_empty(&client->queued) ||
		!dlist_is_empty(&client->running) || !dlist_is_empty(&client->done))
		return;
	free_spare(client, 1);
	if (client->disconnect)
		close_connections(client);
	client->disconnect = false;
}

/*
 * impilo_http_release
 *		Cancel a request, or free its reply.
 *
 * An attempt in progress is ended.  What the reply pointed to is gone.  The
 * struct itself is freed with its context, so a context should live about as
 * long as a request.  Does nothing the second time, accepts NULL, and does
 * not throw.
 */
void
impilo_http_release(ImpiloHttpRequest *request)
{
	ImpiloHttpClient *client;

	if (request == NULL || request->state == RELEASED)
		return;
	client = request->client;
	free_handle(request, false);
	free_body(request);
	set_state(request, RELEASED);
	request->client = NULL;
	pfree(request->url);
	if (request->body)
		pfree(unconstify(char *, request->body));
	rest_if_idle(client);
}

static void
release_request(void *arg)
{
	impilo_http_release(arg);
}

static void
release_all(dlist_head *list)
{
	while (!dlist_is_empty(list))
		impilo_http_release(dlist_head_element(ImpiloHttpRequest, node, list));
}

static void
close_client(void *arg)
{
	ImpiloHttpClient *client = arg;

	slist_delete(&open_clients, &client->node);
	release_all(&client->queued);
	release_all(&client->running);
	release_all(&client->done);
	free_spare(client, 0);
	close_connections(client);
	curl_easy_cleanup(client->template);
	(void) curl_share_cleanup(client->share);
	curl_slist_free_all(client->get_headers);
	curl_slist_free_all(client->post_headers);
}

/*
 * keep_connections off: close them at the end of a transaction.
 */
static void
end_transaction(XactEvent event, void *arg)
{
	slist_iter	iter;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	slist_foreach(iter, &open_clients)
	{
		ImpiloHttpClient *client = slist_container(ImpiloHttpClient, node,
												   iter.cur);

		client->disconnect = !client->config.keep_connections;
		rest_if_idle(client);
	}
}

/* ------------------------------------------------------------------------
 * Clients and requests
 * ------------------------------------------------------------------------
 */

static void
init_library(void)
{
	static bool done = false;

	if (done)
		return;
	/* what it sets up does not survive a fork */
	if (IsPostmasterEnvironment && !IsUnderPostmaster)
		elog(ERROR, "libcurl must not be used in the postmaster");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not initialize libcurl")));
	RegisterXactCallback(end_transaction, NULL);
	done = true;
}

static void
add_header(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);

	if (longer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	*list = longer;
}

/*
 * impilo_http_open
 *		Make a client, which lives as long as `context`.
 *
 * Deleting the context closes its connections, and releases the requests that
 * are left.  Raises an error if there is no memory or if this libcurl does not
 * support the configuration.  Connects to nothing.
 */
ImpiloHttpClient *
impilo_http_open(MemoryContext context, const ImpiloHttpConfig *config)
{
	ImpiloHttpClient *client;
	CURLcode	code = CURLE_OUT_OF_MEMORY;

	init_library();
	client = MemoryContextAllocZero(context, sizeof(*client));
	dlist_init(&client->queued);
	dlist_init(&client->running);
	dlist_init(&client->done);
	client->context = context;
	client->config = *config;
	client->config.base_url = MemoryContextStrdup(context, config->base_url);
	client->last_start = client->held_until = -IMPILO_HTTP_FOREVER;
	client->callback.func = close_client;
	client->callback.arg = client;
	MemoryContextRegisterResetCallback(context, &client->callback);
	slist_push_head(&open_clients, &client->node);

	add_header(&client->get_headers, "Accept: application/json");
	add_header(&client->post_headers, "Accept: application/json");
	add_header(&client->post_headers, "Content-Type: application/json");
	/* libcurl would ask before it sends more than a megabyte */
	add_header(&client->post_headers, "Expect:");
	for (const char *const *header = config->headers; *header; header++)
	{
		add_header(&client->get_headers, *header);
		add_header(&client->post_headers, *header);
	}
	client->share = curl_share_init();
	client->template = curl_easy_init();
	if (client->share && client->template &&
		curl_share_setopt(client->share, CURLSHOPT_SHARE,
						  CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK)
		code = set_client_options(client->template, config);
	if (code != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not set up libcurl"),
				 errdetail("%s: %s.", curl_version(), curl_easy_strerror(code))));
	return client;
}

/*
 * impilo_http_start
 *		Queue a request, and send it as far as that is possible without waiting.
 *
 * `path` follows base_url.  A POST sends `length` bytes of JSON.  Both are
 * copied.  The request and its reply belong to `context`.  `stats`, if given,
 * is added to until the request is released, and must live that long.  Raises
 * an error only for lack of memory, and then has sent nothing.
 */
ImpiloHttpRequest *
impilo_http_start(ImpiloHttpClient *client, MemoryContext context,
				  ImpiloHttpMethod method, const char *path,
				  const char *body, size_t length, ImpiloHttpStats *stats)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloHttpRequest *request = palloc0(sizeof(*request));
	instr_time	begin;
	instr_time	end;

	request->context = context;
	request->method = method;
	request->url = psprintf("%s%s", client->config.base_url, path);
	request->reply.request = psprintf("%s %s", method == IMPILO_HTTP_POST
									  ? "POST" : "GET", path);
	if (body)
	{
		char	   *copy = MemoryContextAllocHuge(context, length + 1);

		memcpy(copy, body, length);
		request->body = copy;
		request->length = length;
	}
	MemoryContextSwitchTo(caller);
	request->stats = stats ? stats : &ignored;
	request->due = -IMPILO_HTTP_FOREVER;
	request->state = QUEUED;
	request->client = client;
	dlist_push_tail(&client->queued, &request->node);
	request->callback.func = release_request;
	request->callback.arg = request;
	MemoryContextRegisterResetCallback(context, &request->callback);

	INSTR_TIME_SET_CURRENT(begin);
	begin_due(client);
	if (request->state == RUNNING)
		progress(client);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(request->stats->waited, end, begin);
	INSTR_TIME_ACCUM_DIFF(client->config.totals->waited, end, begin);
	return request;
}

/*
 * impilo_http_wait
 *		Wait until a request is done.  Returns its reply, which is valid until
 *		the request is released.
 *
 * `left`, if given, is for how many microseconds to wait at most; the time
 * spent is subtracted.  Returns NULL if it is used up before.  All other
 * requests of the client progress meanwhile.  Raises an error only for an
 * interrupt.
 */
const ImpiloHttpReply *
impilo_http_wait(ImpiloHttpRequest *request, int64 *left)
{
	int64		forever = IMPILO_HTTP_FOREVER;
	int64	   *rest = left ? left : &forever;

	while (request->state < DONE && *rest > 0)
	{
		int64		begin = clock_now();

		wait_once(request->client, request->stats, begin + *rest);
		*rest -= clock_now() - begin;
	}
	return request->state == DONE ? &request->reply : NULL;
}

/*
 * impilo_http_wait_any
 *		Wait until at least one of `n` requests of the client is done.
 */
void
impilo_http_wait_any(ImpiloHttpClient *client,
					 ImpiloHttpRequest *const *requests, int n)
{
	while (n > 0)
	{
		for (int i = 0; i < n; i++)
			if (requests[i]->state == DONE)
				return;
		wait_once(client, requests[0]->stats, IMPILO_HTTP_FOREVER);
	}
}

/*
 * impilo_http_in_flight_limit
 *		Returns how many of `wanted` requests should be in flight: fewer if the
 *		server has answered that there were too many; at least 1.
 */
int
impilo_http_in_flight_limit(const ImpiloHttpClient *client, int wanted)
{
	return client->limit > 0 ? Min(wanted, client->limit) : wanted;
}

/*
 * impilo_http_library
 *		Returns the versions of libcurl and all that it consists of, in static
 *		memory; and that of its TLS and HTTP/2 library, or NULL.
 */
const char *
impilo_http_library(const char **tls, const char **http2)
{
	*tls = curl_version_info(CURLVERSION_NOW)->ssl_version;
	*http2 = http2_library();
	return curl_version();
}
