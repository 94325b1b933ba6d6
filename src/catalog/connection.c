/*-------------------------------------------------------------------------
 *
 * connection.c
 *	  What one backend keeps for a user mapping: options, key, connections.
 *
 * The key is the user mapping, not the server: what one account was told must
 * never answer for another.  A session is opened at first use and kept; when
 * its server or mapping changes, the next statement opens a new one, while
 * statements that still use the old one finish with it.  Its memory, and with
 * it the connections, goes when the last of them has ended.  Of a change of an
 * API key file nobody tells, so it is read again by every statement.
 *
 * So a change that has committed is in force for every statement that begins
 * after it, and no statement is of two accounts: what has changed is asked
 * for when an executor run first needs a connection, also in the middle of a
 * transaction, and the run keeps that session for all of its relations.
 *
 * Nothing is sent here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/connection.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_user_mapping.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/connection.h"

/* a key is a short line; whatever is longer is another file */
#define MAX_KEY_FILE 8192

/* how often server and mapping are read in vain */
#define MAX_TRIES 10

/* A session with what only this file needs to know of it. */
typedef struct Holding
{
	ImpiloConnection connection;
	MemoryContext context;		/* all of it lives there */
	Oid			userid;			/* of the mapping; InvalidOid: PUBLIC */
	uint32		server_hash;	/* of the catalog rows that it was made from, */
	uint32		mapping_hash;	/* as invalidation messages name them */
	bool		stale;			/* one of them has changed */
	int			holders;		/* statements that use it */
} Holding;

/* A session that an executor run uses, for all of its relations. */
typedef struct Use
{
	struct Use *next;
	MemoryContext run;			/* the executor run's, or the like */
	Oid			userid;			/* who asked */
	Holding    *holding;
} Use;

typedef struct SessionEntry
{
	Oid			umid;			/* hash key */
	Holding    *holding;
} SessionEntry;

static HTAB *sessions = NULL;

static Use *uses = NULL;

/* how many times something has changed that sessions could be made from */
static uint64 changes = 0;


/*
 * Close a session that nobody uses.  Does not throw.
 */
static void
drop(Holding *holding)
{
	SessionEntry *entry = hash_search(sessions, &holding->connection.umid,
									  HASH_FIND, NULL);

	/* a stale one may have had its place in the table taken */
	if (entry != NULL && entry->holding == holding)
		hash_search(sessions, &holding->connection.umid, HASH_REMOVE, NULL);
	MemoryContextDelete(holding->context);
}

/*
 * Let nobody else use a session: close it, if need be with its last statement.
 */
static void
retire(Holding *holding)
{
	holding->stale = true;
	if (holding->holders == 0)
		drop(holding);
}

/*
 * One of the catalog rows has changed: retire the sessions made from it.
 * Hash value 0 stands for all of them.
 */
static void
invalidate(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS scan;
	SessionEntry *entry;

	changes++;
	hash_seq_init(&scan, sessions);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		Holding    *holding = entry->holding;

		if (hashvalue != 0 &&
			(cacheid != FOREIGNSERVEROID || hashvalue != holding->server_hash) &&
			(cacheid != USERMAPPINGOID || hashvalue != holding->mapping_hash))
			continue;
		retire(holding);
	}
}

static void
make_table(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(SessionEntry)};

	sessions = hash_create("impilo_fdw sessions", 8, &control,
						   HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, invalidate, (Datum) 0);
}

static void
release(void *arg)
{
	Holding    *holding = arg;

	holding->holders--;
	if (holding->stale && holding->holders == 0)
		drop(holding);
}

static void
call_at_end(MemoryContext holder, MemoryContextCallbackFunction function,
			void *arg)
{
	MemoryContextCallback *callback;

	callback = MemoryContextAllocZero(holder, sizeof(*callback));
	callback->func = function;
	callback->arg = arg;
	MemoryContextRegisterResetCallback(holder, callback);
}

/*
 * impilo_connection_pin
 *		Keep a session until `holder` is reset or deleted, besides who uses
 *		it now.
 */
void
impilo_connection_pin(ImpiloConnection *connection, MemoryContext holder)
{
	Holding    *holding = (Holding *) connection;

	call_at_end(holder, release, holding);
	holding->holders++;
}

static void
end_use(void *arg)
{
	Use		  **link = &uses;

	while (*link != arg)
		link = &(*link)->next;
	*link = (*link)->next;
}

