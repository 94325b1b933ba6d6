/*-------------------------------------------------------------------------
 *
 * conflict.h
 *	  Rows whose orders exist already: ON CONFLICT DO NOTHING.
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

#include "create/creator.h"

/* in conflict.c */

extern ImpiloKnownOrders *impilo_read_known_orders(ImpiloCreator *creator,
												   MemoryContext context);
extern bool impilo_known_order(const ImpiloKnownOrders *known, int64 id);
extern bool impilo_add_row(ImpiloKnownOrders *known,
						   const ImpiloOrderRequest *row);
extern bool impilo_created_meanwhile(ImpiloKnownOrders *known,
									 const ImpiloOrderRequest *row);

#endif							/* IMPILO_CONFLICT_H */
