/*-------------------------------------------------------------------------
 *
 * report.h
 *	  Errors of create requests: what exists, what may, what does not.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/report.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_REPORT_H
#define IMPILO_REPORT_H

#include "compat.h"
#include "create/posting.h"

/* in report.c */

pg_noreturn extern void impilo_report(const ImpiloCreateTarget *target,
									  const ImpiloPosting *postings, int n,
									  int64 before);

#endif							/* IMPILO_REPORT_H */
