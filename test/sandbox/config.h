/*-------------------------------------------------------------------------
 *
 * config.h
 *		How the sandbox behaves, settable while it runs.
 *
 * README.md describes each setting.  Guarded by the lock of store.h;
 * numbers are also read without it, where either value is acceptable.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_CONFIG_H
#define SANDBOX_CONFIG_H

#include <json-c/json.h>

#include "buf.h"

enum Lie
{
	LIE_HONEST, LIE_ALWAYS_TRUE, LIE_ALWAYS_FALSE
};

enum PastEnd
{
	PAST_END_EMPTY, PAST_END_LAST_PAGE, PAST_END_NOT_FOUND,
	PAST_END_BAD_REQUEST
};

typedef struct Config
{
	/* time and connections */
	int64_t		latency_ms;
	int64_t		jitter_ms;
	int64_t		keep_alive;
	int64_t		max_in_flight;
	int64_t		gzip;
	int64_t		date;
	int64_t		date_offset_s;

	/* the page envelope */
	int64_t		page_base;
	int64_t		default_size;
	int64_t		max_size;
	int64_t		size_ignored;
	int64_t		past_end;
	int64_t		newest_first;
	int64_t		ignore_page;
	int64_t		max_content;
	int64_t		total_offset;
	int64_t		first;
	int64_t		last;
	json_object *total;
	json_object *omit;
	json_object *null;
	json_object *envelope;
	json_object *space;

	/* orders that shift while a client pages */
	int64_t		insert_every_n_pages;
	int64_t		insert_at_front;
	int64_t		insert_times;
	int64_t		insert_orders;
	int64_t		move;
	int64_t		move_times;
	int64_t		vanish;
	int64_t		vanish_after;
	int64_t		shrink_size_after;
	int64_t		shrink_size_to;

	/* creation */
	int64_t		patients;
	int64_t		create_events;
	int64_t		appear_after_ms;
} Config;

extern Config config;

extern void config_reset(void);
extern bool config_merge(json_object *changes, Buf *error);
extern void config_show(Buf *b);
extern bool config_names(json_object *list, const char *name);
extern void config_json_text(json_object *value, Buf *b);

#endif							/* SANDBOX_CONFIG_H */
