/*-------------------------------------------------------------------------
 *
 * actions.c
 *		Parsing the JSON that describes a fault.
 *
 * A table of members; README.md describes each of them.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "faults.h"

#define BOMB_BLOCK ((size_t) 1024 * 1024)

/* what parsing needs in addition to the action */
typedef struct Parse
{
	FaultAction *action;
	bool		processed_given;
	Buf			raw_end;
	Buf			repeat;			/* with all repetitions */
} Parse;

typedef bool (*MemberParser) (Parse *p, json_object *value);

typedef struct Member
{
	const char *name;
	json_type	type;
	MemberParser parse;
} Member;

static void
add_string(Buf *b, json_object *value)
{
	buf_add(b, json_object_get_string(value),
			json_object_get_string_len(value));
}

static bool
add_base64_string(Buf *b, json_object *value)
{
	return buf_add_base64(b, json_object_get_string(value),
						  json_object_get_string_len(value));
}

static bool
parse_status(Parse *p, json_object *value)
{
	p->action->status = json_object_get_int(value);
	return p->action->status >= 200 && p->action->status <= 599;
}

static bool
parse_body(Parse *p, json_object *value)
{
	p->action->has_body = true;
	add_string(&p->action->body, value);
	return true;
}

static bool
parse_body_base64(Parse *p, json_object *value)
{
	p->action->has_body = true;
	return add_base64_string(&p->action->body, value);
}

static bool
parse_raw_end(Parse *p, json_object *value)
{
	p->action->has_body = true;
	add_string(&p->raw_end, value);
	return true;
}

static bool
parse_repeat(Parse *p, json_object *value)
{
	json_object *text = json_object_object_get(value, "text");
	int64_t		count;

	count = json_object_get_int64(json_object_object_get(value, "count"));
	if (!json_object_is_type(text, json_type_string) || count < 0 ||
		count * json_object_get_string_len(text) > 1024 * 1024 * 1024)
		return false;
	p->action->has_body = true;
	while (count-- > 0)
		add_string(&p->repeat, text);
	return true;
}

static bool
parse_content_type(Parse *p, json_object *value)
{
	p->action->content_type = xstrdup(json_object_get_string(value));
	return true;
}

static bool
parse_retry_after(Parse *p, json_object *value)
{
	p->action->retry_after = xstrdup(json_object_get_string(value));
	return true;
}

static bool
parse_redirect(Parse *p, json_object *value)
{
	p->action->location = xstrdup(json_object_get_string(value));
	if (p->action->status == 0)
		p->action->status = 302;
	return true;
}

static bool
parse_headers(Parse *p, json_object *value)
{
	p->action->headers = json_object_get(value);
	return true;
}

static bool
parse_reset(Parse *p, json_object *value)
{
	const char *when = json_object_get_string(value);

	p->action->delivery = strcmp(when, "before") == 0 ?
		DELIVER_RESET_BEFORE : DELIVER_RESET_AFTER;
	return strcmp(when, "before") == 0 || strcmp(when, "after") == 0;
}

static bool
parse_close(Parse *p, json_object *value)
{
	if (json_object_get_boolean(value))
		p->action->delivery = DELIVER_CLOSE;
	return true;
}

static bool
parse_connection_close(Parse *p, json_object *value)
{
	p->action->close = json_object_get_boolean(value);
	return true;
}

static bool
parse_hang(Parse *p, json_object *value)
{
	if (json_object_get_boolean(value))
		p->action->delivery = DELIVER_HANG;
	return true;
}

static bool
parse_cut(Parse *p, json_object *value)
{
	p->action->delivery = DELIVER_CUT;
	p->action->number = json_object_get_int64(value);
	return p->action->number >= 0;
}

static bool
parse_chunked_cut(Parse *p, json_object *value)
{
	p->action->delivery = DELIVER_CHUNKED_CUT;
	p->action->number = json_object_get_int64(value);
	return p->action->number >= 0;
}

static bool
parse_chunked(Parse *p, json_object *value)
{
	if (json_object_get_boolean(value))
		p->action->delivery = DELIVER_CHUNKED;
	return true;
}

static bool
parse_drip(Parse *p, json_object *value)
{
	json_object *bytes = json_object_object_get(value, "bytes");
	json_object *every = json_object_object_get(value, "every_ms");

	p->action->delivery = DELIVER_DRIP;
	p->action->number = bytes != NULL ? json_object_get_int64(bytes) : 1;
	p->action->every_ms = every != NULL ? json_object_get_int64(every) : 100;
	return p->action->number > 0 && p->action->every_ms > 0;
}

static bool
parse_endless(Parse *p, json_object *value)
{
	if (json_object_get_boolean(value))
		p->action->delivery = DELIVER_ENDLESS;
	return true;
}

