/*-------------------------------------------------------------------------
 *
 * pointer.h
 *	  JSON Pointers (RFC 6901) as sequences of steps.
 *
 * Pure C: no PostgreSQL, no memory of its own.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/pointer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_POINTER_H
#define IMPILO_POINTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ImpiloPointerStep.index of a step that can only be a member name */
#define IMPILO_POINTER_NO_INDEX (-1)

/*
 * One step down.  A text of digits without leading zeros is a member name in
 * an object and an index in an array; any other text is only a name.
 */
typedef struct ImpiloPointerStep
{
	const char *name;			/* decoded, not NUL-terminated; not owned */
	size_t		length;			/* bytes */
	int32_t		index;			/* from 0, or IMPILO_POINTER_NO_INDEX */
} ImpiloPointerStep;

typedef struct ImpiloPointerError
{
	size_t		offset;			/* byte of the text where it went wrong */
	const char *what;			/* static text, lower case, no full stop */
} ImpiloPointerError;

/*
 * impilo_pointer_count
 *		Number of steps of a well-formed pointer, and never less than what
 *		impilo_pointer_parse writes for any text.
 */
extern size_t impilo_pointer_count(const char *text, size_t length);

/*
 * impilo_pointer_parse
 *		Take a pointer apart.
 *
 * The caller supplies `steps`, with room for impilo_pointer_count(), and
 * `buffer`, with room for `length` bytes, into which the decoded names go and
 * which has to live as long as the steps.  The number of steps written is
 * impilo_pointer_count(); 0 for the empty text, the whole document.
 *
 * Returns false and fills `error` if the text is not a pointer, and for the step
 * "-": it names the element after the last one, which cannot be read.
 */
extern bool impilo_pointer_parse(const char *text, size_t length,
								 ImpiloPointerStep *steps, char *buffer,
								 ImpiloPointerError *error);

/*
 * impilo_pointer_step
 *		A step from a name: fills in the index where the name is one.
 *
 * The step points to `name`, which has to live as long.
 */
extern ImpiloPointerStep impilo_pointer_step(const char *name, size_t length);

/*
 * impilo_pointer_format
 *		Put steps together again, escaped, without a terminating NUL.
 *
 * Returns the length of the whole pointer.  Nothing beyond `size` bytes is
 * written, so a result above `size` means that the text was cut; size 0
 * measures.
 */
extern size_t impilo_pointer_format(const ImpiloPointerStep *steps,
									size_t count, char *buffer, size_t size);

#endif							/* IMPILO_POINTER_H */
