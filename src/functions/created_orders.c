/*-------------------------------------------------------------------------
 *
 * created_orders.c
 *	  SQL functions that show and empty the journal.
 *
 * Both show and empty the current user's own orders of this session only.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/created_orders.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "create/journal.h"

PG_FUNCTION_INFO_V1(impilo_created_orders_1_0);
PG_FUNCTION_INFO_V1(impilo_forget_created_orders_1_0);

static const char *
state_name(ImpiloJournalState state)
{
	switch (state)
	{
		case IMPILO_JOURNAL_CREATED:
			return "created";
		case IMPILO_JOURNAL_ROLLED_BACK:
			return "rolled back";
		case IMPILO_JOURNAL_IN_FLIGHT:
		case IMPILO_JOURNAL_UNKNOWN:
			break;
	}
	return "unknown";
}

/*
 * Orders are shown to the role that inserted them, and to the one that ran the
 * statement, if a SECURITY DEFINER function inserted.
 */
static bool
is_own(const ImpiloJournalEntry *entry)
{
	return entry->note.userid == GetUserId() ||
		entry->note.caller == GetUserId();
}

static Datum
external_ids(const ImpiloJournalEntry *entry)
{
	Datum	   *ids = palloc(entry->note.nids * sizeof(Datum));

	for (int i = 0; i < entry->note.nids; i++)
		ids[i] = CStringGetTextDatum(pg_any_to_server(entry->note.ids[i],
													  strlen(entry->note.ids[i]),
													  PG_UTF8));
	return PointerGetDatum(construct_array(ids, entry->note.nids, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/*
 * impilo_created_orders() returns table (state, id, external_order_ids,
 * relation, row_number, posted_at): what this session's current user created.
 */
Datum
impilo_created_orders_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	dlist_iter	iter;

	InitMaterializedSRF(fcinfo, 0);
	dlist_foreach(iter, &impilo_journal)
	{
		const ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry,
														  node, iter.cur);
		bool		created = entry->state == IMPILO_JOURNAL_CREATED ||
		entry->state == IMPILO_JOURNAL_ROLLED_BACK;
		Datum		values[6];
		bool		nulls[6] = {false};

		if (entry->forgotten || !is_own(entry))
			continue;
		values[0] = CStringGetTextDatum(state_name(entry->state));
		values[1] = Int64GetDatum(entry->id);
		nulls[1] = !created;
		values[2] = external_ids(entry);
		values[3] = CStringGetTextDatum(entry->note.relation);
		values[4] = Int64GetDatum(entry->note.row);
		values[5] = TimestampTzGetDatum(entry->posted_at);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * impilo_forget_created_orders() returns bigint: empties the list, except for
 * the running transaction's orders, and returns how many were removed.
 */
Datum
impilo_forget_created_orders_1_0(PG_FUNCTION_ARGS)
{
	dlist_mutable_iter iter;
	int64		forgotten = 0;

	dlist_foreach_modify(iter, &impilo_journal)
	{
		ImpiloJournalEntry *entry = dlist_container(ImpiloJournalEntry, node,
													iter.cur);

		if (entry->forgotten || !is_own(entry) ||
			entry->subid != InvalidSubTransactionId)
			continue;
		forgotten++;

		/* an order that exists still counts for ON CONFLICT DO NOTHING */
		if (entry->state == IMPILO_JOURNAL_UNKNOWN)
			impilo_journal_drop(entry);
		else
			entry->forgotten = true;
	}
	PG_RETURN_INT64(forgotten);
}
