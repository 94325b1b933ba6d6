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
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

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
#define ON_EITHER	(ON_SERVER | ON_TABLE)

/*
 * A regular expression that an address must match, with the hint if it does
 * not.
 */
typedef struct AddressRule
{
	const char *pattern;
	const char *hint;
} AddressRule;

typedef struct Option Option;

struct Option
{
	const char *name;
	size_t		field;			/* offset in ImpiloTableOptions; 0: none */
	int			places;			/* ON_… */
	/* reads a value into its field, or raises an error */
	void		(*read) (const Option *option, const char *value, void *field);
	const char *default_value;	/* or NULL */
	double		min,
				max;			/* of numbers, in the unit of the field */
	const char *const *choices; /* in the order of the enum */
	const AddressRule *rules;	/* in the order in which they are checked */
};

PG_FUNCTION_INFO_V1(impilo_fdw_validator_1_0);


int			impilo_post_at = IMPILO_POST_AT_STATEMENT;


/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------
 */

/*
 * Rejects a value, with what it should be as the hint.
 */
pg_noreturn static void
reject_value(const Option *option, const char *value, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"",
					option->name, value),
			 errhint("%s", expected)));
}

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
 * Raises an error if an address breaks a rule.  One that may contain
 * credentials is not shown.
 */
static void
check_address(const Option *option, const char *value)
{
	for (const AddressRule *rule = option->rules; rule->pattern; rule++)
		if (!RE_compile_and_execute(cstring_to_text(rule->pattern),
									unconstify(char *, value), strlen(value),
									REG_ADVANCED | REG_ICASE,
									C_COLLATION_OID, 0, NULL))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 strpbrk(value, "@?#")
					 ? errmsg("invalid value for option \"%s\"", option->name)
					 : errmsg("invalid value for option \"%s\": \"%s\"",
							  option->name, value),
					 errhint("%s", rule->hint)));
}

/*
 * Reads an address, without slashes at its end.  The rules were checked when
 * the option was set: it takes a millisecond to compile them.
 */
static void
read_address(const Option *option, const char *value, void *field)
{
	char	   *address = pstrdup(value);
	int			length = strlen(address);

	while (length > 0 && address[length - 1] == '/')
		address[--length] = '\0';
	*(char **) field = address;
}

static void
read_file(const Option *option, const char *value, void *field)
{
	if (!is_absolute_path(value))
		reject_value(option, value,
					 "The value must be the absolute path of a file on the database server.");
	*(char **) field = pstrdup(value);
}

/*
 * A key becomes part of a header line.  It is not shown.
 */
static void
check_key(const Option *option, const char *value, void *field)
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
}

static void
read_boolean(const Option *option, const char *value, void *field)
{
	if (!parse_bool(value, field))
		reject_value(option, value, "Specify a Boolean value.");
}

static void
read_estimate(const Option *option, const char *value, void *field)
{
	bool		boolean;

	if (pg_strcasecmp(value, "auto") == 0)
		*(ImpiloRemoteEstimate *) field = IMPILO_ESTIMATE_AUTO;
	else if (parse_bool(value, &boolean))
		*(ImpiloRemoteEstimate *) field =
			boolean ? IMPILO_ESTIMATE_ALWAYS : IMPILO_ESTIMATE_NEVER;
	else
		reject_value(option, value, "Specify a Boolean value or \"auto\".");
}

/*
 * Returns a number in the unit of its field, which is 1 / `scale` of `unit`.
 * `expected` is the hint for text that cannot be a number, and `range` the
 * format of the hint for a number outside the limits.
 */
static double
read_number(const Option *option, const char *value, int unit, double scale,
			const char *expected, const char *range)
{
	double		number;
	const char *hint = NULL;

	if (!parse_real(value, &number, unit, &hint))
		reject_value(option, value, hint ? hint : expected);
	number *= scale;
	if (number < option->min || number > option->max)
		reject_value(option, value, psprintf(range, option->min / scale,
											 option->max / scale));
	return number;
}

static void
read_integer(const Option *option, const char *value, void *field)
{
	const char *expected = "The value must be an integer.";

	if (strpbrk(value, ".eE"))
		reject_value(option, value, expected);
	*(int *) field = (int) read_number(option, value, 0, 1, expected,
									   "The value must be between %.0f and %.0f.");
}

