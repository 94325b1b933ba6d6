/*-------------------------------------------------------------------------
 *
 * api.c
 *	  The protocol of the order API: addresses and answers.
 *
 * Requests go out through here, and their answers are judged here: is this a
 * page, is this the order asked for, was an order created.  What is in their
 * bytes page.c finds.
 *
 * Which page or order is asked for next, and whether what the pages state
 * fits together, is decided above (list.c, lookup.c); when to try again is
 * decided below (http.c, retry.c); how an error is worded, in error.c.
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
#include "utils/builtins.h"

#include "api/api.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

#define USER_AGENT "impilo_fdw/1.0 PostgreSQL/" PG_VERSION

struct ImpiloApi
{
	MemoryContext context;		/* all of this lives in it */
	char	   *server_name;
	char	   *base_url;
	char	   *api_key;		/* not to be shown, whoever repeats it */
	bool		key_in_file;
	Oid			key_owner;		/* InvalidOid: PUBLIC */
	ImpiloHttpClient *http;
	int			max_pages;
	int			scan_timeout;
	bool		proven;			/* has answered as the API does */
	int64		last_total;		/* total of the last page, or IMPILO_UNKNOWN */
	ImpiloPageReader reader;
};

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

/*
 * impilo_api_open
 *		Make ready to talk to one account; sends nothing.
 *
 * Everything, the connections included, lives as long as `context`; `config`
 * is copied.
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

	api->context = context;
	api->server_name = pstrdup(config->server_name);
	api->base_url = pstrdup(config->base_url);
	api->api_key = pstrdup(config->api_key);
	api->max_pages = config->max_pages;
	api->scan_timeout = config->scan_timeout;
	api->key_in_file = config->key_in_file;
	api->key_owner = config->key_owner;
	api->last_total = IMPILO_UNKNOWN;

	impilo_page_reader_init(&api->reader);
	http.user_agent = USER_AGENT;
	http.headers = headers;
	api->http = impilo_http_open(context, &http);
	MemoryContextSwitchTo(caller);
	return api;
}

/*
 * impilo_api_http
 *		The connections of this account, for waiting on several requests.
 */
ImpiloHttpClient *
impilo_api_http(ImpiloApi *api)
{
	return api->http;
}

/*
 * impilo_api_account
 *		A fingerprint of address and key: what has the same one is the same
 *		account.  A key that was replaced has another one.
 */
uint64
impilo_api_account(const ImpiloApi *api)
{
	uint64		address = hash_bytes_extended((const unsigned char *) api->base_url,
											  strlen(api->base_url), 0);

	return hash_bytes_extended((const unsigned char *) api->api_key,
							   strlen(api->api_key), address);
}

/*
 * impilo_api_max_pages, impilo_api_scan_timeout
 *		How much one reading of the list may take, as api.h says.
 */
int
impilo_api_max_pages(const ImpiloApi *api)
{
	return api->max_pages;
}

int
impilo_api_scan_timeout(const ImpiloApi *api)
{
	return api->scan_timeout;
}

/*
 * impilo_api_uses_key
 *		Is this the key that is sent?
 */
bool
impilo_api_uses_key(const ImpiloApi *api, const char *key)
{
	return strcmp(api->api_key, key) == 0;
}

/*
 * impilo_api_get_page, impilo_api_get_order, impilo_api_post_order
 *		Ask, without waiting for the answer.
 *
 * The request belongs to `context`; `stats` (may be NULL) has to live as long
 * as the request.  Query parameters page and size, and their base 1, are
 * inferred from sibling endpoints: the answer tells what was understood.
 */
ImpiloHttpRequest *
impilo_api_get_page(ImpiloApi *api, MemoryContext context,
					int64 page, int size, ImpiloHttpStats *stats)
{
	char	   *url = psprintf("%s/order?page=" INT64_FORMAT "&size=%d",
							   api->base_url, page, size);

	return impilo_http_start(api->http, context, IMPILO_HTTP_GET, url, NULL, 0,
							 stats);
}

