/*-------------------------------------------------------------------------
 *
 * error.c
 *	  The errors of requests: SQLSTATE, message, detail and hint.
 *
 * Tables map the results of requests to SQLSTATEs, messages and hints.  An
 * error is filled in first and raised later, or reworded by the caller: for a
 * reader it is an error, for create/ it may mean that an order exists.
 *
 * Messages name the request and the server, and show the text of the API's
 * error responses, in which the key is made unreadable.  They show nothing
 * else that the API sent.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api/error.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "api/api.h"
#include "json/tree.h"

/*
 * A kind of error.  Drivers and pools retry a transaction by themselves after
 * an error of class 08, 40, 53 or 57.  That is right for reading, unless the
 * transaction has created orders: then impilo_api_raise() uses another code.
 *
 * In message and hint, %s stands for the server's name.
 */
typedef struct ErrorKind
{
	int			sqlstate;
	const char *message;
	const char *hint;			/* or NULL */
} ErrorKind;

/* of requests without a complete response */
static const ErrorKind outcome_errors[] = {
	[IMPILO_HTTP_UNREACHABLE] = {
		ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
		"could not connect to server \"%s\"",
		"Check option base_url of server \"%s\", and that the database server's host can reach it."
	},
	[IMPILO_HTTP_UNTRUSTED] = {
		ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
		"could not connect to server \"%s\"",
		"Check option ca_file of server \"%s\", and that the server's certificate is valid for the host in base_url."
	},
	[IMPILO_HTTP_FORBIDDEN] = {
		ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
		"connection to server \"%s\" is not allowed",
		"Plain http is allowed to addresses of this machine only: use https in option base_url of server \"%s\"."
	},
	[IMPILO_HTTP_HELD] = {
		ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
		"too many requests to server \"%s\"",
		"Try again later, or use impilo_fdw_disconnect('%s') to end the pause. Lower the rate with option requests_per_second or max_concurrency."
	},
	[IMPILO_HTTP_TIMED_OUT] = {
		ERRCODE_CONNECTION_FAILURE,
		"timeout while waiting for server \"%s\"",
		"Options connect_timeout and request_timeout of server \"%s\" set the limits."
	},
	[IMPILO_HTTP_LOST] = {
		ERRCODE_CONNECTION_FAILURE,
		"connection to server \"%s\" was lost",
		NULL
	},
	[IMPILO_HTTP_CUT] = {
		ERRCODE_CONNECTION_FAILURE,
		"response of server \"%s\" is incomplete",
		NULL
	},
	[IMPILO_HTTP_UNREADABLE] = {
		ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
		"unexpected response from server \"%s\"",
		NULL
	},
	[IMPILO_HTTP_TOO_LARGE] = {
		ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		"response of server \"%s\" is too large",
		"Option max_response_size of server \"%s\" sets the limit; a smaller fetch_size makes smaller pages."
	},
};

/* of responses, by status; the first row that fits */
#define STATUS(from, to, ...) {from, to, {__VA_ARGS__}}

static const struct
{
	int			from,
				to;
	ErrorKind	kind;
}			status_errors[] =

{
	STATUS(401, 401, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
		   "server \"%s\" refused the API key",
		   NULL),				/* key_hint() */
	STATUS(403, 403, ERRCODE_INSUFFICIENT_PRIVILEGE,
		   "server \"%s\" does not permit this request",
		   "The account of the API key in the user mapping for server \"%s\" does not have the required permission."),
	STATUS(404, 404, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
		   "order API not found on server \"%s\"",
		   "Check option base_url of server \"%s\": it ends in /api/v3."),
	STATUS(405, 405, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
		   "server \"%s\" refused the request",
		   "Check option base_url of server \"%s\": it ends in /api/v3."),
	STATUS(413, 413, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
		   "server \"%s\" refused the request",
		   "The request exceeds the size limit of server \"%s\" or of a gateway in front of it."),
	STATUS(429, 429, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
		   "too many requests to server \"%s\"",
		   "Lower the rate with option requests_per_second or max_concurrency of server \"%s\", or try again later."),
	STATUS(300, 399, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
		   "server \"%s\" redirects to another address",
		   "Redirects are not followed, to protect the API key. Set option \"base_url\" of server \"%s\" to the final address."),
	STATUS(400, 499, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
		   "server \"%s\" refused the request",
		   NULL),
	STATUS(500, 599, ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
		   "server \"%s\" failed to answer the request",
		   "The API reported an internal error. Try again later."),
	STATUS(0, 999, ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
		   "unexpected response from server \"%s\"",
		   "Check option base_url of server \"%s\"."),
};

