/*-------------------------------------------------------------------------
 *
 * faults.c
 *		The rules that say which requests meet a fault.
 *
 * The first rule that matches a request and has not been used up is taken.
 * actions.c parses faults; deliver.c sends the faulty responses.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "faults.h"

#define LIST_PATH "/api/v3/order"

typedef struct Rule
{
	char	   *method;			/* NULL: any */
	char	   *path;			/* "order", "order/" and a star, a regular
								 * expression, or NULL: any */
	char	   *key;			/* NULL: any */
	bool		has_path_regex;
	bool		has_body_regex;
	regex_t		path_regex;		/* matches path and query as sent */
	regex_t		body_regex;
	int64_t		page;			/* -1: any */
	int64_t		skip;
	int64_t		times;			/* remaining; -1: unlimited */
	double		probability;
	int64_t		matched;
	int64_t		fired;
	FaultAction *action;
} Rule;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Rule *rules;
static int	nrules;
static uint64_t dice;

static void
free_rules(Rule *list, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		free(list[i].method);
		free(list[i].path);
		free(list[i].key);
		if (list[i].has_path_regex)
			regfree(&list[i].path_regex);
		if (list[i].has_body_regex)
			regfree(&list[i].body_regex);
		fault_release(list[i].action);
	}
	free(list);
}

/* no rules */
void
faults_clear(void)
{
	pthread_mutex_lock(&mutex);
	free_rules(rules, nrules);
	rules = NULL;
	nrules = 0;
	pthread_mutex_unlock(&mutex);
}

static bool
take_string(json_object *value, char **field)
{
	if (!json_object_is_type(value, json_type_string))
		return false;
	free(*field);
	*field = xstrdup(json_object_get_string(value));
	return true;
}

static bool
take_int(json_object *value, int64_t *field)
{
	*field = json_object_get_int64(value);
	return json_object_is_type(value, json_type_int);
}

static bool
take_regex(const char *text, regex_t *regex, bool *has)
{
	*has = regcomp(regex, text, REG_EXTENDED | REG_NOSUB) == 0;
	return *has;
}

static bool
take_path(json_object *value, Rule *rule)
{
	if (!take_string(value, &rule->path))
		return false;
	if (strcmp(rule->path, "order") == 0 || strcmp(rule->path, "order/*") == 0)
		return true;
	return take_regex(rule->path, &rule->path_regex, &rule->has_path_regex);
}

static bool
set_rule_member(Rule *rule, const char *name, json_object *value, Buf *error)
{
	if (strcmp(name, "method") == 0)
		return take_string(value, &rule->method);
	if (strcmp(name, "key") == 0)
		return take_string(value, &rule->key);
	if (strcmp(name, "path") == 0)
		return take_path(value, rule);
	if (strcmp(name, "body") == 0)
		return json_object_is_type(value, json_type_string) &&
			take_regex(json_object_get_string(value), &rule->body_regex,
					   &rule->has_body_regex);
	if (strcmp(name, "page") == 0)
		return take_int(value, &rule->page);
	if (strcmp(name, "skip") == 0)
		return take_int(value, &rule->skip);
	if (strcmp(name, "times") == 0)
		return take_int(value, &rule->times);
	if (strcmp(name, "probability") == 0)
	{
		rule->probability = json_object_get_double(value);
		return true;
	}
	if (strcmp(name, "do") == 0)
	{
		rule->action = action_parse(value, error);
		return rule->action != NULL;
	}
	return false;
}

static bool
parse_rule(json_object *spec, Rule *rule, Buf *error)
{
	memset(rule, 0, sizeof(*rule));
	rule->page = rule->times = -1;
	rule->probability = 1;
	if (!json_object_is_type(spec, json_type_object))
	{
		buf_str(error, "a fault rule must be an object");
		return false;
	}
	{
		json_object_object_foreach(spec, name, value)
		{
			if (set_rule_member(rule, name, value, error))
				continue;
			if (error->len == 0)
				buf_fmt(error, "unknown or bad member \"%s\" of a fault rule",
						name);
			return false;
		}
	}
	if (rule->action == NULL)
		buf_str(error, "a fault rule needs \"do\"");
	return rule->action != NULL;
}

