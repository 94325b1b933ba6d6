/*-------------------------------------------------------------------------
 *
 * buf.c
 *		A growing byte buffer, JSON written into it, and the clocks.
 *
 * Orders are written directly as bytes, so that benchmarks do not measure the
 * sandbox.  Out of memory ends the program.  This file does not depend on HTTP
 * or on orders.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"

static void
out_of_memory(void)
{
	fputs("impilo_sandbox: out of memory\n", stderr);
	abort();
}

/* malloc, realloc and strdup that exit if there is no memory */
void *
xmalloc(size_t size)
{
	void	   *p = malloc(size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xrealloc(void *old, size_t size)
{
	void	   *p = realloc(old, size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

char *
xstrdup(const char *s)
{
	size_t		len = strlen(s) + 1;

	return memcpy(xmalloc(len), s, len);
}

/* allocates space for so many more bytes */
void
buf_reserve(Buf *b, size_t more)
{
	size_t		need = b->len + more;

	if (need <= b->cap)
		return;
	if (need < b->cap * 2)
		need = b->cap * 2;
	if (need < 256)
		need = 256;
	b->data = xrealloc(b->data, need);
	b->cap = need;
}

void
buf_str(Buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_char(Buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_int(Buf *b, int64_t value)
{
	char		text[24];
	char	   *p = text + sizeof(text);
	uint64_t	rest = value < 0 ? -(uint64_t) value : (uint64_t) value;

	do
	{
		*--p = '0' + rest % 10;
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--p = '-';
	buf_add(b, p, text + sizeof(text) - p);
}

/* the last "width" decimal digits, zeros in front */
void
buf_digits(Buf *b, uint64_t value, int width)
{
	int			i;

	buf_reserve(b, width);
	for (i = width; i-- > 0;)
	{
		b->data[b->len + i] = '0' + value % 10;
		value /= 10;
	}
	b->len += width;
}

void
buf_fmt(Buf *b, const char *fmt,...)
{
	va_list		args;
	int			len;

	buf_reserve(b, 256);
	va_start(args, fmt);
	len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
	va_end(args);
	if (len >= 0 && (size_t) len >= b->cap - b->len)
	{
		buf_reserve(b, len + 1);
		va_start(args, fmt);
		len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
		va_end(args);
	}
	if (len > 0)
		b->len += len;
}

/* a JSON string with quotes; bytes from 0x80 on are unchanged */
void
buf_json_string(Buf *b, const char *s, size_t len)
{
	size_t		i;

	buf_char(b, '"');
	for (i = 0; i < len; i++)
	{
		unsigned char c = s[i];

		if (c == '"' || c == '\\')
			buf_char(b, '\\');
		if (c < 0x20)
			buf_fmt(b, "\\u%04x", c);
		else
			buf_char(b, c);
	}
	buf_char(b, '"');
}

/*
 * An ISO 8601 time in UTC, without quotes: milliseconds since 1970, shown
 * with 0, 3 or 6 digits of a second's fraction.
 */
void
buf_timestamp(Buf *b, int64_t ms, int digits)
{
	time_t		seconds = ms / 1000;
	struct tm	tm;

	gmtime_r(&seconds, &tm);
	buf_digits(b, tm.tm_year + 1900, 4);
	buf_char(b, '-');
	buf_digits(b, tm.tm_mon + 1, 2);
	buf_char(b, '-');
	buf_digits(b, tm.tm_mday, 2);
	buf_char(b, 'T');
	buf_digits(b, tm.tm_hour, 2);
	buf_char(b, ':');
	buf_digits(b, tm.tm_min, 2);
	buf_char(b, ':');
	buf_digits(b, tm.tm_sec, 2);
	if (digits > 0)
	{
		buf_char(b, '.');
		buf_digits(b, digits == 3 ? ms % 1000 : ms % 1000 * 1000, digits);
	}
	buf_char(b, 'Z');
}

void
buf_free(Buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

/* appends decoded base64; returns false if it is invalid */
bool
buf_add_base64(Buf *b, const char *s, size_t len)
{
	unsigned int bits = 0;
	int			nbits = 0;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		int			value;

		if (s[i] == '=' || s[i] == '\n' || s[i] == '\r')
			continue;
		value = base64_value(s[i]);
		if (value < 0)
			return false;
		bits = (bits << 6 | value) & 0xffffff;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			buf_char(b, bits >> nbits & 0xff);
		}
	}
	return true;
}

/* the wall clock: milliseconds since 1970 */
int64_t
now_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* monotonic clock in milliseconds */
int64_t
now_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
