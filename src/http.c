/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Single attempts over a pool of connections: the only file with libcurl.
 *
 * A pool is one multi handle, which keeps the connections, and a set of
 * transfers: easy handles with the memory of their answers.  libcurl tells by
 * two callbacks which sockets it waits for and until when; who waits for them
 * (http_request.c) calls impilo_http_pool_act when something has happened.
 *
 * Two rules keep the backend alive.  No PostgreSQL error may jump out of a
 * libcurl callback: the callbacks store, set flags, and take memory from
 * malloc.  And libcurl looks names up in a thread: while it may start one, all
 * signals are blocked, so that the thread inherits that and the handlers of
 * this backend never run in it.
 *
 * A POST must never be sent twice behind our back.  libcurl itself repeats a
 * request, of whatever method, if a connection that it reused dies without an
 * answer.  The body comes from a callback that hands out each byte once, and
 * there is no way to rewind it; so libcurl cannot.  The same callback knows
 * whether any byte of the body may have left: before that no server can act.
 *
 * Redirects are not followed, cookies not kept, netrc and the environment's
 * proxies not read, certificates always verified; plain http goes to a
 * loopback address only, whatever its name is, and never through a proxy.
 *
 * Not here: waiting, repeating, pacing (http_request.c), what an answer means
 * (api.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "compat.h"
#include "http_private.h"

/*
 * Idle transfers kept while requests are made, and once there are none.  A
 * transfer costs RECEIVE_SIZE and up to SPARE_BODY bytes.
 */
#define SPARE_TRANSFERS 16
#define SPARE_TRANSFERS_AT_REST 1
#define SPARE_BODY (1024 * 1024)

/* received at once: a page of some hundred kB in a few system calls */
#define RECEIVE_SIZE (256 * 1024L)

/* idle connections kept: as many as were in use at once, at most this */
#define KEPT_CONNECTIONS 64L

struct ImpiloHttpPool
{
	ImpiloHttpConfig config;	/* without the headers */
	CURLM	   *multi;			/* made with the first transfer */
	CURLSH	   *share;			/* TLS sessions */
	struct curl_slist *get_headers;
	struct curl_slist *post_headers;
	ImpiloHttpTransfer *spare;
	int			nspare;
	dlist_head	running;
	bool		broken;			/* the multi handle has failed */
	ImpiloSockets sockets;
	int64		timer;			/* when to call libcurl; INT64_MAX: never */
};

/* --- what libcurl calls: no palloc, no ereport -------------------------- */

static size_t
receive_header(char *data, size_t one, size_t length, void *arg)
{
	ImpiloHttpTransfer *transfer = (ImpiloHttpTransfer *) arg;

	if (!impilo_answer_header(&transfer->answer, data, length))
		return 0;
	return length;
}

static size_t
receive_body(char *data, size_t one, size_t length, void *arg)
{
	ImpiloHttpTransfer *transfer = (ImpiloHttpTransfer *) arg;
	ImpiloAnswer *answer = &transfer->answer;
	curl_off_t	announced;

	if (transfer->request == NULL)
		return 0;
	/* a compressed body will be longer: still a good first size */
	if (answer->used == 0 &&
		curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
						  &announced) == CURLE_OK &&
		announced > 0 && !impilo_answer_reserve(answer, announced))
		return 0;
	if (!impilo_answer_body(answer, data, length))
		return 0;
	transfer->received += length;
	return length;
}

/*
 * Hand out each byte once: see the head of this file.  Being asked for more
 * means that libcurl has begun anew.
 */
static size_t
send_body(char *buffer, size_t size, size_t n, void *arg)
{
	ImpiloHttpTransfer *transfer = (ImpiloHttpTransfer *) arg;
	size_t		length = size * n;

	if (transfer->request == NULL || transfer->given == transfer->length)
		return CURL_READFUNC_ABORT;
	if (length > transfer->length - transfer->given)
		length = transfer->length - transfer->given;
	memcpy(buffer, transfer->body + transfer->given, length);
	transfer->given += length;
	return length;
}

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

static bool
is_plain(const char *url)
{
	return pg_strncasecmp(url, "http://", 7) == 0;
}

