/*-------------------------------------------------------------------------
 *
 * admin.c
 *	  SQL functions for who looks after a server: connections, ping, versions.
 *
 * Those for connections have the names and the manners of postgres_fdw's: one
 * that a statement uses is not cut, but warned of.
 *
 * impilo_fdw_ping asks for the smallest page over a connection of its own, so
 * that each part of making one takes its time; a request that fails is an
 * answer too, and what it tells is what an error would have told.
 *
 * Nothing here shows a key, or anything of an order.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/admin.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_foreign_server.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "admin.h"
#include "json.h"
#include "session.h"

PG_FUNCTION_INFO_V1(impilo_fdw_get_connections_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_disconnect_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_disconnect_all_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_ping_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_diag_1_0);

/* Columns of impilo_fdw_ping(). */
enum PingColumn
{
	PING_OK,
	PING_STATUS,
	PING_SQLSTATE,
	PING_PROBLEM,
	PING_HTTP,
	PING_ORDERS,
	PING_LOOKUP,
	PING_CONNECT,
	PING_TLS,
	PING_ANSWER,
	PING_TOTAL,
	PING_COLUMNS
};


static Oid
server_oid(text *name)
{
	return GetForeignServerByName(text_to_cstring(name), false)->serverid;
}

/*
 * impilo_fdw_get_connections() → (server_name, user_name, valid, in_use)
 *		The connections that this backend keeps: one for each user mapping
 *		that was used.
 */
Datum
impilo_fdw_get_connections_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, impilo_session_list())
	{
		ImpiloSessionState *state = lfirst(cell);
		char	   *user = "public";
		Datum		values[4];
		bool		nulls[4] = {false};

		if (OidIsValid(state->userid))
			user = GetUserNameFromId(state->userid, true);
		values[0] = CStringGetTextDatum(state->server_name);
		values[1] = user ? CStringGetTextDatum(user) : (Datum) 0;
		nulls[1] = user == NULL;
		values[2] = BoolGetDatum(state->valid);
		values[3] = BoolGetDatum(state->in_use);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/*
 * impilo_fdw_disconnect(server_name) → boolean
 *		Close this backend's connections to a server: was there one?
 */
Datum
impilo_fdw_disconnect_1_0(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(impilo_session_close(server_oid(PG_GETARG_TEXT_PP(0))));
}

/*
 * impilo_fdw_disconnect_all() → boolean
 *		The same for all servers.
 */
Datum
impilo_fdw_disconnect_all_1_0(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(impilo_session_close(InvalidOid));
}

/* ------------------------------------------------------------------------
 * Ping
 * ------------------------------------------------------------------------
 */

static void
set_time(Datum *values, bool *nulls, int column, double ms)
{
	values[column] = Float8GetDatum(ms);
	nulls[column] = ms < 0;
}

static void
set_text(Datum *values, bool *nulls, int column, const char *string)
{
	nulls[column] = string == NULL;
	if (string)
		values[column] = CStringGetTextDatum(string);
}

/*
 * What the reply tells, whether it is the API's or not.
 */
static void
fill_ping(ImpiloApi *api, ImpiloHttpRequest *request,
		  Datum *values, bool *nulls)
{
	const ImpiloHttpReply *reply = impilo_http_reply(request);
	ImpiloApiError error;
	ImpiloPage	page;
	bool		ok = impilo_api_try_page(api, request, 1, 1, &page, &error);

	values[PING_OK] = BoolGetDatum(ok);
	values[PING_STATUS] = Int32GetDatum(reply->status);
	nulls[PING_STATUS] = reply->status == 0;
	set_text(values, nulls, PING_SQLSTATE,
			 ok ? NULL : unpack_sql_state(error.sqlstate));
	set_text(values, nulls, PING_PROBLEM,
			 ok ? NULL : error.detail == NULL ? error.message :
			 psprintf("%s: %s", error.message, error.detail));
	set_text(values, nulls, PING_HTTP,
			 reply->status == 0 ? NULL : reply->http2 ? "2" : "1.1");
	values[PING_ORDERS] = Int64GetDatum(ok ? page.total : 0);
	nulls[PING_ORDERS] = !ok || page.total == IMPILO_UNKNOWN;
	set_time(values, nulls, PING_LOOKUP, reply->times.lookup);
	set_time(values, nulls, PING_CONNECT, reply->times.connect);
	set_time(values, nulls, PING_TLS, reply->times.tls);
	set_time(values, nulls, PING_ANSWER, reply->times.answer);
	set_time(values, nulls, PING_TOTAL, reply->times.total);
}

/*
 * impilo_fdw_ping(server_name) → (ok, …, total_ms)
 *		Does the current user's key open the server, and what takes how long?
 */
Datum
impilo_fdw_ping_1_0(PG_FUNCTION_ARGS)
{
	ForeignServer *server =
	impilo_session_server(text_to_cstring(PG_GETARG_TEXT_PP(0)),
						  fcinfo->flinfo->fn_oid);
	Datum		values[PING_COLUMNS] = {0};
	bool		nulls[PING_COLUMNS] = {false};
	TupleDesc	columns;
	MemoryContext context;
	ImpiloApi  *api;
	ImpiloHttpRequest *request;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "impilo_fdw: return type must be a row type");

	/* the connection goes with it, whichever way this function ends */
	context = AllocSetContextCreate(CurrentMemoryContext, "impilo_fdw ping",
									ALLOCSET_SMALL_SIZES);
	api = impilo_session_apart(GetUserId(), server->serverid, context);
	request = impilo_api_get_page(api, context, 1, 1, NULL);
	impilo_http_wait(request);
	fill_ping(api, request, values, nulls);
	MemoryContextDelete(context);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns),
													  values, nulls)));
}

/* ------------------------------------------------------------------------
 * Versions and settings
 * ------------------------------------------------------------------------
 */

static void
put_fact(ReturnSetInfo *result, const char *name, const char *value)
{
	Datum		values[2];
	bool		nulls[2] = {false, value == NULL};

	values[0] = CStringGetTextDatum(name);
	values[1] = value ? CStringGetTextDatum(value) : (Datum) 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * impilo_fdw_diag() → setof (name, value)
 *		What a report of a fault should begin with: versions and settings.
 *		Holds no address, name or key.
 */
Datum
impilo_fdw_diag_1_0(PG_FUNCTION_ARGS)
{
	static const char *const settings[] = {
		"impilo_fdw.allow_create", "client_encoding", "work_mem",
		"statement_timeout", "max_files_per_process"
	};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	put_fact(result, "impilo_fdw library", "1.0");
	put_fact(result, "PostgreSQL", PG_VERSION_STR);
	put_fact(result, "PostgreSQL running",
			 GetConfigOption("server_version", true, false));
	put_fact(result, "libcurl", impilo_http_library_parts());
	put_fact(result, "json-c", impilo_json_library_version());
	put_fact(result, "server_encoding", GetDatabaseEncodingName());
	for (int i = 0; i < lengthof(settings); i++)
		put_fact(result, settings[i],
				 GetConfigOption(settings[i], true, false));
	return (Datum) 0;
}
