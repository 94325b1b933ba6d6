/*-------------------------------------------------------------------------
 *
 * heap.c
 *	  An SQL function for tests that returns how much memory of malloc a
 *	  backend uses.
 *
 * This includes the blocks of palloc and those of libcurl, OpenSSL and json-c,
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

/* bytes in all arenas and in separate mappings */
Datum
impilo_test_heap(PG_FUNCTION_ARGS)
{
	struct mallinfo2 info = mallinfo2();

	PG_RETURN_INT64((int64) (info.uordblks + info.hblkhd));
}