/*
 * The name has been looked up: here plain http to elsewhere is refused.  The
 * socket is counted among the backend's files, and not inherited by programs
 * that the backend starts.
 */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	ImpiloHttpTransfer *transfer = (ImpiloHttpTransfer *) arg;
	int			fd;

	if (transfer->request == NULL)
		return CURL_SOCKET_BAD;
	if (is_plain(transfer->url) && !is_loopback(&address->addr))
	{
		transfer->not_loopback = true;
		return CURL_SOCKET_BAD;
	}
	if (!AcquireExternalFD())
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype, address->protocol);
	if (fd < 0)
	{
		ReleaseExternalFD();
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

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	ImpiloHttpPool *pool = (ImpiloHttpPool *) arg;
	short		events = ((what & CURL_POLL_IN) ? POLLIN : 0) |
	((what & CURL_POLL_OUT) ? POLLOUT : 0);

	if (what == CURL_POLL_REMOVE)
	{
		impilo_wait_forget(&pool->sockets, fd);
		return 0;
	}
	return impilo_wait_watch(&pool->sockets, fd, events) ? 0 : -1;
}

static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	ImpiloHttpPool *pool = (ImpiloHttpPool *) arg;

	pool->timer = timeout_ms < 0 ? INT64_MAX :
		impilo_http_now() + timeout_ms * INT64CONST(1000);
	return 0;
}

/* --- options ------------------------------------------------------------ */

/* Return from the function with libcurl's code unless the option was taken */
#define SET(option, value) \
	do { \
		CURLcode	code_ = curl_easy_setopt(easy, option, value); \
		if (code_ != CURLE_OK) \
			return code_; \
	} while (0)

/* What makes connections, the same for all of a pool */
static CURLcode
set_connection_options(CURL *easy, const ImpiloHttpPool *pool)
{
	const ImpiloHttpConfig *config = &pool->config;
	bool		http2 = (curl_version_info(CURLVERSION_NOW)->features &
						 CURL_VERSION_HTTP2) != 0;
	CURLcode	code;

	if ((code = impilo_curl_restrict_protocols(easy)) != CURLE_OK ||
		(code = impilo_curl_leave_lookup(easy)) != CURLE_OK)
		return code;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_SHARE, pool->share);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (config->ca_file)
		SET(CURLOPT_CAINFO, config->ca_file);
	if (config->ca_file && config->proxy)
		SET(CURLOPT_PROXY_CAINFO, config->ca_file);
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_HTTP_VERSION, (long) (http2 ? CURL_HTTP_VERSION_2TLS :
									  CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) config->connect_timeout);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	return CURLE_OK;
}

static CURLcode
set_transfer_options(CURL *easy, ImpiloHttpTransfer *transfer)
{
	const ImpiloHttpConfig *config = &transfer->pool->config;

	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->error);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_VERBOSE, 0L);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_USERAGENT, config->user_agent);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	/* ours are for the server, not for a proxy on the way */
	SET(CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	SET(CURLOPT_ACCEPT_ENCODING, "");
	SET(CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
	SET(CURLOPT_TIMEOUT_MS, (long) config->request_timeout);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) config->max_response_size);
	SET(CURLOPT_HEADERFUNCTION, receive_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, receive_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_READFUNCTION, send_body);
	SET(CURLOPT_READDATA, transfer);
	return CURLE_OK;
}

/* What differs from one request to the next */
static CURLcode
set_request_options(CURL *easy, const ImpiloHttpTransfer *transfer)
{
	const ImpiloHttpPool *pool = transfer->pool;
	bool		plain = is_plain(transfer->url);

	SET(CURLOPT_URL, transfer->url);
	/* rather a stream of a connection that is being made than one more */
	SET(CURLOPT_PIPEWAIT, plain ? 0L : 1L);
	SET(CURLOPT_PROXY, plain || pool->config.proxy == NULL ? "" :
		pool->config.proxy);
	if (transfer->body == NULL)
	{
		SET(CURLOPT_HTTPGET, 1L);
		SET(CURLOPT_HTTPHEADER, pool->get_headers);
	}
	else
	{
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) transfer->length);
		SET(CURLOPT_HTTPHEADER, pool->post_headers);
	}
	return CURLE_OK;
}

