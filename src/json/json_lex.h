/*-------------------------------------------------------------------------
 *
 * json_lex.h
 *	  What json_scan.c, json_find.c and convert_jsonb.c share: how to pass
 *	  one token.
 *
 * Inline, because a page holds tens of thousands of tokens of some ten bytes
 * each, and a call would cost as much as the token.  Each function takes the
 * position of a token and gives the position behind it, or NULL after noting
 * in the lexer what is wrong and where.  None reads at or behind lex->end.
 *
 * Sixteen bytes at a time are looked at where the machine has SSE2 (every
 * x86-64) or NEON (every arm64), else eight in a plain integer.  Defining
 * IMPILO_JSON_PORTABLE forces the latter, for the tests.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/json_lex.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JSON_LEX_H
#define IMPILO_JSON_LEX_H

#include <string.h>

#include "json/json_scan.h"

#if defined(IMPILO_JSON_PORTABLE) || !defined(__GNUC__)
#undef IMPILO_JSON_VECTORS
#elif defined(__SSE2__)
#define IMPILO_JSON_VECTORS
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define IMPILO_JSON_VECTORS
#include <arm_neon.h>
#endif

#if defined(__GNUC__)
#define json_unlikely(x) __builtin_expect((x) != 0, 0)
#else
#define json_unlikely(x) ((x) != 0)
#endif

typedef struct ImpiloJsonLexer
{
	const char *end;			/* behind the last byte */
	const char *failed;			/* where the error is */
	const char *what;			/* the error, or NULL */
} ImpiloJsonLexer;

/* in json_scan.c */

/* One value with everything in it, strictly; containers at most so deep */
extern const char *impilo_json_pass(ImpiloJsonLexer *lex, const char *p,
									int max_depth, ImpiloJsonSlice *value);

/* in json_lex.c */

/*
 * From inside `depth` containers (not inside a string) to behind the bracket
 * that closes the outermost of them.  Looks at brackets and quotes only.
 */
extern const char *impilo_json_skip(ImpiloJsonLexer *lex, const char *p,
									int64_t depth);

/* Behind the escape whose backslash is at p */
extern const char *impilo_json_escape(ImpiloJsonLexer *lex, const char *p);

/* A null, true or false */
extern const char *impilo_json_literal(ImpiloJsonLexer *lex, const char *p,
									   ImpiloJsonSlice *value);

static inline void
json_lexer_init(ImpiloJsonLexer *lex, const char *end)
{
	lex->end = end;
	lex->failed = NULL;
	lex->what = NULL;
}

static inline const char *
json_fail(ImpiloJsonLexer *lex, const char *p, const char *what)
{
	lex->failed = p;
	lex->what = what;
	return NULL;
}

/* The error that a lexer met, with its offset from `start` */
static inline void
json_report(const ImpiloJsonLexer *lex, const char *start,
			ImpiloJsonError *error)
{
	error->offset = (size_t) (lex->failed - start);
	error->what = lex->what;
}

/* The value of a hexadecimal digit, or -1 */
static inline int
json_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* --- sixteen bytes at a time ------------------------------------------- */

#ifdef IMPILO_JSON_VECTORS
#ifdef __SSE2__

typedef __m128i JsonBytes;

static inline JsonBytes
json_load(const char *p)
{
	return _mm_loadu_si128((const __m128i *) p);
}

static inline JsonBytes
json_equal(JsonBytes bytes, char c)
{
	return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

static inline JsonBytes
json_control(JsonBytes bytes)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
}

static inline JsonBytes
json_or(JsonBytes a, JsonBytes b)
{
	return _mm_or_si128(a, b);
}

/* '[' and '{' become '{', ']' and '}' become '}', and no other byte does */
static inline JsonBytes
json_fold_brackets(JsonBytes bytes)
{
	return _mm_or_si128(bytes, _mm_set1_epi8(0x20));
}

/* One bit a byte, the first byte lowest */
static inline unsigned int
json_bits(JsonBytes matched)
{
	return (unsigned int) _mm_movemask_epi8(matched);
}

#else							/* NEON */

typedef uint8x16_t JsonBytes;

static inline JsonBytes
json_load(const char *p)
{
	return vld1q_u8((const uint8_t *) p);
}

static inline JsonBytes
json_equal(JsonBytes bytes, char c)
{
	return vceqq_u8(bytes, vdupq_n_u8((uint8_t) c));
}

static inline JsonBytes
json_control(JsonBytes bytes)
{
	return vcltq_u8(bytes, vdupq_n_u8(0x20));
}

static inline JsonBytes
json_or(JsonBytes a, JsonBytes b)
{
	return vorrq_u8(a, b);
}

static inline JsonBytes
json_fold_brackets(JsonBytes bytes)
{
	return vorrq_u8(bytes, vdupq_n_u8(0x20));
}

