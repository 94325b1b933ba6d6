/*-------------------------------------------------------------------------
 *
 * log.c
 *		The log of requests.
 *
 * Requests are logged in the order in which they were read.  The log has a
 * limited number of entries and bytes, the counters have no limit.  A request
 * is in flight from when it was read until its response begins, so the number
 * never exceeds that of the requests for which a client waits.  The log does
 * not contain keys, only a short hash that distinguishes them.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define LOG_MAX_ENTRIES 100000
#define LOG_MAX_BYTES ((size_t) 256 * 1024 * 1024)

enum LoggedHeader
{
	LOGGED_USER_AGENT, LOGGED_CONTENT_TYPE, LOGGED_ACCEPT,
	LOGGED_ACCEPT_ENCODING, LOGGED_IDEMPOTENCY_KEY, LOGGED_AUTHORIZATION,
	LOGGED_HOST, NLOGGED
};

static const char *const logged_headers[NLOGGED] = {
	"User-Agent", "Content-Type", "Accept", "Accept-Encoding",
	"Idempotency-Key", "Authorization", "Host"
};

typedef struct Entry
{
	char	   *method;
	char	   *target;
	char	   *body;
	size_t		body_len;
	char	   *headers[NLOGGED];
	uint32_t	key_hash;		/* 0: no key was sent */
	unsigned int status;		/* 0: no response, or incomplete */
	int64_t		connection;
	int64_t		start_ms;		/* since the log was last reset */
	int64_t		end_ms;
} Entry;

typedef struct Counts
{
	int64_t		requests;
	int64_t		connections;
	int64_t		in_flight;
	int64_t		most_in_flight;
	int64_t		pages;
	int64_t		singles;
	int64_t		posts;
	int64_t		posts_in_flight;
	int64_t		most_posts_in_flight;
	int64_t		created;
} Counts;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Entry *entries;
static int64_t nentries;
static int64_t first_slot;		/* slot of entries[0], increases with each
								 * reset */
static size_t bytes;
static int64_t started_ms;
static Counts counts;

static uint32_t
hash_key(const char *key)
{
	uint32_t	h = 2166136261u;

	while (*key)
		h = (h ^ (unsigned char) *key++) * 16777619u;
	return h ? h : 1;
}

static void
fill_entry(Entry *e, const Request *request)
{
	const char *value;
	int			i;

	memset(e, 0, sizeof(*e));
	e->method = xstrdup(request->method);
	e->target = xstrdup(request->target);
	e->body_len = request->body.len;
	e->body = xmalloc(e->body_len);
	if (e->body_len > 0)
		memcpy(e->body, request->body.data, e->body_len);
	for (i = 0; i < NLOGGED; i++)
	{
		value = MHD_lookup_connection_value(request->connection,
											MHD_HEADER_KIND,
											logged_headers[i]);
		e->headers[i] = value ? xstrdup(value) : NULL;
	}
	value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
										"Impilo-API-Key");
	e->key_hash = value ? hash_key(value) : 0;
	e->connection = request->connection_number;
	e->start_ms = now_mono_ms() - started_ms;
}

static bool
is_post(const Request *request)
{
	return strcmp(request->method, "POST") == 0;
}

static void
count_request(const Request *request)
{
	counts.requests++;
	if (++counts.in_flight > counts.most_in_flight)
		counts.most_in_flight = counts.in_flight;
	if (is_post(request))
	{
		counts.posts++;
		if (++counts.posts_in_flight > counts.most_posts_in_flight)
			counts.most_posts_in_flight = counts.posts_in_flight;
	}
	else if (strncmp(request->path, "/api/v3/order/", 14) == 0)
		counts.singles++;
	else
		counts.pages++;
}

/* records a request that was read completely; returns its slot, or -1 */
int64_t
log_begin(Request *request)
{
	int64_t		slot = -1;

	pthread_mutex_lock(&mutex);
	count_request(request);
	request->in_flight = true;
	if (nentries < LOG_MAX_ENTRIES && bytes < LOG_MAX_BYTES)
	{
		if (entries == NULL)
			entries = xmalloc(LOG_MAX_ENTRIES * sizeof(Entry));
		fill_entry(&entries[nentries], request);
		bytes += request->body.len + 500;
		slot = first_slot + nentries++;
	}
	pthread_mutex_unlock(&mutex);
	return slot;
}

/* records that a request is answered, or given up with status 0 */
void
log_end(Request *request, unsigned int status)
{
	int64_t		i;

	if (!request->in_flight)
		return;
	request->in_flight = false;
	pthread_mutex_lock(&mutex);
	counts.in_flight--;
	if (is_post(request))
		counts.posts_in_flight--;
	i = request->log_slot - first_slot;
	if (request->log_slot >= 0 && i >= 0 && i < nentries)
	{
		entries[i].status = status;
		entries[i].end_ms = now_mono_ms() - started_ms;
	}
	pthread_mutex_unlock(&mutex);
}

/* counts a connection used for the API */
void
log_connection(void)
{
	pthread_mutex_lock(&mutex);
	counts.connections++;
	pthread_mutex_unlock(&mutex);
}

