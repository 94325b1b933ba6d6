/*-------------------------------------------------------------------------
 *
 * create.h
 *	  Orders created once: the outcome machine.
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

#include "create/posting.h"

/* One statement that creates orders. */
typedef struct ImpiloCreator ImpiloCreator;

/* in create.c */

extern ImpiloCreator *impilo_creator(const ImpiloCreateTarget *target,
									 MemoryContext context);
extern ImpiloCreateTarget *impilo_creator_target(ImpiloCreator *creator);
extern ImpiloHttpStats *impilo_creator_stats(ImpiloCreator *creator);
extern void impilo_creator_follows(ImpiloCreator *creator, int64 ncreated);
extern void impilo_create(ImpiloCreator *creator, ImpiloOrderRequest *const *drafts,
						  int n, ImpiloOrder *orders);

#endif							/* IMPILO_CREATE_H */
