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

#include "create/creator.h"

/* in reconcile.c */

extern int	impilo_reconcile(ImpiloCreator *creator,
							 ImpiloCreateAttempt *attempts, int n);

#endif							/* IMPILO_RECONCILE_H */
