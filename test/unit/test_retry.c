/*-------------------------------------------------------------------------
 *
 * test_retry.c
 *		  Dates, Retry-After, the decision to repeat, and the throttle
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <string.h>

#include "http/retry.h"
#include "unit.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 section 5.6.7 */
#define EXAMPLE INT64_C(784111777)
#define NONE IMPILO_RETRY_AFTER_NONE
#define MAX IMPILO_RETRY_AFTER_MAX

static int64_t
date_at(const char *text, int64_t now)
{
	int64_t		seconds = INT64_MIN;
	size_t		length = strlen(text);

	if (!impilo_http_date(unit_exact(text, length), length, now, &seconds))
		return INT64_MIN;
	return seconds;
}

static void
is_date(const char *text, int64_t seconds)
{
	CHECK_FOR(date_at(text, EXAMPLE) == seconds, text);
}

static void
no_date(const char *text)
{
	CHECK_FOR(date_at(text, EXAMPLE) == INT64_MIN, text);
}

static void
test_dates(void)
{
	is_date("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE);
	is_date("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE);
	is_date("Sun Nov  6 08:49:37 1994", EXAMPLE);
	is_date(" \tSun, 06 Nov 1994 08:49:37 GMT ", EXAMPLE);
	is_date("Thu, 01 Jan 1970 00:00:00 GMT", 0);
	is_date("Wed, 31 Dec 1969 23:59:59 GMT", -1);
	is_date("Tue, 29 Feb 2000 12:00:00 GMT", 951825600);
	is_date("Thu, 29 Feb 2024 23:59:60 GMT", 1709251200);
	is_date("Fri, 01 Mar 2024 00:00:00 GMT", 1709251200);
	is_date("Thu Jan  1 00:00:00 1970", 0);
	is_date("Fri Nov 16 08:49:37 2001", 1005900577);
	is_date("Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799));
	is_date("Sat, 01 Jan 0000 00:00:00 GMT", INT64_C(-62167219200));

	no_date("");
	no_date("Sun");
	no_date("Sun, 06 Nov 1994 08:49:37");
	no_date("Sun, 06 Nov 1994 08:49:37 UTC");
	no_date("Sun, 06 Nov 1994 08:49:37 GMT x");
	no_date("Sun, 6 Nov 1994 08:49:37 GMT");
	no_date("Sun, 06 Nov 94 08:49:37 GMT");
	no_date("Sun, 06 nov 1994 08:49:37 GMT");
	no_date("Son, 06 Nov 1994 08:49:37 GMT");
	no_date("Sun, 31 Nov 1994 08:49:37 GMT");
	no_date("Sun, 00 Nov 1994 08:49:37 GMT");
	no_date("Wed, 29 Feb 2023 08:49:37 GMT");
	no_date("Wed, 29 Feb 1900 08:49:37 GMT");
	no_date("Sun, 06 Nov 1994 24:00:00 GMT");
	no_date("Sun, 06 Nov 1994 23:60:00 GMT");
	no_date("Sun, 06 Nov 1994 23:59:61 GMT");
	no_date("Sunday, 06-Nov-1994 08:49:37 GMT");
	no_date("Sun, 06-Nov-94 08:49:37 GMT");
	no_date("Sun Nov 6 08:49:37 1994");
	no_date("1994-11-06T08:49:37Z");
}

/* Two digits of a year: at most 50 years ahead, else the past */
static void
test_centuries(void)
{
	int64_t		in_2024 = 1709251200;

	CHECK(date_at("Friday, 01-Mar-24 00:00:00 GMT", in_2024) == in_2024);
	CHECK(date_at("Monday, 01-Jan-74 00:00:00 GMT", in_2024) ==
		  INT64_C(3281990400));
	CHECK(date_at("Wednesday, 01-Jan-75 00:00:00 GMT", in_2024) ==
		  INT64_C(157766400));
	CHECK(date_at("Friday, 31-Dec-99 23:59:59 GMT", in_2024) == 946684799);
	/* the clock at either end of a year, and of time */
	CHECK(date_at("Tuesday, 01-Jan-74 00:00:00 GMT", 1704067199) ==
		  INT64_C(126230400));
	CHECK(date_at("Monday, 01-Jan-74 00:00:00 GMT", 1704067200) ==
		  INT64_C(3281990400));
	CHECK(date_at("Friday, 01-Mar-24 00:00:00 GMT", INT64_MIN) == -1446508800);
	CHECK(date_at("Friday, 01-Mar-24 00:00:00 GMT", INT64_MAX) !=
		  INT64_MIN);
}

static void
waits(const char *text, int64_t now, int32_t expected)
{
	size_t		length = strlen(text);

	CHECK_FOR(impilo_retry_after(unit_exact(text, length), length, now) ==
			  expected, text);
}

static void
test_retry_after(void)
{
	waits("0", EXAMPLE, 0);
	waits("120", EXAMPLE, 120);
	waits(" 7\t", EXAMPLE, 7);
	waits("0007", EXAMPLE, 7);
	waits("86400", EXAMPLE, 86400);
	waits("86401", EXAMPLE, MAX);
	waits("99999999999999999999999999", EXAMPLE, MAX);
	waits("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE - 30, 30);
	waits("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE, 0);
	waits("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + 1, 0);
	waits("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE - 86401, MAX);
	waits("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE - 5, 5);
	waits("Sun Nov  6 08:49:37 1994", EXAMPLE - 5, 5);
	waits("Sun, 06 Nov 1994 08:49:37 GMT", INT64_MIN, MAX);
	waits("Sun, 06 Nov 1994 08:49:37 GMT", INT64_MAX, 0);
	waits("", EXAMPLE, NONE);
	waits("  ", EXAMPLE, NONE);
	waits("-1", EXAMPLE, NONE);
	waits("+1", EXAMPLE, NONE);
	waits("1.5", EXAMPLE, NONE);
	waits("1 2", EXAMPLE, NONE);
	waits("12s", EXAMPLE, NONE);
	waits("soon", EXAMPLE, NONE);
}

/* The verdict for a first attempt with nothing else in its way */
static ImpiloRetryVerdict
verdict(ImpiloRetryPolicy policy, ImpiloAttemptOutcome outcome, int status)
{
	ImpiloAttempt attempt = {policy, outcome, status, 1, 5, -1, NONE, 0.5};
	int64_t		delay;

	return impilo_retry_decide(&attempt, &delay);
}

static void
test_policies(void)
{
	static const int transient[] = {500, 502, 503, 504};
	static const int final[] = {200, 201, 301, 400, 401, 403, 404, 408, 409,
	501, 505, 0, -1};
	size_t		i;

	for (i = 0; i < sizeof(transient) / sizeof(transient[0]); i++)
	{
		CHECK(verdict(IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_ANSWERED,
					  transient[i]) == IMPILO_RETRY_AGAIN);
		CHECK(verdict(IMPILO_RETRY_UNSENT, IMPILO_ATTEMPT_ANSWERED,
					  transient[i]) == IMPILO_RETRY_FORBIDDEN);
		CHECK(verdict(IMPILO_RETRY_NEVER, IMPILO_ATTEMPT_ANSWERED,
					  transient[i]) == IMPILO_RETRY_FORBIDDEN);
	}
	for (i = 0; i < sizeof(final) / sizeof(final[0]); i++)
		CHECK(verdict(IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_ANSWERED,
					  final[i]) == IMPILO_RETRY_FINAL);

	/* certainly not processed */
	CHECK(verdict(IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_ANSWERED, 429) ==
		  IMPILO_RETRY_AGAIN);
	CHECK(verdict(IMPILO_RETRY_UNSENT, IMPILO_ATTEMPT_ANSWERED, 429) ==
		  IMPILO_RETRY_AGAIN);
	CHECK(verdict(IMPILO_RETRY_NEVER, IMPILO_ATTEMPT_ANSWERED, 429) ==
		  IMPILO_RETRY_FORBIDDEN);
	CHECK(verdict(IMPILO_RETRY_UNSENT, IMPILO_ATTEMPT_UNSENT, 0) ==
		  IMPILO_RETRY_AGAIN);
	CHECK(verdict(IMPILO_RETRY_NEVER, IMPILO_ATTEMPT_UNSENT, 0) ==
		  IMPILO_RETRY_FORBIDDEN);

	/* perhaps processed: a status that came with half an answer is none */
	CHECK(verdict(IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_LOST, 429) ==
		  IMPILO_RETRY_AGAIN);
	CHECK(verdict(IMPILO_RETRY_UNSENT, IMPILO_ATTEMPT_LOST, 429) ==
		  IMPILO_RETRY_FORBIDDEN);

	CHECK(verdict(IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_TIMED_OUT, 0) ==
		  IMPILO_RETRY_FINAL);
	CHECK(verdict(IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_FAILED, 503) ==
		  IMPILO_RETRY_FINAL);
}

/* A lost GET, repeated after so many attempts */
static ImpiloRetryVerdict
again(int number, int max_retries, int64_t budget_ms, int32_t retry_after,
	  double random, int64_t *delay)
{
	ImpiloAttempt attempt = {IMPILO_RETRY_IDEMPOTENT, IMPILO_ATTEMPT_LOST, 0,
	number, max_retries, budget_ms, retry_after, random};

	*delay = -1;
	return impilo_retry_decide(&attempt, delay);
}

static void
test_delays(void)
{
	static const int64_t limits[] = {250, 500, 1000, 2000, 4000, 8000, 10000,
	10000};
	int64_t		delay;
	int			n;

	/* full jitter: from nothing up to a limit that doubles to a cap */
	for (n = 1; n <= 8; n++)
	{
		CHECK(again(n, 99, -1, NONE, 0, &delay) == IMPILO_RETRY_AGAIN &&
			  delay == 0);
		CHECK(again(n, 99, -1, NONE, 0.5, &delay) == IMPILO_RETRY_AGAIN &&
			  delay == limits[n - 1] / 2);
		again(n, 99, -1, NONE, 0.999999999, &delay);
		CHECK(delay == limits[n - 1] - 1);
	}
	CHECK(again(2000000000, 2147483647, -1, NONE, 0.5, &delay) ==
		  IMPILO_RETRY_AGAIN && delay == 5000);

	/* Retry-After is a floor, and waits are spread above it */
	CHECK(again(1, 5, -1, 3, 0, &delay) == IMPILO_RETRY_AGAIN &&
		  delay == 3000);
	CHECK(again(1, 5, -1, 3, 0.5, &delay) == IMPILO_RETRY_AGAIN &&
		  delay == 3125);
	CHECK(again(1, 5, -1, INT32_MAX, 0, &delay) == IMPILO_RETRY_AGAIN &&
		  delay == INT64_C(86400000));

	/* the number of repetitions */
	CHECK(again(5, 5, -1, NONE, 0, &delay) == IMPILO_RETRY_AGAIN);
	CHECK(again(6, 5, -1, NONE, 0.5, &delay) == IMPILO_RETRY_EXHAUSTED &&
		  delay == 0);
	CHECK(again(1, 0, -1, NONE, 0.5, &delay) == IMPILO_RETRY_EXHAUSTED);

	/* the time left; the wait that does not fit is told */
	CHECK(again(1, 5, 126, NONE, 0.5, &delay) == IMPILO_RETRY_AGAIN);
	CHECK(again(1, 5, 125, NONE, 0.5, &delay) == IMPILO_RETRY_NO_TIME &&
		  delay == 125);
	CHECK(again(1, 5, 0, NONE, 0, &delay) == IMPILO_RETRY_NO_TIME);
	CHECK(again(1, 5, 60000, 61, 0, &delay) == IMPILO_RETRY_NO_TIME &&
		  delay == 61000);
}

static void
test_throttle(void)
{
	ImpiloThrottle throttle;
	int			i;

	impilo_throttle_init(&throttle, 8);
	CHECK(throttle.limit == 8);

	/* one burst halves once, however many of it are refused */
	for (i = 0; i < 8; i++)
		impilo_throttle_refused(&throttle, 1000 + i, 5000 + i, NONE);
	CHECK(throttle.limit == 4);
	impilo_throttle_refused(&throttle, 6000, 7000, NONE);
	CHECK(throttle.limit == 2);
	impilo_throttle_refused(&throttle, 8000, 9000, NONE);
	impilo_throttle_refused(&throttle, 10000, 11000, NONE);
	CHECK(throttle.limit == 1);

	/* up again step by step, and not beyond the maximum */
	for (i = 0; i < IMPILO_THROTTLE_RECOVERY - 1; i++)
		impilo_throttle_accepted(&throttle);
	CHECK(throttle.limit == 1);
	impilo_throttle_accepted(&throttle);
	CHECK(throttle.limit == 2);
	for (i = 0; i < IMPILO_THROTTLE_RECOVERY - 1; i++)
		impilo_throttle_accepted(&throttle);
	impilo_throttle_refused(&throttle, 8000, 12000, NONE);
	impilo_throttle_accepted(&throttle);
	CHECK(throttle.limit == 2);
	for (i = 0; i < 20 * IMPILO_THROTTLE_RECOVERY; i++)
		impilo_throttle_accepted(&throttle);
	CHECK(throttle.limit == 8);

	/* Retry-After holds everybody back, the longest one told */
	CHECK(throttle.hold_until_us == INT64_MIN);
	impilo_throttle_refused(&throttle, 20000, 30000, 2);
	CHECK(throttle.hold_until_us == 2030000 && throttle.limit == 4);
	impilo_throttle_refused(&throttle, 20001, 40000, 1);
	CHECK(throttle.hold_until_us == 2030000 && throttle.limit == 4);
	impilo_throttle_refused(&throttle, 20002, INT64_MAX - 1, 1);
	CHECK(throttle.hold_until_us == INT64_MAX);
}

static void
test_maximum(void)
{
	ImpiloThrottle throttle;

	impilo_throttle_init(&throttle, 0);
	CHECK(throttle.limit == 1);
	impilo_throttle_set_maximum(&throttle, 16);
	CHECK(throttle.limit == 16);
	impilo_throttle_refused(&throttle, 1, 2, NONE);
	impilo_throttle_set_maximum(&throttle, 32);
	CHECK(throttle.limit == 8 && throttle.maximum == 32);
	impilo_throttle_set_maximum(&throttle, 4);
	CHECK(throttle.limit == 4);
	impilo_throttle_set_maximum(&throttle, -5);
	CHECK(throttle.limit == 1 && throttle.maximum == 1);
}

static void
test_pace(void)
{
	int64_t		never = INT64_MIN;

	CHECK(impilo_pace_next(never, 500, 10) == 500);
	CHECK(impilo_pace_next(1000, 1000, 10) == 101000);
	CHECK(impilo_pace_next(1000, 50000, 10) == 101000);
	CHECK(impilo_pace_next(1000, 200000, 10) == 200000);
	CHECK(impilo_pace_next(1000, 1000, 0.5) == 2001000);
	CHECK(impilo_pace_next(1000, 1000, 0) == 1000);
	CHECK(impilo_pace_next(1000, 1000, -1) == 1000);
	CHECK(impilo_pace_next(INT64_MAX - 5, 0, 10) == INT64_MAX);
	CHECK(impilo_pace_next(0, 0, 1e-300) == INT64_MAX);
	/* kept as the next last time, it spaces requests evenly */
	CHECK(impilo_pace_next(impilo_pace_next(0, 0, 4), 10, 4) == 500000);
}

void
test_retry(void)
{
	test_dates();
	test_centuries();
	test_retry_after();
	test_policies();
	test_delays();
	test_throttle();
	test_maximum();
	test_pace();
}
