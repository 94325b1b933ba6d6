/*-------------------------------------------------------------------------
 *
 * options.h
 *	  The options of servers, user mappings, foreign tables and columns.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_OPTIONS_H
#define IMPILO_OPTIONS_H

#include "fmgr.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"

typedef enum ImpiloPostAt
{
	IMPILO_POST_AT_STATEMENT,	/* posted by the statement */
	IMPILO_POST_AT_COMMIT,		/* posted when the transaction commits */
	IMPILO_POST_AT_NEVER		/* dry run: checked and shown, never posted */
} ImpiloPostAt;

typedef enum ImpiloRemoteEstimate
{
	IMPILO_ESTIMATE_NEVER,		/* no request at planning */
	IMPILO_ESTIMATE_ALWAYS,
	IMPILO_ESTIMATE_AUTO		/* if it decides the route */
} ImpiloRemoteEstimate;

/* a name that differs in more characters is not suggested */
#define IMPILO_MAX_DISTANCE 4

/* orders on a full page of the list: the API returns at most this many */
#define IMPILO_MAX_PAGE_SIZE 250

/*
 * The options of a foreign table and of its server; or those of a server
 * alone, with its defaults for tables.
 */
typedef struct ImpiloTableOptions
{
	Oid			serverid;

	/* of the server */
	char	   *base_url;		/* without a trailing slash */
	char	   *ca_file;		/* or NULL */
	char	   *proxy;			/* or NULL */
	int			connect_timeout;	/* ms */
	int			request_timeout;	/* ms */
	int			max_retries;
	double		requests_per_second;	/* 0: not limited */
	int			max_response_size;	/* bytes */
	int			max_pages;		/* of a list scan */
	int			scan_timeout;	/* ms that a list scan may wait; 0: no limit */
	bool		keep_connections;
	double		fdw_startup_cost;
	double		fdw_tuple_cost;
	int			reconcile_timeout;	/* ms */
	bool		unique_external_ids;	/* no two orders have a common one */
	bool		analyze_patient_data;

	/* of the table, with the server's value as the default */
	int			fetch_size;		/* orders per page */
	int			max_concurrency;	/* requests in flight */
	int			batch_size;		/* rows created together */
	ImpiloRemoteEstimate use_remote_estimate;
	bool		updatable;
	ImpiloPostAt post_at;
} ImpiloTableOptions;

/* setting impilo_fdw.post_at, an ImpiloPostAt */
extern int	impilo_post_at;

/* in options.c */

extern PGDLLEXPORT Datum impilo_fdw_validator_1_0(PG_FUNCTION_ARGS);

extern void impilo_server_options(const ForeignServer *server,
								  ImpiloTableOptions *result);
extern void impilo_table_options(Oid relid, ImpiloTableOptions *result);
extern const char *impilo_given_option(List *given, const char *name);
extern const char *impilo_closest_relation(const char *name,
										   StringInfo names);

#endif							/* IMPILO_OPTIONS_H */
