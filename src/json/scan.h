/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  JSON bytes without a tree: check them, walk them and read them in place.
 *
 * Pure C: no PostgreSQL, no memory of its own.  UTF-8 is not checked: bytes
 * from 0x80 on are accepted inside strings and rejected everywhere else.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JSON_SCAN_H
#define IMPILO_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/pointer.h"

/*
 * The greatest nesting of containers, counting the outermost.  The deepest
 * known place of an order is at 7; the checker keeps one bit per level in a
 * 64-bit word.
 */
#define IMPILO_JSON_MAX_DEPTH 64

/* Instead of a depth: the bytes have been checked, do not check them again */
#define IMPILO_JSON_CHECKED 0

typedef enum ImpiloJsonKind
{
	IMPILO_JSON_ABSENT = 0,		/* the document has no such place */
	IMPILO_JSON_NULL,
	IMPILO_JSON_BOOL,			/* data[0] is 't' or 'f' */
	IMPILO_JSON_NUMBER,
	IMPILO_JSON_STRING,
	IMPILO_JSON_ARRAY,
	IMPILO_JSON_OBJECT
} ImpiloJsonKind;

/* A value as it is written in the bytes, which the slice does not own */
typedef struct ImpiloJsonSlice
{
	const char *data;			/* first byte: of a string, its quote */
	size_t		length;			/* bytes, including quotes or brackets */
	ImpiloJsonKind kind;
	bool		escaped;		/* a string that contains a backslash */
} ImpiloJsonSlice;

typedef struct ImpiloJsonError
{
	size_t		offset;			/* from the first byte passed in */
	const char *what;			/* static text, lower case, no full stop */
} ImpiloJsonError;

/* --- checking and walking ---------------------------------------------- */

/*
 * impilo_json_check
 *		Check that the bytes are exactly one JSON value (RFC 8259) with
 *		optional white space around it.
 *
 * At most `max_depth` containers may be nested; values above
 * IMPILO_JSON_MAX_DEPTH count as that.  Repeated member names are accepted.
 * Returns true and the value without white space, or false and `error`.
 */
extern bool impilo_json_check(const char *data, size_t length, int max_depth,
							  ImpiloJsonSlice *value, ImpiloJsonError *error);

/* A position inside a container; the fields are private to scan.c */
typedef struct ImpiloJsonCursor
{
	const char *start;			/* first byte of the container */
	const char *end;			/* behind its last byte */
	const char *at;				/* where the next element or member begins; at
								 * the end, the closing bracket */
	int			max_depth;		/* of the container, or IMPILO_JSON_CHECKED */
	bool		first;			/* no element has been returned yet */
} ImpiloJsonCursor;

/*
 * impilo_json_begin
 *		Position a cursor before the first element of an array or member of an
 *		object.
 *
 * `max_depth` includes the container itself: elements are checked as by
 * impilo_json_check.  With IMPILO_JSON_CHECKED, for a container that has
 * passed a check, nested containers are only skipped, which is much faster.
 */
extern void impilo_json_begin(ImpiloJsonCursor *cursor,
							  const ImpiloJsonSlice *container, int max_depth);

/*
 * impilo_json_next
 *		Read the next element of an array (`name` is NULL) or the next member
 *		of an object.
 *
 * Returns 1 and the element or member; 0 at the end of the container, of
 * which then every byte has been read; or -1 and `error` (offset from the
 * container's first byte), after which the cursor must not be used.  A value
 * that is not an array, or not an object, is an error.
 */
extern int	impilo_json_next(ImpiloJsonCursor *cursor, ImpiloJsonSlice *name,
							 ImpiloJsonSlice *value, ImpiloJsonError *error);

/*
 * impilo_json_token
 *		Read the next bracket, member name or scalar of a checked value.
 *
 * Moves *p, which is inside the value, behind it.  A bracket is a slice of one
 * byte.  Commas, colons and white space are skipped.  Returns false at `end`,
 * and for bytes that have not been checked.
 */
extern bool impilo_json_token(const char **p, const char *end,
							  ImpiloJsonSlice *token);

/* --- finding places ---------------------------------------------------- */