static bool
parse_wire(Parse *p, json_object *value)
{
	p->action->delivery = DELIVER_WIRE;
	add_string(&p->action->wire, value);
	return true;
}

static bool
parse_wire_base64(Parse *p, json_object *value)
{
	p->action->delivery = DELIVER_WIRE;
	return add_base64_string(&p->action->wire, value);
}

static bool
parse_wire_loop(Parse *p, json_object *value)
{
	p->action->delivery = DELIVER_WIRE;
	add_string(&p->action->wire_loop, value);
	return p->action->wire_loop.len > 0;
}

static bool
parse_wire_every(Parse *p, json_object *value)
{
	p->action->every_ms = json_object_get_int64(value);
	return p->action->every_ms > 0;
}

static bool
parse_header_bytes(Parse *p, json_object *value)
{
	p->action->delivery = DELIVER_WIRE;
	p->action->header_bytes = json_object_get_int64(value);
	return p->action->header_bytes > 0;
}

static void
add_le32(Buf *b, uint64_t value)
{
	int			i;

	for (i = 0; i < 4; i++)
		buf_char(b, value >> (8 * i) & 0xff);
}

/*
 * A gzip member of so many MB of spaces.  Each block is flushed fully, so
 * all blocks have the same bytes and even a large bomb is made quickly.
 */
