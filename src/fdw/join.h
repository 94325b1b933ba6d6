/*-------------------------------------------------------------------------
 *
 * join.h
 *	  The lookahead node: the lookups of a join, in flight together.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/join.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JOIN_H
#define IMPILO_JOIN_H

/* in join.c */

extern void impilo_join_init(void);

#endif							/* IMPILO_JOIN_H */
