/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Single attempts over kept connections: the only file with libcurl.
 *
 * A pool has one multi handle, which keeps the connections, and an easy handle
 * for each of its transfers.  libcurl tells by two callbacks which sockets it
 * waits for and until when; who waits for them (http_request.c) calls
 * impilo_http_pool_act when something has happened.
 *
 * No PostgreSQL error may jump out of a libcurl callback: they store, set flags
 * and take malloc's memory.  While it may start a thread, signals are blocked.
 *
 * A POST must never be sent twice behind our back.  libcurl itself repeats a
 * request, of whatever method, if a connection that it reused dies without an
 * answer.  The body comes from a callback that hands out each byte once, and
 * there is no way to rewind it; so libcurl cannot.  The same callback
 * knows whether any byte of the body may have left: before, no server can act.
 *
 * Redirects are not followed, cookies not kept, netrc and the environment's
 * proxies not read, certificates always verified; plain http goes to a
 * loopback address only, whatever its name is, and never through a proxy.
 *
 * Not here: who owns a transfer (http_pool.c), waiting, repeating and pacing
 * (http_request.c), what an answer means (api.c).
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

#include "miscadmin.h"

#include "compat.h"
#include "http/http_private.h"


/* received at once: a page of some hundred kB in a few system calls */
#define RECEIVE_SIZE (256 * 1024L)

/* idle connections kept: as many as were in use at once, at most this */
#define KEPT_CONNECTIONS 64L

/* --- what libcurl calls: no palloc, no ereport -------------------------- */

static size_t
receive_header(char *data, size_t one, size_t length, void *arg)
{
	ImpiloHttpTransfer *transfer = (ImpiloHttpTransfer *) arg;

	return impilo_answer_header(&transfer->answer, data, length) ? length : 0;
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

/* Whatever is not certainly https: libcurl would guess */
static bool
is_plain(const char *url)
{
	return pg_strncasecmp(url, "https://", 8) != 0;
}

/* The name has been looked up, and libcurl is about to connect */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	ImpiloHttpTransfer *transfer = (ImpiloHttpTransfer *) arg;
	int			fd;

	if (transfer->request == NULL)
		return CURL_SOCKET_BAD;
	if (is_plain(transfer->url) &&
		!impilo_http_socket_is_loopback(&address->addr))
	{
		transfer->not_loopback = true;
		return CURL_SOCKET_BAD;
	}
	fd = impilo_http_socket_open(address->family, address->socktype,
								 address->protocol);
	if (fd < 0)
	{
		transfer->no_socket = true;
		return CURL_SOCKET_BAD;
	}
	return fd;
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
	SET(CURLOPT_HTTP_VERSION, (long) (impilo_curl_http2() ?
									  CURL_HTTP_VERSION_2TLS :
									  CURL_HTTP_VERSION_1_1));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) config->connect_timeout);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_CLOSESOCKETFUNCTION, impilo_http_socket_close);
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

/*
 * What libcurl's codes mean.  Those that are not here are a connection that
 * was lost, or never came about, or an answer whose body was cut.
 */
static const struct
{
	CURLcode	code;
	ImpiloHttpOutcome outcome;
	bool		hopeless;		/* another attempt would end the same way */
}			endings[] = {
	{CURLE_OK, IMPILO_HTTP_ANSWERED, false},
	{CURLE_PEER_FAILED_VERIFICATION, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_SSL_CACERT_BADFILE, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_SSL_CERTPROBLEM, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_SSL_CIPHER, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_SSL_INVALIDCERTSTATUS, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_SSL_ISSUER_ERROR, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_FAILED_INIT, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_UNKNOWN_OPTION, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_NOT_BUILT_IN, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_BAD_FUNCTION_ARGUMENT, IMPILO_HTTP_UNREACHABLE, true},
	{CURLE_OUT_OF_MEMORY, IMPILO_HTTP_LOST, true},
	{CURLE_URL_MALFORMAT, IMPILO_HTTP_FORBIDDEN, true},
	{CURLE_LOGIN_DENIED, IMPILO_HTTP_FORBIDDEN, true},
	/* of the URL; if something was sent: no answer of HTTP/1.0 or newer */
	{CURLE_UNSUPPORTED_PROTOCOL, IMPILO_HTTP_FORBIDDEN, true},
	{CURLE_OPERATION_TIMEDOUT, IMPILO_HTTP_TIMED_OUT, false},
	{CURLE_FILESIZE_EXCEEDED, IMPILO_HTTP_TOO_LARGE, true},
	{CURLE_WEIRD_SERVER_REPLY, IMPILO_HTTP_CUT, false},
	{CURLE_WRITE_ERROR, IMPILO_HTTP_CUT, false}
};

