/*-------------------------------------------------------------------------
 *
 * retry_fuzz.c
 *		  Headers from anywhere, decisions within their bounds
 *
 * The first bytes become numbers, the rest is the text of a header.  A text
 * that is read as a date must be one for the C library, too, and the same.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "http/retry.h"

/* Take the next number off the input; what is missing is 0 */
static uint64_t
take(const uint8_t **data, size_t *size, size_t bytes)
{
	uint64_t	number = 0;

	while (bytes-- > 0 && *size > 0)
	{
		number = number << 8 | *(*data)++;
		(*size)--;
	}
	return number;
}

/* --- headers ----------------------------------------------------------- */

/* The C library's reading of a date, with the weekday left to it */
static int64_t
library_date(const char *text, const char *format)
{
	struct tm	tm = {0};
	const char *end = strptime(text, format, &tm);

	if (end == NULL || *end != '\0')
		return INT64_MIN;
	return timegm(&tm);
}

static void
check_date(const char *data, size_t size, int64_t now)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t		seconds;
	int64_t		again;
	char	   *text;
	char		written[64];
	struct tm	tm;
	time_t		moment;
	int			length;

	if (!impilo_http_date(data, size, now, &seconds))
		return;
	while (size > 0 && (*data == ' ' || *data == '\t'))
		data++, size--;
	while (size > 0 && (data[size - 1] == ' ' || data[size - 1] == '\t'))
		size--;
	text = strndup(data, size);
	REQUIRE(text != NULL);
	if (strchr(text, '-') == NULL)
		REQUIRE(seconds == library_date(text, "%a, %d %b %Y %H:%M:%S GMT") ||
				seconds == library_date(text, "%a %b %e %H:%M:%S %Y"));
	free(text);

	/* the same moment, written in the preferred form, is read the same */
	moment = (time_t) seconds;
	REQUIRE(gmtime_r(&moment, &tm) != NULL);
	/* a leap second may end the last year that four digits can write */
	if (tm.tm_year + 1900 > 9999)
		return;
	length = snprintf(written, sizeof(written),
					  "Sun, %02d %.3s %04d %02d:%02d:%02d GMT", tm.tm_mday,
					  &months[3 * tm.tm_mon],
					  tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	REQUIRE(impilo_http_date(written, (size_t) length, now, &again) &&
			again == seconds);
}

static int32_t
check_retry_after(const char *text, size_t size, int64_t now)
{
	int32_t		wait = impilo_retry_after(text, size, now);
	int64_t		date;

	REQUIRE(wait >= IMPILO_RETRY_AFTER_NONE && wait <= IMPILO_RETRY_AFTER_MAX);
	if (impilo_http_date(text, size, now, &date))
	{
		REQUIRE(wait != IMPILO_RETRY_AFTER_NONE);
		REQUIRE((wait == 0) == (date <= now));
		if (wait > 0 && wait < IMPILO_RETRY_AFTER_MAX)
			REQUIRE(now + wait == date);
	}
	return wait;
}

/* --- decisions --------------------------------------------------------- */

static void
check_again(const ImpiloAttempt *attempt, int64_t delay)
{
	bool		unprocessed;

	unprocessed = attempt->outcome == IMPILO_ATTEMPT_UNSENT ||
		(attempt->outcome == IMPILO_ATTEMPT_ANSWERED &&
		 attempt->status == 429);
	REQUIRE(attempt->policy != IMPILO_RETRY_NEVER);
	REQUIRE(attempt->policy != IMPILO_RETRY_UNSENT || unprocessed);
	REQUIRE(attempt->outcome != IMPILO_ATTEMPT_FAILED);
	REQUIRE(attempt->outcome != IMPILO_ATTEMPT_ANSWERED ||
			attempt->status == 429 ||
			(attempt->status >= 500 && attempt->status <= 504));
	REQUIRE(attempt->number <= attempt->max_retries);
	REQUIRE(attempt->budget_ms < 0 || delay < attempt->budget_ms);
	if (attempt->retry_after > 0 &&
		attempt->retry_after <= IMPILO_RETRY_AFTER_MAX)
		REQUIRE(delay >= INT64_C(1000) * attempt->retry_after);
}