/* of responses with status 2xx that are not what the API sends, and of scans */
static const ErrorKind other_errors[] = {
	[IMPILO_API_CONTENT] = {
		ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
		"unexpected response from server \"%s\"",
		NULL
	},
	[IMPILO_API_MAX_PAGES] = {
		ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		"list of orders of server \"%s\" is too long",
		"Option max_pages of server \"%s\" sets the limit."
	},
	[IMPILO_API_SCAN_TIMEOUT] = {
		ERRCODE_CONNECTION_FAILURE,
		"timeout while reading the list of orders of server \"%s\"",
		"Option scan_timeout of server \"%s\" sets the limit."
	},
};

/*
 * The SQLSTATE of an order that was refused, as if a constraint had been
 * violated: the first row whose text occurs in the API's message.  The texts
 * are those that the API documents.
 */
static const struct
{
	const char *text;
	int			sqlstate;
}			refusals[] =

{
	{"patient_does_not_exist", ERRCODE_FOREIGN_KEY_VIOLATION},
	{"not found", ERRCODE_FOREIGN_KEY_VIOLATION},
	{"required", ERRCODE_NOT_NULL_VIOLATION},
	{"", ERRCODE_CHECK_VIOLATION},
};

int			impilo_running_orders = 0;

/*
 * Returns the detail of an error: "GET /order/7 was answered with HTTP status
 * 503, after 6 attempts: …", with the API's own text.
 */
static char *
reply_detail(const ImpiloHttpReply *reply)
{
	const char *request = reply->request;
	StringInfoData detail;
	char	   *said = NULL;

	initStringInfo(&detail);
	if (reply->outcome == IMPILO_HTTP_ANSWERED)
	{
		appendStringInfo(&detail, "%s was answered with HTTP status %d",
						 request, reply->status);
		if (reply->redirect)
			appendStringInfo(&detail, " and the address %s", reply->redirect);
		said = impilo_json_error_text(reply->body, reply->length,
									  reply->content_type);
	}
	else if (reply->outcome == IMPILO_HTTP_HELD)
		appendStringInfo(&detail, "%s was not sent: the server has asked not to send requests for " INT64_FORMAT " s",
						 request, reply->retry_after);
	else
	{
		appendStringInfo(&detail, "%s failed", request);
		said = reply->failure ? pstrdup(reply->failure) : NULL;
	}
	if (reply->attempts > 1)
		appendStringInfo(&detail, ", after %d attempts", reply->attempts);
	if (reply->status == 429 && reply->retry_after >= 0)
		appendStringInfo(&detail, "; retry after " INT64_FORMAT " s",
						 reply->retry_after);
	if (said)
		appendStringInfo(&detail, ": %s", said);
	else
		appendStringInfoChar(&detail, '.');
	return detail.data;
}

/*
 * Overwrite a secret in a text, also the beginning of a secret where the text
 * was cut.
 */
static void
redact(char *text, const char *secret)
{
	const size_t least = 4;
	size_t		length = strlen(secret);

	for (char *at = text; at != NULL && *at; at++)
	{
		size_t		same = 0;

		while (same < length && at[same] == secret[same])
			same++;
		if (same == length ||
			(same >= least && strcmp(at + same, "...") == 0))
			memset(at, '*', same);
	}
}

/*
 * Make the key unreadable in an error: the API may repeat it in its response.
 */
static void
hide_key(const ImpiloApi *api, ImpiloApiError *error)
{
	redact(error->message, api->config.api_key);
	redact(error->detail, api->config.api_key);
}

/*
 * Fill in an error.  `detail` is palloc'd, or NULL; the key is made unreadable
 * in it.
 */
static void
fill_error(const ImpiloApi *api, const ErrorKind *kind, char *detail,
		   ImpiloApiError *error)
{
	const char *server = api->config.server_name;

	error->sqlstate = kind->sqlstate;
	error->message = psprintf(kind->message, server);
	error->detail = detail;
	error->hint = kind->hint ? psprintf(kind->hint, server) : NULL;
	hide_key(api, error);
}

/*
 * Returns a hint with the statement that sets another key.
 */
static char *
key_hint(const ImpiloApi *api)
{
	const char *owner = "PUBLIC";
	const char *server = quote_identifier(api->config.server_name);

	if (OidIsValid(api->config.key_owner))
	{
		char	   *name = GetUserNameFromId(api->config.key_owner, true);

		owner = api->config.key_owner == GetUserId() || name == NULL
			? "CURRENT_USER" : quote_identifier(name);
	}
	if (api->config.key_in_file)
		return psprintf("The key may have expired. Replace it in the file named by option \"api_key_file\" of the user mapping FOR %s SERVER %s; every statement reads the file again.",
						owner, server);
	return psprintf("The key may have expired. Set a valid one with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (SET api_key '...').",
					owner, server);
}

