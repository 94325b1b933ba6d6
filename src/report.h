/*-------------------------------------------------------------------------
 *
 * report.h
 *	  Errors of create requests: what exists, what may, what does not.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/report.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_REPORT_H
#define IMPILO_REPORT_H

#include "compat.h"
#include "posting.h"

/* it is not known whether an order was created */
#define IMPILO_ERRCODE_OUTCOME_UNKNOWN MAKE_SQLSTATE('I', 'U', '0', '0', '1')

/* an error after orders were created, which exist */
#define IMPILO_ERRCODE_ORDERS_EXIST MAKE_SQLSTATE('I', 'U', '0', '0', '2')

/* in report.c */

pg_noreturn extern void impilo_report(const ImpiloCreateTarget *target,
									  const ImpiloPosting *postings, int n,
									  int64 before);

#endif							/* IMPILO_REPORT_H */
