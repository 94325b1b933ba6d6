/*-------------------------------------------------------------------------
 *
 * create.h
 *	  Orders created once: a request per row.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/create.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CREATE_H
#define IMPILO_CREATE_H

#include "create/creator.h"

/* in create.c */

extern ImpiloCreator *impilo_creator(const ImpiloCreateTarget *target,
									 MemoryContext context);
extern int	impilo_create(ImpiloCreator *creator,
						  ImpiloOrderRequest *const *rows, int n,
						  ImpiloOrder *orders);

#endif							/* IMPILO_CREATE_H */