static bool
parse_gzip_bomb(Parse *p, json_object *value)
{
	int64_t		mb = json_object_get_int64(value);
	Buf		   *b = &p->action->body;
	Bytef	   *in = xmalloc(BOMB_BLOCK);
	Bytef	   *out = xmalloc(BOMB_BLOCK);
	z_stream	z = {0};
	uLong		block_crc;
	uLong		crc = crc32(0, NULL, 0);
	int64_t		i;

	memset(in, ' ', BOMB_BLOCK);
	block_crc = crc32(crc, in, BOMB_BLOCK);
	deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	z.next_in = in;
	z.avail_in = BOMB_BLOCK;
	z.next_out = out;
	z.avail_out = BOMB_BLOCK;
	deflate(&z, Z_FULL_FLUSH);
	buf_add(b, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	for (i = 0; i < mb; i++)
	{
		buf_add(b, out, BOMB_BLOCK - z.avail_out);
		crc = crc32_combine(crc, block_crc, BOMB_BLOCK);
	}
	buf_add(b, "\x03\0", 2);
	add_le32(b, crc);
	add_le32(b, (uint64_t) mb * BOMB_BLOCK);
	deflateEnd(&z);
	free(in);
	free(out);
	p->action->has_body = p->action->gzipped = true;
	return mb > 0 && mb <= 65536;
}

static bool
parse_delay(Parse *p, json_object *value)
{
	p->action->delay_ms = json_object_get_int64(value);
	return p->action->delay_ms >= 0;
}

static bool
parse_appear_after(Parse *p, json_object *value)
{
	p->action->appear_after_ms = json_object_get_int64(value);
	return p->action->appear_after_ms >= 0;
}

static bool
parse_processed(Parse *p, json_object *value)
{
	p->action->processed = json_object_get_boolean(value);
	p->processed_given = true;
	return true;
}

static bool
parse_omit(Parse *p, json_object *value)
{
	p->action->omit = json_object_get(value);
	return true;
}

static bool
parse_null(Parse *p, json_object *value)
{
	p->action->null = json_object_get(value);
	return true;
}

static bool
parse_envelope(Parse *p, json_object *value)
{
	p->action->envelope = json_object_get(value);
	return true;
}

static Patch *
add_patch(FaultAction *action)
{
	Patch	   *patch;

	action->patches = xrealloc(action->patches,
							   (action->npatches + 1) * sizeof(Patch));
	patch = &action->patches[action->npatches++];
	memset(patch, 0, sizeof(*patch));
	return patch;
}

/* {"pointer": ..., "json": raw text | "base64": ... | "remove": true} */
static bool
parse_patch(Parse *p, json_object *value)
{
	json_object *pointer = json_object_object_get(value, "pointer");
	json_object *json = json_object_object_get(value, "json");
	json_object *base64 = json_object_object_get(value, "base64");
	json_object *remove = json_object_object_get(value, "remove");
	Patch	   *patch = add_patch(p->action);

	if (!json_object_is_type(pointer, json_type_string))
		return false;
	patch->pointer = xstrdup(json_object_get_string(pointer));
	patch->remove = json_object_get_boolean(remove);
	if (json_object_is_type(json, json_type_string))
		add_string(&patch->bytes, json);
	else if (json_object_is_type(base64, json_type_string))
		return add_base64_string(&patch->bytes, base64);
	else
		return patch->remove;
	return true;
}

static bool
parse_patches(Parse *p, json_object *value)
{
	size_t		i;

	for (i = 0; i < json_object_array_length(value); i++)
	{
		json_object *element = json_object_array_get_idx(value, i);

		if (!json_object_is_type(element, json_type_object) ||
			!parse_patch(p, element))
			return false;
	}
	return true;
}

static const Member members[] = {
	{"status", json_type_int, parse_status},
	{"body", json_type_string, parse_body},
	{"body_base64", json_type_string, parse_body_base64},
	{"raw", json_type_string, parse_body},
	{"raw_base64", json_type_string, parse_body_base64},
	{"repeat", json_type_object, parse_repeat},
	{"raw_end", json_type_string, parse_raw_end},
	{"content_type", json_type_string, parse_content_type},
	{"retry_after", json_type_string, parse_retry_after},
	{"redirect", json_type_string, parse_redirect},
	{"headers", json_type_object, parse_headers},
	{"reset", json_type_string, parse_reset},
	{"close", json_type_boolean, parse_close},
	{"connection_close", json_type_boolean, parse_connection_close},
	{"hang", json_type_boolean, parse_hang},
	{"cut_body", json_type_int, parse_cut},
	{"chunked_cut", json_type_int, parse_chunked_cut},
	{"chunked", json_type_boolean, parse_chunked},
	{"drip", json_type_object, parse_drip},
	{"endless", json_type_boolean, parse_endless},
	{"wire", json_type_string, parse_wire},
	{"wire_base64", json_type_string, parse_wire_base64},
	{"wire_loop", json_type_string, parse_wire_loop},
	{"wire_every_ms", json_type_int, parse_wire_every},
	{"header_bytes", json_type_int, parse_header_bytes},
	{"gzip_bomb", json_type_int, parse_gzip_bomb},
	{"delay_ms", json_type_int, parse_delay},
	{"appear_after_ms", json_type_int, parse_appear_after},
	{"processed", json_type_boolean, parse_processed},
	{"omit", json_type_array, parse_omit},
	{"null", json_type_array, parse_null},
	{"envelope", json_type_object, parse_envelope},
	{"replace", json_type_object, parse_patch},
	{"replace", json_type_array, parse_patches},
};

#define NMEMBERS (sizeof(members) / sizeof(members[0]))

/*
 * By default a refusal has no effect and a damaged response has.
 */
static bool
processed_by_default(const FaultAction *action)
{
	if (action->status >= 300)
		return false;
	switch (action->delivery)
	{
		case DELIVER_RESET_BEFORE:
		case DELIVER_HANG:
		case DELIVER_CLOSE:
			return false;
		case DELIVER_WIRE:
			return action->header_bytes > 0;
		default:
			return true;
	}
}

static bool
parse_members(Parse *p, json_object *spec, Buf *error)
{
	json_object_object_foreach(spec, name, value)
	{
		size_t		i;

		for (i = 0; i < NMEMBERS; i++)
		{
			if (strcmp(members[i].name, name) == 0 &&
				json_object_is_type(value, members[i].type))
				break;
		}
		if (i == NMEMBERS || !members[i].parse(p, value))
		{
			buf_fmt(error, "unknown or bad member \"%s\" of \"do\"", name);
			return false;
		}
	}
	return true;
}

/* returns an action with one reference, or NULL and an error */
FaultAction *
action_parse(json_object *spec, Buf *error)
{
	Parse		p = {0};
	bool		good;

	if (!json_object_is_type(spec, json_type_object))
	{
		buf_str(error, "\"do\" must be an object");
		return NULL;
	}
	p.action = xmalloc(sizeof(FaultAction));
	memset(p.action, 0, sizeof(*p.action));
	p.action->references = 1;
	good = parse_members(&p, spec, error);
	if (!p.processed_given)
		p.action->processed = processed_by_default(p.action);
	buf_add(&p.action->body, p.repeat.data, p.repeat.len);
	buf_add(&p.action->body, p.raw_end.data, p.raw_end.len);
	buf_free(&p.repeat);
	buf_free(&p.raw_end);
	if (good)
		return p.action;
	action_free(p.action);
	return NULL;
}

void
action_free(FaultAction *action)
{
	int			i;

	buf_free(&action->body);
	buf_free(&action->wire);
	buf_free(&action->wire_loop);
	free(action->content_type);
	free(action->retry_after);
	free(action->location);
	json_object_put(action->headers);
	json_object_put(action->omit);
	json_object_put(action->null);
	json_object_put(action->envelope);
	for (i = 0; i < action->npatches; i++)
	{
		free(action->patches[i].pointer);
		buf_free(&action->patches[i].bytes);
	}
	free(action->patches);
	free(action);
}
