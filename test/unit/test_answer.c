/*-------------------------------------------------------------------------
 *
 * test_answer.c
 *		  An HTTP answer as it arrives
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "http/answer.h"
#include "unit.h"

static ImpiloAnswer answer;

static bool
header(const char *line)
{
	size_t		length = strlen(line);

	return impilo_answer_header(&answer, unit_exact(line, length), length);
}

static bool
body(const char *text)
{
	size_t		length = strlen(text);

	return impilo_answer_body(&answer, unit_exact(text, length), length);
}

static void
test_headers(void)
{
	char		line[200];

	impilo_answer_begin(&answer, 10);
	CHECK(header("HTTP/1.1 100 Continue\r\n"));
	CHECK(header("Date: of the interim answer\r\n"));
	CHECK(header("\r\n"));
	CHECK(header("HTTP/1.1 200 OK\r\n"));
	CHECK(answer.date[0] == '\0');
	CHECK(header("DATE:\t Sun, 06 Nov 1994 08:49:37 GMT \r\n"));
	CHECK(strcmp(answer.date, "Sun, 06 Nov 1994 08:49:37 GMT") == 0);
	CHECK(header("Content-Type: a\x80\x01" "b\n"));
	CHECK(strcmp(answer.content_type, "a??b") == 0);
	CHECK(header("Content-Types: other\r\n"));
	CHECK(header("Content-Type"));
	CHECK(strcmp(answer.content_type, "a??b") == 0);
	CHECK(header("Location:\r\n"));
	CHECK(answer.location[0] == '\0');

	/* cut to its room */
	memset(line, 'x', sizeof(line));
	memcpy(line, "Retry-After:", 12);
	CHECK(impilo_answer_header(&answer, line, sizeof(line)));
	CHECK(strlen(answer.retry_after) == sizeof(answer.retry_after) - 1);

	/* what comes behind the body is not believed */
	CHECK(header("\r\n"));
	CHECK(answer.headers_done);
	CHECK(header("Date: of a trailer\r\n"));
	CHECK(strcmp(answer.date, "Sun, 06 Nov 1994 08:49:37 GMT") == 0);

	while (answer.header_bytes + sizeof(line) <= IMPILO_ANSWER_HEADER_MAX)
		CHECK(impilo_answer_header(&answer, line, sizeof(line)));
	CHECK(impilo_answer_header(&answer, line, IMPILO_ANSWER_HEADER_MAX -
							   answer.header_bytes));
	CHECK(!answer.header_too_large);
	CHECK(!impilo_answer_header(&answer, line, 1));
	CHECK(answer.header_too_large);
}

static void
test_body(void)
{
	impilo_answer_begin(&answer, 10);
	CHECK(answer.header_bytes == 0 && answer.date[0] == '\0');
	CHECK(body("01234"));
	CHECK(body(""));
	CHECK(body("56789"));
	CHECK(answer.used == 10 && strcmp(answer.body, "0123456789") == 0);
	CHECK(!answer.body_too_large);
	CHECK(!body("x"));
	CHECK(answer.body_too_large);
	CHECK(answer.used == 10 && strcmp(answer.body, "0123456789") == 0);

	/* one byte more at once */
	impilo_answer_begin(&answer, 10);
	CHECK(answer.used == 0 && answer.body[0] == '\0');
	CHECK(!body("0123456789a"));
	CHECK(answer.used == 0 && answer.body[0] == '\0');

	/* a size that is only announced takes no more than is allowed */
	impilo_answer_shrink(&answer, 0);
	CHECK(answer.body == NULL && answer.size == 0);
	CHECK(impilo_answer_reserve(&answer, 1 << 30));
	CHECK(answer.size == 11);
	CHECK(body("0123456789"));

	/* memory that is kept holds no body */
	impilo_answer_shrink(&answer, 100);
	CHECK(answer.used == 0 && answer.body != NULL && answer.body[0] == '\0');
	impilo_answer_begin(&answer, 0);
	CHECK(body(""));
	CHECK(!body("x"));
	impilo_answer_shrink(&answer, 0);
}

void
test_answer(void)
{
	test_headers();
	test_body();
}
