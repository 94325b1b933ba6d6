/*-------------------------------------------------------------------------
 *
 * iso8601.c
 *	  Dates and times as ISO 8601 writes them.
 *
 * The API writes its times in this form and no other, so reading them must
 * not depend on what a session calls a date (DateStyle, TimeZone), and should
 * not cost what PostgreSQL's parser of all forms costs.
 *
 * Calendars are left to the caller: this file does no arithmetic on dates.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/iso8601.c
 *
 *-------------------------------------------------------------------------
 */
#include "rows/iso8601.h"

#define SECONDS_OF_DAY 86400

typedef struct Reader
{
	const char *at;
	const char *end;
} Reader;

/*
 * Exactly so many digits.
 */
static bool
read_digits(Reader *reader, int count, int *value)
{
	*value = 0;
	if (reader->end - reader->at < count)
		return false;
	for (int i = 0; i < count; i++, reader->at++)
	{
		if (*reader->at < '0' || *reader->at > '9')
			return false;
		*value = *value * 10 + (*reader->at - '0');
	}
	return true;
}

static bool
read_char(Reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool
read_date(Reader *reader, ImpiloIsoTime *time)
{
	return read_digits(reader, 4, &time->year) &&
		read_char(reader, '-') &&
		read_digits(reader, 2, &time->month) &&
		read_char(reader, '-') &&
		read_digits(reader, 2, &time->day) &&
		time->year >= 1 &&
		time->month >= 1 && time->month <= 12 &&
		time->day >= 1 && time->day <= days_of_month(time->year, time->month);
}

/*
 * The digits behind the point; the seventh rounds.
 */
static bool
read_fraction(Reader *reader, int32_t *microsecond)
{
	int32_t		unit = 1000000;
	const char *start = reader->at;

	for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
		 reader->at++)
	{
		if (unit == 1 && *reader->at >= '5')
			*microsecond += 1;
		unit /= 10;
		*microsecond += unit * (*reader->at - '0');
	}
	return reader->at > start;
}

static bool
read_clock(Reader *reader, ImpiloIsoTime *time)
{
	int			hour;
	int			minute;
	int			second = 0;

	if (!read_digits(reader, 2, &hour) || !read_char(reader, ':') ||
		!read_digits(reader, 2, &minute))
		return false;
	if (read_char(reader, ':'))
	{
		if (!read_digits(reader, 2, &second))
			return false;
		if (read_char(reader, '.') &&
			!read_fraction(reader, &time->microsecond))
			return false;
	}
	time->second = hour * 3600 + minute * 60 + second;
	return minute <= 59 && second <= 60 &&
		time->second + (time->microsecond > 0 ? 1 : 0) <= SECONDS_OF_DAY;
}

static bool
read_zone(Reader *reader, ImpiloIsoTime *time)
{
	bool		west;
	int			hour;
	int			minute = 0;

	if (read_char(reader, 'Z') || read_char(reader, 'z'))
		return true;
	west = read_char(reader, '-');
	if (!west && !read_char(reader, '+'))
		return true;			/* none; what else follows is the caller's */
	if (!read_digits(reader, 2, &hour))
		return false;
	if ((read_char(reader, ':') || reader->at < reader->end) &&
		!read_digits(reader, 2, &minute))
		return false;
	time->offset = (hour * 3600 + minute * 60) * (west ? -1 : 1);
	return hour <= 23 && minute <= 59;
}

bool
impilo_iso8601_parse(const char *text, size_t length, ImpiloIsoTime *time)
{
	Reader		reader = {text, text + length};

	time->second = 0;
	time->microsecond = 0;
	time->offset = 0;
	if (!read_date(&reader, time))
		return false;
	if (reader.at == reader.end)
		return true;
	if (!read_char(&reader, 'T') && !read_char(&reader, 't') &&
		!read_char(&reader, ' '))
		return false;
	return read_clock(&reader, time) && read_zone(&reader, time) &&
		reader.at == reader.end;
}
