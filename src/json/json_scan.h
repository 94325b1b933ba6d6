/*-------------------------------------------------------------------------
 *
 * json_scan.h
 *	  JSON bytes without a tree: check, walk and read them in place.
 *
 * Pure C: no PostgreSQL, no memory of its own.  Whether bytes from 0x80 on
 * are valid UTF-8 is not decided here: they pass inside strings and are
 * refused everywhere else.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/json_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JSON_SCAN_H
#define IMPILO_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Containers inside one another, counting the outermost.  The deepest place
 * known in an order is at 7; the checker keeps one bit a level in a word of
 * 64, which costs nothing and leaves the deepest level far out of reach.
 */
#define IMPILO_JSON_MAX_DEPTH 64

/* instead of a depth: the bytes have passed a check before, so do not again */
#define IMPILO_JSON_CHECKED 0

typedef enum ImpiloJsonKind
{
	IMPILO_JSON_ABSENT = 0,		/* no such place in the document */
	IMPILO_JSON_NULL,
	IMPILO_JSON_BOOL,			/* data[0] is 't' or 'f' */
	IMPILO_JSON_NUMBER,
	IMPILO_JSON_STRING,
	IMPILO_JSON_ARRAY,
	IMPILO_JSON_OBJECT
} ImpiloJsonKind;

/* A value as it stands in the bytes, which the slice does not own */
typedef struct ImpiloJsonSlice
{
	const char *data;			/* first byte: of a string, its quote */
	size_t		length;			/* bytes, both quotes or brackets included */
	ImpiloJsonKind kind;
	bool		escaped;		/* a string with a backslash in it */
} ImpiloJsonSlice;

typedef struct ImpiloJsonError
{
	size_t		offset;			/* from the first byte that was handed in */
	const char *what;			/* static text, lower case, no full stop */
} ImpiloJsonError;

/* A position inside a container; its fields are json_scan.c's own */
typedef struct ImpiloJsonCursor
{
	const char *start;			/* first byte of the container */
	const char *end;			/* behind its last byte */
	const char *at;				/* next byte to read; at the end, it stays
								 * before the closing bracket */
	int			max_depth;		/* for its elements, or IMPILO_JSON_CHECKED */
	bool		first;			/* no element was passed yet */
} ImpiloJsonCursor;

/*
 * impilo_json_check
 *		Is this exactly one JSON value by RFC 8259, with optional white space
 *		around it, and no more than `max_depth` containers deep?
 *
 * `max_depth` is from 1 to IMPILO_JSON_MAX_DEPTH (more counts as that).
 * Repeated member names are not noticed.  Returns true and the value without
 * the white space, or false and `error`.
 */
extern bool impilo_json_check(const char *data, size_t length, int max_depth,
							  ImpiloJsonSlice *value, ImpiloJsonError *error);

/*
 * impilo_json_begin
 *		Stand before the first element of an array or member of an object.
 *
 * `max_depth` counts the container itself and is the limit for the strict
 * check of each element passed, or IMPILO_JSON_CHECKED if the container has
 * passed one: then nested values are skipped much faster.  The cursor points
 * into the container's bytes.
 */
extern void impilo_json_begin(ImpiloJsonCursor *cursor,
							  const ImpiloJsonSlice *container, int max_depth);

/*
 * impilo_json_next_element, impilo_json_next_member
 *		Pass one element of an array, or one member of an object.
 *
 * Return 1 and what was passed, 0 at the end of the container, or -1 and
 * `error` (offset from the container's first byte), after which the cursor
 * must not be used.  A container that ended (0) was checked wholly, commas
 * and brackets included.  The other kind of container, or a scalar, is an
 * error.
 */
extern int	impilo_json_next_element(ImpiloJsonCursor *cursor,
									 ImpiloJsonSlice *element,
									 ImpiloJsonError *error);
extern int	impilo_json_next_member(ImpiloJsonCursor *cursor,
									ImpiloJsonSlice *name,
									ImpiloJsonSlice *value,
									ImpiloJsonError *error);

/*
 * impilo_json_name_equals
 *		Is this string slice, decoded, the given bytes?
 *
 * A string that does not decode (see impilo_json_unescape) equals nothing.
 */
extern bool impilo_json_name_equals(const ImpiloJsonSlice *name,
									const char *utf8, size_t length);

typedef enum ImpiloJsonText
{
	IMPILO_JSON_TEXT_OK = 0,
	IMPILO_JSON_TEXT_NUL,		/* \u0000, which no PostgreSQL text can hold */
	IMPILO_JSON_TEXT_SURROGATE, /* half of a surrogate pair: no character */
	IMPILO_JSON_TEXT_INVALID	/* not a string, or not a checked one */
} ImpiloJsonText;

/*
 * impilo_json_unescape
 *		Decode a string slice into UTF-8 (if the rest of it is).
 *
 * `buffer` has room for string->length bytes: the result is always shorter,
 * so that a terminating NUL fits too, which is not written here.  `*length`
 * is set to the bytes written, on failure those before the offending escape.
 * A slice that is not `escaped` needs no decoding: its text is the bytes
 * between the quotes.
 */
extern ImpiloJsonText impilo_json_unescape(const ImpiloJsonSlice *string,
										   char *buffer, size_t *length);

/*
 * impilo_json_int64
 *		The value of a number slice written as a plain integer that fits.
 *
 * Returns false for anything else: another kind, a fraction, an exponent
 * (even of an integer, as 1e3), or a value beyond 64 bits.
 */
extern bool impilo_json_int64(const ImpiloJsonSlice *number, int64_t *value);

#endif							/* IMPILO_JSON_SCAN_H */
