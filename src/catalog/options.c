/*-------------------------------------------------------------------------
 *
 * options.c
 *	  Every option of servers, user mappings, tables and columns.
 *
 * One table says of each option where it may stand, what values it takes and
 * what it is if it is not given.  The same code reads a value when it is set
 * (to refuse it) and when it is used, and the default goes through it too, so
 * that the two can never disagree.
 *
 * What a value means to the rest of the extension is not decided here, nor
 * whether the names that a table's columns have are known: a validator is not
 * told them.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/options.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/closest.h"
#include "catalog/options.h"
#include "catalog/schema.h"
#include "compat.h"
#include "json/pointer.h"

#define PRODUCTION_URL "https://app.impiloplatform.com/api/v3"

/* the largest size of a page that anybody asks for; the API gives 250 */
#define MAX_FETCH_SIZE 10000

/* connections to one host; more than this is an attack, not a speed-up */
#define MAX_CONCURRENCY 64

/* Where an option may stand. */
#define ON_SERVER	0x01
#define ON_TABLE	0x02
#define ON_COLUMN	0x04
#define ON_MAPPING	0x08

typedef enum ValueType
{
	VALUE_URL,					/* base_url */
	VALUE_PROXY,				/* proxy */
	VALUE_FILE,					/* a file of the database server */
	VALUE_SECRET,				/* api_key: never shown in a message */
	VALUE_BOOLEAN,
	VALUE_INTEGER,
	VALUE_REAL,
	VALUE_DURATION,				/* ms; a number without a unit is seconds */
	VALUE_SIZE,					/* bytes */
	VALUE_CHOICE,				/* one of the words in `choices` */
	VALUE_POINTER,				/* RFC 6901 */
	VALUE_RELATION				/* a relation of the API */
} ValueType;

typedef struct Option
{
	const char *name;
	int			places;			/* ON_… */
	ValueType	type;
	size_t		in_server;		/* offset in ImpiloServerOptions, or NOWHERE */
	size_t		in_table;		/* offset in ImpiloTableOptions, or NOWHERE */
	const char *initial;		/* value if it is not given, or NULL */
	double		min,
				max;			/* of numbers, in the unit that is stored */
	const char *const *choices; /* in the order of the enum */
} Option;

#define NOWHERE ((size_t) -1)
#define SERVER(field) offsetof(ImpiloServerOptions, field), NOWHERE
#define TABLE(field) NOWHERE, offsetof(ImpiloTableOptions, field)
#define ELSEWHERE NOWHERE, NOWHERE

static const char *const post_at_words[] = {"statement", "commit", "never", NULL};
static const char *const repost_words[] = {"never", "after_lookup", NULL};
static const char *const external_ids_words[] = {"any", "unique", NULL};
static const char *const on_invalid_words[] = {"error", "null", NULL};

