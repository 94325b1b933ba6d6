/*-------------------------------------------------------------------------
 *
 * config.c
 *		The settings of the sandbox: one table.
 *
 * A setting is a row here, a field in config.h and a line in README.md.
 * The code that reads a setting implements it.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <string.h>

#include "config.h"

enum SettingType
{
	SETTING_INT, SETTING_BOOL, SETTING_ENUM, SETTING_JSON
};

typedef struct Setting
{
	const char *name;
	enum SettingType type;
	size_t		offset;
	int64_t		preset;
	const char *choices;		/* of an enum, with | between, in its order */
} Setting;

#define AT(field) offsetof(Config, field)

Config		config;

static const Setting settings[] = {
	{"latency_ms", SETTING_INT, AT(latency_ms), 0},
	{"jitter_ms", SETTING_INT, AT(jitter_ms), 0},
	{"keep_alive", SETTING_BOOL, AT(keep_alive), 1},
	{"max_in_flight", SETTING_INT, AT(max_in_flight), 0},
	{"gzip", SETTING_BOOL, AT(gzip), 0},
	{"date", SETTING_BOOL, AT(date), 1},
	{"date_offset_s", SETTING_INT, AT(date_offset_s), 0},
	{"page_base", SETTING_INT, AT(page_base), 1},
	{"default_size", SETTING_INT, AT(default_size), 15},
	{"max_size", SETTING_INT, AT(max_size), 250},
	{"size_policy", SETTING_ENUM, AT(size_ignored), 0, "clamp|ignore"},
	{"past_end", SETTING_ENUM, AT(past_end), PAST_END_EMPTY,
	"empty|last_page|not_found|bad_request"},
	{"order", SETTING_ENUM, AT(newest_first), 0, "oldest|newest"},
	{"ignore_page", SETTING_BOOL, AT(ignore_page), 0},
	{"max_content", SETTING_INT, AT(max_content), -1},
	{"total_offset", SETTING_INT, AT(total_offset), 0},
	{"total", SETTING_JSON, AT(total)},
	{"first", SETTING_ENUM, AT(first), LIE_HONEST,
	"honest|always_true|always_false"},
	{"last", SETTING_ENUM, AT(last), LIE_HONEST,
	"honest|always_true|always_false"},
	{"omit", SETTING_JSON, AT(omit)},
	{"null", SETTING_JSON, AT(null)},
	{"envelope", SETTING_JSON, AT(envelope)},
	{"space", SETTING_JSON, AT(space)},
	{"insert_every_n_pages", SETTING_INT, AT(insert_every_n_pages), 0},
	{"insert_at", SETTING_ENUM, AT(insert_at_front), 0, "back|front"},
	{"insert_times", SETTING_INT, AT(insert_times), -1},
	{"insert_orders", SETTING_INT, AT(insert_orders), 1},
	{"move", SETTING_INT, AT(move), 0},
	{"move_times", SETTING_INT, AT(move_times), -1},
	{"vanish", SETTING_INT, AT(vanish), 0},
	{"vanish_after", SETTING_INT, AT(vanish_after), 1},
	{"shrink_size_after", SETTING_INT, AT(shrink_size_after), 0},
	{"shrink_size_to", SETTING_INT, AT(shrink_size_to), 10},
	{"patients", SETTING_INT, AT(patients), 100000},
	{"create_events", SETTING_BOOL, AT(create_events), 1},
	{"appear_after_ms", SETTING_INT, AT(appear_after_ms), 0},
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

static int64_t *
int_field(const Setting *s)
{
	return (int64_t *) ((char *) &config + s->offset);
}

static json_object **
json_field(const Setting *s)
{
	return (json_object **) ((char *) &config + s->offset);
}

static void
preset(const Setting *s)
{
	if (s->type == SETTING_JSON)
	{
		json_object_put(*json_field(s));
		*json_field(s) = NULL;
	}
	else
		*int_field(s) = s->preset;
}

/* restores all settings */
void
config_reset(void)
{
	size_t		i;

	for (i = 0; i < NSETTINGS; i++)
		preset(&settings[i]);
}

/* returns the index of a word among the choices, or -1 */
static int
choice_index(const char *choices, const char *word)
{
	size_t		len = strlen(word);
	int			i = 0;

	for (;;)
	{
		size_t		have = strcspn(choices, "|");

		if (have == len && memcmp(choices, word, len) == 0)
			return i;
		if (choices[have] == '\0')
			return -1;
		choices += have + 1;
		i++;
	}
}

static bool
set_one(const Setting *s, json_object *value)
{
	int			choice;

	if (value == NULL)
	{
		preset(s);
		return true;
	}
	switch (s->type)
	{
		case SETTING_INT:
			if (!json_object_is_type(value, json_type_int))
				return false;
			*int_field(s) = json_object_get_int64(value);
			return true;
		case SETTING_BOOL:
			if (!json_object_is_type(value, json_type_boolean))
				return false;
			*int_field(s) = json_object_get_boolean(value);
			return true;
		case SETTING_ENUM:
			if (!json_object_is_type(value, json_type_string))
				return false;
			choice = choice_index(s->choices, json_object_get_string(value));
			if (choice < 0)
				return false;
			*int_field(s) = choice;
			return true;
		case SETTING_JSON:
			preset(s);
			*json_field(s) = json_object_get(value);
			return true;
	}
	return false;
}

/* null restores a setting; returns false and an error for the first bad one */
bool
config_merge(json_object *changes, Buf *error)
{
	json_object_object_foreach(changes, name, value)
	{
		size_t		i;

		for (i = 0; i < NSETTINGS; i++)
		{
			if (strcmp(settings[i].name, name) == 0)
				break;
		}
		if (i == NSETTINGS)
		{
			buf_fmt(error, "no setting \"%s\"", name);
			return false;
		}
		if (!set_one(&settings[i], value))
		{
			buf_fmt(error, "bad value for setting \"%s\"", name);
			return false;
		}
	}
	return true;
}

/*
 * Appends a setting's JSON.  json-c stores the text in the object, so readers
 * of one object must not do this at the same time.
 */
void
config_json_text(json_object *value, Buf *b)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&mutex);
	buf_str(b, json_object_to_json_string_ext(value,
											  JSON_C_TO_STRING_PLAIN |
											  JSON_C_TO_STRING_NOSLASHESCAPE));
	pthread_mutex_unlock(&mutex);
}

