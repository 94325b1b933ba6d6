/*-------------------------------------------------------------------------
 *
 * heap.c
 *	  For tests: an SQL function that tells how much of malloc's memory a
 *	  backend has in use.
 *
 * palloc's blocks are part of it, so are libcurl's, OpenSSL's and json-c's,
 * which no view of PostgreSQL counts.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  test/preload/heap.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <malloc.h>

#include "fmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(impilo_test_heap);

/* bytes in all arenas, and mapped for themselves */
Datum
impilo_test_heap(PG_FUNCTION_ARGS)
{
	struct mallinfo2 info = mallinfo2();

	PG_RETURN_INT64((int64) (info.uordblks + info.hblkhd));
}
