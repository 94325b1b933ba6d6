/*-------------------------------------------------------------------------
 *
 * options.c
 *	  The options of servers, user mappings, foreign tables and columns.
 *
 * One table defines where each option is allowed, its type, limits and
 * default.  The same code reads a value when it is set, to reject it, and
 * when it is used; defaults are read by it too.
 *
 * Whether column names are known is decided in table.c, because a validator
 * is not given them.
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
#include "catalog/pg_collation.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/options.h"
#include "catalog/schema.h"
#include "compat.h"
#include "json/scan.h"

#define PRODUCTION_URL "https://app.impiloplatform.com/api/v3"

/* more connections to one host do not help and look like an attack */
#define MAX_CONCURRENCY 64

/* Where an option is allowed */
#define ON_SERVER	0x01
#define ON_TABLE	0x02
#define ON_COLUMN	0x04
#define ON_MAPPING	0x08

typedef enum ValueType
{
	VALUE_URL,					/* base_url */
	VALUE_PROXY,				/* proxy */
	VALUE_FILE,					/* a file on the database server */
	VALUE_KEY,					/* api_key: never in a message */
	VALUE_BOOLEAN,
	VALUE_ESTIMATE,				/* a Boolean value or "auto" */
	VALUE_INTEGER,
	VALUE_REAL,
	VALUE_DURATION,				/* ms; a number without a unit is seconds */
	VALUE_SIZE,					/* bytes */
	VALUE_CHOICE,				/* one of `choices` */
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
	const char *initial;		/* default, or NULL */
	double		min,
				max;			/* of numbers, in the unit of the field */
	const char *const *choices; /* in the order of the enum */
} Option;

#define NOWHERE ((size_t) -1)
#define SERVER(field) offsetof(ImpiloServerOptions, field), NOWHERE
#define TABLE(field) NOWHERE, offsetof(ImpiloTableOptions, field)
#define ELSEWHERE NOWHERE, NOWHERE

static const char *const post_at_words[] = {"statement", "commit", "never", NULL};
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

	/*
	 * a body is parsed without a look at interrupts: the limit bounds that
	 * time
	 */
	{"max_response_size", ON_SERVER, VALUE_SIZE, SERVER(max_response_size),
	"64MB", 64 * 1024, 256 * 1024 * 1024},
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
	{"unique_external_ids", ON_SERVER, VALUE_BOOLEAN,
	SERVER(unique_external_ids), "false"},
	{"analyze_patient_data", ON_SERVER, VALUE_BOOLEAN,
	SERVER(analyze_patient_data), "false"},

	{"fetch_size", ON_SERVER | ON_TABLE, VALUE_INTEGER, TABLE(fetch_size),
	"250", 1, INT_MAX},
	{"max_concurrency", ON_SERVER | ON_TABLE, VALUE_INTEGER,
	TABLE(max_concurrency), "8", 1, MAX_CONCURRENCY},
	{"batch_size", ON_SERVER | ON_TABLE, VALUE_INTEGER, TABLE(batch_size),
	"100", 1, 10000},
	{"use_remote_estimate", ON_SERVER | ON_TABLE, VALUE_ESTIMATE,
	TABLE(use_remote_estimate), "auto"},
	{"updatable", ON_SERVER | ON_TABLE, VALUE_BOOLEAN, TABLE(updatable),
	"true"},
	{"post_at", ON_SERVER | ON_TABLE, VALUE_CHOICE, TABLE(post_at),
	"statement", 0, 0, post_at_words},

	{"relation", ON_TABLE, VALUE_RELATION, ELSEWHERE},
	{"json_pointer", ON_COLUMN, VALUE_POINTER, ELSEWHERE},
	{"on_invalid", ON_COLUMN, VALUE_CHOICE, ELSEWHERE,
	NULL, 0, 0, on_invalid_words},
	{"api_key", ON_MAPPING, VALUE_KEY, ELSEWHERE},
	{"api_key_file", ON_MAPPING, VALUE_FILE, ELSEWHERE},
};

PG_FUNCTION_INFO_V1(impilo_fdw_validator_1_0);


/*
 * Rejects a value, with what it should be as the hint.  An address that may
 * contain credentials is not shown.
 */
pg_noreturn static void
reject_value(const Option *option, const char *value, const char *expected)
{
	bool		hidden = (option->type == VALUE_URL || option->type == VALUE_PROXY) &&
	strpbrk(value, "@?#") != NULL;

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 hidden ? errmsg("invalid value for option \"%s\"", option->name)
			 : errmsg("invalid value for option \"%s\": \"%s\"",
					  option->name, value),
			 errhint("%s", expected)));
}

