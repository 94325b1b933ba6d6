/*-------------------------------------------------------------------------
 *
 * number.c
 *	  Decimal numbers as text: what range and form they have.
 *
 * JSON knows only one kind of number and SQL several.  PostgreSQL's own input
 * functions would find out which ones a number fits into, but by raising an
 * error that shows it; this file finds out first.
 *
 * It does not round: a number that is not whole is no integer.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/number.c
 *
 *-------------------------------------------------------------------------
 */
#include "rows/number.h"

/* beyond it an exponent counts as this: longer texts than this do not occur */
#define MAX_EXPONENT 1000000000

/* decimal digits of the greatest 64-bit integer */
#define INT64_DIGITS 19

/* digits that numeric can hold before and behind the point */
#define NUMERIC_WHOLE_DIGITS 131072
#define NUMERIC_FRACTION_DIGITS 16383

static const char *
pass_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/*
 * The exponent behind its letter, or NULL.
 */
static const char *
pass_exponent(const char *p, const char *end, int32_t *exponent)
{
	bool		negative = p < end && *p == '-';
	const char *digits = p < end && (*p == '-' || *p == '+') ? p + 1 : p;
	int32_t		value = 0;

	p = pass_digits(digits, end);
	if (p == digits)
		return NULL;
	for (; digits < p; digits++)
		value = value >= MAX_EXPONENT / 10
			? MAX_EXPONENT : value * 10 + (*digits - '0');
	*exponent = negative ? -value : value;
	return p;
}

bool
impilo_number_parse(const char *text, size_t length, ImpiloNumber *number)
{
	const char *p = text;
	const char *end = text + length;

	number->negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	number->whole = p;
	p = pass_digits(p, end);
	number->nwhole = (size_t) (p - number->whole);
	if (number->nwhole == 0)
		return false;

	number->fraction = p;
	number->nfraction = 0;
	if (p < end && *p == '.')
	{
		number->fraction = ++p;
		p = pass_digits(p, end);
		number->nfraction = (size_t) (p - number->fraction);
		if (number->nfraction == 0)
			return false;
	}

	number->exponent = 0;
	if (p < end && (*p == 'e' || *p == 'E'))
		p = pass_exponent(p + 1, end, &number->exponent);
	return p == end;
}

static char
digit_at(const ImpiloNumber *number, int64_t place)
{
	if (place < (int64_t) number->nwhole)
		return number->whole[place];
	place -= (int64_t) number->nwhole;
	return place < (int64_t) number->nfraction ? number->fraction[place] : '0';
}

/*
 * Places count from the first digit; the point stands, the exponent being
 * applied, before place `point`.  Zeros at either end decide nothing, so all
 * is counted between the first and the last other digit.
 */
ImpiloNumberFit
impilo_number_int64(const ImpiloNumber *number, int64_t *value)
{
	int64_t		ndigits = (int64_t) (number->nwhole + number->nfraction);
	int64_t		point = (int64_t) number->nwhole + number->exponent;
	int64_t		first = 0;
	uint64_t	sum = 0;
	uint64_t	limit = (uint64_t) INT64_MAX + (number->negative ? 1 : 0);

	*value = 0;
	while (first < ndigits && digit_at(number, first) == '0')
		first++;
	if (first == ndigits)
		return IMPILO_NUMBER_OK;
	while (digit_at(number, ndigits - 1) == '0')
		ndigits--;
	if (ndigits > point)
		return IMPILO_NUMBER_FRACTION;
	if (point - first > INT64_DIGITS)
		return IMPILO_NUMBER_RANGE;

	for (int64_t place = first; place < point; place++)
		sum = sum * 10 + (uint64_t) (digit_at(number, place) - '0');
	if (sum > limit)
		return IMPILO_NUMBER_RANGE;
	*value = number->negative ? (int64_t) (0 - sum) : (int64_t) sum;
	return IMPILO_NUMBER_OK;
}

bool
impilo_number_zero(const ImpiloNumber *number)
{
	for (size_t i = 0; i < number->nwhole; i++)
		if (number->whole[i] != '0')
			return false;
	for (size_t i = 0; i < number->nfraction; i++)
		if (number->fraction[i] != '0')
			return false;
	return true;
}

ImpiloNumberFit
impilo_number_numeric(const ImpiloNumber *number)
{
	int64_t		whole = (int64_t) number->nwhole + number->exponent;
	int64_t		fraction = (int64_t) number->nfraction - number->exponent;

	return whole <= NUMERIC_WHOLE_DIGITS && fraction <= NUMERIC_FRACTION_DIGITS
		? IMPILO_NUMBER_OK : IMPILO_NUMBER_RANGE;
}
