/*-------------------------------------------------------------------------
 *
 * connections.c
 *	  SQL functions for who looks after a server: connections, ping, versions.
 *
 * Those for connections have the names and the manners of postgres_fdw's: one
 * that a statement uses is not cut, but warned of.
 *
 * impilo_fdw_ping asks for the smallest page over a connection of its own, so
 * that each part of making one takes its time, and for page 0 if there is no
 * page 1; a request that fails is an answer too, and what it tells is what an
 * error would have told.
 *
 * Nothing here shows a key, or anything of an order.
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

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog/connection.h"
#include "json/tree.h"


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
	foreach(cell, impilo_connections())
	{
		ImpiloConnectionState *state = lfirst(cell);
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
	PG_RETURN_BOOL(impilo_connection_close(server_oid(PG_GETARG_TEXT_PP(0))));
}

/*
 * impilo_fdw_disconnect_all() → boolean
 *		The same for all servers.
 */
Datum
impilo_fdw_disconnect_all_1_0(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(impilo_connection_close(InvalidOid));
}

/* ------------------------------------------------------------------------
 * Ping
 * ------------------------------------------------------------------------
 */

static void
set_time(Datum *values, bool *nulls, int column, double ms)
{
	/* microseconds are what libcurl knows */
	values[column] = Float8GetDatum(rint(ms * 1000) / 1000);
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
 * Ask for page 0, by the documented default of its size, which no API refuses.
 * NULL unless that is a page.
 */
static ImpiloHttpRequest *
get_page_zero(ImpiloApi *api, MemoryContext context, ImpiloPage *page)
{
	ImpiloHttpRequest *request = impilo_api_get_page(api, context, 0, 15, NULL);
	ImpiloApiError ignored;

	impilo_http_wait(request);
	return impilo_api_try_page(api, request, 0, 15, page, &ignored)
		? request : NULL;
}

/*
 * What the reply tells, whether it is the API's or not.  Where pages are
 * counted from 0, page 1 may be missing: then page 0 tells, but for the times.
 */
static void
fill_ping(ImpiloApi *api, MemoryContext context, ImpiloHttpRequest *request,
		  Datum *values, bool *nulls)
{
	const ImpiloHttpTimes *times = &impilo_http_reply(request)->times;
	const ImpiloHttpReply *reply;
	ImpiloApiError error;
	ImpiloPage	page;
	bool		ok = impilo_api_try_page(api, request, 1, 1, &page, &error);

	if (!ok && impilo_api_not_there(request))
	{
		ImpiloHttpRequest *zero = get_page_zero(api, context, &page);

		ok = zero != NULL;
		request = ok ? zero : request;
	}
	reply = impilo_http_reply(request);
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
	set_time(values, nulls, PING_LOOKUP, times->lookup);
	set_time(values, nulls, PING_CONNECT, times->connect);
	set_time(values, nulls, PING_TLS, times->tls);
	set_time(values, nulls, PING_ANSWER, times->answer);
	set_time(values, nulls, PING_TOTAL, times->total);
}

/*
 * impilo_fdw_ping(server_name) → (ok, …, total_ms)
 *		Does the current user's key open the server, and what takes how long?
 */
Datum
impilo_fdw_ping_1_0(PG_FUNCTION_ARGS)
{
	ForeignServer *server =
	impilo_server_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)),
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
	api = impilo_private_connection(GetUserId(), server->serverid, context);
	request = impilo_api_get_page(api, context, 1, 1, NULL);
	impilo_http_wait(request);
	fill_ping(api, context, request, values, nulls);
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
 * Version of the SQL that declares this function, which may be another than
 * the library's; NULL if no extension does.
 */
static char *
extension_version(Oid function)
{
	Oid			extension = getExtensionOfObject(ProcedureRelationId, function);
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(catalog, ExtensionOidIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		null;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(catalog), &null);

		version = null ? NULL : TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
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
	ImpiloHttpLibrary library = impilo_http_library();

	InitMaterializedSRF(fcinfo, 0);
	put_fact(result, "impilo_fdw library", "1.0");
	put_fact(result, "impilo_fdw extension",
			 extension_version(fcinfo->flinfo->fn_oid));
	put_fact(result, "PostgreSQL", PG_VERSION_STR);
	put_fact(result, "PostgreSQL running",
			 GetConfigOption("server_version", true, false));
	put_fact(result, "libcurl", library.parts);
	put_fact(result, "TLS", library.tls ? library.tls : "no");
	put_fact(result, "HTTP/2", library.http2 == NULL ? "no"
			 : psprintf("yes, nghttp2 %s", library.http2));
	put_fact(result, "json-c", impilo_json_library_version());
	put_fact(result, "server_encoding", GetDatabaseEncodingName());
	for (int i = 0; i < lengthof(settings); i++)
		put_fact(result, settings[i],
				 GetConfigOption(settings[i], true, false));
	return (Datum) 0;
}