/* replaces all rules; false, an error and the old rules if one is bad */
bool
faults_set(json_object *list, Buf *error)
{
	int			n = json_object_array_length(list);
	Rule	   *parsed = xmalloc(n * sizeof(Rule));
	int			i;

	for (i = 0; i < n; i++)
	{
		if (!parse_rule(json_object_array_get_idx(list, i), &parsed[i], error))
		{
			free_rules(parsed, i + 1);
			return false;
		}
	}
	faults_clear();
	pthread_mutex_lock(&mutex);
	rules = parsed;
	nrules = n;
	dice = 88172645463325252;
	pthread_mutex_unlock(&mutex);
	return true;
}

/* appends as a JSON array how often each rule matched and fired */
void
faults_show(Buf *b)
{
	int			i;

	pthread_mutex_lock(&mutex);
	buf_char(b, '[');
	for (i = 0; i < nrules; i++)
		buf_fmt(b, "%s{\"matched\":%" PRId64 ",\"fired\":%" PRId64 "}",
				i > 0 ? "," : "", rules[i].matched, rules[i].fired);
	BUF_LIT(b, "]\n");
	pthread_mutex_unlock(&mutex);
}

static bool
path_matches(const Rule *rule, const Request *request)
{
	if (rule->path == NULL)
		return true;
	if (rule->has_path_regex)
		return regexec(&rule->path_regex, request->target, 0, NULL, 0) == 0;
	if (strcmp(rule->path, "order") == 0)
		return strcmp(request->path, LIST_PATH) == 0;
	return strncmp(request->path, LIST_PATH "/", strlen(LIST_PATH) + 1) == 0;
}

static bool
page_matches(const Rule *rule, const Request *request)
{
	const char *page;

	if (rule->page < 0)
		return true;
	if (strcmp(request->path, LIST_PATH) != 0)
		return false;
	page = MHD_lookup_connection_value(request->connection,
									   MHD_GET_ARGUMENT_KIND, "page");
	return rule->page == (page != NULL ? strtoll(page, NULL, 10) :
						  config.page_base);
}

static bool
body_matches(const Rule *rule, Request *request)
{
	if (!rule->has_body_regex)
		return true;
	buf_char(&request->body, '\0');
	request->body.len--;
	return regexec(&rule->body_regex, request->body.data, 0, NULL, 0) == 0;
}

static bool
rule_matches(const Rule *rule, Request *request)
{
	const char *key;

	if (rule->method != NULL && strcmp(rule->method, request->method) != 0)
		return false;
	if (rule->key != NULL)
	{
		key = MHD_lookup_connection_value(request->connection,
										  MHD_HEADER_KIND, "Impilo-API-Key");
		if (key == NULL || strcmp(rule->key, key) != 0)
			return false;
	}
	return path_matches(rule, request) && page_matches(rule, request) &&
		body_matches(rule, request);
}

/* the same random numbers in each run */
static double
throw_dice(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (double) (dice >> 11) / ((uint64_t) 1 << 53);
}

static bool
rule_fires(Rule *rule)
{
	rule->matched++;
	if (rule->matched <= rule->skip || rule->times == 0 ||
		(rule->probability < 1 && throw_dice() >= rule->probability))
		return false;
	if (rule->times > 0)
		rule->times--;
	rule->fired++;
	return true;
}

/* returns the fault for this request, or NULL */
FaultAction *
fault_match(Request *request)
{
	FaultAction *action = NULL;
	int			i;

	if (__atomic_load_n(&nrules, __ATOMIC_RELAXED) == 0)
		return NULL;
	pthread_mutex_lock(&mutex);
	for (i = 0; i < nrules && action == NULL; i++)
	{
		if (rule_matches(&rules[i], request) && rule_fires(&rules[i]))
		{
			action = rules[i].action;
			__atomic_add_fetch(&action->references, 1, __ATOMIC_RELAXED);
		}
	}
	pthread_mutex_unlock(&mutex);
	return action;
}

/* releases an action, which may be NULL */
void
fault_release(FaultAction *action)
{
	if (action != NULL &&
		__atomic_sub_fetch(&action->references, 1, __ATOMIC_ACQ_REL) == 0)
		action_free(action);
}
