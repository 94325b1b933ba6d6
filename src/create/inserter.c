/*-------------------------------------------------------------------------
 *
 * inserter.c
 *	  The rows of one statement on their way to orders.
 *
 * A row becomes a draft (draft.c).  What happens to the draft is decided by
 * the table's option post_at: it is posted now, or kept for the commit, or
 * shown and forgotten.  ON CONFLICT DO NOTHING drops those that are orders
 * already (existing.c).
 *
 * Drafts kept for the commit are posted by what the statement had: the role's
 * user mapping, the address, the key and the options of its time.
 *
 * How rows come here is insert.c's, how an order is created create.c's.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/inserter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "create/conflict.h"
#include "create/inserter.h"

struct ImpiloInserter
{
	MemoryContext context;		/* lives as long as the statement */
	MemoryContext batch;		/* drafts and answers of the batch at hand */
	MemoryContext row;			/* values of the row shown last */
	ImpiloTable *table;
	ImpiloTableOptions options;
	bool		do_nothing;
	ImpiloRequestBuilder *drafter;
	ImpiloRowReader *reader;	/* NULL: no column is returned */
	ImpiloCreator *creator;
	ImpiloExisting *existing;	/* with do_nothing, from the first row on */
	int64		nchecked;		/* rows seen by impilo_inserter_check */
	int64		nsent;			/* rows seen by impilo_inserter_send */
	int64		nskipped;		/* rows that are orders already; -1: they are
								 * not looked for */

	/* with do_nothing: the rows found new by impilo_inserter_check */
	int64	   *rows;			/* their numbers */
	int64		nnew;
	int64		room;			/* for as many */

	/* the batch at hand */
	ImpiloOrder *orders;
};

/* A draft that waits for the commit. */
typedef struct KeptDraft
{
	ImpiloCreator *creator;
	int			batch_size;
	ImpiloOrderRequest *draft;
} KeptDraft;

/*
 * Refuse what can be refused before there is a row.
 */
static void
check_allowed(const ImpiloInserter *inserter)
{
	if (inserter->options.post_at == IMPILO_POST_AT_COMMIT)
	{
		if (IsolationIsSerializable())
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot create orders at the commit of a serializable transaction"),
					 errdetail("Whether the transaction is serializable is found out after its orders would have been created."),
					 errhint("Use another isolation level, or set option post_at to 'statement'.")));
		if (inserter->do_nothing)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("ON CONFLICT DO NOTHING needs option post_at to be 'statement'"),
					 errdetail("Orders that wait for the commit are not in the list yet, in which conflicts are found.")));
	}
}

static char *
quoted_name(Relation relation)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
									  RelationGetRelationName(relation));
}

static ImpiloCreator *
make_creator(ImpiloInserter *inserter, Relation relation,
			 const ForeignTable *foreign, const ImpiloInserterConfig *config)
{
	bool		keeps = inserter->options.post_at == IMPILO_POST_AT_COMMIT;
	ImpiloConnection *connection = impilo_connection(config->userid, foreign->serverid,
													 inserter->context);
	MemoryContext context = keeps ? TopTransactionContext : inserter->context;
	MemoryContext caller = MemoryContextSwitchTo(context);
	const char *ids_column = impilo_external_ids_column(inserter->table);
	ImpiloCreateTarget target = {
		.connection = connection,
		.userid = GetUserId(),
		.name = pstrdup(RelationGetRelationName(relation)),
		.relation = quoted_name(relation),
		.ids_column = ids_column ? pstrdup(quote_identifier(ids_column)) : NULL,
		.max_concurrency = inserter->options.max_concurrency,
		.fetch_size = inserter->options.fetch_size,
		.command = config->command
	};

	MemoryContextSwitchTo(caller);
	if (keeps)
		impilo_connection_pin(connection, context);
	return impilo_creator(&target, context);
}

/*
 * impilo_inserter
 *		Make ready to create orders out of rows of a foreign table.
 *
 * Lives in `context`, the executor run's.  Sends nothing.  Raises an error
 * if the table is not one, or may not be written.
 */
