/*-------------------------------------------------------------------------
 *
 * reconcile.h
 *	  Find what a create request of unknown outcome has created.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/reconcile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_RECONCILE_H
#define IMPILO_RECONCILE_H

#include "create/create.h"

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

/* in reconcile.c */

extern void impilo_identify(const ImpiloOrder *order, ImpiloIdentity *identity);
extern void impilo_identify_row(int nids, char **ids, bool to_site,
								int64 recipient, ImpiloIdentity *identity);
extern int	impilo_common_ids(const ImpiloIdentity *a, const ImpiloIdentity *b);
extern const char *impilo_contradiction(const ImpiloOrder *order,
										const ImpiloOrderRequest *row);
extern int	impilo_reconcile(ImpiloCreator *creator,
							 ImpiloCreateAttempt *attempts, int n);

#endif							/* IMPILO_RECONCILE_H */
