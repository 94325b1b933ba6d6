/*-------------------------------------------------------------------------
 *
 * error.c
 *	  What can go wrong with a request, in the words and codes of SQL.
 *
 * One table maps what can go wrong to SQLSTATEs, messages and hints.  An
 * error is described first and raised later, or reworded, by whoever knows
 * what it means: to a reader it is an error, to a creator of orders it may
 * mean that an order exists.
 *
 * Messages name the request and the server, never the key, and of what the
 * API sent only the text of an error answer.
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

#include "api/error.h"
#include "json/tree.h"

/*
 * What can go wrong with a request, and its SQLSTATE.  Classes 08, 40, 53 and
 * 57 are those that drivers and pools retry by themselves, which is right for
 * reading, unless the transaction has created orders: then impilo_api_raise
 * gives another one.  What was sent to create an order is reworded above.
 *
 * In a message and a hint, %s stands for the server's name.
 */
typedef struct Trouble
{
	int			sqlstate;
	const char *message;
	const char *hint;			/* or NULL */
} Trouble;

static const Trouble outcome_troubles[] = {
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

/* Of statuses; the first row that fits. */
static const struct
{
	int			from,
				to;
	Trouble		trouble;
}			status_troubles[] =

{
	{
		401, 401,
		{
			ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
			"server \"%s\" refused the API key",
			NULL				/* api.c knows where the key is */
		}
	},
	{
		403, 403,
		{
			ERRCODE_INSUFFICIENT_PRIVILEGE,
			"server \"%s\" does not permit this request",
			"The account of the API key in the user mapping for server \"%s\" does not have the required permission."
		}
	},
	{
		404, 404,
		{
			ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
			"order API not found on server \"%s\"",
			"Check option base_url of server \"%s\": it ends in /api/v3."
		}
	},
	{
		405, 405,
		{
			ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
			"server \"%s\" refused the request",
			"Check option base_url of server \"%s\": it ends in /api/v3."
		}
	},
	{
		413, 413,
		{
			ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
			"server \"%s\" refused the request",
			"The request exceeds the size limit of server \"%s\" or of a gateway in front of it."
		}
	},
	{
		429, 429,
		{
			ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
			"too many requests to server \"%s\"",
			"Lower the rate with option requests_per_second or max_concurrency of server \"%s\", or try again later."
		}
	},
	{
		300, 399,
		{
			ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
			"server \"%s\" redirects to another address",
			"Redirects are not followed, to protect the API key. Set option \"base_url\" of server \"%s\" to the final address."
		}
	},
	{
		400, 499,
		{
			ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
			"server \"%s\" refused the request",
			NULL
		}
	},
	{
		500, 599,
		{
			ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION,
			"server \"%s\" failed to answer the request",
			"The API reported an internal error. Try again later."
		}
	},
	{
		0, 999,
		{
			ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
			"unexpected response from server \"%s\"",
			"Check option base_url of server \"%s\"."
		}
	},
};

/* Of a reading of the list, answers and all */
static const Trouble limit_troubles[] = {
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

/* An answer of the right status that does not hold what the API sends. */
static const Trouble content_trouble = {
	ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
	"unexpected response from server \"%s\"",
	NULL
};

/*
 * An order that was refused: which rule, as a constraint of SQL would be.
 * The first row whose text occurs in the API's message; the texts are those
 * that the API documents.
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

/* see impilo_api_set_guard; NULL: no orders are created in this session */
static bool (*repeats_orders) (void) = NULL;

/*
 * Fill in an error; `detail` is palloc'd already and may be NULL.
 */
static void
describe(const char *server_name, const Trouble *trouble, char *detail,
		 ImpiloApiError *error)
{
	error->sqlstate = trouble->sqlstate;
	error->message = psprintf(trouble->message, server_name);
	error->detail = detail;
	error->hint = trouble->hint ? psprintf(trouble->hint, server_name) : NULL;
}

/*
 * What the answer says, after what was asked: "GET /order/7 was answered
 * with HTTP status 503, after 6 attempts: …".
 */
static char *
answer_detail(const ImpiloHttpReply *reply, const char *request)
{
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
 * Overwrite a secret, and what begins like it and ends with the text: texts
 * are cut to some length.
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
 * impilo_api_hide
 *		Make a secret unreadable where an error repeats what the API sent: an
 *		API may well say which key it does not know.
 */
void
impilo_api_hide(ImpiloApiError *error, const char *secret)
{
	redact(error->message, secret);
	redact(error->detail, secret);
}

/*
 * impilo_api_invites_retry
 *		Do drivers and pools repeat a transaction by themselves after an error
 *		with this SQLSTATE?
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
 * impilo_api_set_guard
 *		Be told by `guard` whether the running transaction may have created
 *		orders, which a repetition of it would create twice.
 */
void
impilo_api_set_guard(bool (*guard) (void))
{
	repeats_orders = guard;
}

/*
 * impilo_api_raise
 *		Raise an error that was described.
 */
void
impilo_api_raise(const ImpiloApiError *error)
{
	if (repeats_orders && repeats_orders() &&
		impilo_api_invites_retry(error->sqlstate))
		ereport(ERROR,
				(errcode(IMPILO_ERRCODE_ORDERS_EXIST),
				 errmsg_internal("%s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("This transaction has or may have created orders; do not repeat it. Use impilo_created_orders() to list them.")));
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
}

/*
 * Does the Content-Type say JSON?  None at all is tolerated: the bytes
 * decide then.
 */
static bool
says_json(const char *content_type)
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
 *		Is this an answer of 2xx with JSON?  If not, describes what it is.
 *
 * `request` is what was asked, as messages show it.
 */
bool
impilo_api_is_answer(const char *server_name, const ImpiloHttpReply *reply,
					 const char *request, ImpiloApiError *error)
{
	const Trouble *trouble;

	if (reply->outcome != IMPILO_HTTP_ANSWERED)
		trouble = &outcome_troubles[reply->outcome];
	else if (reply->status < 200 || reply->status > 299)
	{
		int			row = 0;

		while (reply->status < status_troubles[row].from ||
			   reply->status > status_troubles[row].to)
			row++;
		trouble = &status_troubles[row].trouble;
	}
	else if (!says_json(reply->content_type))
	{
		describe(server_name, &content_trouble,
				 psprintf("%s was answered with HTTP status %d and content type \"%s\" instead of application/json.",
						  request, reply->status, reply->content_type), error);
		error->hint = psprintf("Check option base_url of server \"%s\".",
							   server_name);
		return false;
	}
	else
		return true;

	describe(server_name, trouble, answer_detail(reply, request), error);
	return false;
}

/*
 * impilo_api_describe_content
 *		Describe an answer of the right status that is not what the API sends;
 *		`detail` is palloc'd.
 */
void
impilo_api_describe_content(const char *server_name, char *detail,
							ImpiloApiError *error)
{
	describe(server_name, &content_trouble, detail, error);
}

/*
 * impilo_api_describe_limit
 *		Describe that a reading of the list is at a limit; `detail` is
 *		palloc'd.
 */
void
impilo_api_describe_limit(const char *server_name, ImpiloApiLimit limit,
						  char *detail, ImpiloApiError *error)
{
	describe(server_name, &limit_troubles[limit], detail, error);
}

/*
 * impilo_api_describe_refusal
 *		Describe an order that the API refused, in place of what the status
 *		alone has said: the detail stays.
 *
 * The hint of a 404 stays, too, unless the address is `proven` to be right.
 */
void
impilo_api_describe_refusal(const char *server_name,
							const ImpiloHttpReply *reply,
							bool proven, ImpiloApiError *error)
{
	char	   *said = impilo_json_error_text(reply->body, reply->length,
											  reply->content_type);
	int			row = 0;

	while (refusals[row].text[0] &&
		   (said == NULL || strstr(said, refusals[row].text) == NULL))
		row++;
	error->sqlstate = refusals[row].sqlstate;
	error->message = psprintf("server \"%s\" refused to create the order%s%s",
							  server_name, said ? ": " : "", said ? said : "");
	if (proven || reply->status != 404)
		error->hint = NULL;
}