ImpiloInserter *
impilo_inserter(Relation relation, const ImpiloInserterConfig *config,
				MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloInserter *inserter = palloc0(sizeof(ImpiloInserter));
	ForeignTable *foreign = GetForeignTable(RelationGetRelid(relation));

	inserter->context = context;
	inserter->batch = AllocSetContextCreate(context, "impilo_fdw batch",
											ALLOCSET_DEFAULT_SIZES);
	inserter->row = AllocSetContextCreate(context, "impilo_fdw row",
										  ALLOCSET_DEFAULT_SIZES);
	inserter->table = impilo_table_bind(relation);
	inserter->options = *config->options;
	inserter->do_nothing = config->do_nothing;
	inserter->nskipped = config->do_nothing ? 0 : -1;
	check_allowed(inserter);
	inserter->drafter = impilo_request_builder(inserter->table, context);
	if (config->returned)
		inserter->reader = impilo_row_reader(inserter->table, NULL,
											 config->returned, context);
	inserter->creator = make_creator(inserter, relation, foreign, config);
	MemoryContextSwitchTo(caller);
	return inserter;
}

/*
 * impilo_inserter_table
 *		The table that rows are inserted into.
 */
const ImpiloTable *
impilo_inserter_table(const ImpiloInserter *inserter)
{
	return inserter->table;
}

/*
 * impilo_inserter_batch_size
 *		Rows that are to be sent together.
 */
int
impilo_inserter_batch_size(const ImpiloInserter *inserter)
{
	return inserter->options.batch_size;
}

/*
 * impilo_inserter_posts_now
 *		Are orders created by the statement itself?
 */
bool
impilo_inserter_posts_now(const ImpiloInserter *inserter)
{
	return inserter->options.post_at == IMPILO_POST_AT_STATEMENT;
}

/*
 * impilo_inserter_stats
 *		What requests have cost so far.
 */
const ImpiloHttpStats *
impilo_inserter_stats(const ImpiloInserter *inserter)
{
	return impilo_creator_stats(inserter->creator);
}

/*
 * impilo_inserter_skipped
 *		How many rows were skipped because they are orders already; -1 if that
 *		is not asked for.
 */
int64
impilo_inserter_skipped(const ImpiloInserter *inserter)
{
	return inserter->nskipped;
}

/*
 * Is this draft new?  Always, unless ON CONFLICT DO NOTHING asks.
 */
static bool
is_new(ImpiloInserter *inserter, const ImpiloOrderRequest *draft)
{
	if (!inserter->do_nothing)
		return true;
	if (inserter->existing == NULL)
	{
		ImpiloCreateTarget *target = impilo_creator_target(inserter->creator);

		inserter->existing = impilo_existing_read(target, inserter->context,
												  impilo_creator_stats(inserter->creator));
		target->before = inserter->existing;
	}
	if (impilo_existing_add(inserter->existing, draft))
		return true;
	inserter->nskipped++;
	return false;
}

/*
 * Remember the number of a row that is new.
 */
static void
note_new(ImpiloInserter *inserter, int64 row)
{
	if (inserter->nnew == inserter->room)
	{
		Size		room = Max(inserter->room * 2, 64);

		inserter->rows = inserter->rows
			? repalloc_huge(inserter->rows, room * sizeof(int64))
			: MemoryContextAlloc(inserter->context, room * sizeof(int64));
		inserter->room = room;
	}
	inserter->rows[inserter->nnew++] = row;
}

/*
 * impilo_inserter_check
 *		Would this row make an order?  Raises an error if it is wrong.
 *
 * Returns false if it would not because ON CONFLICT DO NOTHING skips it; then
 * it must not be sent.  Either no row or every row of a statement is checked
 * by this, before the first is sent.
 */
bool
impilo_inserter_check(ImpiloInserter *inserter, TupleTableSlot *slot)
{
	ImpiloOrderRequest *draft = impilo_build_request(inserter->drafter, slot,
													 ++inserter->nchecked);
	bool		new = is_new(inserter, draft);

	if (new && inserter->do_nothing)
		note_new(inserter, draft->row);
	pfree(draft);
	return new;
}

/*
 * The number in the statement of the row that is to be sent next.
 */
static int64
next_row(ImpiloInserter *inserter)
{
	int64		sent = inserter->nsent++;

	return inserter->rows ? inserter->rows[sent] : sent + 1;
}

/*
 * Post what statements of this transaction have kept: a list of KeptDraft in
 * the order of the rows.
 */
