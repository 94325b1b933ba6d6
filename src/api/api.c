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

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

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
	impilo_page_reader_init(&api->reader);

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
	char	   *url = psprintf("%s/order?page=" INT64_FORMAT "&size=%d",
							   api->config.base_url, page, size);

	return impilo_http_start(api->http, context, IMPILO_HTTP_GET, url, NULL, 0,
							 stats);
}

ImpiloHttpRequest *
impilo_api_get_small_page(ImpiloApi *api, MemoryContext context, bool retry,
						  ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context,
							 retry ? IMPILO_HTTP_GET : IMPILO_HTTP_GET_ONCE,
							 psprintf("%s/order?page=1&size=%d",
									  api->config.base_url, IMPILO_SMALL_PAGE),
							 NULL, 0, stats);
}

ImpiloHttpRequest *
impilo_api_get_order(ImpiloApi *api, MemoryContext context, int64 id,
					 ImpiloHttpStats *stats)
{
	char	   *url = psprintf("%s/order/" INT64_FORMAT, api->config.base_url, id);

	return impilo_http_start(api->http, context, IMPILO_HTTP_GET, url, NULL, 0,
							 stats);
}

ImpiloHttpRequest *
impilo_api_post_order(ImpiloApi *api, MemoryContext context,
					  const char *body, size_t length, ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context, IMPILO_HTTP_POST,
							 psprintf("%s/order", api->config.base_url),
							 body, length, stats);
}

/*
 * impilo_api_show_page, impilo_api_show_order
 *		Returns a request as EXPLAIN and messages show it, palloc'd.
 */
char *
impilo_api_show_page(int64 page, int size)
{
	return psprintf("GET /order?page=" INT64_FORMAT "&size=%d", page, size);
}