static void
begin_use(Holding *holding, Oid userid, MemoryContext run)
{
	Use		   *use = MemoryContextAllocZero(run, sizeof(Use));

	use->run = run;
	use->userid = userid;
	use->holding = holding;
	impilo_connection_pin(&holding->connection, run);
	call_at_end(run, end_use, use);
	use->next = uses;
	uses = use;
}

static Holding *
find_use(Oid userid, Oid serverid, MemoryContext run)
{
	for (Use *use = uses; use; use = use->next)
		if (use->run == run && use->userid == userid &&
			use->holding->connection.serverid == serverid)
			return use->holding;
	return NULL;
}

/*
 * The user mapping, or an error that says how to make one.  Its `userid` is
 * InvalidOid if it is the one of PUBLIC.
 */
static UserMapping *
get_mapping(Oid userid, const ForeignServer *server)
{
	UserMapping *mapping;
	bool		own = SearchSysCacheExists2(USERMAPPINGUSERSERVER,
											ObjectIdGetDatum(userid),
											ObjectIdGetDatum(server->serverid));

	if (!own && !SearchSysCacheExists2(USERMAPPINGUSERSERVER,
									   ObjectIdGetDatum(InvalidOid),
									   ObjectIdGetDatum(server->serverid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("user mapping not found for user \"%s\" and server \"%s\"",
						GetUserNameFromId(userid, false), server->servername),
				 errhint("Give the API key with CREATE USER MAPPING FOR %s SERVER %s OPTIONS (api_key '...').",
						 quote_identifier(GetUserNameFromId(userid, false)),
						 quote_identifier(server->servername))));
	mapping = GetUserMapping(userid, server->serverid);
	if (!own)
		mapping->userid = InvalidOid;
	return mapping;
}

/*
 * Open a file of the database server that an option names.  Who may name it
 * was checked when the option was set.
 *
 * Nothing but a plain file: the other end of a pipe, or a device, could let
 * the backend wait for ever, and no cancel would end that.
 */
static int
open_file(const char *option, const char *path)
{
	int			fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	struct stat about;

	if (fd < 0 || fstat(fd, &about) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\" of option \"%s\": %m",
						path, option)));
	if (!S_ISREG(about.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" of option \"%s\" is not a regular file",
						path, option)));
	return fd;
}

/*
 * Read a key from the first line of a file.
 */
static char *
read_key_file(const char *path)
{
	char		line[MAX_KEY_FILE + 1];
	int			fd = open_file("api_key_file", path);
	ssize_t		size = read(fd, line, MAX_KEY_FILE);
	ssize_t		length = 0;

	if (size < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\" of option \"%s\": %m",
						path, "api_key_file")));
	CloseTransientFile(fd);
	while (length < size && line[length] > ' ' && line[length] < 0x7f)
		length++;
	line[size] = '\n';
	if (length == 0 || length == MAX_KEY_FILE ||
		line[length + (line[length] == '\r')] != '\n')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("the first line of API key file \"%s\" is no API key", path),
				 errhint("A key consists of visible ASCII characters.")));
	return pnstrdup(line, length);
}

static const char *
get_key(const UserMapping *mapping, const ForeignServer *server)
{
	const char *key = impilo_given_option(mapping->options, "api_key");
	const char *file = impilo_given_option(mapping->options, "api_key_file");
	char	   *user;

	if (key)
		return key;
	if (file)
		return read_key_file(file);
	user = OidIsValid(mapping->userid)
		? pstrdup(quote_identifier(GetUserNameFromId(mapping->userid, false)))
		: "PUBLIC";
	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("the user mapping of %s for server \"%s\" has no API key",
					user, server->servername),
			 errhint("Give it with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (ADD api_key '...').",
					 user, quote_identifier(server->servername))));
	return NULL;				/* keep compiler quiet */
}

static ImpiloApi *
open_api(MemoryContext context, const char *server_name,
		 const ImpiloServerOptions *options, const UserMapping *mapping,
		 const char *key)
{
	ImpiloApiConfig config = {
		.server_name = server_name,
		.base_url = options->base_url,
		.api_key = key,
		.max_pages = options->max_pages,
		.scan_timeout = options->scan_timeout,
		.key_in_file = impilo_given_option(mapping->options, "api_key") == NULL,
		.key_owner = mapping->userid,
		.http = {
			.ca_file = options->ca_file,
			.proxy = options->proxy,
			.connect_timeout = options->connect_timeout,
			.request_timeout = options->request_timeout,
			.max_retries = options->max_retries,
			.requests_per_second = options->requests_per_second,
			.max_response_size = options->max_response_size,
			.keep_connections = options->keep_connections
		}
	};

	/* libcurl reads it, whenever it connects; but cannot be told how */
	if (options->ca_file)
		CloseTransientFile(open_file("ca_file", options->ca_file));
	return impilo_api_open(context, &config);
}