static double
read_number(const Option *option, const char *value, int unit,
			double factor, const char *expected)
{
	double		number;
	const char *hint = NULL;

	if (!parse_real(value, &number, unit, &hint))
		reject_value(option, value, hint ? hint : expected);
	number *= factor;
	if (isnan(number) || number < option->min || number > option->max)
		reject_value(option, value,
					 psprintf("The value must be between %g%s and %g%s.",
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

	/* parse_int() rounds, which only makes sense for sizes */
	if ((unit == 0 && strpbrk(value, ".eE")) ||
		!parse_int(value, &number, unit, &hint))
		reject_value(option, value, hint ? hint : expected);
	if (number < option->min || number > option->max)
		reject_value(option, value,
					 psprintf("The value must be between %.0f and %.0f%s.",
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
		appendStringInfo(&words, "%s\"%s\"",
						 i == 0 ? "" : option->choices[i + 1] ? ", " : " and ",
						 option->choices[i]);
	reject_value(option, value, psprintf("Valid values are %s.", words.data));
}

/*
 * Regular expressions that an address must match, in this order, with the
 * hint if it does not.
 */
typedef struct AddressRule
{
	const char *pattern;
	const char *hint;
} AddressRule;

#define NO_CREDENTIALS \
	{"^(?!([a-z0-9]+://)?[^/?#]*@)", \
	"Server options are visible to all users, so do not include a user name or password."}

/* what could lead anywhere but to a path below this one is rejected */
static const AddressRule url_rules[] = {
	NO_CREDENTIALS,
	{"^https?://", "The URL must begin with https://."},
	{"^[!#-;=?-Z\\[\\]_a-z~]*$",
	"Percent-encode all characters except letters, digits, and -._~:/[]%+."},
	{"^https?://[^:/?#]", "A host name must follow the scheme."},
	{"^[^?#]*$", "The URL must not contain a query (?) or fragment (#)."},
	{"^https?://[^/]+(/(?!(\\.|%2e){0,2}(/|$))[^/]*)*/?$",
	"The path must not contain empty, \".\" or \"..\" segments."},
	/* http.c checks the address that the name resolves to */
	{"^(https://|http://(localhost|127\\.[^/:]+|\\[::1\\])(:|/|$))",
	"Use https. Plain http is only allowed for loopback addresses such as http://127.0.0.1:8080."},
	{NULL}
};

static const AddressRule proxy_rules[] = {
	NO_CREDENTIALS,
	{"^(https?|socks5h?)://",
	"The URL must begin with http://, https://, socks5:// or socks5h://."},
	{"^[!-~]*$", "The URL must not contain spaces or control characters."},
	{NULL}
};

/*
 * Returns an address without slashes at its end.
 */
static char *
read_address(const Option *option, const char *value, const AddressRule *rules)
{
	char	   *address = pstrdup(value);
	int			length = strlen(address);

	for (; rules->pattern; rules++)
		if (!RE_compile_and_execute(cstring_to_text(rules->pattern), address,
									length, REG_ADVANCED | REG_ICASE,
									C_COLLATION_OID, 0, NULL))
			reject_value(option, value, rules->hint);
	while (length > 0 && address[length - 1] == '/')
		address[--length] = '\0';
	return address;
}

/*
 * Returns a key, which becomes part of a header line.
 */
static char *
read_key(const Option *option, const char *value)
{
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must not be empty", option->name)));
	for (const char *c = value; *c; c++)
		if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("option \"%s\" contains an invalid character",
							option->name),
					 errhint("A key consists of visible ASCII characters. Check for spaces and line ends that were copied with it.")));
	return pstrdup(value);
}

static void
check_pointer(const Option *option, const char *value)
{
	ImpiloJsonNode nodes[1 + IMPILO_JSON_MAX_DEPTH];
	ImpiloJsonWanted wanted;
	ImpiloJsonError error;

	impilo_json_want_begin(&wanted, nodes, lengthof(nodes));
	if (impilo_json_want(&wanted, pstrdup(value), strlen(value), &error) < 0)
		reject_value(option, value,
					 psprintf("A JSON pointer (RFC 6901) has the form /patient/address/city: %s at character %d.",
							  error.what, (int) error.offset + 1));
}

static void
check_relation(const Option *option, const char *value)
{
	ClosestMatchState closest;
	const char *match;
	StringInfoData names;

	if (impilo_schema_relation(value))
		return;
	initClosestMatch(&closest, value, IMPILO_MAX_DISTANCE);
	initStringInfo(&names);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		updateClosestMatch(&closest, impilo_schema_relations[i].name);
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ",
						 impilo_schema_relations[i].name);
	}
	match = getClosestMatch(&closest);
	reject_value(option, value,
				 match ? psprintf("Perhaps you meant \"%s\".", match)
				 : psprintf("Available relations: %s.", names.data));
}