static const Option options[] = {
	{"base_url", ON_SERVER, VALUE_URL, SERVER(base_url), PRODUCTION_URL},
	{"ca_file", ON_SERVER, VALUE_FILE, SERVER(ca_file)},
	{"proxy", ON_SERVER, VALUE_PROXY, SERVER(proxy)},
	{"connect_timeout", ON_SERVER, VALUE_DURATION, SERVER(connect_timeout),
	"10s", 1, 3600 * 1000},
	{"request_timeout", ON_SERVER, VALUE_DURATION, SERVER(request_timeout),
	"60s", 1, 24 * 3600 * 1000},
	{"max_retries", ON_SERVER, VALUE_INTEGER, SERVER(max_retries),
	"5", 0, 100},
	{"requests_per_second", ON_SERVER, VALUE_REAL, SERVER(requests_per_second),
	"0", 0, 100000},
	{"max_response_size", ON_SERVER, VALUE_SIZE, SERVER(max_response_size),
	"64MB", 64 * 1024, INT_MAX},
	{"max_pages", ON_SERVER, VALUE_INTEGER, SERVER(max_pages),
	"100000", 1, INT_MAX},
	{"scan_timeout", ON_SERVER, VALUE_DURATION, SERVER(scan_timeout),
	"1h", 0, 7 * 24 * 3600 * 1000},
	{"keep_connections", ON_SERVER, VALUE_BOOLEAN, SERVER(keep_connections),
	"true"},
	{"fdw_startup_cost", ON_SERVER, VALUE_REAL, SERVER(fdw_startup_cost),
	"100", 0, 1e10},
	{"fdw_tuple_cost", ON_SERVER, VALUE_REAL, SERVER(fdw_tuple_cost),
	"0.2", 0, 1e10},
	{"reconcile_timeout", ON_SERVER, VALUE_DURATION, SERVER(reconcile_timeout),
	"30s", 0, 3600 * 1000},
	{"repost", ON_SERVER, VALUE_CHOICE, SERVER(repost),
	"never", 0, 0, repost_words},
	{"external_ids", ON_SERVER, VALUE_CHOICE, SERVER(external_ids),
	"any", 0, 0, external_ids_words},
	{"analyze_patient_data", ON_SERVER, VALUE_BOOLEAN,
	SERVER(analyze_patient_data), "false"},

	{"fetch_size", ON_SERVER | ON_TABLE, VALUE_INTEGER, TABLE(fetch_size),
	"250", 1, MAX_FETCH_SIZE},
	{"max_concurrency", ON_SERVER | ON_TABLE, VALUE_INTEGER,
	TABLE(max_concurrency), "8", 1, MAX_CONCURRENCY},
	{"batch_size", ON_SERVER | ON_TABLE, VALUE_INTEGER, TABLE(batch_size),
	"100", 1, 10000},
	{"use_remote_estimate", ON_SERVER | ON_TABLE, VALUE_BOOLEAN,
	TABLE(use_remote_estimate), "false"},
	{"updatable", ON_SERVER | ON_TABLE, VALUE_BOOLEAN, TABLE(updatable),
	"true"},
	{"post_at", ON_SERVER | ON_TABLE, VALUE_CHOICE, TABLE(post_at),
	"statement", 0, 0, post_at_words},

	{"relation", ON_TABLE, VALUE_RELATION, ELSEWHERE},
	{"json_pointer", ON_COLUMN, VALUE_POINTER, ELSEWHERE},
	{"on_invalid", ON_COLUMN, VALUE_CHOICE, ELSEWHERE,
	NULL, 0, 0, on_invalid_words},
	{"api_key", ON_MAPPING, VALUE_SECRET, ELSEWHERE},
	{"api_key_file", ON_MAPPING, VALUE_FILE, ELSEWHERE},
};

pg_noreturn static void refuse_value(const Option *option, const char *value,
									 const char *expected);

PG_FUNCTION_INFO_V1(impilo_fdw_validator_1_0);


/*
 * Refuse a value.  What it should have been is the hint.
 */
static void
refuse_value(const Option *option, const char *value, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"",
					option->name, value),
			 errhint("%s", expected)));
}

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------
 */

static double
read_number(const Option *option, const char *value, int unit,
			double factor, const char *expected)
{
	double		number;
	const char *hint = NULL;

	if (!parse_real(value, &number, unit, &hint))
		refuse_value(option, value, hint ? hint : expected);
	number *= factor;
	if (isnan(number) || number < option->min || number > option->max)
		refuse_value(option, value,
					 psprintf("It must be from %g%s to %g%s.",
							  option->min / factor, unit ? "s" : "",
							  option->max / factor, unit ? "s" : ""));
	return number;
}

static int
read_integer(const Option *option, const char *value, int unit,
			 const char *expected)
{
	int			number;
	const char *hint = NULL;

	/* parse_int() rounds, which is right for sizes alone */
	if ((unit == 0 && strpbrk(value, ".eE")) ||
		!parse_int(value, &number, unit, &hint))
		refuse_value(option, value, hint ? hint : expected);
	if (number < option->min || number > option->max)
		refuse_value(option, value,
					 psprintf("It must be from %.0f to %.0f%s.",
							  option->min, option->max,
							  unit == GUC_UNIT_BYTE ? " bytes" : ""));
	return number;
}

static int
read_choice(const Option *option, const char *value)
{
	StringInfoData words;

	for (int i = 0; option->choices[i]; i++)
		if (strcmp(option->choices[i], value) == 0)
			return i;

	initStringInfo(&words);
	for (int i = 0; option->choices[i]; i++)
		appendStringInfo(&words, "%s\"%s\"", i == 0 ? "" : ", ",
						 option->choices[i]);
	refuse_value(option, value, psprintf("It is one of %s.", words.data));
}