static void
show_one(const Setting *s, Buf *b)
{
	const char *choice = s->choices;
	int64_t		i;

	switch (s->type)
	{
		case SETTING_INT:
			buf_int(b, *int_field(s));
			break;
		case SETTING_BOOL:
			buf_str(b, *int_field(s) ? "true" : "false");
			break;
		case SETTING_ENUM:
			for (i = 0; i < *int_field(s); i++)
				choice += strcspn(choice, "|") + 1;
			buf_json_string(b, choice, strcspn(choice, "|"));
			break;
		case SETTING_JSON:
			config_json_text(*json_field(s), b);
			break;
	}
}

/* appends all settings as one JSON object */
void
config_show(Buf *b)
{
	size_t		i;

	for (i = 0; i < NSETTINGS; i++)
	{
		buf_char(b, i > 0 ? ',' : '{');
		buf_json_string(b, settings[i].name, strlen(settings[i].name));
		buf_char(b, ':');
		show_one(&settings[i], b);
	}
	BUF_LIT(b, "}\n");
}

/* returns whether a list of names, as of "omit", contains one */
bool
config_names(json_object *list, const char *name)
{
	size_t		i;

	if (!json_object_is_type(list, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(list); i++)
	{
		const char *have;

		have = json_object_get_string(json_object_array_get_idx(list, i));
		if (have != NULL && strcmp(have, name) == 0)
			return true;
	}
	return false;
}
