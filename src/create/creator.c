/*-------------------------------------------------------------------------
 *
 * creator.c
 *	  What all modules of create/ share.
 *
 * Everything here is below the others: it calls none of them.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/creator.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "create/create.h"

/*
 * impilo_errcreator
 *		For use in ereport(): add the names of the schema and the table.
 */
int
impilo_errcreator(const ImpiloCreator *creator)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, creator->schema);
	return err_generic_string(PG_DIAG_TABLE_NAME, creator->name);
}

/*
 * impilo_create_hash
 *		An empty hash table, whose keys are compared bytewise.
 */
HTAB *
impilo_create_hash(const char *name, Size keysize, Size entrysize,
				   MemoryContext context)
{
	HASHCTL		control = {
		.keysize = keysize,
		.entrysize = entrysize,
		.hcxt = context
	};

	return hash_create(name, 256, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * impilo_sleep_until
 *		Sleep until a point in time, whatever sets the latch meanwhile.
 */
void
impilo_sleep_until(TimestampTz end)
{
	long		left;

	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end)) > 0)
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, ImpiloWaitEvent("ImpiloFdwReconcile"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