/*
 * Does a URL's authority name this machine?  A convenience for the user, who
 * learns it when he sets the option; what counts is the address that the name
 * resolves to, which the HTTP room checks.
 */
static bool
is_loopback(const char *host, size_t length)
{
	char	   *name = pnstrdup(host, length);
	char	   *port = strchr(name[0] == '[' ? name + strcspn(name, "]") : name, ':');

	if (port)
		*port = '\0';
	return pg_strcasecmp(name, "localhost") == 0 ||
		strncmp(name, "127.", 4) == 0 ||
		strcmp(name, "[::1]") == 0;
}

/*
 * How many dots a segment of a path consists of, percent-encoded ones too;
 * -1 if there is something else in it.
 */
static int
count_dots(const char *segment, size_t length)
{
	int			dots = 0;

	for (size_t at = 0; at < length; dots++)
	{
		if (segment[at] == '.')
			at += 1;
		else if (length - at >= 3 && pg_strncasecmp(segment + at, "%2e", 3) == 0)
			at += 3;
		else
			return -1;
	}
	return dots;
}

/*
 * Is a segment of this path ".", ".." or, but for a slash at the end, empty?
 */
static bool
has_odd_segment(const char *path)
{
	while (path[0] == '/' && path[1] != '\0')
	{
		const char *segment = path + 1;
		size_t		length = strcspn(segment, "/");
		int			dots = count_dots(segment, length);

		if (dots >= 0 && dots <= 2)
			return true;
		path = segment + length;
	}
	return false;
}

/*
 * An address is refused if anything in it could end up elsewhere than in the
 * path: user names, queries, fragments, control bytes, dots that climb.
 */
static char *
read_url(const Option *option, const char *value)
{
	bool		secure = pg_strncasecmp(value, "https://", 8) == 0;
	bool		plain = pg_strncasecmp(value, "http://", 7) == 0;
	const char *host = value + (secure ? 8 : 7);
	char	   *url;
	size_t		length;

	if (!secure && !plain)
		refuse_value(option, value, "It must begin with https://.");
	for (const char *c = value; *c; c++)
		if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f ||
			strchr("\"<>\\^`{|}", *c))
			refuse_value(option, value,
						 "Write other characters than letters, digits and -._~:/[]%+ percent-encoded, without spaces.");
	length = strcspn(host, "/?#");
	if (length == 0 || host[0] == ':')
		refuse_value(option, value, "A host name must follow the scheme.");
	if (memchr(host, '@', length))
		refuse_value(option, value,
					 "It must not hold a user name or password; the key belongs in option \"api_key\" of a user mapping.");
	if (strpbrk(host, "?#"))
		refuse_value(option, value,
					 "It must not hold a query (?) or fragment (#).");
	if (has_odd_segment(host + length))
		refuse_value(option, value,
					 "Its path must not hold empty, \".\" or \"..\" segments.");
	if (plain && !is_loopback(host, length))
		refuse_value(option, value,
					 "Use https: plain http is for addresses of this machine only, such as http://127.0.0.1:8080.");

	url = pstrdup(value);
	for (length = strlen(url); length > 0 && url[length - 1] == '/';)
		url[--length] = '\0';
	return url;
}

static char *
read_proxy(const Option *option, const char *value)
{
	if (pg_strncasecmp(value, "http://", 7) != 0 &&
		pg_strncasecmp(value, "https://", 8) != 0 &&
		pg_strncasecmp(value, "socks5://", 9) != 0 &&
		pg_strncasecmp(value, "socks5h://", 10) != 0)
		refuse_value(option, value,
					 "It must begin with http://, https://, socks5:// or socks5h://.");
	for (const char *c = value; *c; c++)
		if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f)
			refuse_value(option, value,
						 "It must not hold spaces or control characters.");
	if (strchr(value, '@'))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must not hold a user name or password",
						option->name),
				 errdetail("Everybody can read the options of a server.")));
	return pstrdup(value);
}

/*
 * A key goes into a header line: what would end the line is refused.  The
 * message does not show it.
 */
static char *
read_secret(const Option *option, const char *value)
{
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must not be empty", option->name)));
	for (const char *c = value; *c; c++)
		if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("option \"%s\" holds a character that no key can have",
							option->name),
					 errhint("A key consists of visible ASCII characters; check for spaces and line ends that were copied with it.")));
	return pstrdup(value);
}