ImpiloHttpRequest *
impilo_api_get_order(ImpiloApi *api, MemoryContext context, int64 id,
					 ImpiloHttpStats *stats)
{
	char	   *url = psprintf("%s/order/" INT64_FORMAT, api->base_url, id);

	return impilo_http_start(api->http, context, IMPILO_HTTP_GET, url, NULL, 0,
							 stats);
}

ImpiloHttpRequest *
impilo_api_post_order(ImpiloApi *api, MemoryContext context,
					  const char *body, size_t length, ImpiloHttpStats *stats)
{
	return impilo_http_start(api->http, context, IMPILO_HTTP_POST,
							 psprintf("%s/order", api->base_url),
							 body, length, stats);
}

/*
 * impilo_api_show_page, impilo_api_show_order, impilo_api_show_create
 *		A request as EXPLAIN and messages show it, palloc'd.
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

const char *
impilo_api_show_create(void)
{
	return "POST /order";
}

/* ------------------------------------------------------------------------
 * Answers
 * ------------------------------------------------------------------------
 */

/*
 * impilo_api_content_error
 *		The error of a response of the right status that is not what the API
 *		sends; `detail` is palloc'd.
 */
void
impilo_api_content_error(ImpiloApi *api, char *detail, ImpiloApiError *error)
{
	impilo_api_describe_content(api->server_name, detail, error);
}

/*
 * impilo_api_limit_error
 *		The error of a scan of the list that has come to a limit; `detail` says
 *		how far it came, and is palloc'd.
 */
void
impilo_api_limit_error(ImpiloApi *api, ImpiloApiLimit limit, char *detail,
					   ImpiloApiError *error)
{
	impilo_api_describe_limit(api->server_name, limit, detail, error);
}

/*
 * How to give another key: what can be typed as it stands.
 */
static char *
key_hint(const ImpiloApi *api)
{
	const char *owner = "PUBLIC";
	const char *server = quote_identifier(api->server_name);

	if (OidIsValid(api->key_owner))
	{
		char	   *name = GetUserNameFromId(api->key_owner, true);

		owner = api->key_owner == GetUserId() || name == NULL
			? "CURRENT_USER" : quote_identifier(name);
	}
	if (api->key_in_file)
		return psprintf("The key may have expired. Replace it in the file named by option \"api_key_file\" of the user mapping FOR %s SERVER %s; every statement reads the file again.",
						owner, server);
	return psprintf("The key may have expired. Set a valid one with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (SET api_key '...').",
					owner, server);
}

/*
 * Is this an answer of the API?  If not, what is said of it is fit to be shown.
 */
static bool
is_answer(ImpiloApi *api, const ImpiloHttpReply *reply, const char *request,
		  ImpiloApiError *error)
{
	if (impilo_api_is_answer(api->server_name, reply, request, error))
		return true;
	impilo_api_hide(error, api->api_key);
	if (reply->outcome == IMPILO_HTTP_ANSWERED && reply->status == 401)
		error->hint = key_hint(api);
	return false;
}

/*
 * Raise the error of a request that did not get the API's answer.
 */
static void
require_answer(ImpiloApi *api, const ImpiloHttpReply *reply,
			   const char *request)
{
	ImpiloApiError error;

	if (!is_answer(api, reply, request, &error))
		impilo_api_raise(&error);
}

/*
 * Describe what is wrong with an answer that is no page, or not an order.
 */
