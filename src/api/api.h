/*-------------------------------------------------------------------------
 *
 * api.h
 *	  The protocol of the order API: requests, responses and errors.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api/api.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_API_H
#define IMPILO_API_H

#include "api/page.h"
#include "compat.h"
#include "http/http.h"

/* it is unknown whether an order was created */
#define IMPILO_ERRCODE_OUTCOME_UNKNOWN MAKE_SQLSTATE('I', 'U', '0', '0', '1')

/* an error after orders were created, which exist */
#define IMPILO_ERRCODE_ORDERS_EXIST MAKE_SQLSTATE('I', 'U', '0', '0', '2')

/* orders of a page of which only the total is of interest; the API's default */
#define IMPILO_SMALL_PAGE 15

/* the request that creates an order, as EXPLAIN and messages show it */
#define IMPILO_CREATE_REQUEST "POST /order"

typedef struct ImpiloApiConfig
{
	const char *server_name;	/* of the foreign server, for messages */
	const char *base_url;		/* without a trailing slash */
	const char *api_key;
	int			max_pages;		/* of one scan of the list */
	int			scan_timeout;	/* ms that it may wait in all; 0: no limit */
	bool		key_in_file;	/* else in the user mapping itself */
	Oid			key_owner;		/* of the mapping; InvalidOid: PUBLIC */
	ImpiloHttpConfig http;		/* api.c sets user_agent and headers */
} ImpiloApiConfig;

/*
 * One account of the API, reached over one set of connections.  Other modules
 * may read the fields; only api.c changes them.
 */
typedef struct ImpiloApi
{
	ImpiloApiConfig config;		/* strings copied; http is not kept */
	ImpiloHttpClient *http;
	uint64		account;		/* fingerprint of address and key: equal for
								 * the same account */
	bool		proven;			/* has answered as the order API does */
	int64		last_total;		/* total of the last page, or IMPILO_UNKNOWN */
} ImpiloApi;

/* An order in a response, which owns the bytes. */
typedef struct ImpiloOrder
{
	int64		id;
	ImpiloJsonSlice document;	/* checked: well-formed and not too deep */
	const char *request;		/* the request, for messages: "GET /order/42" */
} ImpiloOrder;

/* What is known of an order that is to be created. */
typedef enum ImpiloOrderState
{
	IMPILO_ORDER_NOT_SENT,		/* no request was sent */
	IMPILO_ORDER_IN_FLIGHT,		/* the request was sent, or is about to be:
								 * the order may exist */
	IMPILO_ORDER_UNKNOWN,		/* the request has ended: the order may exist */
	IMPILO_ORDER_NOT_CREATED,	/* certainly nothing was created */

	/* the order exists */
	IMPILO_ORDER_CREATED,
	IMPILO_ORDER_ROLLED_BACK	/* and its transaction has aborted */
} ImpiloOrderState;

/* What can be wrong with responses that are complete. */
typedef enum ImpiloApiProblem
{
	IMPILO_API_CONTENT,			/* one is not what the API sends */
	IMPILO_API_MAX_PAGES,		/* limits of one scan of the list */
	IMPILO_API_SCAN_TIMEOUT
} ImpiloApiProblem;

/* An error that is not raised yet; the strings are palloc'd. */
typedef struct ImpiloApiError
{
	int			sqlstate;
	char	   *message;
	char	   *detail;			/* or NULL */
	char	   *hint;			/* or NULL */
} ImpiloApiError;

/* in api.c */

extern ImpiloApi *impilo_api_open(MemoryContext context,
								  const ImpiloApiConfig *config);

extern ImpiloHttpRequest *impilo_api_get_page(ImpiloApi *api,
											  MemoryContext context,
											  int64 page, int size,
											  ImpiloHttpStats *stats);
extern ImpiloHttpRequest *impilo_api_get_small_page(ImpiloApi *api,
													MemoryContext context,
													bool retry,
													ImpiloHttpStats *stats);
extern ImpiloHttpRequest *impilo_api_get_order(ImpiloApi *api,
											   MemoryContext context,
											   int64 id,
											   ImpiloHttpStats *stats);
extern ImpiloHttpRequest *impilo_api_post_order(ImpiloApi *api,
												MemoryContext context,
												const char *body,
												size_t length,
												ImpiloHttpStats *stats);

extern bool impilo_api_page(ImpiloApi *api, ImpiloHttpRequest *request,
							ImpiloPage *page, ImpiloApiError *error);
extern bool impilo_api_page_next(ImpiloApi *api, ImpiloPage *page,
								 ImpiloOrder *order, ImpiloApiError *error);
extern bool impilo_api_order(ImpiloApi *api, ImpiloHttpRequest *request,
							 int64 id, ImpiloOrder *order,
							 ImpiloApiError *error);
extern ImpiloOrderState impilo_api_created(ImpiloApi *api,
										   ImpiloHttpRequest *request,
										   ImpiloOrder *order,
										   ImpiloApiError *error);

/* in error.c */

/*
 * Orders that the running transaction has or may have created, and that a
 * retry would create again.  create/journal.c counts them.
 */
extern int	impilo_running_orders;

extern bool impilo_api_is_answer(const ImpiloApi *api,
								 const ImpiloHttpReply *reply,
								 ImpiloApiError *error);
extern void impilo_api_refusal_error(const ImpiloApi *api,
									 const ImpiloHttpReply *reply,
									 ImpiloApiError *error);
extern void impilo_api_error(const ImpiloApi *api, ImpiloApiProblem problem,
							 char *detail, ImpiloApiError *error);
extern bool impilo_api_invites_retry(int sqlstate);
pg_noreturn extern void impilo_api_raise(const ImpiloApiError *error);

#endif							/* IMPILO_API_H */
