/*-------------------------------------------------------------------------
 *
 * reconcile.h
 *	  Finds in the list what a create request of unknown outcome created.
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

#include "create/posting.h"

/* in reconcile.c */

extern bool impilo_outcome_find(const ImpiloCreateTarget *target,
								ImpiloPosting *postings, int n,
								ImpiloHttpStats *stats);

#endif							/* IMPILO_RECONCILE_H */