/* `sent`: some byte of the request may have left */
static void
set_outcome(ImpiloHttpTransfer *transfer, CURLcode code, bool sent)
{
	transfer->hopeless = false;
	if (!sent)
		transfer->outcome = IMPILO_HTTP_UNREACHABLE;
	else
		transfer->outcome = transfer->answer.headers_done ?
			IMPILO_HTTP_CUT : IMPILO_HTTP_LOST;
	for (int i = 0; i < lengthof(endings); i++)
	{
		if (endings[i].code != code)
			continue;
		transfer->outcome = endings[i].outcome;
		transfer->hopeless = endings[i].hopeless;
	}
	if (sent && transfer->outcome == IMPILO_HTTP_FORBIDDEN)
		transfer->outcome = IMPILO_HTTP_CUT;
}

static double
time_of(CURL *easy, CURLINFO info)
{
	curl_off_t	us = 0;

	(void) curl_easy_getinfo(easy, info, &us);
	return us / 1000.0;
}

static void
tell_times(ImpiloHttpTransfer *transfer)
{
	ImpiloHttpTimes *times = &transfer->times;
	long		version = 0;

	times->lookup = time_of(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T);
	times->connect = time_of(transfer->easy, CURLINFO_CONNECT_TIME_T);
	times->tls = time_of(transfer->easy, CURLINFO_APPCONNECT_TIME_T);
	times->answer = time_of(transfer->easy, CURLINFO_STARTTRANSFER_TIME_T);
	times->total = time_of(transfer->easy, CURLINFO_TOTAL_TIME_T);
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
	transfer->http2 = version == CURL_HTTP_VERSION_2_0;
}

/* Fill in what is told at the end; `started`: libcurl knows more than `code` */
static void
conclude(ImpiloHttpTransfer *transfer, CURLcode code, bool started)
{
	curl_off_t	pretransfer = 0;
	long		status = 0;
	long		size = 0;
	bool		sent;

	if (started)
	{
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE,
								 &status);
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T,
								 &pretransfer);
		(void) curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &size);
	}
	/* either alone is no proof: of 8.23's time, or of what a proxy was told */
	sent = pretransfer > 0 && size > 0;
	transfer->status = (int) status;
	if (started)
		tell_times(transfer);
	transfer->may_have_acted = transfer->given > 0 ||
		(sent && transfer->length == 0);
	set_outcome(transfer, code, sent);
	transfer->failure[0] = '\0';
	if (code != CURLE_OK)
		impilo_http_transfer_explain(transfer, transfer->error[0] ?
									 transfer->error :
									 curl_easy_strerror(code));
}

/* --- calling libcurl ------------------------------------------------------ */

