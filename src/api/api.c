/*-------------------------------------------------------------------------
 *
 * api.c
 *	  The protocol of the order API: requests and responses.
 *
 * Sends the requests and reads their responses: whether one is a page, is the
 * order requested, or shows that an order was created.  page.c reads the
 * bytes.
 *
 * Not here: which page or order is requested next, and whether the pages of a
 * list are consistent (read/list.c); retries (http/http.c); the wording of
 * errors (error.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api/api.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "api/api.h"
#include "json/text.h"

#define USER_AGENT "impilo_fdw/1.0 PostgreSQL/" PG_VERSION

/* ------------------------------------------------------------------------
 * Requests
 * ------------------------------------------------------------------------
 */

/*
 * impilo_api_open
 *		Set up access to one account.  Sends nothing.
 *
 * The result, with its connections, lives as long as `context`.  `config` is
 * copied.  Raises an error for lack of memory, or if libcurl does not support
 * the configuration.
 */
ImpiloApi *
impilo_api_open(MemoryContext context, const ImpiloApiConfig *config)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloApi  *api = palloc0(sizeof(ImpiloApi));
	ImpiloHttpConfig http = config->http;
	const char *headers[] = {
		psprintf("Impilo-API-Key: %s", config->api_key), NULL
	};

	api->config = *config;
	api->config.server_name = pstrdup(config->server_name);
	api->config.base_url = pstrdup(config->base_url);
	api->config.api_key = pstrdup(config->api_key);
	memset(&api->config.http, 0, sizeof(api->config.http));
	api->account = hash_bytes_extended((const unsigned char *) config->base_url,
									   strlen(config->base_url), 0);
	api->account = hash_bytes_extended((const unsigned char *) config->api_key,
									   strlen(config->api_key), api->account);
	api->last_total = IMPILO_UNKNOWN;

	http.base_url = config->base_url;
	http.user_agent = USER_AGENT;
	http.headers = headers;
	api->http = impilo_http_open(context, &http);
	MemoryContextSwitchTo(caller);
	return api;
}

/*
 * impilo_api_get_page, impilo_api_get_small_page, impilo_api_get_order,
 * impilo_api_post_order
 *		Start a request, without waiting for its response.
 *
 * The request belongs to `context`; `stats` (may be NULL) must live as long as
 * the request.  The API documents the query parameters page and size, and that
 * pages are numbered from 1, for similar endpoints only: the response states
 * which page it is.
 */
ImpiloHttpRequest *
impilo_api_get_page(ImpiloApi *api, MemoryContext context,
					int64 page, int size, ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context, IMPILO_HTTP_GET,
							 psprintf("/order?page=" INT64_FORMAT "&size=%d",
									  page, size),
							 NULL, 0, stats);
}

ImpiloHttpRequest *
impilo_api_get_small_page(ImpiloApi *api, MemoryContext context, bool retry,
						  ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context,
							 retry ? IMPILO_HTTP_GET : IMPILO_HTTP_GET_ONCE,
							 psprintf("/order?page=1&size=%d", IMPILO_SMALL_PAGE),
							 NULL, 0, stats);
}

ImpiloHttpRequest *
impilo_api_get_order(ImpiloApi *api, MemoryContext context, int64 id,
					 ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context, IMPILO_HTTP_GET,
							 psprintf("/order/" INT64_FORMAT, id),
							 NULL, 0, stats);
}

ImpiloHttpRequest *
impilo_api_post_order(ImpiloApi *api, MemoryContext context,
					  const char *body, size_t length, ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context, IMPILO_HTTP_POST, "/order",
							 body, length, stats);
}

/* ------------------------------------------------------------------------
 * Responses
 * ------------------------------------------------------------------------
 */

/*
 * Fill in the error of a response that is not a page, or not an order.
 */
static void
wrong_content(const ImpiloApi *api, const ImpiloHttpReply *reply,
			  ImpiloReadVerdict verdict, const char *subject,
			  const ImpiloJsonError *wrong, ImpiloApiError *error)
{
	const char *request = reply->request;
	const char *type = reply->content_type;
	char	   *detail;

	if (strspn(reply->body, " \t\r\n") == reply->length)
		detail = psprintf("%s was answered with HTTP status %d and an empty body.",
						  request, reply->status);
	else if (strncmp(reply->body, IMPILO_BYTE_ORDER_MARK,
					 strlen(IMPILO_BYTE_ORDER_MARK)) == 0)
		detail = psprintf("The response to %s begins with a byte order mark, which JSON does not allow.",
						  request);
	else if (verdict == IMPILO_READ_BROKEN)
		detail = psprintf("The response to %s is broken JSON: %s at byte %zu of %zu%s%s.",
						  request, wrong->what, wrong->offset, reply->length,
						  type && strstr(type, "charset")
						  ? "; JSON is UTF-8, but its content type is " : "",
						  type && strstr(type, "charset") ? type : "");
	else
		detail = psprintf("%s to %s %s.", subject, request, wrong->what);
	impilo_api_error(api, IMPILO_API_CONTENT, detail, error);
}

/*
 * impilo_api_page, impilo_api_page_next, impilo_api_order
 *		Wait for a response and read it.
 *
 * What they return points into the body of the request.  They raise an error
 * if the response is not what was requested; or, if `error` is not NULL, fill
 * it in and return false.  Otherwise error->message becomes NULL.
 *
 * impilo_api_page reads the envelope of a page: JSON with an array `content`.
 */