/*
 * Files of the database server are opened with its own rights, so naming one
 * asks for the role that may read them.
 */
static char *
read_file_name(const Option *option, const char *value)
{
	if (!is_absolute_path(value))
		refuse_value(option, value,
					 "It must be the absolute path of a file on the database server.");
	return pstrdup(value);
}

static void
check_pointer(const Option *option, const char *value)
{
	size_t		length = strlen(value);
	ImpiloPointerStep *steps;
	ImpiloPointerError error;

	steps = palloc(sizeof(*steps) * (impilo_pointer_count(value, length) + 1));
	if (!impilo_pointer_parse(value, length, steps, palloc(length + 1), &error))
		refuse_value(option, value,
					 psprintf("A JSON pointer (RFC 6901) looks like /patient/address/city: %s at character %d.",
							  error.what, (int) error.offset + 1));
}

static void
check_relation(const Option *option, const char *value)
{
	ImpiloClosest closest;
	StringInfoData names;

	if (impilo_schema_relation(value))
		return;
	impilo_closest_begin(&closest, value);
	initStringInfo(&names);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		impilo_closest_offer(&closest, impilo_schema_relations[i].name);
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ",
						 impilo_schema_relations[i].name);
	}
	refuse_value(option, value,
				 impilo_closest(&closest)
				 ? psprintf("Perhaps you meant \"%s\".", impilo_closest(&closest))
				 : psprintf("The relations are %s.", names.data));
}

/*
 * Read one value into its field, or only check it if target is NULL.
 */
static void
read_value(const Option *option, const char *value, void *target)
{
	union
	{
		char	   *text;
		bool		boolean;
		int			integer;
		double		real;
	}			read;
	size_t		size = sizeof(char *);

	switch (option->type)
	{
		case VALUE_URL:
			read.text = read_url(option, value);
			break;
		case VALUE_PROXY:
			read.text = read_proxy(option, value);
			break;
		case VALUE_FILE:
			read.text = read_file_name(option, value);
			break;
		case VALUE_SECRET:
			read.text = read_secret(option, value);
			break;
		case VALUE_BOOLEAN:
			size = sizeof(bool);
			if (!parse_bool(value, &read.boolean))
				refuse_value(option, value, "It is \"true\" or \"false\".");
			break;
		case VALUE_INTEGER:
			size = sizeof(int);
			read.integer = read_integer(option, value, 0,
										"It must be a whole number.");
			break;
		case VALUE_REAL:
			size = sizeof(double);
			read.real = read_number(option, value, 0, 1,
									"It must be a number.");
			break;
		case VALUE_DURATION:
			size = sizeof(int);
			read.integer = (int) rint(read_number(option, value, GUC_UNIT_S,
												  1000, "It must be a time such as \"10s\" or \"500ms\"."));
			break;
		case VALUE_SIZE:
			size = sizeof(int);
			read.integer = read_integer(option, value, GUC_UNIT_BYTE,
										"It must be a size such as \"64MB\".");
			break;
		case VALUE_CHOICE:
			size = sizeof(int);
			read.integer = read_choice(option, value);
			break;
		case VALUE_POINTER:
			check_pointer(option, value);
			read.text = NULL;
			break;
		case VALUE_RELATION:
			check_relation(option, value);
			read.text = NULL;
			break;
	}
	if (target)
		memcpy(target, &read, size);
}

/* ------------------------------------------------------------------------
 * The validator
 * ------------------------------------------------------------------------
 */

static int
place_of_catalog(Oid catalog)
{
	switch (catalog)
	{
		case ForeignServerRelationId:
			return ON_SERVER;
		case ForeignTableRelationId:
			return ON_TABLE;
		case AttributeRelationId:
			return ON_COLUMN;
		case UserMappingRelationId:
			return ON_MAPPING;
		default:
			return 0;
	}
}

static const char *
place_name(int places)
{
	if (places & ON_MAPPING)
		return "a user mapping, where other users cannot read it";
	if ((places & ON_SERVER) && (places & ON_TABLE))
		return "a server or a foreign table";
	if (places & ON_SERVER)
		return "a server";
	if (places & ON_TABLE)
		return "a foreign table";
	return "a column of a foreign table";
}