/*
 * Reads a value into its field, or only checks it if target is NULL.
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
			read.text = read_address(option, value, url_rules);
			break;
		case VALUE_PROXY:
			read.text = read_address(option, value, proxy_rules);
			break;
		case VALUE_FILE:
			if (!is_absolute_path(value))
				reject_value(option, value,
							 "The value must be the absolute path of a file on the database server.");
			read.text = pstrdup(value);
			break;
		case VALUE_KEY:
			read.text = read_key(option, value);
			break;
		case VALUE_BOOLEAN:
			size = sizeof(bool);
			if (!parse_bool(value, &read.boolean))
				reject_value(option, value, "Specify a Boolean value.");
			break;
		case VALUE_ESTIMATE:
			size = sizeof(ImpiloRemoteEstimate);
			if (pg_strcasecmp(value, "auto") == 0)
				read.integer = IMPILO_ESTIMATE_AUTO;
			else if (parse_bool(value, &read.boolean))
				read.integer = read.boolean ? IMPILO_ESTIMATE_ALWAYS : IMPILO_ESTIMATE_NEVER;
			else
				reject_value(option, value, "Specify a Boolean value or \"auto\".");
			break;
		case VALUE_INTEGER:
			size = sizeof(int);
			read.integer = read_integer(option, value, 0,
										"The value must be an integer.");
			break;
		case VALUE_REAL:
			size = sizeof(double);
			read.real = read_number(option, value, 0, 1,
									"The value must be a number.");
			break;
		case VALUE_DURATION:
			size = sizeof(int);
			read.integer = (int) rint(read_number(option, value, GUC_UNIT_S,
												  1000, "The value must be a time such as \"10s\" or \"500ms\"."));
			break;
		case VALUE_SIZE:
			size = sizeof(int);
			read.integer = read_integer(option, value, GUC_UNIT_BYTE,
										"The value must be a size such as \"64MB\".");
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
 * Raises the error for an unknown option.  The hint is the place where it is
 * allowed, the closest name, or all names.
 */
pg_noreturn static void
reject_name(const char *name, int place)
{
	ClosestMatchState closest;
	StringInfoData names;
	const char *match;
	char	   *hint = NULL;

	initClosestMatch(&closest, name, IMPILO_MAX_DISTANCE);
	initStringInfo(&names);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (strcmp(options[i].name, name) == 0)
			hint = psprintf("Option \"%s\" belongs in %s.", name,
							place_name(options[i].places));
		if (!(options[i].places & place))
			continue;
		updateClosestMatch(&closest, options[i].name);
		appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ",
						 options[i].name);
	}
	match = getClosestMatch(&closest);
	if (hint == NULL && match)
		hint = psprintf("Perhaps you meant the option \"%s\".", match);
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
 * impilo_fdw_validator(options, catalog)
 *		Checks the options of one object; raises an error for the first invalid
 *		one.
 *
 * A file is opened with the privileges of the database server, so naming one
 * requires the role pg_read_server_files.
 */
Datum
impilo_fdw_validator_1_0(PG_FUNCTION_ARGS)
{
	List	   *given = untransformRelOptions(PG_GETARG_DATUM(0));
	int			place = place_of_catalog(PG_GETARG_OID(1));
	bool		has_key = false;
	bool		has_key_file = false;
	int			fetch_size;
	ListCell   *cell;

	foreach(cell, given)
	{
		DefElem    *def = (DefElem *) lfirst(cell);
		const Option *option = find_option(def->defname, place);

		if (option == NULL)
			reject_name(def->defname, place);
		if (option->type == VALUE_FILE &&
			!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"",
							option->name),
					 errhint("Only roles with privileges of role \"pg_read_server_files\" can name a file on the database server.")));
		read_value(option, defGetString(def), NULL);
		if (strcmp(option->name, "fetch_size") == 0 &&
			parse_int(defGetString(def), &fetch_size, 0, NULL) &&
			fetch_size > IMPILO_MAX_PAGE_SIZE)
			ereport(NOTICE,
					(errmsg("option \"%s\" is limited to %d, because the API returns at most %d orders per page",
							option->name, IMPILO_MAX_PAGE_SIZE,
							IMPILO_MAX_PAGE_SIZE)));
		has_key |= strcmp(option->name, "api_key") == 0;
		has_key_file |= strcmp(option->name, "api_key_file") == 0;
	}
	if (has_key && has_key_file)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("options \"api_key\" and \"api_key_file\" are mutually exclusive")));
	PG_RETURN_VOID();
}

/*
 * impilo_given_option
 *		Returns the last value of an option in a list, or NULL.
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
 *		Reads the options of a server.  Strings are in CurrentMemoryContext.
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
 *		Reads the options of a foreign table: its own value, that of its
 *		server, or the default.
 */
void
impilo_table_options(const ForeignTable *table, const ForeignServer *server,
					 ImpiloTableOptions *result)
{
	memset(result, 0, sizeof(*result));
	for (int i = 0; i < lengthof(options); i++)
	{
		const Option *option = &options[i];
		const char *value;

		if (option->in_table == NOWHERE)
			continue;
		value = impilo_given_option(table->options, option->name);
		if (value == NULL)
			value = impilo_given_option(server->options, option->name);
		if (value == NULL)
			value = option->initial;
		read_value(option, value, (char *) result + option->in_table);
	}
	result->fetch_size = Min(result->fetch_size, IMPILO_MAX_PAGE_SIZE);
}
