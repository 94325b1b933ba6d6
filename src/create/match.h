/*-------------------------------------------------------------------------
 *
 * match.h
 *	  Is an order of the list the one that a draft asks for?
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/match.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_MATCH_H
#define IMPILO_MATCH_H

#include "datatype/timestamp.h"

#include "api/api.h"
#include "rows/write.h"

/* What tells one order from another. */
typedef struct ImpiloIdentity
{
	int64		id;
	bool		to_site;
	int64		recipient;		/* id of the patient or site; 0: none told */
	int			nids;
	char	  **ids;			/* [nids] external ids, in UTF-8 */
	TimestampTz first_event;	/* DT_NOEND: none told */
} ImpiloIdentity;

/* in match.c */

extern void impilo_identify(const ImpiloOrder *order, ImpiloIdentity *identity);
extern int	impilo_common_ids(const ImpiloIdentity *identity,
							  const ImpiloOrderRequest *draft);
extern const char *impilo_contradicts(const ImpiloOrder *order,
									  const ImpiloOrderRequest *draft);
extern bool impilo_same_recipient(const ImpiloIdentity *identity,
								  const ImpiloOrderRequest *draft);

#endif							/* IMPILO_MATCH_H */