static void
read_real(const Option *option, const char *value, void *field)
{
	*(double *) field = read_number(option, value, 0, 1,
									"The value must be a number.",
									"The value must be between %g and %g.");
}

/* in ms; a number without a unit is seconds */
static void
read_duration(const Option *option, const char *value, void *field)
{
	*(int *) field = (int) rint(read_number(option, value, GUC_UNIT_S, 1000,
											"The value must be a time such as \"10s\" or \"500ms\".",
											"The value must be between %gs and %gs."));
}

/* in bytes */
static void
read_size(const Option *option, const char *value, void *field)
{
	*(int *) field = (int) rint(read_number(option, value, GUC_UNIT_BYTE, 1,
											"The value must be a size such as \"64MB\".",
											"The value must be between %.0f and %.0f bytes."));
}

static void
read_choice(const Option *option, const char *value, void *field)
{
	StringInfoData names;
	int			i = 0;

	initStringInfo(&names);
	for (; option->choices[i] && strcmp(option->choices[i], value) != 0; i++)
		appendStringInfo(&names, "%s\"%s\"",
						 i == 0 ? "" : option->choices[i + 1] ? ", " : " and ",
						 option->choices[i]);
	if (option->choices[i] == NULL)
		reject_value(option, value, psprintf("Valid values are %s.", names.data));
	*(int *) field = i;
}

static void
check_pointer(const Option *option, const char *value, void *field)
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

/*
 * impilo_closest_relation
 *		Returns the name of the relation that a misspelt one is closest to, or
 *		NULL.  Appends the names of all to `names`, unless it is NULL.
 */
const char *
impilo_closest_relation(const char *name, StringInfo names)
{
	ClosestMatchState closest;

	initClosestMatch(&closest, name, IMPILO_MAX_DISTANCE);
	for (int i = 0; i < impilo_schema_nrelations; i++)
	{
		updateClosestMatch(&closest, impilo_schema_relations[i].name);
		if (names)
			appendStringInfo(names, "%s%s", i == 0 ? "" : ", ",
							 impilo_schema_relations[i].name);
	}
	return getClosestMatch(&closest);
}

static void
check_relation(const Option *option, const char *value, void *field)
{
	StringInfoData names;
	const char *match;

	if (impilo_schema_relation(value))
		return;
	initStringInfo(&names);
	match = impilo_closest_relation(value, &names);
	reject_value(option, value,
				 match ? psprintf("Perhaps you meant \"%s\".", match)
				 : psprintf("Available relations: %s.", names.data));
}

/* ------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------
 */

