/*-------------------------------------------------------------------------
 *
 * test_iso8601.c
 *		  Dates and times as ISO 8601 writes them
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <string.h>

#include "rows/iso8601.h"
#include "unit.h"

/* "year-month-day second.microsecond offset", or "none" */
static const char *
time_of(const char *text)
{
	static char result[80];
	ImpiloIsoTime time;
	size_t		length = strlen(text);

	if (!impilo_iso8601_parse(unit_exact(text, length), length, &time))
		return "none";
	snprintf(result, sizeof(result), "%d-%d-%d %d.%d %d",
			 time.year, time.month, time.day, (int) time.second,
			 (int) time.microsecond, (int) time.offset);
	return result;
}

static void
check_time(const char *text, const char *expected)
{
	CHECK_FOR(strcmp(time_of(text), expected) == 0, text);
}

void
test_iso8601(void)
{
	/* dates */
	check_time("1980-01-01", "1980-1-1 0.0 0");
	check_time("2024-02-29", "2024-2-29 0.0 0");
	check_time("2023-02-29", "none");
	check_time("1900-02-29", "none");
	check_time("2000-02-29", "2000-2-29 0.0 0");
	check_time("2024-04-31", "none");
	check_time("2024-13-01", "none");
	check_time("2024-00-01", "none");
	check_time("2024-01-00", "none");
	check_time("0000-01-01", "none");
	check_time("0001-01-01", "1-1-1 0.0 0");
	check_time("9999-12-31", "9999-12-31 0.0 0");
	check_time("10000-01-01", "none");
	check_time("24-01-01", "none");
	check_time("2024-1-1", "none");
	check_time("2024/01/01", "none");
	check_time("01.02.2024", "none");
	check_time("20240101", "none");
	check_time("2024-01-01x", "none");
	check_time("2024-01", "none");
	check_time("", "none");
	check_time("infinity", "none");
	check_time("today", "none");

	/* times of day */
	check_time("1980-01-01T00:00:00Z", "1980-1-1 0.0 0");
	check_time("2024-05-06T07:08:09Z", "2024-5-6 25689.0 0");
	check_time("2024-05-06t07:08:09z", "2024-5-6 25689.0 0");
	check_time("2024-05-06 07:08:09", "2024-5-6 25689.0 0");
	check_time("2024-05-06T07:08Z", "2024-5-6 25680.0 0");
	check_time("2024-05-06T24:00:00Z", "2024-5-6 86400.0 0");
	check_time("2024-05-06T24:00:01Z", "none");
	check_time("2024-05-06T23:59:60Z", "2024-5-6 86400.0 0");
	check_time("2024-05-06T23:59:61Z", "none");
	check_time("2024-05-06T23:60:00Z", "none");
	check_time("2024-05-06T25:00:00Z", "none");
	check_time("2024-05-06T", "none");
	check_time("2024-05-06T07", "none");
	check_time("2024-05-06T07:08:0", "none");
	check_time("2024-05-06T07:08:09 Z", "none");
	check_time("2024-05-06T07:08:09ZZ", "none");

	/* fractions */
	check_time("2024-05-06T00:00:01.5Z", "2024-5-6 1.500000 0");
	check_time("2024-05-06T00:00:01.123456Z", "2024-5-6 1.123456 0");
	check_time("2024-05-06T00:00:01.000001Z", "2024-5-6 1.1 0");
	check_time("2024-05-06T00:00:01.1234564Z", "2024-5-6 1.123456 0");
	check_time("2024-05-06T00:00:01.1234565Z", "2024-5-6 1.123457 0");
	check_time("2024-05-06T00:00:01.123456499999999Z", "2024-5-6 1.123456 0");
	check_time("2024-05-06T23:59:59.9999999Z", "2024-5-6 86399.1000000 0");
	check_time("2024-05-06T00:00:01.Z", "none");
	check_time("2024-05-06T00:00:01,5Z", "none");
	check_time("2024-05-06T24:00:00.1Z", "none");

	/* zones */
	check_time("2024-05-06T00:00:00+02:00", "2024-5-6 0.0 7200");
	check_time("2024-05-06T00:00:00-0530", "2024-5-6 0.0 -19800");
	check_time("2024-05-06T00:00:00+02", "2024-5-6 0.0 7200");
	check_time("2024-05-06T00:00:00+2", "none");
	check_time("2024-05-06T00:00:00+02:", "none");
	check_time("2024-05-06T00:00:00+02:60", "none");
	check_time("2024-05-06T00:00:00+24:00", "none");
	check_time("2024-05-06T00:00:00 UTC", "none");
	check_time("2024-05-06T00:00:00Europe/Zurich", "none");
	check_time("2024-05-06+02:00", "none");
}
