/*-------------------------------------------------------------------------
 *
 * connection.c
 *	  The cache of connections: one for each user mapping in use.
 *
 * The cache key is the user mapping, not the server, because two mappings of
 * a server may belong to two accounts.  A connection is opened at first use
 * and kept.  When its server or user mapping changes, the next statement
 * opens a new one, and statements that use the old one continue with it.  The
 * old one is closed when the last of them ends.  PostgreSQL reports no change
 * of an API key file, so every statement reads it again.
 *
 * Hence a committed change applies to every statement that begins after it,
 * and a statement never mixes two accounts: an executor run looks for changes
 * when it first needs a connection, also in the middle of a transaction, and
 * keeps that connection for all of its relations.
 *
 * No request is sent here.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/connection.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/reloptions.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "catalog/pg_user_mapping.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/connection.h"

/* a key file is longer than this only by mistake */
#define MAX_KEY_FILE 8192

/* how often server and mapping are read until they belong together */
#define MAX_TRIES 10

typedef struct ConnCacheEntry
{
	Oid			umid;			/* hash key */
	ImpiloConnection *connection;
} ConnCacheEntry;

/*
 * A use of a connection.  It ends when the memory context that contains it is
 * reset or deleted.
 */
typedef struct Pin
{
	struct Pin *next;
	MemoryContextCallback callback;
	MemoryContext holder;
	Oid			userid;			/* who asked; InvalidOid: an additional pin */
	ImpiloConnection *connection;
} Pin;

static HTAB *cache = NULL;
static List *all_stats = NIL;	/* of ImpiloServerStats, in CacheMemoryContext */
static Pin *pins = NULL;

/* number of invalidation messages so far */
static uint64 changes = 0;


/*
 * Closes a connection that is not pinned.  Does not throw.
 */
static void
close_connection(ImpiloConnection *connection)
{
	ConnCacheEntry *entry = hash_search(cache, &connection->umid, HASH_FIND,
										NULL);

	/* a new connection may have replaced an invalidated one */
	if (entry && entry->connection == connection)
		hash_search(cache, &connection->umid, HASH_REMOVE, NULL);
	MemoryContextDelete(connection->context);
}

/*
 * Stops handing out a connection, and closes it as soon as it is not pinned.
 */
static void
invalidate(ImpiloConnection *connection)
{
	connection->invalidated = true;
	if (connection->pins == 0)
		close_connection(connection);
}

/*
 * Syscache callback: invalidates the connections made from the changed row.
 * Hash value 0 stands for all rows.
 */
static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS scan;
	ConnCacheEntry *entry;

	changes++;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		ImpiloConnection *connection = entry->connection;

		if (hashvalue == 0 ||
			(cacheid == FOREIGNSERVEROID && hashvalue == connection->server_hash) ||
			(cacheid == USERMAPPINGOID && hashvalue == connection->mapping_hash))
			invalidate(connection);
	}
}

/*
 * Callback of the context that a pin lives in.
 */
static void
unpin(void *arg)
{
	Pin		   *pin = arg;
	Pin		  **link = &pins;

	while (*link != pin)
		link = &(*link)->next;
	*link = pin->next;
	pin->connection->pins--;
	if (pin->connection->invalidated && pin->connection->pins == 0)
		close_connection(pin->connection);
}

static void
pin_for(ImpiloConnection *connection, Oid userid, MemoryContext holder)
{
	Pin		   *pin = MemoryContextAllocZero(holder, sizeof(Pin));

	pin->holder = holder;
	pin->userid = userid;
	pin->connection = connection;
	pin->callback.func = unpin;
	pin->callback.arg = pin;
	pin->next = pins;
	pins = pin;
	connection->pins++;
	MemoryContextRegisterResetCallback(holder, &pin->callback);
}

/*
 * impilo_connection_pin
 *		Keeps a connection open, in addition to its present users, until
 *		`holder` is reset or deleted.
 */
void
impilo_connection_pin(ImpiloConnection *connection, MemoryContext holder)
{
	pin_for(connection, InvalidOid, holder);
}

/*
 * Returns the user mapping of a user, with userid InvalidOid if it is that of
 * PUBLIC.  Raises an error with a hint if there is none.
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
				 errhint("Set the API key with CREATE USER MAPPING FOR %s SERVER %s OPTIONS (api_key '...').",
						 quote_identifier(GetUserNameFromId(userid, false)),
						 quote_identifier(server->servername))));
	mapping = GetUserMapping(userid, server->serverid);
	if (!own)
		mapping->userid = InvalidOid;
	return mapping;
}

/*
 * Opens a file on the database server that an option names.  The validator
 * has checked the privilege to name it.
 *
 * The file must be regular: reading from a pipe or a device could block the
 * backend, and a cancel would not end that.
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
 * Reads the API key from the first line of a file.
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
				 errmsg("invalid API key in first line of file \"%s\"", path),
				 errhint("A key consists of visible ASCII characters.")));
	return pnstrdup(line, length);
}

/*
 * Returns the API key of a user mapping.
 */
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
			 errmsg("user mapping of %s for server \"%s\" has no API key",
					user, server->servername),
			 errhint("Set it with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (ADD api_key '...').",
					 user, quote_identifier(server->servername))));
	return NULL;				/* keep compiler quiet */
}

