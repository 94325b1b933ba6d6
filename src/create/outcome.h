/*-------------------------------------------------------------------------
 *
 * outcome.h
 *	  Finds in the list what a create request of unknown outcome created.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/outcome.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_OUTCOME_H
#define IMPILO_OUTCOME_H

#include "create/posting.h"

/* in outcome.c */

extern bool impilo_outcome_find(const ImpiloCreateTarget *target,
								ImpiloPosting *postings, int n,
								ImpiloHttpStats *stats);

#endif							/* IMPILO_OUTCOME_H */
