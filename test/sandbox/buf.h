/*-------------------------------------------------------------------------
 *
 * buf.h
 *		A growing byte buffer, and JSON written into it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_BUF_H
#define SANDBOX_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Buf
{
	char	   *data;			/* malloc'd, or NULL while empty */
	size_t		len;
	size_t		cap;
} Buf;

/* appends a string constant */
#define BUF_LIT(b, s) buf_add((b), (s), sizeof(s) - 1)

extern void *xmalloc(size_t size);
extern void *xrealloc(void *old, size_t size);
extern char *xstrdup(const char *s);

extern void buf_reserve(Buf *b, size_t more);
extern void buf_str(Buf *b, const char *s);
extern void buf_char(Buf *b, char c);
extern void buf_int(Buf *b, int64_t value);
extern void buf_digits(Buf *b, uint64_t value, int width);
extern void buf_fmt(Buf *b, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));
extern void buf_json_string(Buf *b, const char *s, size_t len);
extern void buf_timestamp(Buf *b, int64_t ms, int digits);
extern void buf_free(Buf *b);
extern bool buf_add_base64(Buf *b, const char *s, size_t len);

extern int64_t now_wall_ms(void);
extern int64_t now_mono_ms(void);

/* inline, because an order is written in many small parts */
static inline void
buf_add(Buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (b->cap - b->len < len)
		buf_reserve(b, len);
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

#endif							/* SANDBOX_BUF_H */