static void
describe_wrong(ImpiloApi *api, const ImpiloHttpReply *reply,
			   const char *request, ImpiloReadVerdict verdict,
			   const char *subject, const ImpiloJsonError *wrong,
			   ImpiloApiError *error)
{
	char	   *detail;

	if (reply->length == 0)
		detail = psprintf("%s was answered with HTTP status %d and an empty body.",
						  request, reply->status);
	else if (strncmp(reply->body, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		detail = psprintf("The response to %s begins with a byte order mark, which JSON does not allow.",
						  request);
	else if (verdict == IMPILO_READ_BROKEN)
		detail = psprintf("The response to %s is broken JSON: %s at byte %zu of %zu.",
						  request, wrong->what, wrong->offset, reply->length);
	else
		detail = psprintf("%s to %s %s.", subject, request, wrong->what);
	impilo_api_describe_content(api->server_name, detail, error);
}

/*
 * impilo_api_try_page
 *		Read the envelope of a page of the list.
 *
 * The request must be done.  `result` points into its body; `page` and `size`
 * are what was asked for, for messages.  False, with `error` filled in, unless
 * the answer is a page: JSON with an array `content`.
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
	if (!is_answer(api, reply, result->request, error))
		return false;
	verdict = impilo_page_read(&api->reader, reply->body, reply->length,
							   result, &wrong);
	if (verdict != IMPILO_READ_OK)
	{
		describe_wrong(api, reply, result->request, verdict, "The response",
					   &wrong, error);
		return false;
	}

	api->proven = true;
	api->last_total = result->total;
	return true;
}

/*
 * impilo_api_page
 *		The same, but what is no page raises the error.
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
 *		The next order of a page; false at its end.
 *
 * The order points into the body of the page's request.  If it is not
 * well-formed or has no id, raises an error; or, if `error` is not NULL, fills
 * it in and returns false.
 */
bool
impilo_api_page_next(ImpiloApi *api, ImpiloPage *page, ImpiloOrder *order,
					 ImpiloApiError *error)
{
	ImpiloApiError raised;
	ImpiloJsonError wrong;
	int64_t		id;
	char	   *detail;

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
 * Read an answer that is one order.  Returns false and describes the error if
 * it is none.
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
		describe_wrong(api, reply, request, verdict, "The order in the response",
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
 *		Read the answer to a request for one order; false if it is 404.
 *
 * Every id known is positive, but nothing says that it must be, so others are
 * requested as well.  An API to which they are not ids may refuse them with
 * status 400 or 422, and has no such order either.
 *
 * Whether a 404 means that there is no such order, or that this is no order
 * API, the caller decides (see impilo_api_proven).  The order points into the
 * request's body.  Raises an error if the answer is not the order `id`.
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
	require_answer(api, reply, shown);
	if (!read_order(api, reply, shown, order, &error))
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
 *		The same without errors: true if the response is the order `id`.
 */
bool
impilo_api_try_order(ImpiloApi *api, ImpiloHttpRequest *request, int64 id,
					 ImpiloOrder *order, ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	const char *shown = impilo_api_show_order(id);

	return is_answer(api, reply, shown, error) &&
		read_order(api, reply, shown, order, error) && order->id == id;
}

/*
 * Does this status prove that the order was not created?  A redirect that
 * asks to send the request elsewhere does; 302 and 303 can be the answer to
 * one that was processed.  408 and 425 come from gateways that may have
 * passed the request on.
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
 *		What is known after a create-order request that is done.
 *
 * IMPILO_CREATE_DONE fills in `order`, which points into the request's body;
 * the other outcomes fill in `error`, palloc'd, which is not raised.
 */
ImpiloCreateOutcome
impilo_api_created(ImpiloApi *api, ImpiloHttpRequest *request,
				   ImpiloOrder *order, ImpiloApiError *error)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	const char *shown = impilo_api_show_create();

	if (is_answer(api, reply, shown, error))
		return read_order(api, reply, shown, order, error)
			? IMPILO_CREATE_DONE : IMPILO_CREATE_UNKNOWN;
	if (reply->outcome != IMPILO_HTTP_ANSWERED)
		return reply->may_have_acted
			? IMPILO_CREATE_UNKNOWN : IMPILO_CREATE_NOT_SENT;
	if (!status_refuses(reply->status))
		return IMPILO_CREATE_UNKNOWN;
	if (reply->status == 400 || reply->status == 404 ||
		reply->status == 409 || reply->status == 422)
	{
		impilo_api_describe_refusal(api->server_name, reply, api->proven,
									error);
		impilo_api_hide(error, api->api_key);
	}
	return IMPILO_CREATE_REFUSED;
}

/*
 * impilo_api_proven
 *		Has this server answered as the order API does, in this session?
 */
bool
impilo_api_proven(const ImpiloApi *api)
{
	return api->proven;
}

/*
 * impilo_api_last_total
 *		`total` of the last page read, or IMPILO_UNKNOWN.
 */
int64
impilo_api_last_total(const ImpiloApi *api)
{
	return api->last_total;
}
