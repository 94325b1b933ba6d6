/*-------------------------------------------------------------------------
 *
 * answer.c
 *	  An HTTP answer as it arrives: bounded body, the few headers we read.
 *
 * What is stored here is stored from inside libcurl's callbacks, through
 * which no PostgreSQL error may jump.  So this is pure C: memory comes from
 * malloc, and a limit or a lack of memory is a flag and a false.
 *
 * The limits count bytes as they come in, after decompression: a small answer
 * that unpacks to gigabytes is refused at the limit, not after it was read.
 *
 * Not here: what the headers mean (retry.c reads dates), and who owns the
 * memory (http.c does).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/answer.c
 *
 *-------------------------------------------------------------------------
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/answer.h"

/* a first piece of a body: what libcurl hands over at once */
#define FIRST_SIZE (16 * 1024)

/*
 * Forget what was received and allow `limit` bytes for the next body.  The
 * memory of the last one is kept for it.
 */
void
impilo_answer_begin(ImpiloAnswer *answer, size_t limit)
{
	char	   *body = answer->body;
	size_t		size = answer->size;

	memset(answer, 0, sizeof(*answer));
	answer->body = body;
	answer->size = size;
	answer->limit = limit;
	if (body != NULL)
		body[0] = '\0';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The line, which no NUL ends, that ends the headers */
static bool
is_empty_line(const char *line, size_t length)
{
	return length == 0 || (length == 1 && line[0] == '\n') ||
		(length == 2 && line[0] == '\r' && line[1] == '\n');
}

/* A header's value into a field: white space around it off, made printable */
static void
keep_value(char *field, size_t size, const char *value, size_t length)
{
	size_t		used = 0;

	while (length > 0 && is_blank(*value))
	{
		value++;
		length--;
	}
	while (length > 0 && is_blank(value[length - 1]))
		length--;
	for (; used < length && used < size - 1; used++)
		field[used] = value[used] == '\0' ? '?' : value[used];
	field[used] = '\0';
	impilo_answer_clean(field);
}

/*
 * Take a header line, as libcurl passes it: status line, fields, empty line,
 * trailer fields; the line's end included.
 *
 * A status line starts anew, because an interim answer (100, 103) came before
 * it.  Trailer fields are counted, and not believed.  Returns false if there
 * are more than IMPILO_ANSWER_HEADER_MAX bytes.
 */
bool
impilo_answer_header(ImpiloAnswer *answer, const char *line, size_t length)
{
	const struct
	{
		const char *name;
		char	   *field;
		size_t		size;
	}			wanted[] = {
		{"Content-Type:", answer->content_type, sizeof(answer->content_type)},
		{"Location:", answer->location, sizeof(answer->location)},
		{"Date:", answer->date, sizeof(answer->date)},
		{"Age:", answer->age, sizeof(answer->age)},
		{"Retry-After:", answer->retry_after, sizeof(answer->retry_after)}
	};

	answer->header_bytes += length;
	if (answer->header_bytes > IMPILO_ANSWER_HEADER_MAX)
	{
		answer->header_too_large = true;
		return false;
	}

	if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0)
	{
		answer->headers_done = false;
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			wanted[i].field[0] = '\0';
		return true;
	}
	if (answer->headers_done)
		return true;
	if (is_empty_line(line, length))
	{
		answer->headers_done = true;
		return true;
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
	{
		size_t		n = strlen(wanted[i].name);

		if (length >= n && strncasecmp(line, wanted[i].name, n) == 0)
			keep_value(wanted[i].field, wanted[i].size, line + n, length - n);
	}
	return true;
}

/*
 * Make room for a body of `length` bytes in all, or of what the limit allows
 * if that is less.  Returns false if there is no memory.
 */
bool
impilo_answer_reserve(ImpiloAnswer *answer, size_t length)
{
	size_t		size;
	char	   *body;

	if (length > answer->limit)
		length = answer->limit;
	if (length < answer->size)
		return true;
	size = length + 1;
	body = realloc(answer->body, size);
	if (body == NULL)
	{
		answer->no_memory = true;
		return false;
	}
	answer->body = body;
	answer->size = size;
	answer->body[answer->used] = '\0';
	return true;
}

/*
 * Append to the body.  Returns false if it grows beyond the limit or if there
 * is no memory; nothing of `data` is kept then.
 */
bool
impilo_answer_body(ImpiloAnswer *answer, const char *data, size_t length)
{
	if (length > answer->limit - answer->used)
	{
		answer->body_too_large = true;
		return false;
	}
	if (answer->used + length >= answer->size)
	{
		size_t		size = answer->used + length;

		/* doubling keeps the copying linear; the reservation minds the limit */
		if (size < answer->size * 2)
			size = answer->size * 2;
		if (size < FIRST_SIZE)
			size = FIRST_SIZE;
		if (!impilo_answer_reserve(answer, size))
			return false;
	}
	memcpy(answer->body + answer->used, data, length);
	answer->used += length;
	answer->body[answer->used] = '\0';
	return true;
}

/* Forget the body, and give its memory back if that is more than `most` */
void
impilo_answer_shrink(ImpiloAnswer *answer, size_t most)
{
	answer->used = 0;
	if (answer->size > most)
	{
		free(answer->body);
		answer->body = NULL;
		answer->size = 0;
	}
	else if (answer->body != NULL)
		answer->body[0] = '\0';
}

/*
 * Replace whatever is not printable ASCII by a question mark: text from
 * outside goes into messages, and need not be in the database's encoding.
 */
void
impilo_answer_clean(char *string)
{
	for (char *c = string; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}
