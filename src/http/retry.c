/*-------------------------------------------------------------------------
 *
 * retry.c
 *	  When to send a request, and when to send it again.
 *
 * Every rule about repeating, slowing down and pacing is decided here from
 * plain values, so that a test can hold each rule without a server, a clock
 * or luck: the HTTP room only measures and obeys.  Dates are read by hand,
 * because strptime follows the locale and timegm is not everywhere.
 *
 * What this does not do: it sends nothing, waits for nothing, reads no clock,
 * and does not know what a request means; who calls chooses the policy.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/retry.c
 *
 *-------------------------------------------------------------------------
 */

#include <string.h>

#include "http/retry.h"

/* --- HTTP dates -------------------------------------------------------- */

/* A text that is being read from its front */
typedef struct Reader
{
	const char *at;
	const char *end;
} Reader;

typedef struct DateFields
{
	int			year;
	int			month;			/* 1 to 12 */
	int			day;
	int			hour;
	int			minute;
	int			second;			/* 60 in a leap second */
} DateFields;

static const char *const short_days[] =
{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_days[] =
{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
"Saturday"};
static const char *const months[] =
{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
"Dec"};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The text without optional white space around it (RFC 9110 5.6.3) */
static Reader
trimmed(const char *text, size_t length)
{
	Reader		reader = {text, text + length};

	while (reader.at < reader.end && (*reader.at == ' ' || *reader.at == '\t'))
		reader.at++;
	while (reader.at < reader.end &&
		   (reader.end[-1] == ' ' || reader.end[-1] == '\t'))
		reader.end--;
	return reader;
}

/* Pass exactly this text */
static bool
take(Reader *reader, const char *text)
{
	size_t		length = strlen(text);

	if ((size_t) (reader->end - reader->at) < length ||
		memcmp(reader->at, text, length) != 0)
		return false;
	reader->at += length;
	return true;
}

/* Pass one of some names, and give its position */
static bool
take_name(Reader *reader, const char *const *names, int count, int *position)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		if (take(reader, names[i]))
		{
			*position = i;
			return true;
		}
	}
	return false;
}

/* Pass a number of exactly so many digits */
static bool
take_number(Reader *reader, int digits, int *number)
{
	int			i;

	if (reader->end - reader->at < digits)
		return false;
	*number = 0;
	for (i = 0; i < digits; i++)
	{
		if (!is_digit(reader->at[i]))
			return false;
		*number = *number * 10 + (reader->at[i] - '0');
	}
	reader->at += digits;
	return true;
}

static bool
take_month(Reader *reader, DateFields *date)
{
	if (!take_name(reader, months, 12, &date->month))
		return false;
	date->month++;
	return true;
}

static bool
take_time(Reader *reader, DateFields *date)
{
	return take_number(reader, 2, &date->hour) && take(reader, ":") &&
		take_number(reader, 2, &date->minute) && take(reader, ":") &&
		take_number(reader, 2, &date->second);
}

/* Behind "Sun": ", 06 Nov 1994 08:49:37 GMT" */
static bool
take_imf_fixdate(Reader *reader, DateFields *date)
{
	return take(reader, ", ") && take_number(reader, 2, &date->day) &&
		take(reader, " ") && take_month(reader, date) && take(reader, " ") &&
		take_number(reader, 4, &date->year) && take(reader, " ") &&
		take_time(reader, date) && take(reader, " GMT");
}

/* Behind "Sunday": ", 06-Nov-94 08:49:37 GMT"; the century is left open */
static bool
take_rfc850(Reader *reader, DateFields *date)
{
	return take(reader, ", ") && take_number(reader, 2, &date->day) &&
		take(reader, "-") && take_month(reader, date) && take(reader, "-") &&
		take_number(reader, 2, &date->year) && take(reader, " ") &&
		take_time(reader, date) && take(reader, " GMT");
}

/* Behind "Sun": " Nov  6 08:49:37 1994" */
static bool
take_asctime(Reader *reader, DateFields *date)
{
	return take(reader, " ") && take_month(reader, date) &&
		take(reader, " ") &&
		(take(reader, " ") ? take_number(reader, 1, &date->day) :
		 take_number(reader, 2, &date->day)) &&
		take(reader, " ") && take_time(reader, date) && take(reader, " ") &&
		take_number(reader, 4, &date->year);
}

/*
 * Days from 1970-01-01 to a day of the Gregorian calendar, year 0 or later.
 *
 * Counted in years that begin with March, so that the leap day is the last of
 * its year: then 153 days are five months, from any month on.
 */
