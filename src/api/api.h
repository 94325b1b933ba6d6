/*-------------------------------------------------------------------------
 *
 * api.h
 *	  The protocol of the order API: addresses and answers.
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

#include "api/error.h"
#include "api/page.h"

/* One account of the API, reached over one pool of connections. */
typedef struct ImpiloApi ImpiloApi;

typedef struct ImpiloApiConfig
{
	const char *server_name;	/* of the foreign server, for messages */
	const char *base_url;		/* without a trailing slash */
	const char *api_key;
	int			max_pages;		/* of one reading of the list, for who reads */
	int			scan_timeout;	/* ms that one waits altogether; 0: no limit */
	bool		key_in_file;	/* else in the user mapping itself */
	Oid			key_owner;		/* of the mapping; InvalidOid: PUBLIC */
	ImpiloHttpConfig http;		/* user_agent and headers are set by api.c */
} ImpiloApiConfig;

/* An order as it stands in an answer, which owns the bytes. */
typedef struct ImpiloOrder
{
	int64		id;
	ImpiloJsonSlice document;	/* checked: well-formed and not too deep */
	const char *request;		/* what was asked, for messages: "GET
								 * /order/42" */
} ImpiloOrder;

/* What is known after a create-order request. */
typedef enum ImpiloCreateOutcome
{
	IMPILO_CREATE_DONE,			/* 2xx, and the order is in the answer */
	IMPILO_CREATE_NOT_SENT,		/* certainly nothing was created: the request
								 * did not get out */
	IMPILO_CREATE_REFUSED,		/* certainly nothing was created: 4xx but 408
								 * and 425, or a redirect that asks to send
								 * the request elsewhere: 301, 307, 308 */
	IMPILO_CREATE_UNKNOWN		/* the order may exist */
} ImpiloCreateOutcome;

/* in api.c */

extern ImpiloApi *impilo_api_open(MemoryContext context,
								  const ImpiloApiConfig *config);
extern ImpiloHttpClient *impilo_api_http(ImpiloApi *api);
extern uint64 impilo_api_account(const ImpiloApi *api);
extern int	impilo_api_max_pages(const ImpiloApi *api);
extern int	impilo_api_scan_timeout(const ImpiloApi *api);
extern bool impilo_api_uses_key(const ImpiloApi *api, const char *key);

extern ImpiloHttpRequest *impilo_api_get_page(ImpiloApi *api,
											  MemoryContext context,
											  int64 page, int size,
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

extern bool impilo_api_try_page(ImpiloApi *api, ImpiloHttpRequest *request,
								int64 page, int size, ImpiloPage *result,
								ImpiloApiError *error);
extern void impilo_api_page(ImpiloApi *api, ImpiloHttpRequest *request,
							int64 page, int size, ImpiloPage *result);
extern bool impilo_api_page_next(ImpiloApi *api, ImpiloPage *page,
								 ImpiloOrder *order, ImpiloApiError *error);
extern bool impilo_api_order(ImpiloApi *api, ImpiloHttpRequest *request,
							 int64 id, ImpiloOrder *order);
extern bool impilo_api_try_order(ImpiloApi *api, ImpiloHttpRequest *request,
								 int64 id, ImpiloOrder *order,
								 ImpiloApiError *error);
extern ImpiloCreateOutcome impilo_api_created(ImpiloApi *api,
											  ImpiloHttpRequest *request,
											  ImpiloOrder *order,
											  ImpiloApiError *error);
extern void impilo_api_content_error(ImpiloApi *api, char *detail,
									 ImpiloApiError *error);
extern void impilo_api_limit_error(ImpiloApi *api, ImpiloApiLimit limit,
								   char *detail, ImpiloApiError *error);
extern bool impilo_api_proven(const ImpiloApi *api);
extern int64 impilo_api_last_total(const ImpiloApi *api);
extern char *impilo_api_show_page(int64 page, int size);
extern char *impilo_api_show_order(int64 id);
extern const char *impilo_api_show_create(void);

#endif							/* IMPILO_API_H */