/*
 * A key for everybody: allowed, as in every wrapper, and seldom meant.
 */
static void
warn_of_public(const ForeignServer *server)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("the user mapping of PUBLIC lets every role use the API key of server \"%s\"",
					server->servername),
			 errhint("Give a mapping to each role that shall read or create orders: CREATE USER MAPPING FOR role_name SERVER %s OPTIONS (api_key '...'), then DROP USER MAPPING FOR PUBLIC SERVER %s.",
					 quote_identifier(server->servername),
					 quote_identifier(server->servername))));
}

static Holding *
open_session(const ForeignServer *server, const UserMapping *mapping,
			 const char *key)
{
	MemoryContext context;
	MemoryContext caller;
	Holding    *holding;
	ImpiloConnection *connection;

	/*
	 * Born below the caller's context, so that an error on the way leaves
	 * nothing behind; kept only when it is complete, by impilo_connection.
	 */
	context = AllocSetContextCreate(CurrentMemoryContext,
									"impilo_fdw session",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	holding = palloc0(sizeof(Holding));
	holding->context = context;
	holding->userid = mapping->userid;
	holding->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID,
							  ObjectIdGetDatum(server->serverid));
	holding->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(mapping->umid));
	connection = &holding->connection;
	connection->umid = mapping->umid;
	connection->serverid = server->serverid;
	connection->server_name = pstrdup(server->servername);
	impilo_server_options(server, &connection->options);
	connection->api = open_api(context, connection->server_name, &connection->options,
							   mapping, key);
	MemoryContextSwitchTo(caller);
	if (!OidIsValid(mapping->userid))
		warn_of_public(server);
	return holding;
}

/*
 * The server and the user's mapping as they are now, both of one moment: a new
 * key must not be sent to an old address.  Returns what `changes` was then.
 *
 * Looking one of them up may bring the news that the other has changed.  That
 * ends, except where PostgreSQL is made to forget at every turn what it has
 * read (debug_discard_caches).
 */
static uint64
read_account(Oid userid, Oid serverid,
			 ForeignServer **server, UserMapping **mapping)
{
	uint64		before;
	int			tries = 0;

	if (sessions == NULL)
		make_table();

	/* in a transaction that holds its locks already nobody else asks */
	AcceptInvalidationMessages();
	do
	{
		before = changes;
		*server = GetForeignServer(serverid);
		*mapping = get_mapping(userid, *server);
	} while (changes != before && ++tries < MAX_TRIES);
	return before;
}

/*
 * impilo_connection
 *		The session of a user at a server, opened if need be.
 *
 * `userid` is the user whose rights count, which through a view is its owner.
 * `run` is the memory context of the executor run, or of what else needs a
 * connection; as long as it is not reset or deleted the session is good, and is
 * the one that another call for the same user and server gives.  Raises an
 * error if there is no user mapping, or no key in it.
 */
ImpiloConnection *
impilo_connection(Oid userid, Oid serverid, MemoryContext run)
{
	Holding    *holding = find_use(userid, serverid, run);
	ForeignServer *server;
	UserMapping *mapping;
	const char *key;
	SessionEntry *entry;
	uint64		before;

	if (holding)
		return &holding->connection;
	before = read_account(userid, serverid, &server, &mapping);
	key = get_key(mapping, server);
	entry = hash_search(sessions, &mapping->umid, HASH_FIND, NULL);
	if (entry && (entry->holding->stale ||
				  !impilo_api_uses_key(entry->holding->connection.api, key)))
	{
		retire(entry->holding);
		entry = NULL;
	}
	if (entry == NULL)
	{
		holding = open_session(server, mapping, key);
		/* a change that came meanwhile did not find it in the table */
		holding->stale = changes != before;
		entry = hash_search(sessions, &mapping->umid, HASH_ENTER, NULL);
		entry->holding = holding;
		MemoryContextSetParent(holding->context, CacheMemoryContext);
	}
	begin_use(entry->holding, userid, run);
	return &entry->holding->connection;
}

/*
 * impilo_connection_last_total
 *		How many orders the list had when it was last read in this connection,
 *		or IMPILO_UNKNOWN.  For the planner: opens nothing, raises nothing.
 */
