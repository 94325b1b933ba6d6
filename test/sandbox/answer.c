/*-------------------------------------------------------------------------
 *
 * answer.c
 *		Building responses and sending them correctly.
 *
 * faults.c decides about faults; pages.c, create.c and control.c decide which
 * response a request gets.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <zlib.h>

#include "answer.h"
#include "config.h"

/* makes an answer an error; the detail may be NULL */
void
answer_error(Answer *answer, unsigned int status, const char *message,
			 const char *detail)
{
	Buf		   *b = &answer->body;

	answer->status = status;
	b->len = 0;
	buf_fmt(b, "{\"status\":%u,\"message\":", status);
	buf_json_string(b, message, strlen(message));
	if (detail != NULL)
	{
		BUF_LIT(b, ",\"detail\":");
		buf_json_string(b, detail, strlen(detail));
	}
	buf_char(b, '}');
}

/* adds a header; the name must be static, the value is copied */
void
answer_header(Answer *answer, const char *name, const char *value)
{
	if (answer->nheaders >= MAX_ANSWER_HEADERS)
		return;
	answer->header_names[answer->nheaders] = name;
	answer->header_values[answer->nheaders++] = xstrdup(value);
}

/* frees the contents of a response and makes it empty */
void
answer_free(Answer *answer)
{
	int			i;

	buf_free(&answer->body);
	for (i = 0; i < answer->nheaders; i++)
		free(answer->header_values[i]);
	memset(answer, 0, sizeof(*answer));
}

/* appends the sandbox's time in the format of a Date header */
void
answer_date(Buf *b)
{
	static const char *const days[] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
	};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	time_t		now = now_wall_ms() / 1000 + config.date_offset_s;
	struct tm	tm;

	gmtime_r(&now, &tm);
	buf_fmt(b, "%s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday],
			tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
			tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool
gzip_body(Buf *body)
{
	z_stream	z = {0};
	Buf			out = {0};
	bool		done;

	if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8,
					 Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	buf_reserve(&out, deflateBound(&z, body->len));
	z.next_in = (Bytef *) body->data;
	z.avail_in = body->len;
	z.next_out = (Bytef *) out.data;
	z.avail_out = out.cap;
	done = deflate(&z, Z_FINISH) == Z_STREAM_END;
	out.len = out.cap - z.avail_out;
	deflateEnd(&z);
	if (!done)
	{
		buf_free(&out);
		return false;
	}
	buf_free(body);
	*body = out;
	return true;
}

/* compresses the body if the client accepts it and it is configured */
void
answer_compress(Request *request)
{
	const char *accept;

	if (!config.gzip || request->answer.gzipped ||
		request->answer.body.len == 0)
		return;
	accept = MHD_lookup_connection_value(request->connection,
										 MHD_HEADER_KIND, "Accept-Encoding");
	if (accept != NULL && strcasestr(accept, "gzip") != NULL)
		request->answer.gzipped = gzip_body(&request->answer.body);
}

/* returns a response that owns the body; the body is empty afterwards */
struct MHD_Response *
answer_response(Answer *answer)
{
	Buf			body = answer->body;

	memset(&answer->body, 0, sizeof(answer->body));
	if (body.len == 0)
	{
		buf_free(&body);
		return MHD_create_response_from_buffer(0, (void *) "",
											   MHD_RESPMEM_PERSISTENT);
	}
	return MHD_create_response_from_buffer(body.len, body.data,
										   MHD_RESPMEM_MUST_FREE);
}

/* adds the headers to a response and queues it; frees the response */
enum MHD_Result
answer_queue(Request *request, struct MHD_Response *response)
{
	Answer	   *answer = &request->answer;
	enum MHD_Result result;
	Buf			date = {0};
	int			i;

	MHD_add_response_header(response, "Content-Type", answer->content_type ?
							answer->content_type : "application/json");
	if (config.date)
	{
		answer_date(&date);
		buf_char(&date, '\0');
		MHD_add_response_header(response, "Date", date.data);
		buf_free(&date);
	}
	for (i = 0; i < answer->nheaders; i++)
		MHD_add_response_header(response, answer->header_names[i],
								answer->header_values[i]);
	if (answer->gzipped)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	if (answer->close)
		MHD_add_response_header(response, "Connection", "close");
	result = MHD_queue_response(request->connection, answer->status,
								response);
	MHD_destroy_response(response);
	request->stage = STAGE_DONE;
	return result;
}

/* sends the complete response */
enum MHD_Result
answer_send(Request *request)
{
	return answer_queue(request, answer_response(&request->answer));
}