/* --- how an attempt ended ------------------------------------------------ */

/* Would another attempt end the same way? */
static bool
is_hopeless(CURLcode code)
{
	switch (code)
	{
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_URL_MALFORMAT:
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_LOGIN_DENIED:
		case CURLE_FILESIZE_EXCEEDED:
		case CURLE_FAILED_INIT:
		case CURLE_UNKNOWN_OPTION:
		case CURLE_NOT_BUILT_IN:
		case CURLE_BAD_FUNCTION_ARGUMENT:
		case CURLE_OUT_OF_MEMORY:
			return true;
		default:
			return false;
	}
}

/* `sent`: some byte of the request may have left */
static ImpiloHttpOutcome
outcome_of(CURLcode code, bool sent, bool headers_done)
{
	switch (code)
	{
		case CURLE_OK:
			return IMPILO_HTTP_ANSWERED;
		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_CONNECT:
			return IMPILO_HTTP_UNREACHABLE;
		case CURLE_URL_MALFORMAT:
		case CURLE_LOGIN_DENIED:
			return IMPILO_HTTP_FORBIDDEN;
		case CURLE_UNSUPPORTED_PROTOCOL:
			/* of the URL, or an answer that is not HTTP/1.0 or newer */
			return sent ? IMPILO_HTTP_CUT : IMPILO_HTTP_FORBIDDEN;
		case CURLE_OPERATION_TIMEDOUT:
			return IMPILO_HTTP_TIMED_OUT;
		case CURLE_FILESIZE_EXCEEDED:
			return IMPILO_HTTP_TOO_LARGE;
		case CURLE_PARTIAL_FILE:
		case CURLE_BAD_CONTENT_ENCODING:
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_WRITE_ERROR:
			return IMPILO_HTTP_CUT;
		default:
			if (!sent)
				return IMPILO_HTTP_UNREACHABLE;
			return headers_done ? IMPILO_HTTP_CUT : IMPILO_HTTP_LOST;
	}
}

/* Our own words where libcurl only knows that a callback said no */
static const char *
own_failure(ImpiloHttpTransfer *transfer)
{
	const ImpiloAnswer *answer = &transfer->answer;

	if (answer->body_too_large)
		return "the body is too large";
	if (answer->header_too_large)
		return "the header is too large";
	if (answer->no_memory)
		return "out of memory";
	if (transfer->not_loopback)
		return "plain http is for loopback addresses only";
	return NULL;
}

/* Fill in what is told at the end; `started`: libcurl knows more than `code` */
static void
judge(ImpiloHttpTransfer *transfer, CURLcode code, bool started)
{
	const ImpiloAnswer *answer = &transfer->answer;
	curl_off_t	pretransfer = 0;
	long		status = 0;
	const char *failure;
	bool		sent;

	if (started)
	{
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE,
								 &status);
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T,
								 &pretransfer);
	}
	sent = pretransfer > 0;
	transfer->status = (int) status;
	transfer->may_have_acted = transfer->given > 0 ||
		(sent && transfer->length == 0);
	transfer->hopeless = is_hopeless(code);
	transfer->outcome = outcome_of(code, sent, answer->headers_done);
	transfer->failure[0] = '\0';
	if (code == CURLE_OK)
		return;

	if (answer->body_too_large || answer->header_too_large)
		transfer->outcome = IMPILO_HTTP_TOO_LARGE;
	else if (answer->no_memory)
		transfer->outcome = IMPILO_HTTP_LOST;
	else if (transfer->not_loopback && code == CURLE_COULDNT_CONNECT)
		transfer->outcome = IMPILO_HTTP_FORBIDDEN;
	if (transfer->outcome == IMPILO_HTTP_TOO_LARGE ||
		transfer->outcome == IMPILO_HTTP_FORBIDDEN || answer->no_memory)
		transfer->hopeless = true;

	failure = own_failure(transfer);
	if (failure == NULL)
		failure = transfer->error[0] ? transfer->error :
			curl_easy_strerror(code);
	strlcpy(transfer->failure, failure, sizeof(transfer->failure));
	impilo_answer_clean(transfer->failure);
}