/* counts an order that a POST created */
void
log_created(void)
{
	pthread_mutex_lock(&mutex);
	counts.created++;
	pthread_mutex_unlock(&mutex);
}

int64_t
log_in_flight(void)
{
	int64_t		n;

	pthread_mutex_lock(&mutex);
	n = counts.in_flight;
	pthread_mutex_unlock(&mutex);
	return n;
}

/* empties the log; requests in flight remain counted */
void
log_reset(void)
{
	int64_t		in_flight;
	int64_t		posts;
	int64_t		i;
	int			j;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < nentries; i++)
	{
		free(entries[i].method);
		free(entries[i].target);
		free(entries[i].body);
		for (j = 0; j < NLOGGED; j++)
			free(entries[i].headers[j]);
	}
	first_slot += nentries;
	nentries = 0;
	bytes = 0;
	started_ms = now_mono_ms();
	in_flight = counts.in_flight;
	posts = counts.posts_in_flight;
	memset(&counts, 0, sizeof(counts));
	counts.in_flight = counts.most_in_flight = in_flight;
	counts.posts_in_flight = counts.most_posts_in_flight = posts;
	pthread_mutex_unlock(&mutex);
}

static void
show_counts(Buf *b)
{
	buf_fmt(b, "{\"requests\":%" PRId64 ",\"connections\":%" PRId64
			",\"in_flight\":%" PRId64 ",\"most_in_flight\":%" PRId64
			",\"pages\":%" PRId64 ",\"singles\":%" PRId64
			",\"posts\":%" PRId64 ",\"most_posts_in_flight\":%" PRId64
			",\"created\":%" PRId64 "}",
			counts.requests, counts.connections, counts.in_flight,
			counts.most_in_flight, counts.pages, counts.singles,
			counts.posts, counts.most_posts_in_flight, counts.created);
}

/* appends the counters as a JSON object and a newline */
void
log_show_counts(Buf *b)
{
	pthread_mutex_lock(&mutex);
	show_counts(b);
	pthread_mutex_unlock(&mutex);
	buf_char(b, '\n');
}

static void
show_string(Buf *b, const char *name, const char *s, size_t len)
{
	buf_fmt(b, "\"%s\":", name);
	if (s == NULL)
		BUF_LIT(b, "null");
	else
		buf_json_string(b, s, len);
	buf_char(b, ',');
}

static void
show_entry(Buf *b, const Entry *e)
{
	int			i;

	buf_char(b, '{');
	show_string(b, "method", e->method, strlen(e->method));
	show_string(b, "target", e->target, strlen(e->target));
	show_string(b, "body", e->body_len ? e->body : NULL, e->body_len);
	for (i = 0; i < NLOGGED; i++)
		show_string(b, logged_headers[i], e->headers[i],
					e->headers[i] ? strlen(e->headers[i]) : 0);
	buf_fmt(b, "\"key_present\":%s,\"key_hash\":\"%08x\",\"status\":%u,"
			"\"connection\":%" PRId64 ",\"start_ms\":%" PRId64
			",\"end_ms\":%" PRId64 "}",
			e->key_hash ? "true" : "false", e->key_hash, e->status,
			e->connection, e->start_ms, e->end_ms);
}

/* appends {"counts": ..., "requests": [...]} */
void
log_show_json(Buf *b)
{
	int64_t		i;

	pthread_mutex_lock(&mutex);
	BUF_LIT(b, "{\"counts\":");
	show_counts(b);
	BUF_LIT(b, ",\"requests\":[");
	for (i = 0; i < nentries; i++)
	{
		BUF_LIT(b, "\n");
		show_entry(b, &entries[i]);
		if (i + 1 < nentries)
			BUF_LIT(b, ",");
	}
	BUF_LIT(b, "]}\n");
	pthread_mutex_unlock(&mutex);
}

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *
text_line(const Entry *e)
{
	Buf			b = {0};
	size_t		i;

	buf_fmt(&b, "%s %s", e->method, e->target);
	if (e->body_len > 0)
		buf_char(&b, ' ');
	for (i = 0; i < e->body_len; i++)
	{
		unsigned char c = e->body[i];

		if (c < 0x20)
			buf_fmt(&b, "\\x%02x", c);
		else
			buf_char(&b, c);
	}
	buf_char(&b, '\0');
	return b.data;
}

/*
 * Appends a line a request: method, target, body.  Requests that were in
 * flight together have no fixed order, so the caller can sort them.
 */
void
log_show_text(Buf *b, bool sorted)
{
	char	  **lines;
	int64_t		n;
	int64_t		i;

	pthread_mutex_lock(&mutex);
	n = nentries;
	lines = xmalloc(n * sizeof(char *));
	for (i = 0; i < n; i++)
		lines[i] = text_line(&entries[i]);
	pthread_mutex_unlock(&mutex);
	if (sorted)
		qsort(lines, n, sizeof(char *), compare_lines);
	for (i = 0; i < n; i++)
	{
		buf_str(b, lines[i]);
		buf_char(b, '\n');
		free(lines[i]);
	}
	free(lines);
}
