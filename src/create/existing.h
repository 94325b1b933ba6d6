/*-------------------------------------------------------------------------
 *
 * existing.h
 *	  Which rows are orders already: ON CONFLICT DO NOTHING.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/existing.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_EXISTING_H
#define IMPILO_EXISTING_H

#include "create/posting.h"

/* in existing.c */

extern ImpiloExisting *impilo_existing_read(const ImpiloCreateTarget *target,
											MemoryContext context,
											ImpiloHttpStats *stats);
extern bool impilo_existing_has(const ImpiloExisting *existing, int64 id);
extern bool impilo_existing_add(ImpiloExisting *existing,
								const ImpiloDraft *draft);

#endif							/* IMPILO_EXISTING_H */
