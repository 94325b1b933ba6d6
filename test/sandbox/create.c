/*-------------------------------------------------------------------------
 *
 * create.c
 *		POST /order: creates an order and adds it to the list.
 *
 * rules.c decides which orders are accepted.  A repeated request creates a
 * second order: the API does not document that it recognizes one.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <string.h>

#include "answer.h"
#include "config.h"
#include "create.h"
#include "faults.h"
#include "log.h"
#include "rules.h"

static void
add_json(Buf *b, json_object *value)
{
	buf_str(b, json_object_to_json_string_ext(value,
											  JSON_C_TO_STRING_PLAIN));
}

static int64_t
id_of(json_object *holder, const char *name)
{
	json_object *object = json_object_object_get(holder, name);

	return json_object_get_int64(json_object_object_get(object, "id"));
}

static void
add_recipient(const Generator *g, json_object *asked, Buf *b)
{
	if (json_object_object_get(asked, "patient") != NULL)
	{
		BUF_LIT(b, ",\"patient\":");
		gen_patient(g, id_of(asked, "patient"), true, b);
		BUF_LIT(b, ",\"site\":null");
	}
	else
	{
		BUF_LIT(b, ",\"patient\":null,\"site\":");
		gen_site(g, id_of(asked, "site"), true, b);
	}
}

/* items or kits: each is complete although only its id was sent */
static void
add_content(const Generator *g, json_object *list, const char *name, Buf *b)
{
	size_t		i;

	buf_char(b, '[');
	for (i = 0; list != NULL && i < json_object_array_length(list); i++)
	{
		json_object *element = json_object_array_get_idx(list, i);
		json_object *count = json_object_object_get(element, "count");

		buf_fmt(b, "%s{\"%s\":", i > 0 ? "," : "", name);
		if (strcmp(name, "item") == 0)
			gen_item(g, id_of(element, name), b);
		else
			gen_kit(g, id_of(element, name), b);
		buf_fmt(b, ",\"count\":%" PRId64 "}",
				count != NULL ? json_object_get_int64(count) : 1);
	}
	buf_char(b, ']');
}

static void
add_time(int64_t now, Buf *b)
{
	buf_char(b, '"');
	buf_timestamp(b, now, 3);
	buf_char(b, '"');
}

static void
add_notes(json_object *notes, int64_t now, Buf *b)
{
	size_t		i;

	BUF_LIT(b, ",\"orderNotes\":[");
	for (i = 0; notes != NULL && i < json_object_array_length(notes); i++)
	{
		json_object *note = json_object_array_get_idx(notes, i);

		buf_fmt(b, "%s{\"note\":", i > 0 ? "," : "");
		add_json(b, json_object_object_get(note, "note"));
		BUF_LIT(b, ",\"createdAt\":");
		add_time(now, b);
		BUF_LIT(b, ",\"createdBy\":{\"id\":9,\"firstName\":\"API\","
				"\"lastName\":\"User\",\"email\":\"api@example.com\"}}");
	}
	BUF_LIT(b, "]");
}

static void
add_as_sent(json_object *asked, const char *name, const char *absent, Buf *b)
{
	json_object *value = json_object_object_get(asked, name);

	buf_fmt(b, ",\"%s\":", name);
	if (value == NULL)
		buf_str(b, absent);
	else
		add_json(b, value);
}

static void
write_order(const Generator *g, int64_t id, json_object *asked, Buf *b)
{
	int64_t		now = now_wall_ms() + config.date_offset_s * 1000;

	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	add_as_sent(asked, "externalOrderIds", "[]", b);
	add_recipient(g, asked, b);
	BUF_LIT(b, ",\"currentStatus\":\"created\",\"orderItems\":");
	add_content(g, json_object_object_get(asked, "orderItems"), "item", b);
	BUF_LIT(b, ",\"orderKits\":");
	add_content(g, json_object_object_get(asked, "orderKits"), "kit", b);
	BUF_LIT(b, ",\"orderEvents\":[");
	if (config.create_events)
	{
		BUF_LIT(b, "{\"name\":\"orderCreated\",\"eventTimestamp\":");
		add_time(now, b);
		BUF_LIT(b, "}");
	}
	BUF_LIT(b, "],\"trackingNumbers\":[],\"devices\":[],\"packedKits\":[]");
	add_as_sent(asked, "shippingOption", "null", b);
	add_notes(json_object_object_get(asked, "orderNotes"), now, b);
	add_as_sent(asked, "emailLabel", "false", b);
	add_as_sent(asked, "returnItems", "[]", b);
	add_as_sent(asked, "returnDevices", "[]", b);
	add_as_sent(asked, "returnPackedKits", "[]", b);
	BUF_LIT(b, "}");
}

static json_object *
parse_body(const Buf *body)
{
	json_tokener *tokener = json_tokener_new_ex(64);
	json_object *value;
	size_t		i = 0;
	int			flags = JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8;

	/* if strict, json-c 0.18 takes bytes above 0x7f for control characters */
	while (i < body->len && (unsigned char) body->data[i] < 0x80)
		i++;
	if (i < body->len)
		flags = JSON_TOKENER_VALIDATE_UTF8;
	json_tokener_set_flags(tokener, flags);
	value = json_tokener_parse_ex(tokener, body->data ? body->data : "",
								  body->len);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
		json_tokener_get_parse_end(tokener) != body->len)
	{
		json_object_put(value);
		value = NULL;
	}
	json_tokener_free(tokener);
	return value;
}

static bool
is_json(Request *request)
{
	const char *type = MHD_lookup_connection_value(request->connection,
												   MHD_HEADER_KIND,
												   "Content-Type");

	return type != NULL && strncmp(type, "application/json", 16) == 0 &&
		(type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

static void
accept_order(Request *request, json_object *asked)
{
	Account    *a = request->account;
	Answer	   *answer = &request->answer;
	int64_t		delay = config.appear_after_ms;
	int64_t		id = a->next_id++;

	if (request->fault != NULL && request->fault->appear_after_ms > 0)
		delay = request->fault->appear_after_ms;
	write_order(&a->generator, id, asked, &answer->body);
	store_add(a, id, answer->body.data, answer->body.len, false, delay);
	answer->status = 201;
	log_created();
}

/* creates an order or reports why not; acquires the lock */
void
create_order(Request *request)
{
	Answer	   *answer = &request->answer;
	json_object *asked;
	Refusal		refusal = {0};

	if (!is_json(request))
	{
		answer_error(answer, 415, "Unsupported Media Type", NULL);
		return;
	}
	asked = parse_body(&request->body);
	store_lock(true);
	if (rules_accept(asked, &refusal))
		accept_order(request, asked);
	else
		answer_error(answer, 400, refusal.message,
					 refusal.detail[0] ? refusal.detail : NULL);
	store_unlock();
	json_object_put(asked);
}
