/*
 * fetch.h
 *		Many HTTP requests, several in flight together: the minimum for any
 *		client of the API.
 */
#ifndef BENCH_FETCH_H
#define BENCH_FETCH_H

#include <stdbool.h>
#include <stddef.h>

/* The body of a response, NUL-terminated; reused by the next one */
typedef struct Answer
{
	char	   *data;
	size_t		length;
	size_t		size;			/* allocated */
} Answer;

typedef struct Work
{
	const char *base_url;		/* as option base_url of a server */
	const char *key;
	int			in_flight;

	/* Write the path and body (may stay empty: GET) of request `number` */
	void		(*ask) (struct Work *work, long number, char *path, char *body);
	/* Process its response, a 2xx; NULL: do nothing */
	void		(*take) (struct Work *work, long number, Answer *answer);
	void	   *data;			/* for these two */
} Work;

#define PATH_SIZE 256
#define BODY_SIZE 1024

extern void fetch_begin(Work *work);
extern void fetch(Work *work, long first, long count);
extern void fetch_end(void);
extern void list_pages(Work *work, int page_size);
extern double milliseconds(void);
extern long number_of(const char *argument);
extern void die(const char *format,...) __attribute__((noreturn, format(printf, 1, 2)));

#endif							/* BENCH_FETCH_H */