/*
 * Say that there is no such option here, and what the user may have meant:
 * the place where it belongs, the nearest name, or all names.
 */
static void
refuse_name(const char *name, int place)
{
	ImpiloClosest closest;
	StringInfoData names;
	char	   *hint;

	impilo_closest_begin(&closest, name);
	initStringInfo(&names);
	hint = NULL;
	for (int i = 0; i < lengthof(options); i++)
	{
		if (strcmp(options[i].name, name) == 0)
			hint = psprintf("Option \"%s\" belongs in %s.", name,
							place_name(options[i].places));
		if (!(options[i].places & place))
			continue;
		impilo_closest_offer(&closest, options[i].name);
		appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ",
						 options[i].name);
	}
	if (hint == NULL && impilo_closest(&closest))
		hint = psprintf("Perhaps you meant the option \"%s\".",
						impilo_closest(&closest));
	if (hint == NULL && names.len > 0)
		hint = psprintf("Valid options in this context are: %s.", names.data);

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 errhint("%s", hint ? hint
					 : "There are no valid options in this context.")));
}

static const Option *
find_option(const char *name, int place)
{
	for (int i = 0; i < lengthof(options); i++)
		if ((options[i].places & place) && strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/*
 * impilo_fdw_validator
 *		Check the options of one object; raises an error for the first wrong
 *		one.
 */
Datum
impilo_fdw_validator_1_0(PG_FUNCTION_ARGS)
{
	List	   *given = untransformRelOptions(PG_GETARG_DATUM(0));
	int			place = place_of_catalog(PG_GETARG_OID(1));
	bool		has_key = false;
	bool		has_key_file = false;
	ListCell   *cell;

	foreach(cell, given)
	{
		DefElem    *def = (DefElem *) lfirst(cell);
		const Option *option = find_option(def->defname, place);

		if (option == NULL)
			refuse_name(def->defname, place);
		if (option->type == VALUE_FILE &&
			!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"",
							option->name),
					 errhint("Only roles with privileges of role \"pg_read_server_files\" may name a file on the database server.")));
		read_value(option, defGetString(def), NULL);
		has_key |= strcmp(option->name, "api_key") == 0;
		has_key_file |= strcmp(option->name, "api_key_file") == 0;
	}
	if (has_key && has_key_file)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("options \"api_key\" and \"api_key_file\" exclude each other")));
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------------------
 * Options in use
 * ------------------------------------------------------------------------
 */

/*
 * impilo_given_option
 *		The last value of an option of an object, or NULL.  Points into it.
 */
const char *
impilo_given_option(List *given, const char *name)
{
	const char *value = NULL;
	ListCell   *cell;

	foreach(cell, given)
	{
		DefElem    *def = (DefElem *) lfirst(cell);

		if (strcmp(def->defname, name) == 0)
			value = defGetString(def);
	}
	return value;
}

/*
 * impilo_server_options
 *		The options of a server, defaults filled in.
 *
 * Strings are allocated in CurrentMemoryContext.
 */
void
impilo_server_options(const ForeignServer *server,
					  ImpiloServerOptions *result)
{
	memset(result, 0, sizeof(*result));
	for (int i = 0; i < lengthof(options); i++)
	{
		const Option *option = &options[i];
		const char *value = impilo_given_option(server->options, option->name);

		if (option->in_server == NOWHERE)
			continue;
		if (value == NULL)
			value = option->initial;
		if (value != NULL)
			read_value(option, value, (char *) result + option->in_server);
	}
}

/*
 * impilo_table_options
 *		The options of a foreign table: its own, else its server's, else the
 *		defaults.
 *
 * `table` may be NULL for what belongs to no table, such as a check of a
 * server.
 */
void
impilo_table_options(const ForeignTable *table, const ForeignServer *server,
					 ImpiloTableOptions *result)
{
	memset(result, 0, sizeof(*result));
	for (int i = 0; i < lengthof(options); i++)
	{
		const Option *option = &options[i];
		const char *value = NULL;

		if (option->in_table == NOWHERE)
			continue;
		if (table)
			value = impilo_given_option(table->options, option->name);
		if (value == NULL)
			value = impilo_given_option(server->options, option->name);
		if (value == NULL)
			value = option->initial;
		read_value(option, value, (char *) result + option->in_table);
	}
}