/* --- calling libcurl ------------------------------------------------------ */

/*
 * Block all signals while libcurl may start a thread; but those of a crash in
 * this code, for which blocking them is undefined.
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
unblock_signals(const sigset_t *before)
{
	(void) pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void
act_on(ImpiloHttpPool *pool, curl_socket_t fd, int events)
{
	sigset_t	before;
	int			running;

	if (pool->multi == NULL || pool->broken)
		return;
	block_signals(&before);
	if (curl_multi_socket_action(pool->multi, fd, events,
								 &running) != CURLM_OK)
		pool->broken = true;
	unblock_signals(&before);
}

/*
 * Let libcurl go on: with the sockets that the last look or sleep has found
 * ready, and with its timer if that is due.  Does not wait, does not throw.
 */
void
impilo_http_pool_act(ImpiloHttpPool *pool)
{
	int			nready = pool->sockets.nready;
	long		timeout_ms;

	pool->sockets.nready = 0;
	for (int i = 0; i < nready; i++)
	{
		struct pollfd *ready = &pool->sockets.ready[i];
		int			events = 0;

		if (ready->revents & (POLLIN | POLLERR | POLLHUP))
			events |= CURL_CSELECT_IN;
		if (ready->revents & (POLLOUT | POLLERR | POLLHUP))
			events |= CURL_CSELECT_OUT;
		act_on(pool, ready->fd, events);
	}
	if (pool->timer > impilo_http_now())
		return;
	act_on(pool, CURL_SOCKET_TIMEOUT, 0);
	/* it does not tell us again of a timer that did not change */
	if (pool->multi != NULL &&
		curl_multi_timeout(pool->multi, &timeout_ms) == CURLM_OK)
		(void) set_timer(pool->multi, timeout_ms, pool);
}

/* When to call impilo_http_pool_act, as impilo_http_now; INT64_MAX: never */
int64
impilo_http_pool_timer(const ImpiloHttpPool *pool)
{
	return pool->broken ? 0 : pool->timer;
}

/* The sockets to look at, or to sleep on, before impilo_http_pool_act */
ImpiloSockets *
impilo_http_pool_sockets(ImpiloHttpPool *pool)
{
	return &pool->sockets;
}

/* --- transfers ------------------------------------------------------------ */

static void
free_transfer(ImpiloHttpTransfer *transfer)
{
	if (transfer->easy != NULL)
		curl_easy_cleanup(transfer->easy);
	impilo_answer_shrink(&transfer->answer, 0);
	free(transfer);
}

static void
detach(ImpiloHttpTransfer *transfer)
{
	(void) curl_multi_remove_handle(transfer->pool->multi, transfer->easy);
	dlist_delete(&transfer->node);
	transfer->running = false;
}

static ImpiloHttpTransfer *
make_transfer(ImpiloHttpPool *pool, CURLcode *code)
{
	ImpiloHttpTransfer *transfer = calloc(1, sizeof(ImpiloHttpTransfer));

	*code = CURLE_OUT_OF_MEMORY;
	if (transfer == NULL)
		return NULL;
	transfer->pool = pool;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL ||
		(*code = set_connection_options(transfer->easy, pool)) != CURLE_OK ||
		(*code = set_transfer_options(transfer->easy, transfer)) != CURLE_OK)
	{
		free_transfer(transfer);
		return NULL;
	}
	return transfer;
}

/*
 * A transfer to be filled in and started; released by the caller.  Does not
 * throw: NULL if there is no memory.
 */
ImpiloHttpTransfer *
impilo_http_transfer_take(ImpiloHttpPool *pool)
{
	ImpiloHttpTransfer *transfer = pool->spare;
	CURLcode	code;

	if (transfer == NULL)
		return make_transfer(pool, &code);
	pool->spare = transfer->next;
	pool->nspare--;
	return transfer;
}

static bool
open_multi(ImpiloHttpPool *pool)
{
	CURLM	   *multi = pool->multi;

	if (multi != NULL)
		return true;
	multi = curl_multi_init();
	if (multi == NULL)
		return false;
	if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket) ||
		curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, pool) ||
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer) ||
		curl_multi_setopt(multi, CURLMOPT_TIMERDATA, pool) ||
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS) ||
		impilo_curl_leave_lookups(multi))
	{
		curl_multi_cleanup(multi);
		return false;
	}
	pool->multi = multi;
	return true;
}

