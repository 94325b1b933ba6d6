/*-------------------------------------------------------------------------
 *
 * connections.c
 *	  SQL functions about connections: list, close, ping, sample, versions.
 *
 * The names and rules of the connection functions are those of postgres_fdw.
 * No function returns a key.  Only impilo_sample_orders returns data of
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

#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog/connection.h"
#include "json/tree.h"
#include "rows/convert.h"

PG_FUNCTION_INFO_V1(impilo_fdw_get_connections_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_disconnect_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_stats_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_ping_1_0);
PG_FUNCTION_INFO_V1(impilo_sample_orders_1_0);
PG_FUNCTION_INFO_V1(impilo_fdw_library_versions_1_0);

/*
 * Returns the server with this name.  Raises an error if it does not exist, if
 * it belongs to another wrapper, whose keys must not be used here, or if the
 * current user has no USAGE privilege on it.
 */
static ForeignServer *
get_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	Oid			validator = GetForeignDataWrapper(server->fdwid)->fdwvalidator;
	FmgrInfo	function = {0};

	if (OidIsValid(validator))
		fmgr_info(validator, &function);
	if (function.fn_addr != impilo_fdw_validator_1_0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" does not use foreign-data wrapper \"impilo_fdw\"",
						name)));
	if (!DatumGetBool(DirectFunctionCall2(has_server_privilege_id,
										  ObjectIdGetDatum(server->serverid),
										  CStringGetTextDatum("USAGE"))))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, name);
	return server;
}

/*
 * Adds a row to the result of a function, from strings; NULL is SQL's.
 */
static void
put_row(ReturnSetInfo *result, const char *const *values)
{
	AttInMetadata *attributes = TupleDescGetAttInMetadata(result->setDesc);

	tuplestore_puttuple(result->setResult,
						BuildTupleFromCStrings(attributes, (char **) values));
}

/*
 * impilo_fdw_get_connections() returns setof (server_name, user_name, valid,
 * in_use)
 *		The connections of this session, one for each user mapping in use.
 */
Datum
impilo_fdw_get_connections_1_0(PG_FUNCTION_ARGS)
{
	List	   *connections = NIL;
	dlist_iter	iter;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);

	/* looking up a user's name may close connections, hence the copies */
	dlist_foreach(iter, &impilo_connections)
	{
		ImpiloConnection *copy = palloc(sizeof(ImpiloConnection));

		*copy = *dlist_container(ImpiloConnection, node, iter.cur);
		copy->server_name = pstrdup(copy->server_name);
		connections = lappend(connections, copy);
	}
	foreach(cell, connections)
	{
		const ImpiloConnection *connection = lfirst(cell);
		const char *values[] = {
			connection->server_name,
			OidIsValid(connection->mapping_user)
			? GetUserNameFromId(connection->mapping_user, true) : "public",
			connection->invalidated ? "false" : "true",
			connection->pins > 0 ? "true" : "false"
		};

		put_row((ReturnSetInfo *) fcinfo->resultinfo, values);
	}
	return (Datum) 0;
}

/*
 * impilo_fdw_disconnect(server_name) returns boolean
 * impilo_fdw_disconnect_all() returns boolean
 *		Closes the session's connections to a server, or to all servers.
 */
Datum
impilo_fdw_disconnect_1_0(PG_FUNCTION_ARGS)
{
	Oid			serverid = InvalidOid;

	if (PG_NARGS() > 0)
		serverid = get_foreign_server_oid(text_to_cstring(PG_GETARG_TEXT_PP(0)),
										  false);
	PG_RETURN_BOOL(impilo_connection_close(serverid));
}

/*
 * impilo_fdw_stats() returns setof (server_name, requests, retries, throttled,
 * bytes, network_wait_ms, orders_created)
 *		What this session has done on each server.
 */
Datum
impilo_fdw_stats_1_0(PG_FUNCTION_ARGS)
{
	dlist_iter	iter;

	InitMaterializedSRF(fcinfo, 0);
	dlist_foreach(iter, &impilo_server_stats)
	{
		const ImpiloServerStats *stats = dlist_container(ImpiloServerStats,
														 node, iter.cur);
		ForeignServer *server = GetForeignServerExtended(stats->serverid,
														 FSV_MISSING_OK);
		const char *values[] = {
			server ? server->servername : NULL,
			psprintf(INT64_FORMAT, stats->http.requests),
			psprintf(INT64_FORMAT, stats->http.retries),
			psprintf(INT64_FORMAT, stats->http.throttled),
			psprintf(INT64_FORMAT, stats->http.bytes),
			psprintf("%.3f", INSTR_TIME_GET_MILLISEC(stats->http.waited)),
			psprintf(INT64_FORMAT, stats->created)
		};

		put_row((ReturnSetInfo *) fcinfo->resultinfo, values);
	}
	return (Datum) 0;
}

/*
 * Returns a time in milliseconds, or NULL if it was not measured.
 */
static char *
show_time(double ms)
{
	return ms < 0 ? NULL : psprintf("%.3f", ms);
}

/*
 * impilo_fdw_ping(server_name) returns (ok, http_status, sqlstate, problem,
 * http_version, orders, lookup_ms, connect_ms, tls_ms, first_byte_ms,
 * total_ms)
 *		Requests the smallest page over a new connection, once.  A request that
 *		fails is a result too: the row contains what the error would say.
 */
Datum
impilo_fdw_ping_1_0(PG_FUNCTION_ARGS)
{
	ForeignServer *server = get_server(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	TupleDesc	columns;
	MemoryContext context;
	ImpiloApi  *api;
	ImpiloHttpRequest *request;
	const ImpiloHttpReply *reply;
	ImpiloApiError error = {0};
	ImpiloPage	page;
	const char *values[11] = {"true"};
	HeapTuple	row;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "impilo_fdw: return type must be a row type");

	/* the connection is closed with its context, also after an error */
	context = AllocSetContextCreate(CurrentMemoryContext, "impilo_fdw ping",
									ALLOCSET_SMALL_SIZES);
	api = impilo_private_connection(GetUserId(), server->serverid, context);
	request = impilo_api_get_page(api, context, 1, 1, NULL);
	if (!impilo_api_page(api, request, &page, &error))
	{
		values[0] = "false";
		values[2] = unpack_sql_state(error.sqlstate);
		values[3] = error.detail == NULL ? error.message
			: psprintf("%s: %s", error.message, error.detail);
	}
	else if (page.total != IMPILO_UNKNOWN)
		values[5] = psprintf(INT64_FORMAT, page.total);
	reply = impilo_http_wait(request, NULL);
	if (reply->status != 0)
	{
		values[1] = psprintf("%d", reply->status);
		values[4] = reply->http2 ? "2" : "1.1";
	}
	values[6] = show_time(reply->times.lookup);
	values[7] = show_time(reply->times.connect);
	values[8] = show_time(reply->times.tls);
	values[9] = show_time(reply->times.answer);
	values[10] = show_time(reply->times.total);
	row = BuildTupleFromCStrings(TupleDescGetAttInMetadata(columns),
								 (char **) values);
	MemoryContextDelete(context);
	PG_RETURN_DATUM(HeapTupleGetDatum(row));
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
	ForeignServer *server = get_server(NameStr(*PG_GETARG_NAME(0)));
	int			size = Min(PG_GETARG_INT32(1), IMPILO_MAX_PAGE_SIZE);
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
		put_row((ReturnSetInfo *) fcinfo->resultinfo, versions[i]);
	return (Datum) 0;
}
