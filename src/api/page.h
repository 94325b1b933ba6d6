/*-------------------------------------------------------------------------
 *
 * page.h
 *	  Reads a page of the list, or an order, from the bytes of a body.
 *
 * Pure C: needs no PostgreSQL and allocates no memory.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api/page.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_PAGE_H
#define IMPILO_PAGE_H

#include "json/scan.h"

/*
 * How deep an order may be nested, itself included; known members need seven.
 * A page adds two.
 */
#define IMPILO_ORDER_DEPTH (IMPILO_JSON_MAX_DEPTH - 2)

/* members of a page that are read */
#define IMPILO_PAGE_MEMBERS 6

/* a member of the envelope that is missing, or not a number or boolean */
#define IMPILO_UNKNOWN (-1)

/* The envelope of one page, as the response states it. */
typedef struct ImpiloPage
{
	int64_t		page;			/* current page number, or IMPILO_UNKNOWN */
	int64_t		size;			/* page size, or IMPILO_UNKNOWN */
	int64_t		total;			/* orders over all pages, or IMPILO_UNKNOWN */
	int			first;			/* 0, 1 or IMPILO_UNKNOWN */
	int			last;			/* 0, 1 or IMPILO_UNKNOWN */
	const char *request;		/* set by the caller, for messages */
	ImpiloJsonCursor content;	/* before the next order */
	size_t		content_at;		/* offset of content in the body */
	int			orders;			/* orders read so far, also one that failed */
} ImpiloPage;

typedef enum ImpiloReadVerdict
{
	IMPILO_READ_OK = 0,
	IMPILO_READ_END,			/* there is no further order */
	IMPILO_READ_BROKEN,			/* not well-formed, too deep, or a member of
								 * the envelope is repeated: `wrong` says
								 * what, and at which byte of the body */
	IMPILO_READ_UNFIT			/* well-formed, but not a page or an order:
								 * wrong->what says why, as in "has no id" */
} ImpiloReadVerdict;

/*
 * impilo_page_read
 *		Read the envelope of a page, up to its first order.
 *
 * Returns OK, BROKEN or UNFIT.  Checks all bytes except those of `content`,
 * which impilo_page_next checks order by order.  `page` points into the body;
 * page->request is not changed.
 */
extern ImpiloReadVerdict impilo_page_read(const char *body, size_t length,
										  ImpiloPage *page,
										  ImpiloJsonError *wrong);

/*
 * impilo_page_next
 *		Read the next order of a page.
 *
 * Returns OK with its id and its bytes, which are well-formed and nested no
 * deeper than IMPILO_ORDER_DEPTH; or END, BROKEN or UNFIT, after which the
 * page must not be used.
 */
extern ImpiloReadVerdict impilo_page_next(ImpiloPage *page,
										  ImpiloJsonSlice *order, int64_t *id,
										  ImpiloJsonError *wrong);

/*
 * impilo_page_order
 *		Read a body that is one order.
 *
 * Returns OK with its id and bytes as impilo_page_next does, BROKEN or UNFIT.
 */
extern ImpiloReadVerdict impilo_page_order(const char *body, size_t length,
										   ImpiloJsonSlice *order, int64_t *id,
										   ImpiloJsonError *wrong);

#endif							/* IMPILO_PAGE_H */