/*
 * Begin an attempt.  What can be sent at once is sent by the next
 * impilo_http_pool_act.  Does not throw: false if the attempt has ended
 * already, as the transfer tells.
 */
bool
impilo_http_transfer_start(ImpiloHttpTransfer *transfer)
{
	ImpiloHttpPool *pool = transfer->pool;
	CURLcode	code = CURLE_OUT_OF_MEMORY;
	sigset_t	before;

	impilo_answer_begin(&transfer->answer, pool->config.max_response_size);
	transfer->given = 0;
	transfer->received = 0;
	transfer->not_loopback = false;
	transfer->error[0] = '\0';
	if (!pool->broken && open_multi(pool) &&
		(code = set_request_options(transfer->easy, transfer)) == CURLE_OK)
	{
		CURLMcode	added;

		block_signals(&before);
		added = curl_multi_add_handle(pool->multi, transfer->easy);
		unblock_signals(&before);
		if (added == CURLM_OK)
		{
			dlist_push_tail(&pool->running, &transfer->node);
			transfer->running = true;
			return true;
		}
		code = CURLE_OUT_OF_MEMORY;
	}
	judge(transfer, code, false);
	return false;
}

/*
 * Give a transfer back to its pool, answer and all; one that runs is given
 * up, which closes its connection (of HTTP/2: its stream).  Does not throw.
 */
void
impilo_http_transfer_release(ImpiloHttpTransfer *transfer)
{
	ImpiloHttpPool *pool = transfer->pool;
	curl_off_t	lookup = 0;

	transfer->request = NULL;
	if (pool != NULL && transfer->running)
	{
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T,
								 &lookup);
		/* it goes on by itself, and is refused a socket */
		if (!IMPILO_CURL_LEAVES_LOOKUP && lookup == 0)
			return;
		detach(transfer);
		free_transfer(transfer);
		return;
	}
	if (pool == NULL || pool->nspare >= SPARE_TRANSFERS)
	{
		free_transfer(transfer);
		return;
	}
	impilo_answer_shrink(&transfer->answer, SPARE_BODY);
	transfer->next = pool->spare;
	pool->spare = transfer;
	pool->nspare++;
}

/*
 * The pool is about to be closed: part with it, keep the answer; one that
 * runs ends.  To be released all the same.  Does not throw.
 */
void
impilo_http_transfer_orphan(ImpiloHttpTransfer *transfer)
{
	if (transfer->running)
	{
		judge(transfer, CURLE_ABORTED_BY_CALLBACK, true);
		detach(transfer);
	}
	curl_easy_cleanup(transfer->easy);
	transfer->easy = NULL;
	transfer->pool = NULL;
}

/* The next transfer that has ended, if libcurl or its failure tells of one */
static ImpiloHttpTransfer *
next_ended(ImpiloHttpPool *pool, CURLcode *code)
{
	ImpiloHttpTransfer *transfer;
	CURLMsg    *message;
	char	   *private;
	int			left;

	if (pool->multi == NULL)
		return NULL;
	if (pool->broken)
	{
		*code = CURLE_OUT_OF_MEMORY;
		if (!dlist_is_empty(&pool->running))
			return dlist_head_element(ImpiloHttpTransfer, node,
									  &pool->running);
		impilo_http_pool_disconnect(pool);
		return NULL;
	}
	message = curl_multi_info_read(pool->multi, &left);
	if (message == NULL ||
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
						  &private) != CURLE_OK)
		return NULL;
	*code = message->data.result;
	transfer = (ImpiloHttpTransfer *) private;
	return transfer;
}

/*
 * The next transfer that has ended since the last call, or NULL.  It is the
 * caller's still, to be started once more or released.  Does not throw.
 */
ImpiloHttpTransfer *
impilo_http_pool_ended(ImpiloHttpPool *pool)
{
	ImpiloHttpTransfer *transfer;
	CURLcode	code;

	while ((transfer = next_ended(pool, &code)) != NULL)
	{
		judge(transfer, code, true);
		detach(transfer);
		if (transfer->request != NULL)
			return transfer;
		impilo_http_transfer_release(transfer);
	}
	return NULL;
}

