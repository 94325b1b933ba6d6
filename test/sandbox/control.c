/*-------------------------------------------------------------------------
 *
 * control.c
 *		The control endpoint, /_sandbox/, by which tests control the sandbox.
 *
 * README.md is its reference.  Nothing here is logged or counted, and no
 * fault or latency applies.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "config.h"
#include "control.h"
#include "faults.h"
#include "log.h"
#include "timer.h"

typedef struct Command
{
	const char *method;
	const char *path;			/* after /_sandbox/ */
	void		(*run) (Request *request);
} Command;

static const char *
argument(Request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection,
									   MHD_GET_ARGUMENT_KIND, name);
}

static void
fail(Request *request, unsigned int status, const char *message)
{
	Answer	   *answer = &request->answer;

	answer->status = status;
	answer->body.len = 0;
	BUF_LIT(&answer->body, "{\"message\":");
	buf_json_string(&answer->body, message, strlen(message));
	BUF_LIT(&answer->body, "}\n");
}

static void
fail_with(Request *request, Buf *error)
{
	buf_char(error, '\0');
	fail(request, 400, error->data);
	buf_free(error);
}

static void
done(Request *request)
{
	request->answer.status = 200;
	BUF_LIT(&request->answer.body, "{}\n");
}

/* returns the account of ?key=, by default the first one; NULL on error */
static Account *
account_of(Request *request)
{
	const char *key = argument(request, "key");
	Account    *account = key != NULL ? store_account(key) : store_first_account();

	if (account == NULL)
		fail(request, 400, "no account has this key");
	return account;
}

/* returns the body as JSON of a type; NULL on error */
static json_object *
body_of(Request *request, json_type type)
{
	json_tokener *tokener = json_tokener_new_ex(100);
	json_object *value;

	buf_char(&request->body, '\0');
	value = json_tokener_parse_ex(tokener, request->body.data,
								  request->body.len);
	if (!json_object_is_type(value, type))
	{
		json_object_put(value);
		value = NULL;
		fail(request, 400, type == json_type_array ?
			 "the body must be a JSON array" :
			 "the body must be a JSON object");
	}
	json_tokener_free(tokener);
	return value;
}

static void
run_reset(Request *request)
{
	faults_clear();
	store_lock(true);
	config_reset();
	store_reset();
	store_unlock();
	log_reset();
	timer_release_hung();
	done(request);
}

static void
run_config_show(Request *request)
{
	request->answer.status = 200;
	store_lock(false);
	config_show(&request->answer.body);
	store_unlock();
}

static void
run_config(Request *request)
{
	json_object *changes = body_of(request, json_type_object);
	Buf			error = {0};
	bool		good;

	if (changes == NULL)
		return;
	store_lock(true);
	good = config_merge(changes, &error);
	store_restart_shifts();
	store_unlock();
	json_object_put(changes);
	if (good)
		run_config_show(request);
	else
		fail_with(request, &error);
}

static void
run_faults_show(Request *request)
{
	request->answer.status = 200;
	faults_show(&request->answer.body);
}

static void
run_faults(Request *request)
{
	json_object *rules = body_of(request, json_type_array);
	Buf			error = {0};

	if (rules == NULL)
		return;
	if (faults_set(rules, &error))
	{
		timer_release_hung();
		done(request);
	}
	else
		fail_with(request, &error);
	json_object_put(rules);
}

static void
run_log(Request *request)
{
	const char *format = argument(request, "format");

	request->answer.status = 200;
	if (format == NULL || strcmp(format, "text") != 0)
	{
		log_show_json(&request->answer.body);
		return;
	}
	request->answer.content_type = "text/plain; charset=utf-8";
	log_show_text(&request->answer.body, argument(request, "sort") != NULL);
}

static void
run_log_reset(Request *request)
{
	log_reset();
	done(request);
}

static void
run_counts(Request *request)
{
	request->answer.status = 200;
	log_show_counts(&request->answer.body);
}

