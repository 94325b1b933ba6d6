/*-------------------------------------------------------------------------
 *
 * request.h
 *		One request and its response, which the files pass on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_REQUEST_H
#define SANDBOX_REQUEST_H

#include <microhttpd.h>

#include "buf.h"
#include "store.h"

#define MAX_ANSWER_HEADERS 6

typedef struct Answer
{
	unsigned int status;
	Buf			body;
	const char *content_type;	/* static, or NULL for the API's own */
	bool		gzipped;		/* the body is already compressed */
	bool		close;
	int			nheaders;
	const char *header_names[MAX_ANSWER_HEADERS];	/* static */
	char	   *header_values[MAX_ANSWER_HEADERS];	/* malloc'd */
} Answer;

enum Stage
{
	STAGE_NEW,					/* only the request line */
	STAGE_READING,				/* headers, perhaps some of the body */
	STAGE_WAITING,				/* read, sleeping before it is answered */
	STAGE_CLOSING,				/* to be closed */
	STAGE_DONE					/* answered */
};

typedef struct Request
{
	struct MHD_Connection *connection;
	enum Stage	stage;
	char	   *target;			/* path and query as sent */
	const char *method;
	const char *path;			/* decoded, without the query */
	Buf			body;
	bool		api;			/* not for the control endpoint */
	bool		answered;		/* the response below is complete */
	bool		in_flight;		/* counted */
	int64_t		log_slot;
	int64_t		connection_number;
	Account    *account;		/* NULL until the key is checked */
	Answer		answer;
	struct FaultAction *fault;	/* the fault, or NULL */
} Request;

#endif							/* SANDBOX_REQUEST_H */
