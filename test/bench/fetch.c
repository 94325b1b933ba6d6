/*
 * fetch.c
 *		The minimum that a client of the API has to do, with libcurl.
 *
 * Responses are received into memory and passed to a callback.  Errors end the
 * program.
 */
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fetch.h"

/* the same receive buffer as the extension */
#define RECEIVE_SIZE (256 * 1024L)

typedef struct Slot
{
	CURL	   *easy;
	long		number;
	Answer		answer;
	char		body[BODY_SIZE];
} Slot;

static CURLM *multi;
static struct curl_slist *headers;
static Slot *slots;

void
die(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* Parse an integer of the command line */
long
number_of(const char *argument)
{
	char	   *end;
	long		number = strtol(argument, &end, 10);

	if (end == argument || *end != '\0')
		die("\"%s\" is not a number", argument);
	return number;
}

double
milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static size_t
receive(char *data, size_t one, size_t length, void *arg)
{
	Answer	   *answer = arg;

	(void) one;
	if (answer->length + length + 1 > answer->size)
	{
		answer->size = (answer->length + length + 1) * 2;
		answer->data = realloc(answer->data, answer->size);
		if (answer->data == NULL)
			die("out of memory");
	}
	memcpy(answer->data + answer->length, data, length);
	answer->length += length;
	answer->data[answer->length] = '\0';
	return length;
}

/* Create handles; the first requests open connections */
void
fetch_begin(Work *work)
{
	char		header[256];

	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	snprintf(header, sizeof(header), "Impilo-API-Key: %s", work->key);
	headers = curl_slist_append(NULL, header);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	slots = calloc(work->in_flight, sizeof(Slot));
	for (int i = 0; i < work->in_flight; i++)
	{
		CURL	   *easy = slots[i].easy = curl_easy_init();

		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, &slots[i].answer);
		curl_easy_setopt(easy, CURLOPT_PRIVATE, &slots[i]);
	}
}

void
fetch_end(void)
{
	curl_multi_cleanup(multi);
}

static void
start(Work *work, Slot *slot, long number)
{
	char		path[PATH_SIZE];
	char		url[PATH_SIZE * 2];

	slot->number = number;
	slot->answer.length = 0;
	slot->body[0] = '\0';
	work->ask(work, number, path, slot->body);
	snprintf(url, sizeof(url), "%s%s", work->base_url, path);
	curl_easy_setopt(slot->easy, CURLOPT_URL, url);
	if (slot->body[0] == '\0')
		curl_easy_setopt(slot->easy, CURLOPT_HTTPGET, 1L);
	else
		curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->body);
	curl_multi_add_handle(multi, slot->easy);
}

/* Process the response of a request that has ended */
static Slot *
finish(Work *work, CURLMsg *message)
{
	CURL	   *easy = message->easy_handle;
	CURLcode	result = message->data.result;
	Slot	   *slot;
	long		status;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(multi, easy);
	if (result != CURLE_OK)
		die("request %ld: %s", slot->number, curl_easy_strerror(result));
	if (status < 200 || status > 299)
		die("request %ld: status %ld", slot->number, status);
	if (work->take)
		work->take(work, slot->number, &slot->answer);
	return slot;
}

/* Send the requests from `first` on, work->in_flight at a time */
void
fetch(Work *work, long first, long count)
{
	long		next = first;
	long		end = first + count;
	long		open = 0;

	for (int i = 0; i < work->in_flight && next < end; i++, open++)
		start(work, &slots[i], next++);
	while (open > 0)
	{
		CURLMsg    *message;
		int			running;
		int			left;

		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)) != NULL)
		{
			Slot	   *slot;

			if (message->msg != CURLMSG_DONE)
				continue;
			slot = finish(work, message);
			open--;
			if (next < end)
			{
				start(work, slot, next++);
				open++;
			}
		}
		if (open > 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
}

/* --- the list ------------------------------------------------------------- */

typedef struct List
{
	int			page_size;
	long		total;
	void		(*take) (Work *work, long number, Answer *answer);
} List;

static List list;

static void
ask_page(Work *work, long number, char *path, char *body)
{
	(void) work;
	(void) body;
	snprintf(path, PATH_SIZE, "/order?page=%ld&size=%d", number, list.page_size);
}

static void
take_page(Work *work, long number, Answer *answer)
{
	if (number == 1)
	{
		/* the last member of the envelope, or the first: not one of an order */
		const char *total = strstr(answer->data, "\"total\"");

		list.total = total ? strtol(total + 8, NULL, 10) : 0;
	}
	if (list.take)
		list.take(work, number, answer);
}

/* Read the list; its first page has the number of orders */
void
list_pages(Work *work, int page_size)
{
	list.page_size = page_size;
	list.take = work->take;
	work->ask = ask_page;
	work->take = take_page;
	fetch(work, 1, 1);
	if (list.total > page_size)
		fetch(work, 2, (list.total - 1) / page_size);
}