static void
post_kept(List *work)
{
	MemoryContext batch = AllocSetContextCreate(TopTransactionContext,
												"impilo_fdw batch at commit",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	ImpiloCreator *last = NULL;
	int			next = 0;

	while (next < list_length(work))
	{
		const KeptDraft *first = list_nth(work, next);
		ImpiloOrderRequest **drafts = palloc(first->batch_size * sizeof(ImpiloOrderRequest *));
		ImpiloOrder *orders = palloc(first->batch_size * sizeof(ImpiloOrder));
		int			n = 0;

		while (next < list_length(work) && n < first->batch_size)
		{
			const KeptDraft *one = list_nth(work, next);

			if (one->creator != first->creator)
				break;
			drafts[n++] = one->draft;
			next++;
		}
		if (first->creator != last)
			impilo_creator_follows(first->creator, next - n);
		last = first->creator;
		impilo_create(last, drafts, n, orders);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

static void
keep_draft(ImpiloInserter *inserter, const ImpiloOrderRequest *draft)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	KeptDraft  *kept = palloc(sizeof(KeptDraft));

	kept->creator = inserter->creator;
	kept->batch_size = inserter->options.batch_size;
	kept->draft = impilo_copy_request(draft);
	MemoryContextSwitchTo(caller);
	impilo_journal_keep(kept, post_kept);
}

static void
show_draft(const ImpiloOrderRequest *draft)
{
	ereport(NOTICE,
			(errmsg("no order was created for row " INT64_FORMAT ", because option post_at is 'never'",
					draft->row),
			 errdetail_internal("%s %s", impilo_api_show_create(),
								pg_any_to_server(draft->body, draft->length,
												 PG_UTF8))));
}

/*
 * impilo_inserter_send
 *		Do with some rows what the table's options say.
 *
 * All are checked before anything is sent.  Returns how many rows became, or
 * will become, orders; slots of others are moved to the end of the array, so that
 * slots[i] is then the row of which impilo_inserter_show tells the answer
 * number i.
 */
int
impilo_inserter_send(ImpiloInserter *inserter, TupleTableSlot **slots, int n)
{
	MemoryContext caller;
	ImpiloOrderRequest **drafts;
	int			ndrafts = 0;

	MemoryContextReset(inserter->batch);
	caller = MemoryContextSwitchTo(inserter->batch);
	inserter->orders = NULL;
	drafts = palloc(n * sizeof(ImpiloOrderRequest *));
	for (int i = 0; i < n; i++)
		drafts[i] = impilo_build_request(inserter->drafter, slots[i],
										 next_row(inserter));
	for (int i = 0; i < n; i++)
	{
		TupleTableSlot *skipped;

		if (inserter->nchecked == 0 && !is_new(inserter, drafts[i]))
			continue;

		/* swapped, not overwritten: the array is core's */
		skipped = slots[ndrafts];
		slots[ndrafts] = slots[i];
		slots[i] = skipped;
		drafts[ndrafts++] = drafts[i];
	}

	switch (inserter->options.post_at)
	{
		case IMPILO_POST_AT_STATEMENT:
			inserter->orders = palloc(n * sizeof(ImpiloOrder));
			impilo_create(inserter->creator, drafts, ndrafts,
						  inserter->orders);
			break;
		case IMPILO_POST_AT_COMMIT:
			for (int i = 0; i < ndrafts; i++)
				keep_draft(inserter, drafts[i]);
			break;
		case IMPILO_POST_AT_NEVER:
			for (int i = 0; i < ndrafts; i++)
				show_draft(drafts[i]);
			ndrafts = 0;
			break;
	}
	MemoryContextSwitchTo(caller);
	return ndrafts;
}

/*
 * impilo_inserter_show
 *		Fill a slot with the row that order number `i` of the batch is.
 *
 * Only the columns asked for are filled, the others are NULL.  The values
 * live until the next call.  To be called only if orders are posted now.
 */
void
impilo_inserter_show(ImpiloInserter *inserter, int i, TupleTableSlot *slot)
{
	const ImpiloOrder *order = &inserter->orders[i];
	MemoryContext caller;

	MemoryContextReset(inserter->row);
	caller = MemoryContextSwitchTo(inserter->row);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	if (inserter->reader)
	{
		impilo_row_reader_order(inserter->reader, order->id, &order->document,
								order->request);
		if (!impilo_row_reader_next(inserter->reader))
			elog(ERROR, "impilo_fdw: an order has no row");
		impilo_row_reader_filter(inserter->reader, slot->tts_values,
								 slot->tts_isnull);
		impilo_row_reader_rest(inserter->reader, slot->tts_values,
							   slot->tts_isnull);
	}
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(caller);
}
