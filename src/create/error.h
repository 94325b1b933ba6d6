/*-------------------------------------------------------------------------
 *
 * error.h
 *	  Errors of create requests: what exists, what may exist, what does not.
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
#include "create/creator.h"

/* in error.c */

pg_noreturn extern void impilo_raise_create_error(const ImpiloCreator *creator,
												  const ImpiloCreateAttempt *attempts,
												  int n);

#endif							/* IMPILO_CREATE_ERROR_H */
