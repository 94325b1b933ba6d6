/*-------------------------------------------------------------------------
 *
 * api.c
 *	  The protocol of the order API: addresses and answers.
 *
 * Requests go out through here, and their answers are read here: what does
 * the envelope of a page state, which order is this, was an order created.
 *
 * Which page or order is asked for next, and whether what the pages state
 * fits together, is decided above (list.c, lookup.c); when to try again is
 * decided below (http.c, retry.c); how an error is worded, in api_error.c.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "api.h"
#include "common/hashfn.h"
#include "json_find.h"

#define USER_AGENT "impilo_fdw/1.0 PostgreSQL/" PG_VERSION

/*
 * Containers inside one another that an order may have, itself included; the
 * deepest place known is at seven.  A page puts two more around it.
 */
#define ORDER_DEPTH (IMPILO_JSON_MAX_DEPTH - 2)

/* The members of a page's envelope, in the order of their slots. */
enum EnvelopeSlot
{
	SLOT_CONTENT,
	SLOT_PAGE,
	SLOT_SIZE,
	SLOT_TOTAL,
	SLOT_FIRST,
	SLOT_LAST,
	SLOT_COUNT
};

static const char *const envelope_members[SLOT_COUNT] = {
	"content", "page", "size", "total", "first", "last"
};

struct ImpiloApi
{
	MemoryContext context;		/* all of this lives in it */
	char	   *server_name;
	char	   *base_url;
	char	   *api_key;		/* not to be shown, whoever repeats it */
	ImpiloHttpClient *http;
	bool		proven;			/* has answered as the API does */
	int64		last_total;		/* total of the last page, or IMPILO_UNKNOWN */
	ImpiloJsonWanted envelope;	/* the members of a page */
	ImpiloJsonNode envelope_nodes[1 + SLOT_COUNT];
	ImpiloJsonWanted order_id;	/* the id of an order */
	ImpiloJsonNode order_id_nodes[2];
};

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

static void
want_member(ImpiloJsonWanted *wanted, const char *member, int slot)
{
	ImpiloPointerStep step = impilo_pointer_step(member, strlen(member));
	const char *refused = impilo_json_want(wanted, &step, 1, slot);

	if (refused)
		elog(ERROR, "impilo_fdw: member \"%s\": %s", member, refused);
}

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
	api->last_total = IMPILO_UNKNOWN;

	impilo_json_want_begin(&api->envelope, api->envelope_nodes,
						   lengthof(api->envelope_nodes));
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		want_member(&api->envelope, envelope_members[slot], slot);
	impilo_json_want_begin(&api->order_id, api->order_id_nodes,
						   lengthof(api->order_id_nodes));
	want_member(&api->order_id, "id", 0);

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

	return impilo_http_start(api->http, context, url, NULL, 0,
							 IMPILO_RETRY_IDEMPOTENT, stats);
}

ImpiloHttpRequest *
impilo_api_get_order(ImpiloApi *api, MemoryContext context, int64 id,
					 ImpiloHttpStats *stats)
{
	char	   *url = psprintf("%s/order/" INT64_FORMAT, api->base_url, id);

	return impilo_http_start(api->http, context, url, NULL, 0,
							 IMPILO_RETRY_IDEMPOTENT, stats);
}