bool
impilo_api_page(ImpiloApi *api, ImpiloHttpRequest *request, ImpiloPage *page,
				ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_wait(request, NULL);
	ImpiloApiError raised;
	ImpiloApiError *failure = error ? error : &raised;
	ImpiloJsonError wrong;
	ImpiloReadVerdict verdict;

	failure->message = NULL;
	page->request = reply->request;
	if (impilo_api_is_answer(api, reply, failure))
	{
		verdict = impilo_page_read(reply->body, reply->length, page, &wrong);
		if (verdict == IMPILO_READ_OK)
		{
			api->proven = true;
			api->last_total = page->total;
			return true;
		}
		wrong_content(api, reply, verdict, "The response", &wrong, failure);
	}
	if (error == NULL)
		impilo_api_raise(failure);
	return false;
}

/*
 * Reads the next order of a page; false at its end.  Checks for interrupts, so
 * that a large page can be canceled.
 */
bool
impilo_api_page_next(ImpiloApi *api, ImpiloPage *page, ImpiloOrder *order,
					 ImpiloApiError *error)
{
	ImpiloApiError raised;
	ImpiloApiError *failure = error ? error : &raised;
	ImpiloJsonError wrong;
	int64_t		id;
	char	   *detail;

	CHECK_FOR_INTERRUPTS();
	failure->message = NULL;
	switch (impilo_page_next(page, &order->document, &id, &wrong))
	{
		case IMPILO_READ_OK:
			order->id = id;
			order->request = page->request;
			return true;
		case IMPILO_READ_BROKEN:
			detail = psprintf("The response to %s is broken JSON: %s at byte %zu, in order %d of the page.",
							  page->request, wrong.what, wrong.offset,
							  page->orders);
			break;
		case IMPILO_READ_UNFIT:
			detail = psprintf("Order %d in the response to %s %s.",
							  page->orders, page->request, wrong.what);
			break;
		default:
			return false;
	}
	impilo_api_error(api, IMPILO_API_CONTENT, detail, failure);
	if (error == NULL)
		impilo_api_raise(failure);
	return false;
}

/*
 * Read a response that is one order.  Returns false and fills in `error` if it
 * is not.
 */
static bool
read_order(ImpiloApi *api, const ImpiloHttpReply *reply, ImpiloOrder *order,
		   ImpiloApiError *error)
{
	ImpiloJsonError wrong;
	ImpiloReadVerdict verdict;
	int64_t		id;

	verdict = impilo_page_order(reply->body, reply->length, &order->document,
								&id, &wrong);
	if (verdict != IMPILO_READ_OK)
	{
		wrong_content(api, reply, verdict, "The order in the response", &wrong,
					  error);
		return false;
	}
	order->id = id;
	order->request = reply->request;
	api->proven = true;
	return true;
}

/*
 * Reads the response to a request for one order; false if the order does not
 * exist.
 *
 * Status 404 means that.  All known ids are positive, but the API does not
 * promise it, so others are requested too: it may then refuse the id with
 * status 400 or 422, and has no such order either.  If the address has not
 * been proven to be right (api->proven), the caller decides whether a 404
 * means that there is no order API.
 */
bool
impilo_api_order(ImpiloApi *api, ImpiloHttpRequest *request, int64 id,
				 ImpiloOrder *order, ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_wait(request, NULL);
	ImpiloApiError raised;
	ImpiloApiError *failure = error ? error : &raised;

	failure->message = NULL;
	if (reply->outcome == IMPILO_HTTP_ANSWERED && reply->status == 404)
		return false;
	if (id <= 0 && (reply->status == 400 || reply->status == 422))
		return false;
	if (impilo_api_is_answer(api, reply, failure) &&
		read_order(api, reply, order, failure))
	{
		if (order->id == id)
			return true;
		impilo_api_error(api, IMPILO_API_CONTENT,
						 psprintf("The response to %s is the order with id " INT64_FORMAT ".",
								  reply->request, order->id), failure);
	}
	if (error == NULL)
		impilo_api_raise(failure);
	return false;
}

/*
 * Returns whether a status proves that no order was created.  301, 307 and 308
 * ask the client to send the request elsewhere; 302 and 303 may answer one
 * that was processed.  408 and 425 come from gateways, which may have passed
 * the request on.
 */
static bool
status_refuses(int status)
{
	if (status == 408 || status == 425)
		return false;
	return (status >= 400 && status <= 499) ||
		status == 301 || status == 307 || status == 308;
}

/*
 * impilo_api_created
 *		Returns what is known after a request to create an order, for which it
 *		waits.
 *
 * IMPILO_ORDER_CREATED fills in `order`, which points into the request's body;
 * the other outcomes fill in `error`.
 */
ImpiloOrderState
impilo_api_created(ImpiloApi *api, ImpiloHttpRequest *request,
				   ImpiloOrder *order, ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_wait(request, NULL);

	if (impilo_api_is_answer(api, reply, error))
		return read_order(api, reply, order, error)
			? IMPILO_ORDER_CREATED : IMPILO_ORDER_UNKNOWN;
	if (reply->outcome != IMPILO_HTTP_ANSWERED)
		return reply->may_have_acted
			? IMPILO_ORDER_UNKNOWN : IMPILO_ORDER_NOT_CREATED;
	if (!status_refuses(reply->status))
		return IMPILO_ORDER_UNKNOWN;
	if (reply->status == 400 || reply->status == 404 ||
		reply->status == 409 || reply->status == 422)
		impilo_api_refusal_error(api, reply, error);
	return IMPILO_ORDER_NOT_CREATED;
}
