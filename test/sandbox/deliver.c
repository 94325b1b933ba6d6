/*-------------------------------------------------------------------------
 *
 * deliver.c
 *		Responses that arrive damaged, late, incomplete or not at all.
 *
 * Most faults change the body that libmicrohttpd sends.  Bytes that no HTTP
 * server would send are written directly to the socket by a separate thread,
 * so that a client that does not read delays no other.  This works only on
 * connections without TLS.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "faults.h"
#include "log.h"
#include "timer.h"

#define WRITE_TIMEOUT_MS 60000

typedef struct Reader
{
	struct MHD_Connection *connection;
	enum Delivery delivery;
	Buf			body;
	size_t		limit;			/* where it ends */
	int64_t		number;
	int64_t		every_ms;
	int64_t		due_ms;
} Reader;

static int
socket_of(Request *request)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(request->connection,
								   MHD_CONNECTION_INFO_CONNECTION_FD);
	return info->connect_fd;
}

/*
 * Ends the connection without a response, by a reset or by an orderly close.
 * Linux resets a socket at once if it is connected to no address.  A close
 * alone would come after libmicrohttpd's shutdown.
 */
enum MHD_Result
fault_abort(Request *request, bool reset)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	log_end(request, 0);
	if (reset)
		connect(socket_of(request), &nowhere, sizeof(nowhere));
	request->stage = STAGE_DONE;
	return MHD_NO;
}

static json_object *
parse_answer(const Buf *body)
{
	json_tokener *tokener = json_tokener_new_ex(1000);
	json_object *value;

	value = json_tokener_parse_ex(tokener, body->data, body->len);
	json_tokener_free(tokener);
	return value;
}

/* decodes ~1 and ~0 in the token of a pointer */
static void
unescape_token(char *token)
{
	char	   *to = token;

	for (; *token != '\0'; token++)
	{
		if (token[0] == '~' && (token[1] == '0' || token[1] == '1'))
			*to++ = *++token == '1' ? '/' : '~';
		else
			*to++ = *token;
	}
	*to = '\0';
}

static void
remove_at(json_object *root, const char *pointer)
{
	char	   *parent_pointer = xstrdup(pointer);
	char	   *token = strrchr(parent_pointer, '/');
	json_object *parent = root;

	if (token != NULL)
	{
		*token++ = '\0';
		unescape_token(token);
		if (json_pointer_get(root, parent_pointer, &parent) == 0)
		{
			if (json_object_is_type(parent, json_type_object))
				json_object_object_del(parent, token);
			else if (json_object_is_type(parent, json_type_array))
				json_object_array_del_idx(parent, strtoul(token, NULL, 10), 1);
		}
	}
	free(parent_pointer);
}

static void
placeholder(int i, Buf *b)
{
	buf_fmt(b, "@@sandbox-patch-%d@@", i);
}

/* replaces the placeholder of a patch, with its quotes, by raw bytes */
static void
fill_placeholder(Buf *body, int i, const Buf *bytes)
{
	Buf			mark = {0};
	Buf			out = {0};
	char	   *at;

	buf_char(&mark, '"');
	placeholder(i, &mark);
	buf_char(&mark, '"');
	at = memmem(body->data, body->len, mark.data, mark.len);
	if (at != NULL)
	{
		buf_add(&out, body->data, at - body->data);
		buf_add(&out, bytes->data, bytes->len);
		buf_add(&out, at + mark.len, body->data + body->len - at - mark.len);
		buf_free(body);
		*body = out;
	}
	buf_free(&mark);
}

/*
 * Changes members of the response.  They are marked in json-c's tree and
 * replaced in its text, so the replacement need not be JSON.
 */