ImpiloHttpRequest *
impilo_api_post_order(ImpiloApi *api, MemoryContext context,
					  const char *body, size_t length,
					  ImpiloRetryPolicy policy, ImpiloHttpStats *stats)
{
	Assert(policy != IMPILO_RETRY_IDEMPOTENT);
	return impilo_http_start(api->http, context,
							 psprintf("%s/order", api->base_url),
							 body, length, policy, stats);
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

static void
raise_content(ImpiloApi *api, char *detail)
{
	ImpiloApiError error;

	impilo_api_describe_content(api->server_name, detail, &error);
	impilo_api_raise(&error);
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

static int64
number_or_unknown(const ImpiloJsonSlice *value)
{
	int64_t		number;

	if (!impilo_json_int64(value, &number) || number < 0)
		return IMPILO_UNKNOWN;
	return number;
}

static int
boolean_or_unknown(const ImpiloJsonSlice *value)
{
	if (value->kind != IMPILO_JSON_BOOL)
		return IMPILO_UNKNOWN;
	return value->data[0] == 't';
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
	ImpiloJsonSlice found[SLOT_COUNT];
	ImpiloJsonError wrong;

	result->request = impilo_api_show_page(page, size);
	if (!is_answer(api, reply, result->request, error))
		return false;
	if (!impilo_json_find(&api->envelope, reply->body, reply->length,
						  IMPILO_JSON_MAX_DEPTH, found, &wrong))
	{
		impilo_api_describe_content(api->server_name, psprintf("The answer to %s is broken JSON: %s at byte %zu of %zu.",
															   result->request, wrong.what, wrong.offset,
															   reply->length), error);
		return false;
	}
	if (found[SLOT_CONTENT].kind != IMPILO_JSON_ARRAY)
	{
		impilo_api_describe_content(api->server_name, psprintf("The answer to %s has no array \"content\".",
															   result->request), error);
		return false;
	}

	result->page = number_or_unknown(&found[SLOT_PAGE]);
	result->size = number_or_unknown(&found[SLOT_SIZE]);
	result->total = number_or_unknown(&found[SLOT_TOTAL]);
	result->first = boolean_or_unknown(&found[SLOT_FIRST]);
	result->last = boolean_or_unknown(&found[SLOT_LAST]);
	result->content_at = found[SLOT_CONTENT].data - reply->body;
	result->orders = 0;
	impilo_json_begin(&result->content, &found[SLOT_CONTENT], ORDER_DEPTH + 1);

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
 * Read the id of an order.  Returns NULL, or what is wrong with it.
 */
static const char *
read_order_id(ImpiloApi *api, const ImpiloJsonSlice *document, int64 *id)
{
	ImpiloJsonSlice found;
	ImpiloJsonError wrong;
	int64_t		number;

	if (document->kind != IMPILO_JSON_OBJECT)
		return "is not a JSON object";
	if (!impilo_json_find(&api->order_id, document->data, document->length,
						  IMPILO_JSON_CHECKED, &found, &wrong))
		return wrong.what;
	if (found.kind == IMPILO_JSON_ABSENT || found.kind == IMPILO_JSON_NULL)
		return "has no id";
	if (!impilo_json_int64(&found, &number))
		return "has an id that is not an integer of 64 bits";
	*id = number;
	return NULL;
}

/*
 * impilo_api_page_next
 *		The next order of a page; false at its end.
 *
 * The order points into the body of the page's request.  Raises an error if
 * it is not well-formed or has no id.
 */
bool
impilo_api_page_next(ImpiloApi *api, ImpiloPage *page, ImpiloOrder *order)
{
	ImpiloJsonError wrong;
	const char *reason;
	int			more;

	more = impilo_json_next_element(&page->content, &order->document, &wrong);
	if (more == 0)
		return false;
	page->orders++;
	if (more < 0)
		raise_content(api, psprintf("The answer to %s is broken JSON: %s at byte %zu, in order %d of the page.",
									page->request, wrong.what,
									page->content_at + wrong.offset,
									page->orders));
	reason = read_order_id(api, &order->document, &order->id);
	if (reason)
		raise_content(api, psprintf("Order %d in the answer to %s %s.",
									page->orders, page->request, reason));
	order->request = page->request;
	return true;
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
	const char *reason;

	if (!impilo_json_check(reply->body, reply->length, ORDER_DEPTH,
						   &order->document, &wrong))
	{
		impilo_api_describe_content(api->server_name, psprintf("The answer to %s is broken JSON: %s at byte %zu of %zu.",
															   request, wrong.what, wrong.offset,
															   reply->length), error);
		return false;
	}
	reason = read_order_id(api, &order->document, &order->id);
	if (reason)
	{
		impilo_api_describe_content(api->server_name, psprintf("The order in the answer to %s %s.",
															   request, reason), error);
		return false;
	}
	order->request = request;
	api->proven = true;
	return true;
}

/*
 * impilo_api_order
 *		Read the answer to a request for one order; false if it is 404.
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
	require_answer(api, reply, shown);
	if (!read_order(api, reply, shown, order, &error))
		impilo_api_raise(&error);
	if (order->id != id)
		raise_content(api, psprintf("The answer to %s is the order with id " INT64_FORMAT ".",
									shown, order->id));
	return true;
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
 * impilo_api_no_such_page
 *		Is the answer an error of the kind that an API may give for a page
 *		beyond the end of the list?  Which one it gives is not documented.
 */
bool
impilo_api_no_such_page(const ImpiloHttpRequest *request)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);

	return reply->outcome == IMPILO_HTTP_ANSWERED &&
		(reply->status == 400 || reply->status == 404 ||
		 reply->status == 416 || reply->status == 422);
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
		impilo_api_describe_refusal(api->server_name, reply, error);
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
