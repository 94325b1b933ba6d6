/*-------------------------------------------------------------------------
 *
 * retry.h
 *	  When to send a request, and when to send it again.
 *
 * Pure C: decisions only.  The caller has the clock, the random numbers and
 * the outcome of the attempt.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/retry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_RETRY_H
#define IMPILO_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- dates and Retry-After ------------------------------------------- */

/* what impilo_retry_after says if there is no usable header */
#define IMPILO_RETRY_AFTER_NONE (-1)

/*
 * The longest Retry-After told, in seconds: a day.  No statement waits that
 * long; the limit only keeps sums of it far from overflow.
 */
#define IMPILO_RETRY_AFTER_MAX 86400

/*
 * impilo_http_date
 *		Read an HTTP-date (RFC 9110 section 5.6.7: the IMF-fixdate form and
 *		the two old ones) as seconds since 1970-01-01 UTC.
 *
 * `now` in the same unit settles the century of a two-digit year.  White
 * space around the value is ignored.  Returns false if it is no date.
 */
extern bool impilo_http_date(const char *text, size_t length, int64_t now,
							 int64_t *seconds);

/*
 * impilo_retry_after
 *		Read a Retry-After value (RFC 9110 section 10.2.3), both forms.
 *
 * Returns seconds to wait from `now` (seconds since 1970; best the answer's
 * own Date header, because the two clocks differ), 0 for a date that has
 * passed, at most IMPILO_RETRY_AFTER_MAX; IMPILO_RETRY_AFTER_NONE if it is
 * neither form.
 */
extern int32_t impilo_retry_after(const char *text, size_t length,
								  int64_t now);

/* --- the decision ------------------------------------------------------ */

/*
 * The wait before the n-th repetition is random below base times 2^(n-1),
 * and below the cap.  Base: a quarter second is some round trips, enough for
 * a connection that was closed under us or a restarting worker.  Cap: a
 * server that is away for longer is asked every five seconds on average,
 * which burdens nobody, and a person still waits for it.
 */
#define IMPILO_RETRY_BASE_MS 250
#define IMPILO_RETRY_CAP_MS 10000

typedef enum ImpiloRetryPolicy
{
	IMPILO_RETRY_NEVER,
	IMPILO_RETRY_UNSENT,		/* only what certainly was not processed */
	IMPILO_RETRY_IDEMPOTENT		/* whatever may succeed the next time */
} ImpiloRetryPolicy;

typedef enum ImpiloAttemptOutcome
{
	IMPILO_ATTEMPT_UNSENT,		/* certainly not processed: no connection (in
								 * time), or lost before the first byte of the
								 * request */
	IMPILO_ATTEMPT_LOST,		/* connection lost later, or the answer cut */
	IMPILO_ATTEMPT_TIMED_OUT,	/* the request's own time limit ran out */
	IMPILO_ATTEMPT_ANSWERED,	/* a whole answer: its status counts */
	IMPILO_ATTEMPT_FAILED		/* what no repetition mends: certificate
								 * refused, body too large, cancelled, … */
} ImpiloAttemptOutcome;

typedef enum ImpiloRetryVerdict
{
	IMPILO_RETRY_AGAIN,			/* after the delay */
	IMPILO_RETRY_FINAL,			/* a repetition would change nothing (this is
								 * what a success gets, too) */
	IMPILO_RETRY_FORBIDDEN,		/* it might, but the policy does not allow it */
	IMPILO_RETRY_EXHAUSTED,		/* all repetitions are used up */
	IMPILO_RETRY_NO_TIME		/* the delay would overrun the time left */
} ImpiloRetryVerdict;

typedef struct ImpiloAttempt
{
	ImpiloRetryPolicy policy;
	ImpiloAttemptOutcome outcome;
	int			status;			/* HTTP status if ANSWERED */
	int			number;			/* 1 for the first attempt */
	int			max_retries;	/* repetitions allowed after the first */
	int64_t		budget_ms;		/* time left for all; < 0 if unlimited */
	int32_t		retry_after;	/* seconds, or IMPILO_RETRY_AFTER_NONE */
	double		random;			/* in [0,1) */
} ImpiloAttempt;

/*
 * impilo_retry_decide
 *		Is the request to be sent again, and when?
 *
 * `*delay_ms` is the wait before the next attempt.  With IMPILO_RETRY_NO_TIME
 * it is the wait that did not fit, so that the message can name it; with the
 * other verdicts it is 0.
 *
 * Retry-After is a floor, to which the random part is added: the clients that
 * were sent away together shall not come back together.  A time-out is FINAL
 * under every policy: its limit is the time that the user was ready to wait
 * for one request, and repeating it would multiply that time in silence.
 */
extern ImpiloRetryVerdict impilo_retry_decide(const ImpiloAttempt *attempt,
											  int64_t *delay_ms);

/* --- how many at once, and how fast ------------------------------------ */

/* answers in a row that raise a lowered limit by one */
#define IMPILO_THROTTLE_RECOVERY 10

/*
 * How many requests may be in flight: halved when the server answers 429, one
 * more after IMPILO_THROTTLE_RECOVERY good answers.  Times are microseconds
 * of a clock that never steps back.
 */
typedef struct ImpiloThrottle
{
	int			maximum;		/* the option max_concurrency */
	int			limit;			/* at the moment: 1 .. maximum */
	int			good;			/* answers since the last change */
	int64_t		cut_us;			/* when the limit was last lowered */
	int64_t		hold_until_us;	/* Retry-After for everybody: send nothing
								 * before */
} ImpiloThrottle;

/* A limit at its maximum (below 1 counts as 1) */
extern void impilo_throttle_init(ImpiloThrottle *throttle, int maximum);

/* Change the maximum, for instance after ALTER SERVER */
extern void impilo_throttle_set_maximum(ImpiloThrottle *throttle,
										int maximum);

/*
 * impilo_throttle_refused
 *		Note a 429 for a request that was sent at `sent_us`.
 *
 * Refusals of requests that had been sent before the limit was lowered do not
 * lower it again: they are the same burst.  `retry_after` as in
 * ImpiloAttempt.
 */
extern void impilo_throttle_refused(ImpiloThrottle *throttle, int64_t sent_us,
									int64_t now_us, int32_t retry_after);

/* Note an answer that was no 429 */
extern void impilo_throttle_accepted(ImpiloThrottle *throttle);

/*
 * impilo_pace_next
 *		When may the next request go out?
 *
 * `last_us` is when the one before it went out (or was to go out), INT64_MIN
 * if there was none; `per_second` is the option requests_per_second, 0 or
 * less for no limit.  Returns a time not before `now_us`; the caller keeps it
 * as the next last_us.
 */
extern int64_t impilo_pace_next(int64_t last_us, int64_t now_us,
								double per_second);

#endif							/* IMPILO_RETRY_H */