static void
apply_patches(const FaultAction *fault, Buf *body)
{
	json_object *root = parse_answer(body);
	int			i;

	if (root == NULL)
		return;
	for (i = 0; i < fault->npatches; i++)
	{
		const Patch *patch = &fault->patches[i];
		Buf			mark = {0};

		if (patch->remove)
		{
			remove_at(root, patch->pointer);
			continue;
		}
		placeholder(i, &mark);
		json_pointer_set(&root, patch->pointer,
						 json_object_new_string_len(mark.data, mark.len));
		buf_free(&mark);
	}
	body->len = 0;
	buf_str(body, json_object_to_json_string_ext(root,
												 JSON_C_TO_STRING_PLAIN |
												 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
	for (i = 0; i < fault->npatches; i++)
	{
		if (!fault->patches[i].remove)
			fill_placeholder(body, i, &fault->patches[i].bytes);
	}
}

static void
add_headers(const FaultAction *fault, Answer *answer)
{
	if (fault->retry_after != NULL)
		answer_header(answer, "Retry-After", fault->retry_after);
	if (fault->location != NULL)
		answer_header(answer, "Location", fault->location);
	if (fault->headers != NULL)
	{
		json_object_object_foreach(fault->headers, name, value)
			answer_header(answer, name, json_object_get_string(value));
	}
}

/* changes the response as the fault says */
void
fault_change_answer(Request *request)
{
	const FaultAction *fault = request->fault;
	Answer	   *answer = &request->answer;

	if (fault->status != 0)
	{
		if (!fault->has_body)
			answer_error(answer, fault->status, "a fault of the sandbox",
						 NULL);
		answer->status = fault->status;
	}
	else if (answer->status == 0)
		answer->status = 200;
	if (fault->has_body)
	{
		answer->body.len = 0;
		buf_add(&answer->body, fault->body.data, fault->body.len);
		answer->gzipped = fault->gzipped;
	}
	else if (fault->npatches > 0)
		apply_patches(fault, &answer->body);
	if (fault->content_type != NULL)
		answer->content_type = fault->content_type;
	if (fault->close)
		answer->close = true;
	add_headers(fault, answer);
}

static ssize_t
read_endless(char *to, size_t max)
{
	static const char start[] = "{\"content\":[";

	memset(to, ' ', max);
	if (max >= sizeof(start))
		memcpy(to, start, sizeof(start) - 1);
	return max;
}

/* libmicrohttpd asks for the next part of a body */
static ssize_t
read_body(void *cls, uint64_t pos, char *to, size_t max)
{
	Reader	   *reader = cls;
	size_t		n;

	if (reader->delivery == DELIVER_ENDLESS)
		return read_endless(to, max);
	if (pos >= reader->limit)
		return reader->delivery == DELIVER_CUT ||
			reader->delivery == DELIVER_CHUNKED_CUT ?
			MHD_CONTENT_READER_END_WITH_ERROR :
			MHD_CONTENT_READER_END_OF_STREAM;
	n = reader->limit - pos;
	if (n > max)
		n = max;
	if (reader->delivery == DELIVER_DRIP)
	{
		int64_t		now = now_mono_ms();

		if (now < reader->due_ms)
		{
			timer_sleep(reader->connection, reader->due_ms - now);
			return 0;
		}
		reader->due_ms = now + reader->every_ms;
		if (n > (size_t) reader->number)
			n = reader->number;
	}
	memcpy(to, reader->body.data + pos, n);
	return n;
}

static void
free_reader(void *cls)
{
	Reader	   *reader = cls;

	buf_free(&reader->body);
	free(reader);
}

static enum MHD_Result
deliver_by_parts(Request *request)
{
	const FaultAction *fault = request->fault;
	Reader	   *reader = xmalloc(sizeof(Reader));
	uint64_t	size = MHD_SIZE_UNKNOWN;

	memset(reader, 0, sizeof(*reader));
	reader->connection = request->connection;
	reader->delivery = fault->delivery;
	reader->body = request->answer.body;
	memset(&request->answer.body, 0, sizeof(Buf));
	reader->number = fault->number;
	reader->every_ms = fault->every_ms;
	reader->limit = reader->body.len;
	if ((fault->delivery == DELIVER_CUT ||
		 fault->delivery == DELIVER_CHUNKED_CUT) &&
		(size_t) fault->number < reader->limit)
		reader->limit = fault->number;
	if (fault->delivery == DELIVER_DRIP)
		size = reader->body.len;
	if (fault->delivery == DELIVER_CUT)
		size = reader->body.len > reader->limit ? reader->body.len :
			reader->limit + 1;
	return answer_queue(request,
						MHD_create_response_from_callback(size, 64 * 1024,
														  read_body, reader,
														  free_reader));
}

/* bytes that bypass libmicrohttpd: given ones, or a complete response */
static void
wire_bytes(Request *request, Buf *out)
{
	const FaultAction *fault = request->fault;
	int64_t		i;

	if (fault->header_bytes == 0)
	{
		buf_add(out, fault->wire.data, fault->wire.len);
		return;
	}
	buf_fmt(out, "HTTP/1.1 %u Sandbox\r\nContent-Type: application/json\r\n"
			"Content-Length: %zu\r\nConnection: close\r\nX-Padding: ",
			request->answer.status, request->answer.body.len);
	for (i = 0; i < fault->header_bytes; i++)
		buf_char(out, 'x');
	BUF_LIT(out, "\r\n\r\n");
	buf_add(out, request->answer.body.data, request->answer.body.len);
}

/* repeated bytes, in pieces large enough for a system call */
static void
wire_again(Request *request, Buf *out)
{
	const Buf  *loop = &request->fault->wire_loop;

	out->len = 0;
	while (loop->len > 0 && out->len < 64 * 1024)
		buf_add(out, loop->data, loop->len);
}

static void *
wire_thread(void *arg)
{
	Request    *request = arg;
	int64_t		every_ms = request->fault->every_ms;
	Buf			out = {0};
	size_t		sent = 0;
	struct pollfd p = {0};

	wire_bytes(request, &out);
	if (out.len == 0)
		wire_again(request, &out);
	p.fd = socket_of(request);
	p.events = POLLOUT;
	while (sent < out.len && poll(&p, 1, WRITE_TIMEOUT_MS) > 0)
	{
		ssize_t		n = send(p.fd, out.data + sent,
							 every_ms > 0 ? 1 : out.len - sent,
							 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			break;
		if (n > 0)
			sent += n;
		if (every_ms > 0)
			poll(NULL, 0, every_ms);
		if (sent == out.len)
		{
			wire_again(request, &out);
			sent = 0;
		}
	}
	buf_free(&out);
	request->stage = STAGE_CLOSING;
	MHD_resume_connection(request->connection);
	return NULL;
}

static enum MHD_Result
deliver_wire(Request *request)
{
	pthread_t	thread;

	MHD_suspend_connection(request->connection);
	if (pthread_create(&thread, NULL, wire_thread, request) != 0)
		abort();
	pthread_detach(thread);
	return MHD_YES;
}

/* sends the response as the fault says */
enum MHD_Result
fault_deliver(Request *request)
{
	switch (request->fault->delivery)
	{
		case DELIVER_WHOLE:
			return answer_send(request);
		case DELIVER_WIRE:
			return deliver_wire(request);
		default:
			return deliver_by_parts(request);
	}
}
