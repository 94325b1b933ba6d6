/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  What identifies an order: recipient, external ids, first event.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/identity.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_IDENTITY_H
#define IMPILO_IDENTITY_H

#include "api/api.h"
#include "rows/write.h"

/* What identifies an order. */
typedef struct ImpiloIdentity
{
	int64		id;
	bool		to_site;
	int64		recipient;		/* id of the patient or site; 0: not stated */
	bool		shows_ids;		/* the order has an array of external ids */
	int			nids;
	char	  **ids;			/* [nids] external ids in UTF-8: distinct,
								 * sorted, not empty */
	TimestampTz first_event;	/* DT_NOEND: not stated */
} ImpiloIdentity;

/* in identity.c */

extern void impilo_identify(const ImpiloOrder *order, ImpiloIdentity *identity);
extern void impilo_identify_row(int nids, char **ids, bool to_site,
								int64 recipient, ImpiloIdentity *identity);
extern int	impilo_common_ids(const ImpiloIdentity *a, const ImpiloIdentity *b);
extern const char *impilo_contradiction(const ImpiloOrder *order,
										const ImpiloOrderRequest *row);

#endif							/* IMPILO_IDENTITY_H */