static void
check_decision(const ImpiloAttempt *attempt)
{
	int64_t		delay = -1;
	ImpiloRetryVerdict verdict = impilo_retry_decide(attempt, &delay);

	REQUIRE(delay >= 0 && delay <= INT64_C(1000) * IMPILO_RETRY_AFTER_MAX +
			IMPILO_RETRY_CAP_MS);
	switch (verdict)
	{
		case IMPILO_RETRY_AGAIN:
			check_again(attempt, delay);
			break;
		case IMPILO_RETRY_NO_TIME:
			REQUIRE(attempt->budget_ms >= 0 && delay >= attempt->budget_ms);
			break;
		case IMPILO_RETRY_EXHAUSTED:
			REQUIRE(attempt->number > attempt->max_retries && delay == 0);
			break;
		case IMPILO_RETRY_FORBIDDEN:
			REQUIRE(attempt->policy != IMPILO_RETRY_IDEMPOTENT && delay == 0);
			break;
		case IMPILO_RETRY_FINAL:
			REQUIRE(attempt->outcome != IMPILO_ATTEMPT_UNSENT && delay == 0);
			break;
	}
}

/* --- throttle and pace ------------------------------------------------- */

/* Each byte is an event: a refusal, an answer, another maximum, or time */
static void
check_throttle(const uint8_t *data, size_t size, int32_t retry_after)
{
	ImpiloThrottle throttle;
	int64_t		now = 0;
	int64_t		hold;
	int			before;

	impilo_throttle_init(&throttle, size > 0 ? data[0] : 8);
	for (; size > 0; data++, size--)
	{
		before = throttle.limit;
		hold = throttle.hold_until_us;
		switch (*data & 3)
		{
			case 0:
				impilo_throttle_refused(&throttle, now - (*data >> 2), now,
										retry_after);
				REQUIRE(throttle.limit == before ||
						throttle.limit == (before + 1) / 2);
				break;
			case 1:
				impilo_throttle_accepted(&throttle);
				REQUIRE(throttle.limit == before ||
						throttle.limit == before + 1);
				break;
			case 2:
				impilo_throttle_set_maximum(&throttle, *data >> 2);
				break;
			default:
				now += *data;
		}
		REQUIRE(throttle.limit >= 1 && throttle.limit <= throttle.maximum);
		REQUIRE(throttle.hold_until_us >= hold);
	}
}

static void
check_pace(int64_t last, int64_t now, double per_second)
{
	int64_t		next = impilo_pace_next(last, now, per_second);

	REQUIRE(next >= now);
	if (last != INT64_MIN && per_second > 0 && next != INT64_MAX)
		REQUIRE(next >= last);
}

/* --- the target -------------------------------------------------------- */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ImpiloAttempt attempt;
	int64_t		now;
	int64_t		bits;

	attempt.policy = (ImpiloRetryPolicy) (take(&data, &size, 1) % 3);
	attempt.outcome = (ImpiloAttemptOutcome) (take(&data, &size, 1) % 5);
	attempt.status = (int) (take(&data, &size, 2) % 600);
	attempt.number = 1 + (int) (take(&data, &size, 2));
	attempt.max_retries = (int) (take(&data, &size, 2));
	attempt.budget_ms = (int64_t) take(&data, &size, 4) - 1;
	/* any bits are a double, NaN among them */
	bits = (int64_t) take(&data, &size, 8);
	memcpy(&attempt.random, &bits, sizeof(bits));
	now = (int64_t) take(&data, &size, 8);

	check_date((const char *) data, size, now);
	attempt.retry_after = check_retry_after((const char *) data, size, now);
	check_decision(&attempt);
	attempt.retry_after = (int32_t) bits;
	check_decision(&attempt);
	check_throttle(data, size, attempt.retry_after);
	check_pace(bits, now, attempt.random);
	check_pace(bits, now, attempt.status);
	return 0;
}
