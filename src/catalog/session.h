/*-------------------------------------------------------------------------
 *
 * session.h
 *	  What one backend keeps for a user mapping: options, key, connections.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/session.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_SESSION_H
#define IMPILO_SESSION_H

#include "api/api.h"
#include "catalog/options.h"

/*
 * One user mapping, that is one account of one server.  Two accounts of the
 * same server share nothing.
 */
typedef struct ImpiloSession
{
	Oid			umid;			/* OID of the user mapping */
	Oid			serverid;
	const char *server_name;
	ImpiloServerOptions options;
	ImpiloApi  *api;
} ImpiloSession;

/* What a session is at the moment, for who asks about connections. */
typedef struct ImpiloSessionState
{
	char	   *server_name;
	Oid			userid;			/* InvalidOid: PUBLIC */
	bool		valid;			/* neither server nor mapping has changed */
	bool		in_use;			/* by a statement, such as an open cursor */
} ImpiloSessionState;

/* in session.c */

extern ImpiloSession *impilo_session(Oid userid, Oid serverid,
									 MemoryContext run);
extern void impilo_session_hold(ImpiloSession *session, MemoryContext holder);
extern int64 impilo_session_last_total(Oid userid, Oid serverid);
extern ImpiloApi *impilo_session_apart(Oid userid, Oid serverid,
									   MemoryContext context);
extern List *impilo_session_list(void);
extern bool impilo_session_close(Oid serverid);
extern ForeignServer *impilo_session_server(const char *name, Oid function);

#endif							/* IMPILO_SESSION_H */
