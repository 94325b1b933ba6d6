/*-------------------------------------------------------------------------
 *
 * error.h
 *	  What can go wrong with a request, in the words and codes of SQL.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api/error.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_API_ERROR_H
#define IMPILO_API_ERROR_H

#include "compat.h"
#include "http/http.h"

/* it is not known whether an order was created */
#define IMPILO_ERRCODE_OUTCOME_UNKNOWN MAKE_SQLSTATE('I', 'U', '0', '0', '1')

/* an error after orders were created, which exist */
#define IMPILO_ERRCODE_ORDERS_EXIST MAKE_SQLSTATE('I', 'U', '0', '0', '2')

/* What one reading of the list can have too much of */
typedef enum ImpiloApiLimit
{
	IMPILO_API_MAX_PAGES,
	IMPILO_API_SCAN_TIMEOUT
} ImpiloApiLimit;

/* An error described but not raised yet; the strings are palloc'd. */
typedef struct ImpiloApiError
{
	int			sqlstate;
	char	   *message;
	char	   *detail;			/* or NULL */
	char	   *hint;			/* or NULL */
} ImpiloApiError;

/* in error.c */

extern bool impilo_api_is_answer(const char *server_name,
								 const ImpiloHttpReply *reply,
								 const char *request, ImpiloApiError *error);
extern void impilo_api_describe_content(const char *server_name, char *detail,
										ImpiloApiError *error);
extern void impilo_api_describe_limit(const char *server_name,
									  ImpiloApiLimit limit, char *detail,
									  ImpiloApiError *error);
extern void impilo_api_describe_refusal(const char *server_name,
										const ImpiloHttpReply *reply,
										bool proven, ImpiloApiError *error);
extern void impilo_api_hide(ImpiloApiError *error, const char *secret);
extern bool impilo_api_invites_retry(int sqlstate);
extern void impilo_api_set_guard(bool (*guard) (void));
pg_noreturn extern void impilo_api_raise(const ImpiloApiError *error);

#endif							/* IMPILO_API_ERROR_H */
