/*-------------------------------------------------------------------------
 *
 * error.h
 *	  Errors of create requests: what exists, what may, what does not.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/error.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CREATE_ERROR_H
#define IMPILO_CREATE_ERROR_H

#include "compat.h"
#include "create/posting.h"

/* in error.c */

pg_noreturn extern void impilo_report(const ImpiloCreateTarget *target,
									  const ImpiloPosting *postings, int n,
									  int64 before);

#endif							/* IMPILO_CREATE_ERROR_H */
