/*-------------------------------------------------------------------------
 *
 * pages.c
 *		The API: keys, the list of orders, single orders.
 *
 * A page is correct unless the configuration or the fault of the request says
 * otherwise.  Each deviation is one line at the place of the correct value.
 * create.c creates orders.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "config.h"
#include "create.h"
#include "faults.h"
#include "log.h"
#include "pages.h"

#define LIST_PATH "/api/v3/order"

typedef struct Page
{
	int64_t		index;			/* from 0 */
	int64_t		size;
	int64_t		count;			/* orders on this page */
	int64_t		all;			/* all orders */
} Page;

typedef struct Envelope
{
	Buf		   *b;
	const FaultAction *fault;
	bool		any;			/* a member has been written */
} Envelope;

/* a query parameter as a number; false if invalid, fallback if absent */
static bool
number_argument(Request *request, const char *name, int64_t fallback,
				int64_t *value)
{
	const char *text = MHD_lookup_connection_value(request->connection,
												   MHD_GET_ARGUMENT_KIND,
												   name);
	char	   *end;

	*value = fallback;
	if (text == NULL)
		return true;
	*value = strtoll(text, &end, 10);
	return *text != '\0' && *end == '\0';
}

static bool
page_number(Request *request, Page *page)
{
	int64_t		number;

	if (!number_argument(request, "page", config.page_base, &number) ||
		number < config.page_base || number > INT32_MAX)
	{
		answer_error(&request->answer, 400, "page is not valid", NULL);
		return false;
	}
	page->index = config.ignore_page ? 0 : number - config.page_base;
	return true;
}

static bool
page_size(Request *request, Page *page)
{
	int64_t		most = config.max_size;

	if (config.shrink_size_after > 0 &&
		request->account->pages_served >= config.shrink_size_after)
		most = config.shrink_size_to;
	if (!number_argument(request, "size", config.default_size, &page->size) ||
		page->size < 1)
	{
		answer_error(&request->answer, 400, "size is not valid", NULL);
		return false;
	}
	if (config.size_ignored)
		page->size = config.default_size;
	if (page->size > most)
		page->size = most;
	return true;
}

/* begins a member; false if it is omitted or has been written */
static bool
begin_member(Envelope *e, const char *name)
{
	json_object *lie = NULL;
	const FaultAction *f = e->fault;

	if (config_names(config.omit, name) || (f && config_names(f->omit, name)))
		return false;
	if (e->any)
		buf_char(e->b, ',');
	if (config.space != NULL)
		buf_str(e->b, json_object_get_string(config.space));
	buf_fmt(e->b, "\"%s\":", name);
	if (config.space != NULL)
		buf_str(e->b, json_object_get_string(config.space));
	e->any = true;
	if (config_names(config.null, name) || (f && config_names(f->null, name)))
	{
		BUF_LIT(e->b, "null");
		return false;
	}
	if ((f && json_object_object_get_ex(f->envelope, name, &lie)) ||
		json_object_object_get_ex(config.envelope, name, &lie))
	{
		config_json_text(lie, e->b);
		return false;
	}
	return true;
}

static void
number_member(Envelope *e, const char *name, int64_t value)
{
	if (begin_member(e, name))
		buf_int(e->b, value);
}

static void
bool_member(Envelope *e, const char *name, bool value, int64_t lie)
{
	if (lie != LIE_HONEST)
		value = lie == LIE_ALWAYS_TRUE;
	if (begin_member(e, name))
		buf_str(e->b, value ? "true" : "false");
}

static void
content_member(Envelope *e, Account *account, const Page *page)
{
	int64_t		start = page->index * page->size;
	int64_t		i;

	if (!begin_member(e, "content"))
		return;
	buf_reserve(e->b, page->count * 2200 + 300);
	buf_char(e->b, '[');
	for (i = 0; i < page->count; i++)
	{
		int64_t		place = start + i;
		Order	   *order;

		if (config.newest_first)
			place = page->all - 1 - place;
		order = account->list[place];
		if (i > 0)
			buf_char(e->b, ',');
		if (config.space != NULL)
			buf_str(e->b, json_object_get_string(config.space));
		buf_add(e->b, order->bytes, order->len);
	}
	buf_char(e->b, ']');
}

static void
total_member(Envelope *e, const Page *page)
{
	if (!begin_member(e, "total"))
		return;
	if (config.total != NULL)
		config_json_text(config.total, e->b);
	else
		buf_int(e->b, page->all + config.total_offset);
}

/* members of the configured envelope that the API does not have */
static void
extra_members(Envelope *e, json_object *extra)
{
	static const char *const known[] = {
		"content", "page", "size", "total", "first", "last"
	};

	if (!json_object_is_type(extra, json_type_object))
		return;
	{
		json_object_object_foreach(extra, name, value)
		{
			size_t		i;

			for (i = 0; i < 6 && strcmp(known[i], name) != 0; i++)
				;
			if (i < 6)
				continue;
			if (e->any)
				buf_char(e->b, ',');
			e->any = true;
			buf_json_string(e->b, name, strlen(name));
			buf_char(e->b, ':');
			config_json_text(value, e->b);
		}
	}
}

