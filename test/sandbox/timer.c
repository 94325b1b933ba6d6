/*-------------------------------------------------------------------------
 *
 * timer.c
 *		Requests that sleep without a thread for each.
 *
 * A sleeping connection is suspended and is in a heap, ordered by the time it
 * is due.  One thread resumes the connections that are due.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "timer.h"

#define NEVER_US INT64_MAX

typedef struct Sleeper
{
	int64_t		due_us;
	struct MHD_Connection *connection;
} Sleeper;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static Sleeper *heap;
static size_t nsleepers;
static size_t room;

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
sift_up(size_t i)
{
	Sleeper		moving = heap[i];

	while (i > 0 && heap[(i - 1) / 2].due_us > moving.due_us)
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = moving;
}

static void
sift_down(size_t i)
{
	Sleeper		moving = heap[i];

	for (;;)
	{
		size_t		child = 2 * i + 1;

		if (child >= nsleepers)
			break;
		if (child + 1 < nsleepers &&
			heap[child + 1].due_us < heap[child].due_us)
			child++;
		if (heap[child].due_us >= moving.due_us)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moving;
}

static void
wait_until(int64_t due_us)
{
	struct timespec ts;

	if (due_us == NEVER_US)
	{
		pthread_cond_wait(&changed, &mutex);
		return;
	}
	ts.tv_sec = due_us / 1000000;
	ts.tv_nsec = due_us % 1000000 * 1000;
	pthread_cond_timedwait(&changed, &mutex, &ts);
}

static void *
timer_thread(void *arg)
{
	pthread_mutex_lock(&mutex);
	for (;;)
	{
		struct MHD_Connection *connection;

		if (nsleepers == 0 || heap[0].due_us > now_us())
		{
			wait_until(nsleepers > 0 ? heap[0].due_us : NEVER_US);
			continue;
		}
		connection = heap[0].connection;
		heap[0] = heap[--nsleepers];
		if (nsleepers > 0)
			sift_down(0);
		MHD_resume_connection(connection);
	}
	return NULL;
}

/* starts the thread; called once */
void
timer_start(void)
{
	pthread_t	thread;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	if (pthread_create(&thread, NULL, timer_thread, NULL) != 0)
		abort();
	pthread_detach(thread);
}

static void
add_sleeper(struct MHD_Connection *connection, int64_t due_us)
{
	pthread_mutex_lock(&mutex);
	MHD_suspend_connection(connection);
	if (nsleepers >= room)
	{
		room = room > 0 ? room * 2 : 64;
		heap = xrealloc(heap, room * sizeof(Sleeper));
	}
	heap[nsleepers].due_us = due_us;
	heap[nsleepers].connection = connection;
	sift_up(nsleepers++);
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

/*
 * Suspends a connection, from a callback that serves it; it is resumed
 * after so many milliseconds.
 */
void
timer_sleep(struct MHD_Connection *connection, int64_t ms)
{
	add_sleeper(connection, now_us() + ms * 1000);
}

/* suspends a connection until timer_release_hung */
void
timer_hang(struct MHD_Connection *connection)
{
	add_sleeper(connection, NEVER_US);
}

/* resumes all connections that hang */
void
timer_release_hung(void)
{
	size_t		i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < nsleepers; i++)
	{
		if (heap[i].due_us == NEVER_US)
		{
			heap[i].due_us = 0;
			sift_up(i);
		}
	}
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}