/* --- pools ---------------------------------------------------------------- */

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

static void
add_headers(ImpiloHttpPool *pool, const char *const *headers)
{
	add_header(&pool->get_headers, "Accept: application/json");
	add_header(&pool->post_headers, "Accept: application/json");
	add_header(&pool->post_headers, "Content-Type: application/json");
	/* libcurl would ask before it sends more than a megabyte */
	add_header(&pool->post_headers, "Expect:");
	for (; headers != NULL && *headers != NULL; headers++)
	{
		add_header(&pool->get_headers, *headers);
		add_header(&pool->post_headers, *headers);
	}
}

/*
 * Make a pool in `context`.
 *
 * It is stored in *holder before anything is acquired, so that whoever closes
 * what is there has no leak if this throws: no memory, or options that this
 * libcurl cannot take.
 */
void
impilo_http_pool_open(ImpiloHttpPool **holder, MemoryContext context,
					  const ImpiloHttpConfig *config)
{
	ImpiloHttpPool *pool = MemoryContextAllocZero(context, sizeof(*pool));
	ImpiloHttpTransfer *transfer;
	CURLcode	code = CURLE_OUT_OF_MEMORY;

	dlist_init(&pool->running);
	pool->timer = INT64_MAX;
	pool->config = *config;
	pool->config.headers = NULL;
	pool->config.user_agent = MemoryContextStrdup(context, config->user_agent);
	if (config->ca_file)
		pool->config.ca_file = MemoryContextStrdup(context, config->ca_file);
	if (config->proxy)
		pool->config.proxy = MemoryContextStrdup(context, config->proxy);
	*holder = pool;

	init_library();
	add_headers(pool, config->headers);
	pool->share = curl_share_init();
	if (pool->share == NULL ||
		curl_share_setopt(pool->share, CURLSHOPT_SHARE,
						  CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK ||
		(transfer = make_transfer(pool, &code)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not set up libcurl"),
				 errdetail("libcurl %s says: %s.",
						   impilo_http_library_version(),
						   curl_easy_strerror(code))));
	impilo_http_transfer_release(transfer);
}

/* Close idle connections; not while a transfer runs.  Does not throw. */
void
impilo_http_pool_disconnect(ImpiloHttpPool *pool)
{
	if (!dlist_is_empty(&pool->running))
		return;
	if (pool->multi != NULL)
		curl_multi_cleanup(pool->multi);
	pool->multi = NULL;
	pool->broken = false;
	pool->timer = INT64_MAX;
	pool->sockets.nwatched = 0;
	pool->sockets.nready = 0;
}

static void
trim_spare(ImpiloHttpPool *pool, int most)
{
	while (pool->nspare > most)
	{
		ImpiloHttpTransfer *transfer = pool->spare;

		pool->spare = transfer->next;
		pool->nspare--;
		free_transfer(transfer);
	}
}

/* No request is left for now: keep little memory.  Does not throw. */
void
impilo_http_pool_rest(ImpiloHttpPool *pool)
{
	trim_spare(pool, SPARE_TRANSFERS_AT_REST);
}

/*
 * Free all but the pool's own palloc'd memory.  The transfers of requests
 * have parted before; what still runs is wanted by nobody.  Does not throw.
 */
void
impilo_http_pool_close(ImpiloHttpPool *pool)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pool->running)
	{
		ImpiloHttpTransfer *transfer =
		dlist_container(ImpiloHttpTransfer, node, iter.cur);

		detach(transfer);
		free_transfer(transfer);
	}
	trim_spare(pool, 0);
	impilo_http_pool_disconnect(pool);
	if (pool->share != NULL)
		(void) curl_share_cleanup(pool->share);
	pool->share = NULL;
	curl_slist_free_all(pool->get_headers);
	curl_slist_free_all(pool->post_headers);
	pool->get_headers = pool->post_headers = NULL;
	impilo_wait_free(&pool->sockets);
}

/* The release of libcurl that is loaded, as "7.88.1"; static memory */
const char *
impilo_http_library_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