static void
act_on(ImpiloHttpPool *pool, curl_socket_t fd, int events)
{
	sigset_t	before;
	int			running;

	if (pool->multi == NULL || pool->broken)
		return;
	impilo_http_block_signals(&before);
	if (curl_multi_socket_action(pool->multi, fd, events,
								 &running) != CURLM_OK)
		pool->broken = true;
	impilo_http_restore_signals(&before);
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

/* --- transfers ------------------------------------------------------------ */

/*
 * A new transfer of a pool; NULL, and why, if there is no memory or libcurl
 * cannot do what the pool's configuration asks for.  Does not throw.
 */
ImpiloHttpTransfer *
impilo_http_transfer_make(ImpiloHttpPool *pool, const char **why)
{
	ImpiloHttpTransfer *transfer = calloc(1, sizeof(ImpiloHttpTransfer));
	CURLcode	code = CURLE_OUT_OF_MEMORY;

	if (transfer != NULL)
	{
		transfer->pool = pool;
		transfer->easy = curl_easy_init();
	}
	if (transfer == NULL || transfer->easy == NULL ||
		(code = set_connection_options(transfer->easy, pool)) != CURLE_OK ||
		(code = set_transfer_options(transfer->easy, transfer)) != CURLE_OK)
	{
		*why = curl_easy_strerror(code);
		impilo_http_transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

/* Free the easy handle of a transfer that does not run; does not throw */
void
impilo_http_transfer_free_handle(ImpiloHttpTransfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	transfer->easy = NULL;
}

/* Free all of it; accepts NULL, does not throw */
void
impilo_http_transfer_free(ImpiloHttpTransfer *transfer)
{
	if (transfer == NULL)
		return;
	impilo_http_transfer_free_handle(transfer);
	impilo_answer_shrink(&transfer->answer, 0);
	free(transfer);
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
	transfer->no_socket = false;
	transfer->error[0] = '\0';
	if (!pool->broken && open_multi(pool) &&
		(code = set_request_options(transfer->easy, transfer)) == CURLE_OK)
	{
		CURLMcode	added;

		impilo_http_block_signals(&before);
		added = curl_multi_add_handle(pool->multi, transfer->easy);
		impilo_http_restore_signals(&before);
		if (added == CURLM_OK)
		{
			dlist_push_tail(&pool->running, &transfer->node);
			transfer->running = true;
			return true;
		}
		code = CURLE_OUT_OF_MEMORY;
	}
	conclude(transfer, code, false);
	return false;
}

static void
detach(ImpiloHttpTransfer *transfer)
{
	(void) curl_multi_remove_handle(transfer->pool->multi, transfer->easy);
	dlist_delete(&transfer->node);
	transfer->running = false;
}

/*
 * Break an attempt off, which closes its connection (of HTTP/2: its stream).
 * The transfer tells what may have happened until then.  Does not throw.
 */
void
impilo_http_transfer_stop(ImpiloHttpTransfer *transfer)
{
	conclude(transfer, CURLE_ABORTED_BY_CALLBACK, true);
	impilo_http_transfer_explain(transfer, "the request was given up");
	detach(transfer);
}

/* May stopping it take until a look-up ends, which is seconds? */
bool
impilo_http_transfer_stops_late(ImpiloHttpTransfer *transfer)
{
	curl_off_t	lookup = 0;

	if (IMPILO_CURL_LEAVES_LOOKUP)
		return false;
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T,
							 &lookup);
	return lookup == 0;
}

/*
 * The next transfer that has ended since the last call, wanted or not; NULL if
 * there is none.  Does not throw.
 */
ImpiloHttpTransfer *
impilo_http_pool_next_ended(ImpiloHttpPool *pool)
{
	ImpiloHttpTransfer *transfer;
	CURLcode	code = CURLE_OUT_OF_MEMORY;
	CURLMsg    *message;
	char	   *private;
	int			left;

	if (pool->multi == NULL)
		return NULL;
	if (pool->broken)
	{
		/* nothing comes of any; the next attempt gets a new multi handle */
		if (dlist_is_empty(&pool->running))
		{
			impilo_http_pool_disconnect(pool);
			return NULL;
		}
		transfer = dlist_head_element(ImpiloHttpTransfer, node,
									  &pool->running);
	}
	else
	{
		message = curl_multi_info_read(pool->multi, &left);
		if (message == NULL ||
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
							  &private) != CURLE_OK)
			return NULL;
		code = message->data.result;
		transfer = (ImpiloHttpTransfer *) private;
	}
	conclude(transfer, code, true);
	detach(transfer);
	return transfer;
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

/*
 * Acquire what libcurl keeps for a whole pool: the headers of its requests and
 * a store of TLS sessions.  Throws if it cannot; what it has acquired by then
 * is freed by impilo_http_pool_free_handles.
 */
void
impilo_http_pool_make_handles(ImpiloHttpPool *pool,
							  const char *const *headers)
{
	init_library();
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
	pool->share = curl_share_init();
	if (pool->share == NULL ||
		curl_share_setopt(pool->share, CURLSHOPT_SHARE,
						  CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

/* Free that; no transfer of the pool may be left.  Does not throw. */
void
impilo_http_pool_free_handles(ImpiloHttpPool *pool)
{
	impilo_http_pool_disconnect(pool);
	(void) curl_share_cleanup(pool->share);
	pool->share = NULL;
	curl_slist_free_all(pool->get_headers);
	curl_slist_free_all(pool->post_headers);
	pool->get_headers = pool->post_headers = NULL;
}

/* Close idle connections; not while a transfer runs.  Does not throw. */
void
impilo_http_pool_disconnect(ImpiloHttpPool *pool)
{
	if (!dlist_is_empty(&pool->running))
		return;
	(void) curl_multi_cleanup(pool->multi);
	pool->multi = NULL;
	pool->broken = false;
	pool->timer = INT64_MAX;
	pool->sockets.nwatched = 0;
	pool->sockets.nready = 0;
}

/* The libcurl that is in use; all of it is static memory */
ImpiloHttpLibrary
impilo_http_library(void)
{
	ImpiloHttpLibrary library;

	library.parts = curl_version();
	library.tls = curl_version_info(CURLVERSION_NOW)->ssl_version;
	library.http2 = impilo_curl_http2();
	return library;
}