static void
write_page(Request *request, const Page *page)
{
	Envelope	e = {&request->answer.body, request->fault, false};
	bool		last = (page->index + 1) * page->size >= page->all;

	buf_char(e.b, '{');
	content_member(&e, request->account, page);
	number_member(&e, "page", page->index + config.page_base);
	number_member(&e, "size", page->size);
	total_member(&e, page);
	bool_member(&e, "first", page->index == 0, config.first);
	bool_member(&e, "last", last, config.last);
	extra_members(&e, config.envelope);
	if (e.fault != NULL)
		extra_members(&e, e.fault->envelope);
	if (config.space != NULL)
		buf_str(e.b, json_object_get_string(config.space));
	buf_char(e.b, '}');
	request->answer.status = 200;
}

static bool
shifts_configured(void)
{
	return config.insert_every_n_pages > 0 || config.move > 0 ||
		config.vanish > 0 || config.shrink_size_after > 0;
}

/* orders that appear, move and vanish after a page was served */
static void
shift_orders(Account *a)
{
	a->pages_served++;
	if (config.insert_every_n_pages > 0 &&
		a->pages_served % config.insert_every_n_pages == 0 &&
		(config.insert_times < 0 || a->inserts_done < config.insert_times))
	{
		a->inserts_done++;
		for (int64_t i = 0; i < config.insert_orders; i++)
			store_generate(a, config.insert_at_front);
	}
	if (config.move > 0 &&
		(config.move_times < 0 || a->moves_done < config.move_times))
	{
		a->moves_done++;
		store_rotate(a, config.move);
	}
	if (config.vanish > 0 && !a->vanished &&
		a->pages_served >= config.vanish_after)
	{
		a->vanished = true;
		store_drop_oldest(a, config.vanish);
	}
}

static void
serve_page(Request *request)
{
	Page		page;

	if (!page_number(request, &page) || !page_size(request, &page))
		return;
	page.all = request->account->count;
	if (page.index > 0 && page.index * page.size >= page.all)
	{
		if (config.past_end == PAST_END_LAST_PAGE)
			page.index = page.all > 0 ? (page.all - 1) / page.size : 0;
		else if (config.past_end != PAST_END_EMPTY)
		{
			answer_error(&request->answer,
						 config.past_end == PAST_END_NOT_FOUND ? 404 : 400,
						 "page does not exist", NULL);
			return;
		}
	}
	page.count = page.all - page.index * page.size;
	if (page.count < 0)
		page.count = 0;
	if (page.count > page.size)
		page.count = page.size;
	if (config.max_content >= 0 && page.count > config.max_content)
		page.count = config.max_content;
	write_page(request, &page);
	if (shifts_configured())
		shift_orders(request->account);
}

static void
serve_list(Request *request)
{
	bool		exclusive;

	store_lock(false);
	exclusive = shifts_configured();
	if (exclusive)
	{
		store_unlock();
		store_lock(true);
	}
	serve_page(request);
	store_unlock();
}

static void
serve_order(Request *request, const char *text)
{
	Answer	   *answer = &request->answer;
	char	   *end;
	int64_t		id = strtoll(text, &end, 10);
	Order	   *order;

	store_lock(false);
	order = *end == '\0' ? store_find(request->account, id) : NULL;
	if (*end != '\0' || *text == '\0')
		answer_error(answer, 400, "order id is not valid", NULL);
	else if (order != NULL)
	{
		answer->status = 200;
		buf_add(&answer->body, order->bytes, order->len);
	}
	else
		answer_error(answer, 404, "order not found", NULL);
	store_unlock();
}

static bool
check_key(Request *request)
{
	const char *key = MHD_lookup_connection_value(request->connection,
												  MHD_HEADER_KIND,
												  "Impilo-API-Key");

	if (key != NULL && strcmp(key, "forbidden-key") == 0)
	{
		answer_error(&request->answer, 403, "Forbidden", NULL);
		return false;
	}
	request->account = key != NULL ? store_account(key) : NULL;
	if (request->account == NULL)
	{
		answer_error(&request->answer, 401, "Unauthorized", NULL);
		return false;
	}
	return true;
}

static void
wrong_method(Request *request, const char *allowed)
{
	answer_error(&request->answer, 405, "Method Not Allowed", NULL);
	answer_header(&request->answer, "Allow", allowed);
}

/* fills the response; acquires the lock */
void
api_answer(Request *request)
{
	bool		get = strcmp(request->method, "GET") == 0;
	size_t		len = strlen(LIST_PATH);

	request->answered = true;
	store_publish_due();
	if (!check_key(request))
		return;
	if (strcmp(request->path, LIST_PATH) == 0)
	{
		if (get)
			serve_list(request);
		else if (strcmp(request->method, "POST") == 0)
			create_order(request);
		else
			wrong_method(request, "GET, POST");
	}
	else if (strncmp(request->path, LIST_PATH "/", len + 1) == 0 &&
			 strchr(request->path + len + 1, '/') == NULL)
	{
		if (get)
			serve_order(request, request->path + len + 1);
		else
			wrong_method(request, "GET");
	}
	else
		answer_error(&request->answer, 404, "Not Found", NULL);
}