/*
 * impilo_server_stats
 *		Returns the statistics of the servers that this session has used, a List
 *		of ImpiloServerStats.
 */
List *
impilo_server_stats(void)
{
	return all_stats;
}

static ImpiloServerStats *
stats_of(Oid serverid)
{
	ImpiloServerStats *stats;
	MemoryContext caller;
	ListCell   *cell;

	foreach(cell, all_stats)
	{
		stats = lfirst(cell);
		if (stats->serverid == serverid)
			return stats;
	}
	caller = MemoryContextSwitchTo(CacheMemoryContext);
	stats = palloc0(sizeof(*stats));
	stats->serverid = serverid;
	all_stats = lappend(all_stats, stats);
	MemoryContextSwitchTo(caller);
	return stats;
}

/*
 * Returns a new connection in CurrentMemoryContext; it opens no socket yet.  A
 * private one does not retry.
 */
static ImpiloConnection *
open_connection(const ForeignServer *server, const UserMapping *mapping,
				const char *key, bool private)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw connection",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloConnection *connection = palloc0(sizeof(ImpiloConnection));
	ImpiloServerOptions *options = &connection->options;
	char	   *name = pstrdup(server->servername);
	ImpiloApiConfig config = {.server_name = name,.api_key = key};

	impilo_server_options(server, options);
	connection->context = context;
	connection->umid = mapping->umid;
	connection->mapping_user = mapping->userid;
	connection->serverid = server->serverid;
	connection->server_name = name;
	connection->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID,
							  ObjectIdGetDatum(server->serverid));
	connection->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(mapping->umid));

	/* libcurl opens it for each connection, but without these checks */
	if (options->ca_file)
		CloseTransientFile(open_file("ca_file", options->ca_file));
	config.base_url = options->base_url;
	config.max_pages = options->max_pages;
	config.scan_timeout = options->scan_timeout;
	config.key_in_file = impilo_given_option(mapping->options, "api_key") == NULL;
	config.key_owner = mapping->userid;
	config.http.ca_file = options->ca_file;
	config.http.proxy = options->proxy;
	config.http.connect_timeout = options->connect_timeout;
	config.http.request_timeout = options->request_timeout;
	config.http.max_retries = private ? 0 : options->max_retries;
	config.http.requests_per_second = private ? 0 : options->requests_per_second;
	config.http.max_response_size = options->max_response_size;
	config.http.keep_connections = options->keep_connections;
	connection->stats = stats_of(server->serverid);
	config.http.totals = &connection->stats->http;
	connection->api = impilo_api_open(context, &config);
	MemoryContextSwitchTo(caller);

	/* shares one key among all roles, which is seldom intended */
	if (!OidIsValid(mapping->userid))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("user mapping of PUBLIC lets every role use the API key of server \"%s\"",
						name),
				 errhint("Create a user mapping for each role that needs access with CREATE USER MAPPING FOR role_name SERVER %s OPTIONS (api_key '...'), then drop the one for PUBLIC with DROP USER MAPPING FOR PUBLIC SERVER %s.",
						 quote_identifier(name), quote_identifier(name))));
	return connection;
}

/*
 * Reads the server and the user's mapping, and returns the value of `changes`
 * at that time.  Both are of the same moment, so that a new key is never sent
 * to an old address.
 *
 * Looking up one of them may process the news that the other has changed,
 * hence the loop.  With debug_discard_caches it would not end.
 */
static uint64
read_account(Oid userid, Oid serverid,
			 ForeignServer **server, UserMapping **mapping)
{
	uint64		before;
	int			tries = 0;

	if (cache == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(Oid),
			.entrysize = sizeof(ConnCacheEntry)
		};

		cache = hash_create("impilo_fdw connections", 8, &control,
							HASH_ELEM | HASH_BLOBS);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalog_changed,
									  (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, catalog_changed,
									  (Datum) 0);
	}

	/* a transaction that already has its locks does not look for changes */
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
 *		Returns the connection of a user to a server, opened if necessary.
 *
 * `userid` is the user whose privileges count, which through a view is its
 * owner.  `run` is the memory context of the executor run or other user; the
 * connection stays open until it is reset or deleted, and every call with the
 * same arguments returns the same connection.  Raises an error if there is no
 * user mapping, or no key in it.
 */
