/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  JSON bytes without a tree: check them, walk them and read them in place.
 *
 * Pure C: needs no PostgreSQL and allocates no memory.  UTF-8 is not checked:
 * bytes from 0x80 on are accepted in strings and rejected everywhere else.
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

/*
 * The greatest nesting of containers, counting the outermost.  The deepest
 * known place of an order is at 7; the checker keeps one bit per level in a
 * 64-bit word.
 */
#define IMPILO_JSON_MAX_DEPTH 64

/* Instead of a depth: the bytes have been checked, do not check them again */
#define IMPILO_JSON_CHECKED (-1)

/* The same, and do not even skip the containers inside a container */
#define IMPILO_JSON_OPEN (-2)

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

/* A position in a container; the fields except `at` are private to scan.c */
typedef struct ImpiloJsonCursor
{
	const char *start;			/* first byte of the container */
	const char *end;			/* behind its last byte */
	const char *at;				/* where the next element or member begins; at
								 * the end, the closing bracket, or behind it
								 * if the cursor is IMPILO_JSON_OPEN */
	int			max_depth;		/* of the container, or IMPILO_JSON_CHECKED */
	bool		first;			/* no element has been returned yet */
} ImpiloJsonCursor;

/* One place of a set; the fields are private to scan.c */
typedef struct ImpiloJsonNode
{
	const char *name;			/* the step from the parent, decoded, not
								 * NUL-terminated; unused in the root */
	size_t		length;			/* of the name, in bytes */
	int32_t		slot;			/* where its value is stored, or -1 */
	int32_t		child;			/* first node below, or -1 */
	int32_t		sibling;		/* next node of the same parent, or -1 */
	int32_t		children;		/* number of nodes below */
	uint64_t	lengths;		/* bit set of lengths (mod 64) of the names
								 * below */
	uint64_t	found_by;		/* serial of the last find that found it */
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

/* in scan.c */

extern bool impilo_json_check(const char *data, size_t length, int max_depth,
							  ImpiloJsonSlice *value, ImpiloJsonError *error);
extern void impilo_json_begin(ImpiloJsonCursor *cursor,
							  const ImpiloJsonSlice *container, int max_depth);
extern int	impilo_json_next(ImpiloJsonCursor *cursor, ImpiloJsonSlice *name,
							 ImpiloJsonSlice *value, ImpiloJsonError *error);
extern ImpiloJsonSlice impilo_json_member(const ImpiloJsonSlice *object,
										  const char *name);
extern void impilo_json_want_begin(ImpiloJsonWanted *wanted,
								   ImpiloJsonNode *nodes, size_t capacity);
extern int32_t impilo_json_want(ImpiloJsonWanted *wanted, char *pointer,
								size_t length, ImpiloJsonError *error);
extern bool impilo_json_find(ImpiloJsonWanted *wanted,
							 const ImpiloJsonSlice *document,
							 ImpiloJsonSlice *found, ImpiloJsonError *error);
extern bool impilo_json_name_equals(const ImpiloJsonSlice *name,
									const char *utf8, size_t length);
extern const char *impilo_json_unescape(const ImpiloJsonSlice *string,
										char *buffer, size_t *length);
extern bool impilo_json_int64(const ImpiloJsonSlice *number, int64_t *value);

#endif							/* IMPILO_JSON_SCAN_H */
