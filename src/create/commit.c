/*-------------------------------------------------------------------------
 *
 * commit.c
 *	  The end of transactions: orders at commit, and what an abort leaves.
 *
 * With post_at 'commit', requests are kept here: dropped with a rolled back
 * subtransaction, posted before the commit.  The journal is told how each
 * transaction and subtransaction ends.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/commit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "create/create.h"

/* A request kept for the commit. */
typedef struct KeptRequest
{
	ImpiloCreator *creator;
	ImpiloOrderRequest *request;
	SubTransactionId subid;
} KeptRequest;

static List *kept = NIL;		/* of KeptRequest, in TopTransactionContext */
static bool commit_started = false; /* what was kept has been posted */


/*
 * Post what was kept, in the order of the rows.  Interrupts are accepted
 * here, and an error still aborts the transaction.
 */
static void
post_kept(void)
{
	MemoryContext batch;
	MemoryContext caller;
	List	   *todo = kept;
	int			next = 0;

	kept = NIL;
	commit_started = true;
	if (todo == NIL)
		return;
	batch = AllocSetContextCreate(TopTransactionContext,
								  "impilo_fdw batch at commit",
								  ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(batch);
	while (next < list_length(todo))
	{
		ImpiloCreator *creator = ((KeptRequest *) list_nth(todo, next))->creator;
		ImpiloOrderRequest **requests = palloc(creator->batch_size * sizeof(ImpiloOrderRequest *));
		ImpiloOrder *orders = palloc(creator->batch_size * sizeof(ImpiloOrder));
		int			n = 0;

		/* the orders of earlier statements count too */
		creator->created = next;
		while (next < list_length(todo) && n < creator->batch_size)
		{
			const KeptRequest *one = list_nth(todo, next);

			if (one->creator != creator)
				break;
			requests[n++] = one->request;
			next++;
		}
		(void) impilo_create(creator, requests, n, orders);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

/*
 * A prepared transaction may be committed or rolled back by another session,
 * which does not have this journal.
 */
static void
refuse_prepare(void)
{
	if (kept == NIL && impilo_running_orders == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 kept != NIL
			 ? errmsg("cannot PREPARE a transaction with orders that wait for its commit")
			 : errmsg("cannot PREPARE a transaction that has created orders"),
			 kept != NIL
			 ? errhint("Set option \"post_at\" to 'statement', or use COMMIT.")
			 : errdetail("A prepared transaction can be rolled back later by another session, which does not know the orders.")));
}

static void
transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			post_kept();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_ABORT:
			impilo_journal_abort(TopSubTransactionId, true);
			/* FALLTHROUGH */
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			kept = NIL;
			commit_started = false;
			impilo_journal_settle();
			break;
		default:
			break;				/* parallel workers create nothing */
	}
}

/*
 * Subtransactions are numbered in order of time, so what was created or kept
 * since the beginning of `mine` has its number or a greater one, and belongs
 * to it or to subtransactions within it.
 */
static void
subtransaction_event(SubXactEvent event, SubTransactionId mine,
					 SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	impilo_journal_abort(mine, false);
	while (kept != NIL && ((KeptRequest *) llast(kept))->subid >= mine)
		kept = list_delete_last(kept);
}

/*
 * impilo_commit_init
 *		Register what is called at the end of transactions; called once, from
 *		_PG_init.
 *
 * Not at the first use: that can be after the callbacks of a commit were
 * called, and what is kept then would be lost.
 */
void
impilo_commit_init(void)
{
	RegisterXactCallback(transaction_event, NULL);
	RegisterSubXactCallback(subtransaction_event, NULL);
}

/*
 * impilo_commit_keep
 *		Keep a request for the commit of the running transaction.
 *
 * The creator has to live in TopTransactionContext; the request is copied.
 * Requests are posted in the order in which they were kept, except those
 * whose subtransaction is rolled back.  Raises an error if the commit has
 * already posted them: what came later would be lost.
 */
void
impilo_commit_keep(ImpiloCreator *creator, const ImpiloOrderRequest *request)
{
	MemoryContext caller;
	KeptRequest *one;

	if (commit_started)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot create orders at commit after the commit has started"),
				 errhint("Set option \"post_at\" to 'statement' for inserts that other extensions make while a transaction commits."),
				 impilo_errcreator(creator)));
	caller = MemoryContextSwitchTo(TopTransactionContext);
	one = palloc(sizeof(KeptRequest));
	one->creator = creator;
	one->request = impilo_copy_request(request);
	one->subid = GetCurrentSubTransactionId();
	kept = lappend(kept, one);
	MemoryContextSwitchTo(caller);
	creator->last_row = request->row;
}
