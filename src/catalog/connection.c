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

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/connection.h"

/* a key file is longer than this only by mistake */
#define MAX_KEY_FILE 8192

/* how often server and mapping are read until they belong together */
#define MAX_TRIES 10

/*
 * A use of a connection.  It ends when the memory context that contains it is
 * reset or deleted.
 */
typedef struct Pin
{
	dlist_node	node;			/* in pins */
	MemoryContextCallback callback;
	MemoryContext holder;
	Oid			userid;			/* who asked; InvalidOid: an additional pin */
	ImpiloConnection *connection;
} Pin;

dlist_head	impilo_connections = DLIST_STATIC_INIT(impilo_connections);
dlist_head	impilo_server_stats = DLIST_STATIC_INIT(impilo_server_stats);

static dlist_head pins = DLIST_STATIC_INIT(pins);

/* number of invalidation messages so far */
static uint64 changes = 0;


/*
 * Takes a connection out of the list, where it may be no longer.
 */
static void
unlist(ImpiloConnection *connection)
{
	dlist_delete(&connection->node);
	connection->node.prev = connection->node.next = &connection->node;
}

/*
 * Closes a connection as soon as it is not pinned.  Does not throw.
 */
static void
invalidate(ImpiloConnection *connection)
{
	connection->invalidated = true;
	if (connection->pins > 0)
		return;
	unlist(connection);
	MemoryContextDelete(connection->context);
}

/*
 * Syscache callback: invalidates the connections made from the changed row.
 * Hash value 0 stands for all rows.
 */
static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	dlist_mutable_iter iter;

	changes++;
	dlist_foreach_modify(iter, &impilo_connections)
	{
		ImpiloConnection *connection = dlist_container(ImpiloConnection, node,
													   iter.cur);

		if (hashvalue == 0 ||
			hashvalue == (cacheid == FOREIGNSERVEROID ? connection->server_hash
						  : connection->mapping_hash))
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

	dlist_delete(&pin->node);
	pin->connection->pins--;
	if (pin->connection->invalidated)
		invalidate(pin->connection);
}

/*
 * impilo_connection_pin
 *		Keeps a connection open until `holder` is reset or deleted.
 *
 * Until then impilo_connection() returns it for the same user and holder.  A
 * pin in addition to that of a statement has InvalidOid as its user.
 *
 * One pin is enough for all statements that keep orders until the end of a
 * transaction: every new statement goes through the pins.
 */
void
impilo_connection_pin(ImpiloConnection *connection, Oid userid,
					  MemoryContext holder)
{
	Pin		   *pin;
	dlist_iter	iter;

	dlist_foreach(iter, &pins)
	{
		pin = dlist_container(Pin, node, iter.cur);
		if (pin->holder == holder && pin->userid == userid &&
			pin->connection == connection)
			return;
	}
	pin = MemoryContextAllocZero(holder, sizeof(Pin));
	pin->holder = holder;
	pin->userid = userid;
	pin->connection = connection;
	pin->callback.func = unpin;
	pin->callback.arg = pin;
	dlist_push_head(&pins, &pin->node);
	connection->pins++;
	MemoryContextRegisterResetCallback(holder, &pin->callback);
}

/*
 * Returns the user mapping of a user, with userid InvalidOid if it is that of
 * PUBLIC; NULL if there is none.
 */
static UserMapping *
find_mapping(Oid userid, Oid serverid)
{
	UserMapping *mapping;
	bool		own = SearchSysCacheExists2(USERMAPPINGUSERSERVER,
											ObjectIdGetDatum(userid),
											ObjectIdGetDatum(serverid));

	if (!own && !SearchSysCacheExists2(USERMAPPINGUSERSERVER,
									   ObjectIdGetDatum(InvalidOid),
									   ObjectIdGetDatum(serverid)))
		return NULL;
	mapping = GetUserMapping(userid, serverid);
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

static ImpiloServerStats *
stats_of(Oid serverid)
{
	ImpiloServerStats *stats;
	dlist_iter	iter;

	dlist_foreach(iter, &impilo_server_stats)
	{
		stats = dlist_container(ImpiloServerStats, node, iter.cur);
		if (stats->serverid == serverid)
			return stats;
	}
	stats = MemoryContextAllocZero(CacheMemoryContext, sizeof(*stats));
	stats->serverid = serverid;
	dlist_push_tail(&impilo_server_stats, &stats->node);
	return stats;
}

/*
 * Opens the API for a connection, whose other fields are set.
 */
static ImpiloApi *
open_api(const ImpiloConnection *connection, const UserMapping *mapping,
		 const char *key, bool private)
{
	const ImpiloTableOptions *options = &connection->options;
	ImpiloApiConfig config = {
		.server_name = connection->server_name,
		.base_url = options->base_url,
		.api_key = key,
		.max_pages = options->max_pages,
		.scan_timeout = options->scan_timeout,
		.key_in_file = impilo_given_option(mapping->options, "api_key") == NULL,
		.key_owner = mapping->userid,
		.http.ca_file = options->ca_file,
		.http.proxy = options->proxy,
		.http.connect_timeout = options->connect_timeout,
		.http.request_timeout = options->request_timeout,
		.http.max_retries = private ? 0 : options->max_retries,
		.http.requests_per_second = private ? 0 : options->requests_per_second,
		.http.max_response_size = options->max_response_size,
		.http.keep_connections = options->keep_connections,
		.http.totals = &connection->stats->http
	};

	/* libcurl opens it for each connection, but without these checks */
	if (options->ca_file)
		CloseTransientFile(open_file("ca_file", options->ca_file));
	return impilo_api_open(connection->context, &config);
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
	const char *name = pstrdup(server->servername);

	impilo_server_options(server, &connection->options);
	connection->context = context;
	connection->umid = mapping->umid;
	connection->mapping_user = mapping->userid;
	connection->serverid = server->serverid;
	connection->server_name = name;
	connection->stats = stats_of(server->serverid);
	connection->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID,
							  ObjectIdGetDatum(server->serverid));
	connection->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(mapping->umid));
	connection->api = open_api(connection, mapping, key, private);
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
 * to an old address.  Raises an error if the user has no mapping.
 *
 * Looking up one of them may process the message that the other has changed,
 * hence the loop.  With debug_discard_caches it would not end.
 */
