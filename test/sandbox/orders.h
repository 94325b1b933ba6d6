/*-------------------------------------------------------------------------
 *
 * orders.h
 *		What generate.c and orders.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_ORDERS_H
#define SANDBOX_ORDERS_H

#include <inttypes.h>

#include "generate.h"

/* in generate.c: a number that looks random, of the seed, a kind and an id */
extern uint64_t gen_hash(int what, int64_t id);

#endif							/* SANDBOX_ORDERS_H */
