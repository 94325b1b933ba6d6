/*-------------------------------------------------------------------------
 *
 * iso8601_fuzz.c
 *		  Times held against a regular expression and the C library
 *
 * A text is a time if it has the form and its date and clock exist; then
 * every part of it is what the text says.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <regex.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "rows/iso8601.h"

/* groups: 1-3 date, 5 hour, 6 minute, 8 second, 10 fraction, 12 sign, 13 hour, 14 minute */
#define FORM "^([0-9]{4})-([0-9]{2})-([0-9]{2})" \
	"([Tt ]([0-9]{2}):([0-9]{2})(:([0-9]{2})([.]([0-9]+))?)?" \
	"([Zz]|([+-])([0-9]{2}):?([0-9]{2})?)?)?$"
#define GROUPS 15
#define MAX_SIZE 64

typedef struct Text
{
	const char *data;
	size_t		size;
	regmatch_t	group[GROUPS];
} Text;

static bool
has_form(Text *text)
{
	static regex_t form;
	static bool compiled = false;
	char		copy[MAX_SIZE + 1];

	if (!compiled)
		REQUIRE(regcomp(&form, FORM, REG_EXTENDED) == 0);
	compiled = true;
	/* the sanitizer asks for a NUL behind it, though there may be one inside */
	memcpy(copy, text->data, text->size);
	copy[text->size] = '\0';
	text->group[0].rm_so = 0;
	text->group[0].rm_eo = (regoff_t) text->size;
	if (regexec(&form, copy, GROUPS, text->group, REG_STARTEND) != 0)
		return false;
	/* a colon of the zone has minutes behind it */
	return text->data[text->size - 1] != ':';
}

static bool
has(const Text *text, int group)
{
	return text->group[group].rm_so >= 0;
}

/* The digits of a group as a number, 0 if it is not there */
static int
number(const Text *text, int group)
{
	int			value = 0;

	for (regoff_t i = text->group[group].rm_so;
		 has(text, group) && i < text->group[group].rm_eo; i++)
		value = value * 10 + (text->data[i] - '0');
	return value;
}

/* Microseconds of the fraction, the seventh digit rounding */
static int
microseconds(const Text *text)
{
	int			tenths = 0;
	regoff_t	at = text->group[10].rm_so;

	for (int i = 0; i < 7; i++, at++)
		tenths = tenths * 10 +
			(has(text, 10) && at < text->group[10].rm_eo ? text->data[at] - '0' : 0);
	return (tenths + 5) / 10;
}

static bool
date_exists(int year, int month, int day)
{
	struct tm	tm = {0};

	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	(void) timegm(&tm);
	return year >= 1 && tm.tm_year == year - 1900 && tm.tm_mon == month - 1 &&
		tm.tm_mday == day;
}

static bool
exists(const Text *text)
{
	int			second = number(text, 5) * 3600 + number(text, 6) * 60 +
	number(text, 8);

	return date_exists(number(text, 1), number(text, 2), number(text, 3)) &&
		number(text, 6) <= 59 && number(text, 8) <= 60 &&
		(second < 86400 || (second == 86400 && microseconds(text) == 0)) &&
		number(text, 13) <= 23 && number(text, 14) <= 59;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Text		text = {(const char *) data, size, {{0}}};
	ImpiloIsoTime time;
	bool		ours = impilo_iso8601_parse(text.data, size, &time);
	int			offset;

	if (size > MAX_SIZE)
		return 0;
	REQUIRE(ours == (size > 0 && has_form(&text) && exists(&text)));
	if (!ours)
		return 0;
	REQUIRE(time.year == number(&text, 1) && time.month == number(&text, 2) &&
			time.day == number(&text, 3));
	REQUIRE(time.second == number(&text, 5) * 3600 + number(&text, 6) * 60 +
			number(&text, 8));
	REQUIRE(time.microsecond == microseconds(&text));
	offset = number(&text, 13) * 3600 + number(&text, 14) * 60;
	if (has(&text, 12) && text.data[text.group[12].rm_so] == '-')
		offset = -offset;
	REQUIRE(time.offset == offset);
	return 0;
}