/* One place of the set; the fields are private to scan.c */
typedef struct ImpiloJsonNode
{
	ImpiloPointerStep step;		/* from the parent; unused in the root */
	uint64_t	met;			/* serial of the last find that met it */
	uint64_t	lengths;		/* bit set of lengths (mod 64) of the names
								 * below */
	int32_t		slot;			/* where its value is stored, or -1 */
	int32_t		child;			/* first node below, or -1 */
	int32_t		sibling;		/* next node of the same parent, or -1 */
	int32_t		children;		/* number of nodes below */
	int32_t		indexed;		/* those of them that can be array elements */
} ImpiloJsonNode;

/*
 * A set of places, as a tree of steps.  Finding changes it, so that one set
 * must not be used by two finds at the same time.
 */
typedef struct ImpiloJsonWanted
{
	ImpiloJsonNode *nodes;		/* the caller's; nodes[0] is the document */
	size_t		capacity;		/* of nodes */
	size_t		used;			/* of nodes */
	int32_t		slots;			/* different places added */
	uint64_t	serial;			/* finds so far */
} ImpiloJsonWanted;

/*
 * impilo_json_want_begin
 *		Make an empty set in the caller's nodes.
 *
 * A capacity of 1 plus the number of steps of all paths is always enough; it
 * must be at least 1.
 */
extern void impilo_json_want_begin(ImpiloJsonWanted *wanted,
								   ImpiloJsonNode *nodes, size_t capacity);

/*
 * impilo_json_want
 *		Add a place and return its slot: the value will be in found[slot].
 *
 * The first place gets slot 0, each new one the next, and a place that is in
 * the set already its old one.  Paths may share steps, and one may lead
 * through another.  The names of the steps are kept by reference and must
 * live as long as the set.  Returns -1 if there are more than
 * IMPILO_JSON_MAX_DEPTH steps, which no checked document has, or no nodes
 * left.
 */
extern int32_t impilo_json_want(ImpiloJsonWanted *wanted,
								const ImpiloPointerStep *steps, size_t count);

/*
 * impilo_json_find
 *		Find the places of the set in one document.
 *
 * Fills found[0 .. wanted->slots - 1]; a place that the document does not
 * have is ABSENT.
 *
 * With IMPILO_JSON_CHECKED the bytes must have passed a check; finding ends
 * as soon as every place has been met.  (Other bytes are safe, but the result
 * is then meaningless.)
 *
 * With a depth all bytes are read and checked as by impilo_json_check, except
 * the inside of a found array or object through which no path leads: the
 * caller checks it by walking it with impilo_json_begin and the same depth
 * minus the steps to it.
 *
 * Returns false and `error` (offset from `data`) if the bytes read are wrong,
 * or if a member that leads to a place of the set is repeated among them,
 * because then neither value can be trusted; `found` is undefined.
 */
extern bool impilo_json_find(ImpiloJsonWanted *wanted,
							 const char *data, size_t length, int max_depth,
							 ImpiloJsonSlice *found, ImpiloJsonError *error);

/* --- reading scalars --------------------------------------------------- */

/*
 * impilo_json_name_equals
 *		Returns whether a string slice, decoded, is the given bytes.
 *
 * A string that does not decode is equal to nothing.
 */
extern bool impilo_json_name_equals(const ImpiloJsonSlice *name,
									const char *utf8, size_t length);

typedef enum ImpiloJsonText
{
	IMPILO_JSON_TEXT_OK = 0,
	IMPILO_JSON_TEXT_NUL,		/* \u0000, which PostgreSQL cannot store */
	IMPILO_JSON_TEXT_SURROGATE, /* an unpaired surrogate */
	IMPILO_JSON_TEXT_INVALID	/* not a string, or not a checked one */
} ImpiloJsonText;

/*
 * impilo_json_unescape
 *		Decode a string slice into UTF-8 (if its plain bytes are UTF-8).
 *
 * `buffer` has space for string->length bytes; the result is shorter, so that
 * the caller can add a NUL.  `*length` is set to the bytes written, in case
 * of failure those before the offending escape.  The text of a slice that is
 * not `escaped` is simply the bytes between the quotes.
 */
extern ImpiloJsonText impilo_json_unescape(const ImpiloJsonSlice *string,
										   char *buffer, size_t *length);

/*
 * impilo_json_int64
 *		Read a number that is written as a plain integer of at most 64 bits.
 *
 * Returns false for anything else, also for fractions and exponents (1e3).
 */
extern bool impilo_json_int64(const ImpiloJsonSlice *number, int64_t *value);

#endif							/* IMPILO_JSON_SCAN_H */
