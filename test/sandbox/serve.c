/*-------------------------------------------------------------------------
 *
 * serve.c
 *		The steps of a request from its first byte to its response.
 *
 * A request is read, logged and matched against the faults.  A POST takes
 * effect now, so that an order exists even if the client gives up during the
 * latency.  A GET reads the orders after the latency.  Then the response is
 * sent.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "config.h"
#include "control.h"
#include "faults.h"
#include "log.h"
#include "pages.h"
#include "serve.h"
#include "timer.h"

#define MAX_BODY ((size_t) 256 * 1024 * 1024)

typedef struct Connection
{
	int64_t		number;			/* 0 until it is used for the API */
} Connection;

/* called by libmicrohttpd with the request line, the beginning of a request */
void *
serve_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	Request    *request = xmalloc(sizeof(Request));

	memset(request, 0, sizeof(*request));
	request->connection = connection;
	request->target = xstrdup(uri);
	request->log_slot = -1;
	return request;
}

/* called by libmicrohttpd when a connection opens and when it is closed */
void
serve_connection(void *cls, struct MHD_Connection *connection,
				 void **socket_context,
				 enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
	{
		*socket_context = xmalloc(sizeof(Connection));
		memset(*socket_context, 0, sizeof(Connection));
	}
	else
	{
		free(*socket_context);
		*socket_context = NULL;
	}
}

/* called by libmicrohttpd when a request has ended */
void
serve_completed(void *cls, struct MHD_Connection *connection,
				void **request_cls, enum MHD_RequestTerminationCode how)
{
	Request    *request = *request_cls;

	if (request == NULL)
		return;
	log_end(request, 0);
	fault_release(request->fault);
	answer_free(&request->answer);
	buf_free(&request->body);
	free(request->target);
	free(request);
	*request_cls = NULL;
}

/* counts the connection and closes it after the configured requests */
static void
number_connection(Request *request)
{
	static int64_t last_number;
	const union MHD_ConnectionInfo *info;
	Connection *connection;

	info = MHD_get_connection_info(request->connection,
								   MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	connection = info->socket_context;
	if (connection->number == 0)
	{
		connection->number = __atomic_add_fetch(&last_number, 1,
												__ATOMIC_RELAXED);
		log_connection();
	}
	request->connection_number = connection->number;
	if (!config.keep_alive)
		request->answer.close = true;
}

/* returns whether there were too many requests; fills the response if so */
static bool
over_limit(Request *request)
{
	if (config.max_in_flight <= 0 || log_in_flight() <= config.max_in_flight)
		return false;
	answer_error(&request->answer, 429, "Too Many Requests", NULL);
	answer_header(&request->answer, "Retry-After", "1");
	request->answered = true;
	return true;
}

static enum MHD_Result
finish(Request *request)
{
	const FaultAction *fault = request->fault;

	if (!request->answered && (fault == NULL || fault->processed))
		api_answer(request);
	request->answered = true;
	if (fault != NULL)
	{
		if (fault->delivery == DELIVER_RESET_AFTER)
			return fault_abort(request, true);
		if (fault->delivery == DELIVER_CLOSE ||
			fault->delivery == DELIVER_HANG)
			return fault_abort(request, false);
		fault_change_answer(request);
	}
	answer_compress(request);
	log_end(request, request->answer.status);
	if (fault != NULL)
		return fault_deliver(request);
	return answer_send(request);
}

static int64_t
delay_of(const Request *request)
{
	int64_t		delay = config.latency_ms;

	if (config.jitter_ms > 0)
		delay += random() % (config.jitter_ms + 1);
	if (request->fault != NULL)
		delay += request->fault->delay_ms;
	return delay;
}

static enum MHD_Result
begin(Request *request)
{
	int64_t		delay;

	number_connection(request);
	request->log_slot = log_begin(request);
	if (!over_limit(request))
		request->fault = fault_match(request);
	if (request->fault != NULL &&
		request->fault->delivery == DELIVER_RESET_BEFORE)
		return fault_abort(request, true);
	if (!request->answered && strcmp(request->method, "GET") != 0 &&
		(request->fault == NULL || request->fault->processed))
		api_answer(request);
	request->stage = STAGE_WAITING;
	if (request->fault != NULL && request->fault->delivery == DELIVER_HANG)
	{
		timer_hang(request->connection);
		return MHD_YES;
	}
	delay = delay_of(request);
	if (delay <= 0)
		return finish(request);
	timer_sleep(request->connection, delay);
	return MHD_YES;
}

/* called by libmicrohttpd: with the headers, for each part of a body, then
 * once more, and again whenever the connection was resumed */
enum MHD_Result
serve_request(void *cls, struct MHD_Connection *connection, const char *url,
			  const char *method, const char *version,
			  const char *upload_data, size_t *upload_data_size,
			  void **request_cls)
{
	Request    *request = *request_cls;

	if (request->stage == STAGE_NEW)
	{
		request->stage = STAGE_READING;
		request->method = method;
		request->path = url;
		request->api = strncmp(url, "/_sandbox/", 10) != 0;
		return MHD_YES;
	}
	if (*upload_data_size > 0)
	{
		if (request->body.len + *upload_data_size > MAX_BODY)
			return MHD_NO;
		buf_add(&request->body, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	if (request->stage == STAGE_WAITING)
		return finish(request);
	if (request->stage == STAGE_CLOSING)
		return MHD_NO;
	if (request->stage != STAGE_READING)
		return MHD_YES;
	if (request->api)
		return begin(request);
	control_answer(request);
	return answer_send(request);
}
