/*-------------------------------------------------------------------------
 *
 * page.h
 *	  A page of the list and an order, taken out of the bytes.
 *
 * Pure C: no PostgreSQL, no memory of its own.
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
 * Containers inside one another that an order may have, itself included; the
 * deepest place known is at seven.  A page puts two more around it.
 */
#define IMPILO_ORDER_DEPTH (IMPILO_JSON_MAX_DEPTH - 2)

/* members of a page that are read */
#define IMPILO_PAGE_MEMBERS 6

/* What the envelope does not state, or not as a number or boolean */
#define IMPILO_UNKNOWN (-1)

/*
 * What is looked for; its fields are page.c's own.  Ready once initialized;
 * it must not be copied, and not be used by two readings at the same time.
 */
typedef struct ImpiloPageReader
{
	ImpiloJsonWanted envelope;	/* the members of a page */
	ImpiloJsonNode envelope_nodes[1 + IMPILO_PAGE_MEMBERS];
	ImpiloJsonWanted order_id;	/* the id of an order */
	ImpiloJsonNode order_id_nodes[2];
} ImpiloPageReader;

/* The envelope of one page, as the answer states it */
typedef struct ImpiloPage
{
	int64_t		page;			/* current page number, or IMPILO_UNKNOWN */
	int64_t		size;			/* page size, or IMPILO_UNKNOWN */
	int64_t		total;			/* orders over all pages, or IMPILO_UNKNOWN */
	int			first;			/* 0, 1 or IMPILO_UNKNOWN */
	int			last;			/* 0, 1 or IMPILO_UNKNOWN */
	const char *request;		/* the caller's, for messages: what was asked */
	ImpiloJsonCursor content;	/* before the next order */
	size_t		content_at;		/* offset of content in the body */
	int			orders;			/* orders of it passed so far, or tried to */
} ImpiloPage;

typedef enum ImpiloReadVerdict
{
	IMPILO_READ_OK = 0,
	IMPILO_READ_END,			/* there is no further order */
	IMPILO_READ_BROKEN,			/* not well-formed, too deep, or a member of
								 * the envelope is repeated: `wrong` says
								 * what, and at which byte of the body */
	IMPILO_READ_UNFIT			/* well-formed, but no page or no order:
								 * wrong->what is what can be said of it: "has
								 * no id" */
} ImpiloReadVerdict;

extern void impilo_page_reader_init(ImpiloPageReader *reader);

/*
 * impilo_page_read
 *		Read the envelope of a page, and stand before its first order.
 *
 * Returns OK, BROKEN or UNFIT.  All bytes are checked but those of `content`,
 * which impilo_page_next checks order by order.  `page` points into the body;
 * its request is not touched.
 */
extern ImpiloReadVerdict impilo_page_read(ImpiloPageReader *reader,
										  const char *body, size_t length,
										  ImpiloPage *page,
										  ImpiloJsonError *wrong);

/*
 * impilo_page_next
 *		Pass the next order of a page.
 *
 * Returns OK with its bytes, which are well-formed and no deeper than
 * IMPILO_ORDER_DEPTH, and its id; or END, BROKEN or UNFIT, after which the
 * page must not be used.
 */
extern ImpiloReadVerdict impilo_page_next(ImpiloPageReader *reader,
										  ImpiloPage *page,
										  ImpiloJsonSlice *order, int64_t *id,
										  ImpiloJsonError *wrong);

/*
 * impilo_page_order
 *		Read a body that is one order.
 *
 * Returns OK with what impilo_page_next gives, BROKEN or UNFIT.
 */
extern ImpiloReadVerdict impilo_page_order(ImpiloPageReader *reader,
										   const char *body, size_t length,
										   ImpiloJsonSlice *order, int64_t *id,
										   ImpiloJsonError *wrong);

#endif							/* IMPILO_PAGE_H */