char *
impilo_api_show_order(int64 id)
{
	return psprintf("GET /order/" INT64_FORMAT, id);
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
			  const char *request, ImpiloReadVerdict verdict,
			  const char *subject, const ImpiloJsonError *wrong,
			  ImpiloApiError *error)
{
	const char *type = reply->content_type;
	char	   *detail;

	if (reply->length == 0)
		detail = psprintf("%s was answered with HTTP status %d and an empty body.",
						  request, reply->status);
	else if (strncmp(reply->body, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
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
	impilo_api_content_error(api, detail, error);
}

/*
 * impilo_api_try_page
 *		Read the envelope of a page of the list.
 *
 * The request must be done; `page` and `size` are what it asked for, for
 * messages.  `result` points into its body.  Returns false and fills in
 * `error` if the response is not a page: JSON with an array `content`.
 */
bool
impilo_api_try_page(ImpiloApi *api, ImpiloHttpRequest *request,
					int64 page, int size, ImpiloPage *result,
					ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	ImpiloJsonError wrong;
	ImpiloReadVerdict verdict;

	result->request = impilo_api_show_page(page, size);
	if (!impilo_api_is_answer(api, reply, result->request, error))
		return false;
	verdict = impilo_page_read(&api->reader, reply->body, reply->length,
							   result, &wrong);
	if (verdict != IMPILO_READ_OK)
	{
		wrong_content(api, reply, result->request, verdict, "The response",
					  &wrong, error);
		return false;
	}

	api->proven = true;
	api->last_total = result->total;
	return true;
}

/*
 * impilo_api_page
 *		The same, but raises the error.
 */
void
impilo_api_page(ImpiloApi *api, ImpiloHttpRequest *request,
				int64 page, int size, ImpiloPage *result)
{
	ImpiloApiError error;

	if (!impilo_api_try_page(api, request, page, size, result, &error))
		impilo_api_raise(&error);
}

/*
 * impilo_api_page_next
 *		Read the next order of a page.  Returns false at its end.
 *
 * The order points into the body of the page's request.  If it is not
 * well-formed or has no id, raises an error; or, if `error` is not NULL, fills
 * it in and returns false.  Checks for interrupts, so that a large page can be
 * canceled.
 */
bool
impilo_api_page_next(ImpiloApi *api, ImpiloPage *page, ImpiloOrder *order,
					 ImpiloApiError *error)
{
	ImpiloApiError raised;
	ImpiloJsonError wrong;
	int64_t		id;
	char	   *detail;

	CHECK_FOR_INTERRUPTS();
	switch (impilo_page_next(&api->reader, page, &order->document, &id,
							 &wrong))
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
	impilo_api_content_error(api, detail, error ? error : &raised);
	if (error == NULL)
		impilo_api_raise(&raised);
	return false;
}

/*
 * Read a response that is one order.  Returns false and fills in `error` if it
 * is not.
 */
static bool
read_order(ImpiloApi *api, const ImpiloHttpReply *reply, const char *request,
		   ImpiloOrder *order, ImpiloApiError *error)
{
	ImpiloJsonError wrong;
	ImpiloReadVerdict verdict;
	int64_t		id;

	verdict = impilo_page_order(&api->reader, reply->body, reply->length,
								&order->document, &id, &wrong);
	if (verdict != IMPILO_READ_OK)
	{
		wrong_content(api, reply, request, verdict, "The order in the response",
					  &wrong, error);
		return false;
	}
	order->id = id;
	order->request = request;
	api->proven = true;
	return true;
}

/*
 * impilo_api_order
 *		Read the response to a request for one order.  Returns false if the
 *		order does not exist.
 *
 * Status 404 means that.  All known ids are positive, but the API does not
 * promise it, so others are requested too: it may then refuse the id with
 * status 400 or 422, and has no such order either.
 *
 * If the address has not been proven to be right (api->proven), the caller
 * decides whether a 404 means that there is no order API.  The order points
 * into the request's body.  Raises an error if the response is not order `id`.
 */
bool
impilo_api_order(ImpiloApi *api, ImpiloHttpRequest *request, int64 id,
				 ImpiloOrder *order)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	const char *shown = impilo_api_show_order(id);
	ImpiloApiError error;

	if (reply->outcome == IMPILO_HTTP_ANSWERED && reply->status == 404)
		return false;
	if (id <= 0 && (reply->status == 400 || reply->status == 422))
		return false;
	if (!impilo_api_is_answer(api, reply, shown, &error) ||
		!read_order(api, reply, shown, order, &error))
		impilo_api_raise(&error);
	if (order->id != id)
	{
		impilo_api_content_error(api,
								 psprintf("The response to %s is the order with id " INT64_FORMAT ".",
										  shown, order->id), &error);
		impilo_api_raise(&error);
	}
	return true;
}

/*
 * impilo_api_try_order
 *		The same, but raises no error.  Returns whether the response is order
 *		`id`; `error` is filled in only if it is not an order at all.
 */
bool
impilo_api_try_order(ImpiloApi *api, ImpiloHttpRequest *request, int64 id,
					 ImpiloOrder *order, ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	const char *shown = impilo_api_show_order(id);

	return impilo_api_is_answer(api, reply, shown, error) &&
		read_order(api, reply, shown, order, error) && order->id == id;
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
 *		Returns what is known after a request to create an order, which must be
 *		done.
 *
 * IMPILO_CREATE_DONE fills in `order`, which points into the request's body;
 * the other outcomes fill in `error`.
 */
ImpiloCreateOutcome
impilo_api_created(ImpiloApi *api, ImpiloHttpRequest *request,
				   ImpiloOrder *order, ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	const char *shown = IMPILO_CREATE_REQUEST;

	if (impilo_api_is_answer(api, reply, shown, error))
		return read_order(api, reply, shown, order, error)
			? IMPILO_CREATE_DONE : IMPILO_CREATE_UNKNOWN;
	if (reply->outcome != IMPILO_HTTP_ANSWERED)
		return reply->may_have_acted
			? IMPILO_CREATE_UNKNOWN : IMPILO_CREATE_NOT_SENT;
	if (!status_refuses(reply->status))
		return IMPILO_CREATE_UNKNOWN;
	if (reply->status == 400 || reply->status == 404 ||
		reply->status == 409 || reply->status == 422)
		impilo_api_refusal_error(api, reply, error);
	return IMPILO_CREATE_REFUSED;
}