static void
run_dump(Request *request)
{
	Account    *a = account_of(request);

	if (a == NULL)
		return;
	store_publish_due();
	request->answer.status = 200;
	request->answer.content_type = "application/x-ndjson";
	store_lock(false);
	store_dump(a, argument(request, "all") != NULL, &request->answer.body);
	store_unlock();
}

/* returns the id to fetch the order by: ?id=, else its own, else 0 */
static int64_t
id_to_put(Request *request, const Buf *document)
{
	const char *text = argument(request, "id");
	json_tokener *tokener;
	json_object *order;
	int64_t		id = 0;

	if (text != NULL)
		return strtoll(text, NULL, 10);
	tokener = json_tokener_new_ex(10000);
	order = json_tokener_parse_ex(tokener, document->data, document->len);
	if (json_object_is_type(order, json_type_object) &&
		json_object_is_type(json_object_object_get(order, "id"),
							json_type_int))
		id = json_object_get_int64(json_object_object_get(order, "id"));
	json_object_put(order);
	json_tokener_free(tokener);
	return id;
}

static void
put_document(Request *request, Account *a, const Buf *document)
{
	const char *at = argument(request, "at");
	const char *only = argument(request, "only");
	const char *replace = argument(request, "replace");
	int64_t		id = document->len > 0 ? id_to_put(request, document) : 0;

	if (only != NULL)
		store_clear(a);
	if (replace != NULL)
	{
		if (!store_replace(a, strtoll(replace, NULL, 10), document->data,
						   document->len))
		{
			fail(request, 404, "no order has this id");
			return;
		}
	}
	else if (document->len > 0)
		store_add(a, id, document->data, document->len,
				  at != NULL && strcmp(at, "front") == 0, 0);
	done(request);
}

static void
run_put(Request *request)
{
	Account    *a = account_of(request);
	Buf			decoded = {0};
	const Buf  *document = &request->body;

	if (a == NULL)
		return;
	if (argument(request, "base64") != NULL)
	{
		if (!buf_add_base64(&decoded, request->body.data, request->body.len))
		{
			buf_free(&decoded);
			fail(request, 400, "the body is not base64");
			return;
		}
		document = &decoded;
	}
	store_lock(true);
	put_document(request, a, document);
	store_unlock();
	buf_free(&decoded);
}

static void
run_delete(Request *request)
{
	Account    *a = account_of(request);
	const char *id = argument(request, "id");
	bool		found;

	if (a == NULL)
		return;
	store_lock(true);
	found = id != NULL && store_remove(a, strtoll(id, NULL, 10));
	store_unlock();
	if (found)
		done(request);
	else
		fail(request, 404, "no order has this id");
}

static void
run_generate(Request *request)
{
	Account    *a = account_of(request);
	const char *n = argument(request, "n");
	const char *at = argument(request, "at");
	int64_t		left = n != NULL ? strtoll(n, NULL, 10) : 1;

	if (a == NULL)
		return;
	store_lock(true);
	while (left-- > 0)
		store_generate(a, at != NULL && strcmp(at, "front") == 0);
	store_unlock();
	done(request);
}

static const Command commands[] = {
	{"POST", "reset", run_reset},
	{"GET", "config", run_config_show},
	{"POST", "config", run_config},
	{"GET", "faults", run_faults_show},
	{"POST", "faults", run_faults},
	{"GET", "log", run_log},
	{"POST", "log/reset", run_log_reset},
	{"GET", "counts", run_counts},
	{"GET", "dump", run_dump},
	{"POST", "orders", run_put},
	{"DELETE", "orders", run_delete},
	{"POST", "generate", run_generate},
};

/* fills the response of a control request; acquires the locks */
void
control_answer(Request *request)
{
	const char *path = request->path + strlen("/_sandbox/");
	size_t		i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(commands[i].path, path) == 0 &&
			strcmp(commands[i].method, request->method) == 0)
		{
			commands[i].run(request);
			return;
		}
	}
	fail(request, 404, "no such control command");
}
