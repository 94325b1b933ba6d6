/*-------------------------------------------------------------------------
 *
 * check.h
 *	  The drift report: the API's orders against the columns that show them.
 *
 * All of it is one function that SQL calls.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CHECK_H
#define IMPILO_CHECK_H

#include "fmgr.h"

/* in check.c */

extern Datum impilo_check_schema_1_0(PG_FUNCTION_ARGS);

#endif							/* IMPILO_CHECK_H */