static uint64
read_account(Oid userid, Oid serverid,
			 ForeignServer **server, UserMapping **mapping)
{
	static bool registered = false;
	uint64		before;
	int			tries = 0;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalog_changed, 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, catalog_changed, 0);
		registered = true;
	}

	/* a transaction that already has its locks does not look for changes */
	AcceptInvalidationMessages();
	do
	{
		before = changes;
		*server = GetForeignServer(serverid);
		*mapping = find_mapping(userid, serverid);
	} while (changes != before && ++tries < MAX_TRIES);

	if (*mapping == NULL)
	{
		const char *user = GetUserNameFromId(userid, false);

		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("user mapping not found for user \"%s\" and server \"%s\"",
						user, (*server)->servername),
				 errhint("Set the API key with CREATE USER MAPPING FOR %s SERVER %s OPTIONS (api_key '...').",
						 quote_identifier(user),
						 quote_identifier((*server)->servername))));
	}
	return before;
}

/*
 * Returns the listed connection of a user mapping, or NULL.
 */
static ImpiloConnection *
find_connection(Oid umid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &impilo_connections)
	{
		ImpiloConnection *connection = dlist_container(ImpiloConnection, node,
													   iter.cur);

		if (connection->umid == umid)
			return connection;
	}
	return NULL;
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
	uint64		before;
	dlist_iter	iter;

	dlist_foreach(iter, &pins)
	{
		Pin		   *pin = dlist_container(Pin, node, iter.cur);

		if (pin->holder == run && pin->userid == userid &&
			pin->connection->serverid == serverid)
			return pin->connection;
	}

	before = read_account(userid, serverid, &server, &mapping);
	key = get_key(mapping, server);
	connection = find_connection(mapping->umid);
	if (connection == NULL || connection->invalidated ||
		strcmp(connection->api->config.api_key, key) != 0)
	{
		ImpiloConnection *old;

		/* an error releases it; it is listed once it is complete */
		connection = open_connection(server, mapping, key, false);
		/* it was not in the list for changes in the meantime */
		connection->invalidated = changes != before;
		old = find_connection(mapping->umid);
		if (old)
		{
			unlist(old);
			invalidate(old);
		}
		MemoryContextSetParent(connection->context, CacheMemoryContext);
		dlist_push_tail(&impilo_connections, &connection->node);
	}
	impilo_connection_pin(connection, userid, run);
	return connection;
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
	UserMapping *mapping = find_mapping(userid, serverid);
	ImpiloConnection *connection = mapping ? find_connection(mapping->umid) : NULL;

	return connection ? connection->api->last_total : IMPILO_UNKNOWN;
}

/*
 * impilo_has_key
 *		Returns whether a user of a server has a mapping with a key.
 */
bool
impilo_has_key(Oid userid, Oid serverid)
{
	UserMapping *mapping = find_mapping(userid, serverid);

	return mapping && (impilo_given_option(mapping->options, "api_key") ||
					   impilo_given_option(mapping->options, "api_key_file"));
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
 * impilo_connection_close
 *		Closes the connections to a server, or all if `serverid` is
 *		InvalidOid, and returns whether there was one to close.
 *
 * A pinned connection stays open, with a WARNING.
 */
bool
impilo_connection_close(Oid serverid)
{
	List	   *in_use = NIL;
	bool		closed = false;
	dlist_mutable_iter iter;
	ListCell   *cell;

	dlist_foreach_modify(iter, &impilo_connections)
	{
		ImpiloConnection *connection = dlist_container(ImpiloConnection, node,
													   iter.cur);

		if (OidIsValid(serverid) && connection->serverid != serverid)
			continue;
		if (connection->pins > 0)
			in_use = lappend(in_use, pstrdup(connection->server_name));
		else
		{
			invalidate(connection);
			closed = true;
		}
	}

	/* ereport may process a change, which would disturb the loop above */
	foreach(cell, in_use)
		ereport(WARNING,
				(errmsg("cannot close connection for server \"%s\" because it is still in use",
						(char *) lfirst(cell))));
	return closed;
}