ImpiloConnection *
impilo_connection(Oid userid, Oid serverid, MemoryContext run)
{
	ImpiloConnection *connection;
	ForeignServer *server;
	UserMapping *mapping;
	const char *key;
	ConnCacheEntry *entry;
	uint64		before;

	for (Pin *pin = pins; pin; pin = pin->next)
		if (pin->holder == run && pin->userid == userid &&
			pin->connection->serverid == serverid)
			return pin->connection;

	before = read_account(userid, serverid, &server, &mapping);
	key = get_key(mapping, server);
	entry = hash_search(cache, &mapping->umid, HASH_FIND, NULL);
	connection = entry ? entry->connection : NULL;
	if (connection && (connection->invalidated ||
					   strcmp(connection->api->config.api_key, key) != 0))
	{
		invalidate(connection);
		connection = NULL;
	}
	if (connection == NULL)
	{
		/* an error releases it; it is kept once it is complete */
		connection = open_connection(server, mapping, key, false);
		/* it was not in the cache for changes in the meantime */
		connection->invalidated = changes != before;
		entry = hash_search(cache, &mapping->umid, HASH_ENTER, NULL);
		entry->connection = connection;
		MemoryContextSetParent(connection->context, CacheMemoryContext);
	}
	pin_for(connection, userid, run);
	return connection;
}

/*
 * Returns the OID of a user's mapping, or InvalidOid.
 */
static Oid
find_mapping(Oid userid, Oid serverid)
{
	Oid			users[] = {userid, InvalidOid};
	Oid			umid = InvalidOid;

	for (int i = 0; i < lengthof(users) && !OidIsValid(umid); i++)
		umid = GetSysCacheOid2(USERMAPPINGUSERSERVER,
							   Anum_pg_user_mapping_oid,
							   ObjectIdGetDatum(users[i]),
							   ObjectIdGetDatum(serverid));
	return umid;
}

/*
 * impilo_connection_last_total
 *		Returns the number of orders when this session last read the list, or
 *		IMPILO_UNKNOWN.
 *
 * For the planner: opens no connection and raises no error.
 */
int64
impilo_connection_last_total(Oid userid, Oid serverid)
{
	Oid			umid = find_mapping(userid, serverid);
	ConnCacheEntry *entry = cache && OidIsValid(umid)
	? hash_search(cache, &umid, HASH_FIND, NULL) : NULL;

	return entry ? entry->connection->api->last_total
		: IMPILO_UNKNOWN;
}

/*
 * impilo_has_key
 *		Returns whether a user of a server has a mapping with a key.
 */
bool
impilo_has_key(Oid userid, Oid serverid)
{
	HeapTuple	tuple = SearchSysCache1(USERMAPPINGOID,
										ObjectIdGetDatum(find_mapping(userid, serverid)));
	Datum		options;
	bool		isnull = true;
	bool		found = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	options = SysCacheGetAttr(USERMAPPINGOID, tuple,
							  Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
	{
		List	   *given = untransformRelOptions(options);

		found = impilo_given_option(given, "api_key") ||
			impilo_given_option(given, "api_key_file");
	}
	ReleaseSysCache(tuple);
	return found;
}

/*
 * impilo_private_connection
 *		Returns a connection that is not in the cache and does not retry.
 *
 * It lives as long as `context`.  Raises the errors of impilo_connection.
 */
ImpiloApi *
impilo_private_connection(Oid userid, Oid serverid, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ForeignServer *server;
	UserMapping *mapping;
	ImpiloConnection *connection;

	(void) read_account(userid, serverid, &server, &mapping);
	connection = open_connection(server, mapping, get_key(mapping, server),
								 true);
	MemoryContextSwitchTo(caller);
	return connection->api;
}

/*
 * impilo_connections
 *		Returns copies of the cached connections (ImpiloConnection), for
 *		information only, in no order.
 */
List *
impilo_connections(void)
{
	HASH_SEQ_STATUS scan;
	ConnCacheEntry *entry;
	List	   *list = NIL;

	if (cache == NULL)
		return NIL;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		ImpiloConnection *copy = palloc(sizeof(ImpiloConnection));

		*copy = *entry->connection;
		copy->server_name = pstrdup(copy->server_name);
		list = lappend(list, copy);
	}
	return list;
}

/*
 * impilo_connection_close
 *		Closes the connections to a server, or all if `serverid` is
 *		InvalidOid, and returns whether there was one to close.
 *
 * A pinned connection stays open, with a WARNING.
 */
bool
impilo_connection_close(Oid serverid)
{
	HASH_SEQ_STATUS scan;
	ConnCacheEntry *entry;
	List	   *in_use = NIL;
	bool		closed = false;
	ListCell   *cell;

	if (cache == NULL)
		return false;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		ImpiloConnection *connection = entry->connection;

		if (OidIsValid(serverid) && connection->serverid != serverid)
			continue;
		if (connection->pins > 0)
			in_use = lappend(in_use, pstrdup(connection->server_name));
		else
		{
			close_connection(connection);
			closed = true;
		}
	}

	/* ereport may throw, which would leave the hash table's scan open */
	foreach(cell, in_use)
		ereport(WARNING,
				(errmsg("cannot close connection for server \"%s\" because it is still in use",
						(char *) lfirst(cell))));
	return closed;
}

/*
 * impilo_server_by_name
 *		Returns the server with this name.
 *
 * Raises an error if it does not exist, if it belongs to another wrapper,
 * whose keys must not be used here, or if the current user has no USAGE
 * privilege on it.
 */
ForeignServer *
impilo_server_by_name(const char *name)
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
