/*-------------------------------------------------------------------------
 *
 * connection.h
 *	  The cache of connections: one for each user mapping in use.
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

#include "lib/ilist.h"

#include "api/api.h"
#include "catalog/options.h"

/* What this session has done on a server, over all its connections. */
typedef struct ImpiloServerStats
{
	dlist_node	node;			/* in impilo_server_stats */
	Oid			serverid;
	ImpiloHttpStats http;
	int64		created;		/* orders */
} ImpiloServerStats;

/*
 * One user mapping, that is, one account of one server.  Two accounts of the
 * same server share nothing.
 */
typedef struct ImpiloConnection
{
	dlist_node	node;			/* in impilo_connections, until another one
								 * takes its place */
	Oid			umid;			/* OID of the user mapping */
	Oid			mapping_user;	/* its user; InvalidOid: PUBLIC */
	Oid			serverid;
	const char *server_name;
	ImpiloTableOptions options; /* of the server */
	ImpiloApi  *api;
	ImpiloServerStats *stats;	/* lives as long as the session */
	TimestampTz no_estimate_until;	/* the planner does not ask before */

	/* managed by connection.c */
	MemoryContext context;		/* contains all of the above */
	uint32		server_hash;	/* hash values of the catalog rows in */
	uint32		mapping_hash;	/* invalidation messages */
	bool		invalidated;	/* one of the rows has changed */
	int			pins;			/* statements and the like that use it */
} ImpiloConnection;

/*
 * The connections and the servers that this session has used.  Other modules
 * may only read them.  A look into the catalog may close connections.
 */
extern dlist_head impilo_connections;
extern dlist_head impilo_server_stats;

/* in connection.c */

extern ImpiloConnection *impilo_connection(Oid userid, Oid serverid,
										   MemoryContext run);
extern void impilo_connection_pin(ImpiloConnection *connection, Oid userid,
								  MemoryContext holder);
extern int64 impilo_connection_last_total(Oid userid, Oid serverid);
extern bool impilo_has_key(Oid userid, Oid serverid);
extern ImpiloApi *impilo_private_connection(Oid userid, Oid serverid,
											MemoryContext context);
extern bool impilo_connection_close(Oid serverid);

#endif							/* IMPILO_CONNECTION_H */
