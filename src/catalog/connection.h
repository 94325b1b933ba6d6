/*-------------------------------------------------------------------------
 *
 * connection.h
 *	  What one backend keeps for a user mapping: options, key, connections.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/connection.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CONNECTION_H
#define IMPILO_CONNECTION_H

#include "api/api.h"
#include "catalog/options.h"

/*
 * One user mapping, that is one account of one server.  Two accounts of the
 * same server share nothing.
 */
typedef struct ImpiloConnection
{
	Oid			umid;			/* OID of the user mapping */
	Oid			serverid;
	const char *server_name;
	ImpiloServerOptions options;
	ImpiloApi  *api;
} ImpiloConnection;

/* What a session is at the moment, for who asks about connections. */
typedef struct ImpiloConnectionState
{
	char	   *server_name;
	Oid			userid;			/* InvalidOid: PUBLIC */
	bool		valid;			/* neither server nor mapping has changed */
	bool		in_use;			/* by a statement, such as an open cursor */
} ImpiloConnectionState;

/* in session.c */

extern ImpiloConnection *impilo_connection(Oid userid, Oid serverid,
										   MemoryContext run);
extern void impilo_connection_pin(ImpiloConnection *connection, MemoryContext holder);
extern int64 impilo_connection_last_total(Oid userid, Oid serverid);
extern ImpiloApi *impilo_private_connection(Oid userid, Oid serverid,
											MemoryContext context);
extern List *impilo_connections(void);
extern bool impilo_connection_close(Oid serverid);
extern ForeignServer *impilo_server_by_name(const char *name, Oid function);

#endif							/* IMPILO_CONNECTION_H */