/*
 * impilo_api_invites_retry
 *		Returns whether drivers and pools retry a transaction by themselves
 *		after an error with this SQLSTATE.
 */
bool
impilo_api_invites_retry(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_CONNECTION_EXCEPTION ||
		class == ERRCODE_TRANSACTION_ROLLBACK ||
		class == ERRCODE_INSUFFICIENT_RESOURCES ||
		class == ERRCODE_OPERATOR_INTERVENTION;
}

/*
 * impilo_api_raise
 *		Raise an error.
 *
 * If the transaction may have created orders, the SQLSTATE is one that clients
 * do not retry, and the hint does not say to try again.
 */
void
impilo_api_raise(const ImpiloApiError *error)
{
	bool		orders = impilo_running_orders > 0;

	ereport(ERROR,
			(errcode(orders && impilo_api_invites_retry(error->sqlstate)
					 ? IMPILO_ERRCODE_ORDERS_EXIST : error->sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 orders
			 ? errhint("This transaction has or may have created orders; do not repeat it. Use impilo_created_orders() to list them.")
			 : error->hint ? errhint("%s", error->hint) : 0));
}

/*
 * Returns whether a Content-Type stands for JSON.  A missing one does: the
 * bytes decide then.
 */
static bool
is_json_type(const char *content_type)
{
	size_t		length;

	if (content_type == NULL)
		return true;
	length = strcspn(content_type, "; \t");
	if (length >= 5 && pg_strncasecmp(content_type + length - 5, "+json", 5) == 0)
		return true;
	return (length == 16 && pg_strncasecmp(content_type, "application/json", 16) == 0) ||
		(length == 9 && pg_strncasecmp(content_type, "text/json", 9) == 0);
}

/*
 * impilo_api_is_answer
 *		Returns whether a response has status 2xx and contains JSON.  Fills in
 *		`error` if not.
 */
bool
impilo_api_is_answer(const ImpiloApi *api, const ImpiloHttpReply *reply,
					 ImpiloApiError *error)
{
	bool		answered = reply->outcome == IMPILO_HTTP_ANSWERED;
	const ErrorKind *kind = &outcome_errors[reply->outcome];

	if (answered && reply->status >= 200 && reply->status <= 299)
	{
		if (reply->length == 0 || is_json_type(reply->content_type))
			return true;
		fill_error(api, &other_errors[IMPILO_API_CONTENT],
				   psprintf("%s was answered with HTTP status %d and content type \"%s\" instead of application/json.",
							reply->request, reply->status,
							reply->content_type),
				   error);
		error->hint = psprintf("Check option base_url of server \"%s\".",
							   api->config.server_name);
		return false;
	}
	if (answered)
	{
		/* an address that has answered before refuses this request */
		int			status = reply->status == 404 && api->proven ? 400 : reply->status;
		int			row = 0;

		while (status < status_errors[row].from ||
			   status > status_errors[row].to)
			row++;
		kind = &status_errors[row].kind;
	}
	fill_error(api, kind, reply_detail(reply), error);
	if (answered && reply->status == 401)
		error->hint = key_hint(api);
	return false;
}

/*
 * impilo_api_refusal_error
 *		Change the error that impilo_api_is_answer() has filled in to that of
 *		an order that the API refused.
 *
 * The detail stays.  The hint stays only if the address may be wrong.
 */
void
impilo_api_refusal_error(const ImpiloApi *api, const ImpiloHttpReply *reply,
						 ImpiloApiError *error)
{
	char	   *reason = impilo_json_error_text(reply->body, reply->length,
												reply->content_type);
	int			row = 0;

	while (refusals[row].text[0] &&
		   (reason == NULL || strstr(reason, refusals[row].text) == NULL))
		row++;
	error->sqlstate = refusals[row].sqlstate;
	error->message = psprintf("server \"%s\" refused to create the order%s%s",
							  api->config.server_name, reason ? ": " : "",
							  reason ? reason : "");
	if (api->proven || reply->status != 404)
		error->hint = NULL;
	hide_key(api, error);
}

/*
 * impilo_api_error
 *		Fill in another error.  `detail` is palloc'd.
 */
void
impilo_api_error(const ImpiloApi *api, ImpiloApiProblem problem, char *detail,
				 ImpiloApiError *error)
{
	fill_error(api, &other_errors[problem], detail, error);
}