static inline unsigned int
json_bits(JsonBytes matched)
{
	static const uint8_t weights[16] =
	{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
	uint8x16_t	weighed = vandq_u8(matched, vld1q_u8(weights));

	return (unsigned int) vaddv_u8(vget_low_u8(weighed)) |
		((unsigned int) vaddv_u8(vget_high_u8(weighed)) << 8);
}

#endif
#endif							/* IMPILO_JSON_VECTORS */

/* --- strings ----------------------------------------------------------- */

#define JSON_EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Not zero if one of eight bytes is zero */
static inline uint64_t
json_has_zero(uint64_t eight)
{
	return (eight - JSON_EIGHT(1)) & ~eight & JSON_EIGHT(0x80);
}

/* Does one of eight bytes end a run of plain characters? */
static inline bool
json_ends_run(uint64_t eight)
{
	return (json_has_zero(eight ^ JSON_EIGHT('"')) |
			json_has_zero(eight ^ JSON_EIGHT('\\')) |
			((eight - JSON_EIGHT(0x20)) & ~eight & JSON_EIGHT(0x80))) != 0;
}

/* The first quote, backslash or control character from p on, or the end */
static inline const char *
json_run(const char *p, const char *end)
{
#ifdef IMPILO_JSON_VECTORS
	while (end - p >= 16)
	{
		JsonBytes	bytes = json_load(p);
		unsigned int stops;

		stops = json_bits(json_or(json_control(bytes),
								  json_or(json_equal(bytes, '"'),
										  json_equal(bytes, '\\'))));
		if (stops != 0)
			return p + __builtin_ctz(stops);
		p += 16;
	}
#endif
	while (end - p >= 8)
	{
		uint64_t	eight;

		memcpy(&eight, p, 8);
		if (json_ends_run(eight))
			break;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

/* A string whose opening quote is at p */
static inline const char *
json_string(ImpiloJsonLexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;

	value->escaped = false;
	p = json_run(p + 1, lex->end);
	while (json_unlikely(p == lex->end || *p != '"'))
	{
		if (p == lex->end)
			return json_fail(lex, start, "unterminated string");
		if (*p != '\\')
			return json_fail(lex, p, "control character in a string");
		value->escaped = true;
		p = impilo_json_escape(lex, p);
		if (p == NULL)
			return NULL;
		p = json_run(p, lex->end);
	}
	p++;
	value->data = start;
	value->length = (size_t) (p - start);
	value->kind = IMPILO_JSON_STRING;
	return p;
}

/* --- the other tokens -------------------------------------------------- */

static inline const char *
json_space(const char *p, const char *end)
{
	while (p < end && (unsigned char) *p <= ' ' &&
		   (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

static inline bool
json_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One digit or more */
static inline const char *
json_digits(ImpiloJsonLexer *lex, const char *p)
{
	if (p == lex->end || !json_is_digit(*p))
		return json_fail(lex, p, "digit expected");
	do
		p++;
	while (p < lex->end && json_is_digit(*p));
	return p;
}

static inline const char *
json_number(ImpiloJsonLexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;

	if (*p == '-')
		p++;
	if (p < lex->end && *p == '0')
		p++;
	else
		p = json_digits(lex, p);
	if (p != NULL && p < lex->end && *p == '.')
		p = json_digits(lex, p + 1);
	if (p != NULL && p < lex->end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < lex->end && (*p == '+' || *p == '-'))
			p++;
		p = json_digits(lex, p);
	}
	if (p == NULL)
		return NULL;
	value->data = start;
	value->length = (size_t) (p - start);
	value->kind = IMPILO_JSON_NUMBER;
	value->escaped = false;
	return p;
}

/* A value that is no container; p is before lex->end */
static inline const char *
json_scalar(ImpiloJsonLexer *lex, const char *p, ImpiloJsonSlice *value)
{
	if (*p == '"')
		return json_string(lex, p, value);
	if (json_is_digit(*p) || *p == '-')
		return json_number(lex, p, value);
	return impilo_json_literal(lex, p, value);
}

/* A value in bytes that were checked before: containers are skipped */
static inline const char *
json_skip_value(ImpiloJsonLexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;

	if (json_unlikely(p == lex->end))
		return json_fail(lex, p, "value expected");
	if (*p != '{' && *p != '[')
		return json_scalar(lex, p, value);
	p = impilo_json_skip(lex, p + 1, 1);
	if (p == NULL)
		return NULL;
	value->data = start;
	value->length = (size_t) (p - start);
	value->kind = *start == '{' ? IMPILO_JSON_OBJECT : IMPILO_JSON_ARRAY;
	value->escaped = false;
	return p;
}

/* The name of a member and its colon, up to the value */
static inline const char *
json_name(ImpiloJsonLexer *lex, const char *p, ImpiloJsonSlice *name)
{
	if (json_unlikely(p == lex->end || *p != '"'))
		return json_fail(lex, p, "member name expected");
	p = json_string(lex, p, name);
	if (json_unlikely(p == NULL))
		return NULL;
	p = json_space(p, lex->end);
	if (json_unlikely(p == lex->end || *p != ':'))
		return json_fail(lex, p, "colon expected");
	return json_space(p + 1, lex->end);
}

#endif							/* IMPILO_JSON_LEX_H */
