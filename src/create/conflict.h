/*-------------------------------------------------------------------------
 *
 * conflict.h
 *	  Which rows are orders already: ON CONFLICT DO NOTHING.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/conflict.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CONFLICT_H
#define IMPILO_CONFLICT_H

#include "create/posting.h"

/* in conflict.c */

extern ImpiloExisting *impilo_existing_read(const ImpiloCreateTarget *target,
											MemoryContext context,
											ImpiloHttpStats *stats);
extern bool impilo_existing_has(const ImpiloExisting *existing, int64 id);
extern bool impilo_existing_add(ImpiloExisting *existing,
								const ImpiloOrderRequest *draft);

#endif							/* IMPILO_CONFLICT_H */
