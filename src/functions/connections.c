/*-------------------------------------------------------------------------
 *
 * connections.c
 *	  SQL functions about connections: list, close, ping, sample, versions.
 *
 * The names and rules of the connection functions are those of postgres_fdw.
 * No function here returns a key.  impilo_sample_orders alone returns data of
 * orders.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/connections.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog/connection.h"
#include "json/tree.h"
#include "rows/convert.h"

PG_FUNCTION_INFO_V1(impilo_fdw_get_connections_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_disconnect_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_disconnect_all_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_stats_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_ping_1_0);
PG_FUNCTION_INFO_V1(impilo_sample_orders_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_library_versions_1_0);

/* Columns of impilo_fdw_ping() */
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

/*
 * Sets a column of text; NULL is SQL's.
 */
static void
set_text(Datum *values, bool *nulls, int column, const char *string)
{
	nulls[column] = string == NULL;
	if (string)
		values[column] = CStringGetTextDatum(string);
}

/*
 * impilo_fdw_get_connections() returns setof (server_name, user_name, valid,
 * in_use)
 *		The connections of this session, one for each user mapping in use.
 */
Datum
impilo_fdw_get_connections_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, impilo_connections())
	{
		const ImpiloConnection *connection = lfirst(cell);
		Datum		values[4];
		bool		nulls[4] = {false};

		set_text(values, nulls, 0, connection->server_name);
		set_text(values, nulls, 1,
				 OidIsValid(connection->mapping_user)
				 ? GetUserNameFromId(connection->mapping_user, true) : "public");
		values[2] = BoolGetDatum(!connection->invalidated);
		values[3] = BoolGetDatum(connection->pins > 0);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/*
 * impilo_fdw_disconnect(server_name) returns boolean
 *		Closes the session's connections to a server.
 */
Datum
impilo_fdw_disconnect_1_0(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BOOL(impilo_connection_close(GetForeignServerByName(name,
																  false)->serverid));
}

/*
 * impilo_fdw_disconnect_all() returns boolean
 *		Closes the session's connections to all servers.
 */
Datum
impilo_fdw_disconnect_all_1_0(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(impilo_connection_close(InvalidOid));
}

/*
 * impilo_fdw_stats() returns setof (server_name, requests, retries, throttled,
 * bytes, network_wait_ms, orders_created)
 *		What this session has done on each server.
 */
Datum
impilo_fdw_stats_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, impilo_server_stats())
	{
		const ImpiloServerStats *stats = lfirst(cell);
		ForeignServer *server = GetForeignServerExtended(stats->serverid,
														 FSV_MISSING_OK);
		Datum		values[7];
		bool		nulls[7] = {false};

		set_text(values, nulls, 0, server ? server->servername : NULL);
		values[1] = Int64GetDatum(stats->http.requests);
		values[2] = Int64GetDatum(stats->http.retries);
		values[3] = Int64GetDatum(stats->http.throttled);
		values[4] = Int64GetDatum(stats->http.bytes);
		values[5] = Float8GetDatum(INSTR_TIME_GET_MILLISEC(stats->http.waited));
		values[6] = Int64GetDatum(stats->created);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

static void
set_time(Datum *values, bool *nulls, int column, double ms)
{
	/* libcurl measures microseconds */
	values[column] = Float8GetDatum(rint(ms * 1000) / 1000);
	nulls[column] = ms < 0;
}

/*
 * impilo_fdw_ping(server_name) returns (ok, …, total_ms)
 *		Requests the smallest page over a new connection, once.  A request that
 *		fails is a result too: the row contains what the error would say.
 */
Datum
impilo_fdw_ping_1_0(PG_FUNCTION_ARGS)
{
	ForeignServer *server =
	impilo_server_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Datum		values[PING_COLUMNS] = {0};
	bool		nulls[PING_COLUMNS] = {false};
	TupleDesc	columns;
	MemoryContext context;
	ImpiloApi  *api;
	ImpiloHttpRequest *request;
	const ImpiloHttpReply *reply;
	ImpiloApiError error;
	ImpiloPage	page;
	bool		ok;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "impilo_fdw: return type must be a row type");

	/* the connection is closed with its context, also after an error */
	context = AllocSetContextCreate(CurrentMemoryContext, "impilo_fdw ping",
									ALLOCSET_SMALL_SIZES);
	api = impilo_private_connection(GetUserId(), server->serverid, context);
	request = impilo_api_get_page(api, context, 1, 1, NULL);
	ok = impilo_api_page(api, request, &page, &error);
	reply = impilo_http_wait(request, NULL);

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
	MemoryContextDelete(context);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns),
													  values, nulls)));
}

/*
 * impilo_sample_orders(server, size) returns setof jsonb
 *		The orders of the first page of a server's list, of at most `size`.
 *
 * Runs with the current user's mapping and requires USAGE on the server.  An
 * order that type jsonb cannot represent is left out with a WARNING.
 */
Datum
impilo_sample_orders_1_0(PG_FUNCTION_ARGS)
{
	ForeignServer *server = impilo_server_by_name(NameStr(*PG_GETARG_NAME(0)));
	int			size = PG_GETARG_INT32(1);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ImpiloConverter *converter = impilo_converter(JSONBOID, -1,
												  CurrentMemoryContext);
	ImpiloApi  *api;
	ImpiloHttpRequest *request;
	ImpiloPage	page;
	ImpiloOrder order;

	if (size < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of orders must be greater than zero")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	api = impilo_connection(GetUserId(), server->serverid,
							CurrentMemoryContext)->api;
	size = Min(size, IMPILO_MAX_PAGE_SIZE);
	request = impilo_api_get_page(api, CurrentMemoryContext, 1, size, NULL);
	(void) impilo_api_page(api, request, &page, NULL);
	while (impilo_api_page_next(api, &page, &order, NULL))
	{
		ImpiloConvertError error;
		Datum		value;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (impilo_convert(converter, &order.document, &value, &isnull, &error))
			tuplestore_putvalues(result->setResult, result->setDesc, &value,
								 &isnull);
		else
			ereport(error.thrown ? ERROR : WARNING,
					(errcode(error.sqlstate),
					 errmsg("order " INT64_FORMAT " cannot be converted to type jsonb",
							order.id),
					 errdetail("The API sent %s.", error.what)));
	}
	if (page.orders == 0)
		ereport(NOTICE,
				(errmsg("server \"%s\" has no orders", server->servername)));
	return (Datum) 0;
}

/*
 * impilo_fdw_library_versions() returns setof (name, value)
 *		Versions that SQL cannot find out: what this library was built with
 *		and which libraries it uses.
 */
Datum
impilo_fdw_library_versions_1_0(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *tls;
	const char *http2;
	const char *libcurl = impilo_http_library(&tls, &http2);
	const char *versions[][2] = {
		{"impilo_fdw library", "1.0"},
		{"PostgreSQL", PG_VERSION_STR},
		{"libcurl", libcurl},
		{"TLS", tls ? tls : "no"},
		{"HTTP/2", http2 ? psprintf("yes, nghttp2 %s", http2) : "no"},
		{"json-c", impilo_json_library_version()}
	};

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(versions); i++)
	{
		Datum		values[2];
		bool		nulls[2];

		set_text(values, nulls, 0, versions[i][0]);
		set_text(values, nulls, 1, versions[i][1]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