static int64_t
days_since_1970(int64_t year, int month, int day)
{
	int64_t		march_year = year + 4800 - (month <= 2 ? 1 : 0);
	int			march_month = month > 2 ? month - 3 : month + 9;

	return day - 1 + (153 * march_month + 2) / 5 + 365 * march_year +
		march_year / 4 - march_year / 100 + march_year / 400 -
		INT64_C(2472632);
}

static int
days_in_month(int year, int month)
{
	static const int days[] =
	{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool
to_seconds(const DateFields *date, int64_t *seconds)
{
	if (date->day < 1 || date->day > days_in_month(date->year, date->month) ||
		date->hour > 23 || date->minute > 59 || date->second > 60)
		return false;
	*seconds = days_since_1970(date->year, date->month, date->day) * 86400 +
		date->hour * 3600 + date->minute * 60 + date->second;
	return true;
}

/* The year that a moment is in, from 0 to 9999 */
static int
year_of(int64_t seconds)
{
	int			year;

	if (seconds < 0)
		return 1970;
	if (seconds >= days_since_1970(9999, 1, 1) * 86400)
		return 9999;
	/* too late by a day or so at most, at either end of a year */
	year = 1970 + (int) (seconds / 31556952);
	if (days_since_1970(year + 1, 1, 1) * 86400 <= seconds)
		year++;
	else if (days_since_1970(year, 1, 1) * 86400 > seconds)
		year--;
	return year;
}

/*
 * The last year with these two digits that is not more than 50 years in the
 * future, as RFC 9110 section 5.6.7 wants them to be read.
 */
static int
full_year(int two_digits, int64_t now)
{
	int			latest = year_of(now) + 50;
	int			year = latest - latest % 100 + two_digits;

	return year > latest ? year - 100 : year;
}

bool
impilo_http_date(const char *text, size_t length, int64_t now,
				 int64_t *seconds)
{
	Reader		reader = trimmed(text, length);
	DateFields	date;
	Reader		rest;
	int			weekday;

	/* the long names first, because they begin with the short ones */
	if (take_name(&reader, long_days, 7, &weekday))
	{
		if (!take_rfc850(&reader, &date))
			return false;
		date.year = full_year(date.year, now);
	}
	else
	{
		if (!take_name(&reader, short_days, 7, &weekday))
			return false;
		rest = reader;
		if (!take_imf_fixdate(&reader, &date))
		{
			reader = rest;
			if (!take_asctime(&reader, &date))
				return false;
		}
	}
	return reader.at == reader.end && to_seconds(&date, seconds);
}

/* --- Retry-After ------------------------------------------------------- */

int32_t
impilo_retry_after(const char *text, size_t length, int64_t now)
{
	Reader		reader = trimmed(text, length);
	int32_t		delay = 0;
	int64_t		until;

	if (impilo_http_date(text, length, now, &until))
	{
		if (until <= now)
			return 0;
		/* the difference of the two may be more than 64 bits hold */
		if (now < until - IMPILO_RETRY_AFTER_MAX)
			return IMPILO_RETRY_AFTER_MAX;
		return (int32_t) (until - now);
	}
	if (reader.at == reader.end)
		return IMPILO_RETRY_AFTER_NONE;
	for (; reader.at < reader.end; reader.at++)
	{
		if (!is_digit(*reader.at))
			return IMPILO_RETRY_AFTER_NONE;
		delay = delay * 10 + (*reader.at - '0');
		if (delay > IMPILO_RETRY_AFTER_MAX)
			delay = IMPILO_RETRY_AFTER_MAX;
	}
	return delay;
}

/* --- the decision ------------------------------------------------------ */

/* What a repetition could do */
typedef enum Prospect
{
	PROSPECT_NONE,				/* nothing */
	PROSPECT_SAFE,				/* help; the first try had no effect */
	PROSPECT_UNSAFE				/* help; the first try may have had one */
} Prospect;

static Prospect
prospect_of_status(int status)
{
	switch (status)
	{
		case 429:				/* turned away at the door */
			return PROSPECT_SAFE;
		case 500:
		case 502:
		case 503:
		case 504:
			/* also 503: who answers it may stand before who did the work */
			return PROSPECT_UNSAFE;
		default:
			return PROSPECT_NONE;
	}
}

static Prospect
prospect_of(const ImpiloAttempt *attempt)
{
	switch (attempt->outcome)
	{
		case IMPILO_ATTEMPT_UNSENT:
			return PROSPECT_SAFE;
		case IMPILO_ATTEMPT_LOST:
			return PROSPECT_UNSAFE;
		case IMPILO_ATTEMPT_ANSWERED:
			return prospect_of_status(attempt->status);
		case IMPILO_ATTEMPT_TIMED_OUT:
		case IMPILO_ATTEMPT_FAILED:
			break;
	}
	return PROSPECT_NONE;
}

/* A random wait before the repetition that follows attempt `number` */
static int64_t
random_wait(int number, double random)
{
	int64_t		limit = IMPILO_RETRY_BASE_MS;

	for (; number > 1 && limit < IMPILO_RETRY_CAP_MS; number--)
		limit *= 2;
	if (limit > IMPILO_RETRY_CAP_MS)
		limit = IMPILO_RETRY_CAP_MS;
	/* also a NaN ends here */
	if (!(random >= 0 && random < 1))
		return limit;
	return (int64_t) (random * (double) limit);
}

ImpiloRetryVerdict
impilo_retry_decide(const ImpiloAttempt *attempt, int64_t *delay_ms)
{
	Prospect	prospect = prospect_of(attempt);
	int64_t		delay;

	*delay_ms = 0;
	if (prospect == PROSPECT_NONE)
		return IMPILO_RETRY_FINAL;
	if (attempt->policy == IMPILO_RETRY_NEVER ||
		(attempt->policy == IMPILO_RETRY_UNSENT &&
		 prospect == PROSPECT_UNSAFE))
		return IMPILO_RETRY_FORBIDDEN;
	if (attempt->number > attempt->max_retries)
		return IMPILO_RETRY_EXHAUSTED;

	delay = random_wait(attempt->number, attempt->random);
	if (attempt->retry_after > IMPILO_RETRY_AFTER_MAX)
		delay += INT64_C(1000) * IMPILO_RETRY_AFTER_MAX;
	else if (attempt->retry_after > 0)
		delay += INT64_C(1000) * attempt->retry_after;
	*delay_ms = delay;

	/* a wait that uses up all the time leaves none for the request */
	if (attempt->budget_ms >= 0 && delay >= attempt->budget_ms)
		return IMPILO_RETRY_NO_TIME;
	return IMPILO_RETRY_AGAIN;
}

/* --- how many at once, and how fast ------------------------------------ */

#define US_PER_SECOND INT64_C(1000000)

/* A time some microseconds later, or the end of time */
static int64_t
later(int64_t time_us, int64_t wait_us)
{
	return time_us > INT64_MAX - wait_us ? INT64_MAX : time_us + wait_us;
}

void
impilo_throttle_init(ImpiloThrottle *throttle, int maximum)
{
	throttle->maximum = maximum < 1 ? 1 : maximum;
	throttle->limit = throttle->maximum;
	throttle->good = 0;
	throttle->cut_us = INT64_MIN;
	throttle->hold_until_us = INT64_MIN;
}

void
impilo_throttle_set_maximum(ImpiloThrottle *throttle, int maximum)
{
	bool		full = throttle->limit == throttle->maximum;

	throttle->maximum = maximum < 1 ? 1 : maximum;
	if (full || throttle->limit > throttle->maximum)
		throttle->limit = throttle->maximum;
}

void
impilo_throttle_refused(ImpiloThrottle *throttle, int64_t sent_us,
						int64_t now_us, int32_t retry_after)
{
	throttle->good = 0;
	if (retry_after > 0)
	{
		int64_t		until;

		if (retry_after > IMPILO_RETRY_AFTER_MAX)
			retry_after = IMPILO_RETRY_AFTER_MAX;
		until = later(now_us, retry_after * US_PER_SECOND);
		if (throttle->hold_until_us < until)
			throttle->hold_until_us = until;
	}
	if (sent_us < throttle->cut_us)
		return;
	throttle->limit = (throttle->limit + 1) / 2;
	throttle->cut_us = now_us;
}

void
impilo_throttle_accepted(ImpiloThrottle *throttle)
{
	if (throttle->limit >= throttle->maximum)
		return;
	if (++throttle->good < IMPILO_THROTTLE_RECOVERY)
		return;
	throttle->good = 0;
	throttle->limit++;
}

int64_t
impilo_pace_next(int64_t last_us, int64_t now_us, double per_second)
{
	double		gap_us;
	int64_t		next;

	/* also a NaN ends here */
	if (!(per_second > 0) || last_us == INT64_MIN)
		return now_us;
	gap_us = (double) US_PER_SECOND / per_second;
	if (gap_us >= 9e18)
		return INT64_MAX;
	next = later(last_us, (int64_t) gap_us);
	return next > now_us ? next : now_us;
}