/* an option with a field of its name */
#define OPTION(name, ...) \
	{#name, offsetof(ImpiloTableOptions, name), __VA_ARGS__}

static const char *const post_at_values[] = {"statement", "commit", "never", NULL};
static const char *const on_invalid_values[] = {"error", "null", NULL};

static const Option options[] = {
	OPTION(base_url, ON_SERVER, read_address, PRODUCTION_URL,.rules = url_rules),
	OPTION(ca_file, ON_SERVER, read_file),
	OPTION(proxy, ON_SERVER, read_address,.rules = proxy_rules),
	OPTION(connect_timeout, ON_SERVER, read_duration, "10s", 1, 3600 * 1000),
	OPTION(request_timeout, ON_SERVER, read_duration, "60s", 1, 24 * 3600 * 1000),
	OPTION(max_retries, ON_SERVER, read_integer, "5", 0, 100),
	OPTION(requests_per_second, ON_SERVER, read_real, "0", 0, 100000),
	/* parsing a body is not interrupted, so the maximum bounds that time */
	OPTION(max_response_size, ON_SERVER, read_size, "64MB", 64 * 1024, 256 * 1024 * 1024),
	OPTION(max_pages, ON_SERVER, read_integer, "100000", 1, INT_MAX),
	OPTION(scan_timeout, ON_SERVER, read_duration, "1h", 0, 7 * 24 * 3600 * 1000),
	OPTION(keep_connections, ON_SERVER, read_boolean, "true"),
	OPTION(fdw_startup_cost, ON_SERVER, read_real, "100", 0, 1e10),
	OPTION(fdw_tuple_cost, ON_SERVER, read_real, "0.2", 0, 1e10),
	OPTION(reconcile_timeout, ON_SERVER, read_duration, "30s", 0, 3600 * 1000),
	OPTION(unique_external_ids, ON_SERVER, read_boolean, "false"),
	OPTION(analyze_patient_data, ON_SERVER, read_boolean, "false"),

	OPTION(fetch_size, ON_EITHER, read_integer, "250", 1, INT_MAX),
	OPTION(max_concurrency, ON_EITHER, read_integer, "8", 1, MAX_CONCURRENCY),
	OPTION(batch_size, ON_EITHER, read_integer, "100", 1, 10000),
	OPTION(use_remote_estimate, ON_EITHER, read_estimate, "auto"),
	OPTION(updatable, ON_EITHER, read_boolean, "true"),
	OPTION(post_at, ON_EITHER, read_choice, "statement",.choices = post_at_values),

	{"relation", 0, ON_TABLE, check_relation},
	{"json_pointer", 0, ON_COLUMN, check_pointer},
	{"on_invalid", 0, ON_COLUMN, read_choice,.choices = on_invalid_values},
	{"api_key", 0, ON_MAPPING, check_key},
	{"api_key_file", 0, ON_MAPPING, read_file}
};

static const char *const place_names[] = {
	[ON_SERVER] = "a server",
	[ON_TABLE] = "a foreign table",
	[ON_EITHER] = "a server or a foreign table",
	[ON_COLUMN] = "a column of a foreign table",
	[ON_MAPPING] = "a user mapping, where other users cannot read it"
};

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
							place_names[options[i].places]);
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
	Oid			catalog = PG_GETARG_OID(1);
	int			place = catalog == ForeignServerRelationId ? ON_SERVER
	: catalog == ForeignTableRelationId ? ON_TABLE
	: catalog == AttributeRelationId ? ON_COLUMN
	: catalog == UserMappingRelationId ? ON_MAPPING : 0;
	bool		has_key = false;
	bool		has_key_file = false;
	ListCell   *cell;

	foreach(cell, given)
	{
		DefElem    *def = (DefElem *) lfirst(cell);
		const Option *option = find_option(def->defname, place);
		ImpiloTableOptions result;	/* discarded */

		if (option == NULL)
			reject_name(def->defname, place);
		if (option->read == read_file &&
			!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"",
							option->name),
					 errhint("Only roles with privileges of role \"pg_read_server_files\" can name a file on the database server.")));
		if (option->rules)
			check_address(option, defGetString(def));
		option->read(option, defGetString(def), (char *) &result + option->field);
		if (strcmp(option->name, "fetch_size") == 0 &&
			result.fetch_size > IMPILO_MAX_PAGE_SIZE)
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
 * Reads the options of a server and a table: the table's own value, if it is
 * an option of tables, else that of the server, else the default.
 */
static void
read_options(List *server, List *table, ImpiloTableOptions *result)
{
	memset(result, 0, sizeof(*result));
	for (int i = 0; i < lengthof(options); i++)
	{
		const char *value = impilo_given_option(table, options[i].name);

		if (value == NULL)
			value = impilo_given_option(server, options[i].name);
		if (value == NULL)
			value = options[i].default_value;
		if (value && options[i].field != 0)
			options[i].read(&options[i], value, (char *) result + options[i].field);
	}
	result->fetch_size = Min(result->fetch_size, IMPILO_MAX_PAGE_SIZE);
	/* the setting overrides the option towards safety only */
	result->post_at = Max(result->post_at, (ImpiloPostAt) impilo_post_at);
}

/*
 * impilo_server_options
 *		Reads the options of a server.  Strings are in CurrentMemoryContext.
 */
void
impilo_server_options(const ForeignServer *server, ImpiloTableOptions *result)
{
	read_options(server->options, NIL, result);
	result->serverid = server->serverid;
}

/*
 * impilo_table_options
 *		Reads the options of a foreign table, and of its server.
 */
void
impilo_table_options(Oid relid, ImpiloTableOptions *result)
{
	ForeignTable *table = GetForeignTable(relid);

	read_options(GetForeignServer(table->serverid)->options, table->options,
				 result);
	result->serverid = table->serverid;
}