int64
impilo_connection_last_total(Oid userid, Oid serverid)
{
	Oid			users[] = {userid, InvalidOid};

	if (sessions == NULL)
		return IMPILO_UNKNOWN;
	for (int i = 0; i < lengthof(users); i++)
	{
		HeapTuple	row;
		SessionEntry *entry;
		Oid			umid;

		row = SearchSysCache2(USERMAPPINGUSERSERVER,
							  ObjectIdGetDatum(users[i]),
							  ObjectIdGetDatum(serverid));
		if (!HeapTupleIsValid(row))
			continue;
		umid = ((Form_pg_user_mapping) GETSTRUCT(row))->oid;
		ReleaseSysCache(row);
		entry = hash_search(sessions, &umid, HASH_FIND, NULL);
		return entry ? impilo_api_last_total(entry->holding->connection.api)
			: IMPILO_UNKNOWN;
	}
	return IMPILO_UNKNOWN;
}

/*
 * impilo_private_connection
 *		An API handle with a user's key and a server's options that shares
 *		nothing with the session's, and repeats no request.
 *
 * It lives as long as `context`.  Raises the errors of impilo_connection.
 */
ImpiloApi *
impilo_private_connection(Oid userid, Oid serverid, MemoryContext context)
{
	ForeignServer *server;
	UserMapping *mapping;
	ImpiloServerOptions options;

	(void) read_account(userid, serverid, &server, &mapping);
	impilo_server_options(server, &options);
	options.max_retries = 0;
	options.requests_per_second = 0;
	if (!OidIsValid(mapping->userid))
		warn_of_public(server);
	return open_api(context, server->servername, &options, mapping,
					get_key(mapping, server));
}

/*
 * impilo_connections
 *		The sessions of this backend, in no order: a list of
 *		ImpiloConnectionState in CurrentMemoryContext.
 */
List *
impilo_connections(void)
{
	HASH_SEQ_STATUS scan;
	SessionEntry *entry;
	List	   *list = NIL;

	if (sessions == NULL)
		return NIL;
	hash_seq_init(&scan, sessions);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		Holding    *holding = entry->holding;
		ImpiloConnectionState *state = palloc(sizeof(*state));

		state->server_name = pstrdup(holding->connection.server_name);
		state->userid = holding->userid;
		state->valid = !holding->stale;
		state->in_use = holding->holders > 0;
		list = lappend(list, state);
	}
	return list;
}

/*
 * impilo_connection_close
 *		Close the sessions of a server, or all if `serverid` is InvalidOid;
 *		but not those that a statement uses, of which it warns.
 *
 * Tells whether it has closed any.
 */
bool
impilo_connection_close(Oid serverid)
{
	HASH_SEQ_STATUS scan;
	SessionEntry *entry;
	bool		closed = false;

	if (sessions == NULL)
		return false;
	hash_seq_init(&scan, sessions);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		Holding    *holding = entry->holding;

		if (OidIsValid(serverid) && holding->connection.serverid != serverid)
			continue;
		if (holding->holders > 0)
		{
			ereport(WARNING,
					(errmsg("cannot close connection for server \"%s\" because it is still in use",
							holding->connection.server_name)));
			continue;
		}
		drop(holding);
		closed = true;
	}
	return closed;
}

static char *
library_of(Oid function)
{
	HeapTuple	row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	char	   *library = NULL;
	bool		isnull;
	Datum		value;

	if (!HeapTupleIsValid(row))
		return NULL;
	value = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_probin, &isnull);
	if (!isnull)
		library = TextDatumGetCString(value);
	ReleaseSysCache(row);
	return library;
}

/*
 * impilo_server_by_name
 *		The server of this name, for a function that takes it as an argument.
 *
 * `function` is any function of this module.  Raises an error if there is no
 * such server, if it is another wrapper's, whose keys are not ours to send,
 * or if the current user has no USAGE of it.
 */
ForeignServer *
impilo_server_by_name(const char *name, Oid function)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	char	   *handler = library_of(wrapper->fdwhandler);
	char	   *own = library_of(function);

	if (handler == NULL || own == NULL || strcmp(handler, own) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not one of foreign-data wrapper \"impilo_fdw\"",
						name)));
	if (!DatumGetBool(DirectFunctionCall2(has_server_privilege_id,
										  ObjectIdGetDatum(server->serverid),
										  CStringGetTextDatum("USAGE"))))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, name);
	return server;
}
