/*-------------------------------------------------------------------------
 *
 * create.h
 *	  Orders created once: statements, their attempts and the journal.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/create.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CREATE_H
#define IMPILO_CREATE_H

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "utils/hsearch.h"

#include "catalog/connection.h"
#include "compat.h"
#include "rows/write.h"

/*
 * One statement that creates orders.  The inserting code fills in the first
 * part; the rest starts with zeros and is changed in create/ only.
 */
typedef struct ImpiloCreator
{
	MemoryContext context;		/* lives as long as the creator */
	ImpiloConnection *connection;
	Oid			userid;			/* who inserts; at commit it may be another */
	Oid			caller;			/* the role that ran the statement, where a
								 * SECURITY DEFINER function inserts */
	const char *schema;			/* of the table, for messages */
	const char *name;			/* of the table, for messages */
	const char *relation;		/* as in SQL, quoted and with its schema */
	const char *ids_column;		/* column of the external ids, quoted; NULL:
								 * the table has none */
	int			max_concurrency;	/* requests in flight */
	int			batch_size;		/* orders created together at commit */
	int			fetch_size;		/* orders a page, when the list is read */
	CommandId	command;		/* that creates the orders */
	bool		keep_documents; /* the caller reads the orders */
	int64		last_row;		/* of the statement, if known; for messages */

	ImpiloHttpStats stats;
	int64		created;		/* orders of this statement, or of this commit */
	const char *search_error;	/* why the last search failed, or NULL */
	struct ImpiloKnownOrders *known;	/* of ON CONFLICT DO NOTHING: the list
										 * as it was before the first request,
										 * and more; NULL: it was not read */
} ImpiloCreator;

/* A create request of this session. */
typedef struct ImpiloJournalEntry
{
	dlist_node	node;			/* in impilo_journal, in order of time */
	int64		serial;			/* greater than that of all entries before */
	ImpiloOrderState state;		/* any but the two of orders that do not exist */
	int64		id;				/* of the order, once created */
	SubTransactionId subid;		/* of the running transaction, else
								 * InvalidSubTransactionId: settled */
	bool		warned;			/* an abort has reported it */
	bool		forgotten;		/* not listed any more */
	TimestampTz posted_at;
	ImpiloOrderRequest *row;	/* without its body */

	/* of the creator, which may have gone */
	const ImpiloCreator *statement; /* only identifies it */
	CommandId	command;
	Oid			userid;
	Oid			caller;
	Oid			serverid;
	uint32		address;		/* hash of the server's base_url */
	Oid			umid;			/* OID of the user mapping */
	uint64		account;		/* the account of ImpiloApi */
	char	   *relation;
} ImpiloJournalEntry;

/* the entry at which an iterator of impilo_journal is */
#define impilo_journal_entry(iter) \
	dlist_container(ImpiloJournalEntry, node, (iter).cur)

/* What identifies an order. */
typedef struct ImpiloIdentity
{
	int64		id;				/* 0: not known */
	uint64		recipient;		/* twice the id of the patient or site, plus 1
								 * for a site; 0: not stated */
	bool		shows_ids;		/* the order has an array of external ids */
	int			nids;
	char	  **ids;			/* [nids] external ids in UTF-8: distinct,
								 * sorted, not empty */
	TimestampTz first_event;	/* DT_NOEND: not stated */
} ImpiloIdentity;

/* The attempt to create the order of one row. */
typedef struct ImpiloCreateAttempt
{
	const ImpiloOrderRequest *row;
	ImpiloOrderState state;
	ImpiloJournalEntry *entry;	/* once it was sent */
	ImpiloHttpRequest *request; /* while its response is needed */
	TimestampTz sent_at;		/* the last time, by this machine's clock */
	ImpiloOrder order;			/* if created */
	ImpiloApiError error;		/* if not created, or unknown */

	/* what a search of the list has found */
	ImpiloIdentity identity;	/* of the row */
	int			matches;		/* orders that can only be this one */
	int64		match;			/* the first of them */
	int64		possible_match; /* an order that might be this one or an older
								 * one; 0: none */
} ImpiloCreateAttempt;

/* all entries of this session */
extern dlist_head impilo_journal;

/* the last error has named all orders of the transaction */
extern bool impilo_orders_named;

/*
 * The modules of create/, from the lowest one up.  Each calls only those
 * before it.
 */

/* in creator.c */

extern int	impilo_errcreator(const ImpiloCreator *creator);
extern HTAB *impilo_create_hash(const char *name, Size keysize, Size entrysize,
								MemoryContext context);
extern void impilo_sleep_until(TimestampTz end);

/* in identity.c */

extern void impilo_identify(const ImpiloOrder *order, ImpiloIdentity *identity);
extern void impilo_identify_row(const ImpiloOrderRequest *row,
								ImpiloIdentity *identity);
extern int	impilo_common_ids(const ImpiloIdentity *a, const ImpiloIdentity *b);
extern const char *impilo_contradiction(const ImpiloOrder *order,
										const ImpiloOrderRequest *row);

/* in journal.c */

extern ImpiloJournalEntry *impilo_journal_posting(const ImpiloCreator *creator,
												  const ImpiloOrderRequest *row);
extern void impilo_journal_created(ImpiloJournalEntry *entry, int64 id);
extern void impilo_journal_drop(ImpiloJournalEntry *entry);
extern ImpiloJournalEntry *impilo_journal_find(const ImpiloConnection *connection,
											   int64 id);
extern bool impilo_journal_hides(const ImpiloConnection *connection, int64 id,
								 CommandId command);
extern bool impilo_journal_hides_any(Oid serverid, CommandId command);
extern void impilo_journal_abort(SubTransactionId subid, bool whole);
extern void impilo_journal_settle(void);

/* in conflict.c */

extern bool impilo_known_order(const ImpiloCreator *creator, int64 id);
extern bool impilo_is_new(ImpiloCreator *creator,
						  const ImpiloOrderRequest *row, bool again);

/* in reconcile.c */

extern int	impilo_reconcile(ImpiloCreator *creator,
							 ImpiloCreateAttempt *attempts, int n);

/* in error.c */

pg_noreturn extern void impilo_raise_create_error(const ImpiloCreator *creator,
												  const ImpiloCreateAttempt *attempts,
												  int n);

/* in create.c */

extern int	impilo_create(ImpiloCreator *creator,
						  ImpiloOrderRequest *const *rows, int n,
						  ImpiloOrder *orders);

/* in commit.c */

extern void impilo_commit_init(void);
extern void impilo_commit_keep(ImpiloCreator *creator,
							   const ImpiloOrderRequest *request);

#endif							/* IMPILO_CREATE_H */
