/*-------------------------------------------------------------------------
 *
 * answer_fuzz.c
 *		  An answer that arrives in pieces, held against all that was sent
 *
 * The input is a script: one byte says what comes, one how long it is, and
 * the bytes follow, each piece in memory of its own that ends with it.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "http/answer.h"

#define MAX_LIMIT 70000

static char expected[MAX_LIMIT];
static ImpiloAnswer answer;
static size_t header_bytes;
static bool trailer;
static char date[sizeof(answer.date)];

/* --- what must always hold --------------------------------------------- */

static void
check_field(const char *field, size_t size)
{
	size_t		length = strnlen(field, size);

	REQUIRE(length < size);
	for (size_t i = 0; i < length; i++)
		REQUIRE(field[i] >= ' ' && field[i] <= '~');
	REQUIRE(length == 0 || field[0] != ' ');
}

static void
check_answer(size_t used)
{
	REQUIRE(answer.used == used && used <= answer.limit);
	REQUIRE(answer.body != NULL || (answer.size == 0 && used == 0));
	REQUIRE(answer.body == NULL || used < answer.size);
	if (answer.body != NULL)
	{
		REQUIRE(memcmp(answer.body, expected, used) == 0);
		REQUIRE(answer.body[used] == '\0');
	}
	check_field(answer.content_type, sizeof(answer.content_type));
	check_field(answer.location, sizeof(answer.location));
	check_field(answer.date, sizeof(answer.date));
	check_field(answer.retry_after, sizeof(answer.retry_after));
	REQUIRE(strcmp(answer.date, date) == 0);
}

/* --- headers ----------------------------------------------------------- */

/* The value of a Date header, as far as there is room for it */
static void
keep_date(const char *line, size_t length)
{
	size_t		n;

	while (length > 0 && memchr(" \t\r\n", *line, 4) != NULL)
		line++, length--;
	while (length > 0 && memchr(" \t\r\n", line[length - 1], 4) != NULL)
		length--;
	for (n = 0; n < length && n < sizeof(date) - 1; n++)
		date[n] = line[n] >= ' ' && line[n] <= '~' ? line[n] : '?';
	date[n] = '\0';
}

static void
send_header(const char *line, size_t length)
{
	bool		accepted = impilo_answer_header(&answer, line, length);

	header_bytes += length;
	REQUIRE(accepted == (header_bytes <= IMPILO_ANSWER_HEADER_MAX));
	REQUIRE(answer.header_too_large == !accepted);
	if (!accepted)
		return;
	if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0)
	{
		trailer = false;
		date[0] = '\0';
	}
	else if (length == 0 || (length == 1 && *line == '\n') ||
			 (length == 2 && memcmp(line, "\r\n", 2) == 0))
		trailer = true;
	else if (!trailer && length >= 5 && strncasecmp(line, "Date:", 5) == 0)
		keep_date(line + 5, length - 5);
	REQUIRE(answer.headers_done == trailer);
}

/* --- the script -------------------------------------------------------- */

static size_t
send_body(const char *data, size_t length, size_t used)
{
	bool		accepted = impilo_answer_body(&answer, data, length);

	REQUIRE(!answer.no_memory);
	REQUIRE(accepted == (length <= answer.limit - used));
	REQUIRE(accepted || answer.body_too_large);
	if (!accepted)
		return used;
	memcpy(expected + used, data, length);
	return used + length;
}

static void
begin(size_t limit)
{
	impilo_answer_begin(&answer, limit);
	header_bytes = 0;
	trailer = false;
	date[0] = '\0';
	REQUIRE(!answer.body_too_large && !answer.header_too_large);
}

/* One step; the piece is repeated, so that a short script sends much */
static size_t
step(int what, const char *piece, size_t length, size_t used)
{
	int			times = 1 << (what >> 4 & 7);

	switch (what & 7)
	{
		case 0:
			/* many short limits, few long ones */
			begin(length * (what & 8 ? 256 : 1));
			return 0;
		case 1:
			impilo_answer_shrink(&answer, length * 16);
			REQUIRE(answer.size <= length * 16);
			return 0;
		case 2:
			REQUIRE(impilo_answer_reserve(&answer, (size_t) times << 20));
			REQUIRE(answer.size > answer.limit);
			return used;
		case 3:
		case 4:
			for (int i = 0; i < times && !answer.body_too_large; i++)
				used = send_body(piece, length, used);
			return used;
		default:
			for (int i = 0; i < times && !answer.header_too_large; i++)
				send_header(piece, length);
			return used;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		used = 0;

	begin(MAX_LIMIT / 2);
	while (size >= 2)
	{
		size_t		length = data[1] < size - 2 ? data[1] : size - 2;
		char	   *piece = malloc(length > 0 ? length : 1);

		REQUIRE(piece != NULL);
		memcpy(piece, data + 2, length);
		used = step(data[0], piece, length, used);
		check_answer(used);
		free(piece);
		data += 2 + length;
		size -= 2 + length;
	}
	impilo_answer_shrink(&answer, 0);
	REQUIRE(answer.body == NULL && answer.used == 0);
	return 0;
}
