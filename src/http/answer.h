/*-------------------------------------------------------------------------
 *
 * answer.h
 *	  An HTTP answer as it arrives: bounded body, the few headers we read.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/answer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_ANSWER_H
#define IMPILO_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * All header lines of one exchange together, interim answers included.  Large
 * cookies and tracing headers come to some kilobytes; web servers themselves
 * limit a message's head to 8 to 64 kB.
 */
#define IMPILO_ANSWER_HEADER_MAX (128 * 1024)

typedef struct ImpiloAnswer
{
	char	   *body;			/* malloc'd; NUL-terminated unless NULL */
	size_t		used;			/* bytes of it, without the NUL */
	size_t		size;			/* bytes allocated */
	size_t		limit;			/* bytes allowed */

	size_t		header_bytes;
	bool		headers_done;	/* the empty line has been seen */
	bool		body_too_large;
	bool		header_too_large;
	bool		no_memory;

	/* printable ASCII, cut to size; empty: not received */
	char		content_type[128];
	char		location[512];
	char		date[48];
	char		age[24];
	char		retry_after[48];
} ImpiloAnswer;

extern void impilo_answer_begin(ImpiloAnswer *answer, size_t limit);
extern bool impilo_answer_header(ImpiloAnswer *answer,
								 const char *line, size_t length);
extern bool impilo_answer_reserve(ImpiloAnswer *answer, size_t length);
extern bool impilo_answer_body(ImpiloAnswer *answer,
							   const char *data, size_t length);
extern void impilo_answer_shrink(ImpiloAnswer *answer, size_t most);
extern void impilo_answer_clean(char *string);

#endif							/* IMPILO_ANSWER_H */
