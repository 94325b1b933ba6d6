/*-------------------------------------------------------------------------
 *
 * route.h
 *	  What a plan tells the executor: the way that a scan takes.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/route.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_ROUTE_H
#define IMPILO_ROUTE_H

/* The ways to get at orders. */
typedef enum ImpiloRoute
{
	IMPILO_ROUTE_LIST,			/* the whole list, page after page */
	IMPILO_ROUTE_LOOKUP,		/* a request for each id */
	IMPILO_ROUTE_PAGES,			/* some pages of the list, as they are */
	IMPILO_ROUTE_COUNT,			/* only how many there are */
	IMPILO_ROUTE_NOTHING		/* no order can satisfy the condition */
} ImpiloRoute;

/*
 * Members of ForeignScan.fdw_private.  ForeignScan.fdw_exprs holds the keys of
 * routes Lookup and Pages (keys.h).
 */
typedef enum ImpiloScanPrivate
{
	IMPILO_SCAN_ROUTE,			/* Integer: ImpiloRoute */
	IMPILO_SCAN_REREAD,			/* Integer: 1 if it may be read again */
	IMPILO_SCAN_READS_ALL,		/* Integer: 1 if the plan does not stop early */
	IMPILO_SCAN_FILTER_COLUMNS, /* List of Integer: attribute numbers that the
								 * filter needs */
	IMPILO_SCAN_REST_COLUMNS,	/* List of Integer: those needed beyond it */
	IMPILO_SCAN_KEY_KINDS		/* IntList: ImpiloKeys.kinds */
} ImpiloScanPrivate;

#endif							/* IMPILO_ROUTE_H */
