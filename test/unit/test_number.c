/*-------------------------------------------------------------------------
 *
 * test_number.c
 *		  Numbers as text: what they fit into
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows/number.h"
#include "unit.h"

/* The integer that a text is, or "fraction", "range", "no number" */
static const char *
integer_of(const char *text)
{
	static char result[30];
	ImpiloNumber number;
	int64_t		value;
	size_t		length = strlen(text);

	if (!impilo_number_parse(unit_exact(text, length), length, &number))
		return "no number";
	switch (impilo_number_int64(&number, &value))
	{
		case IMPILO_NUMBER_OK:
			snprintf(result, sizeof(result), "%" PRId64, value);
			return result;
		case IMPILO_NUMBER_FRACTION:
			return "fraction";
		case IMPILO_NUMBER_RANGE:
			break;
	}
	return "range";
}

static void
check_integer(const char *text, const char *expected)
{
	CHECK_FOR(strcmp(integer_of(text), expected) == 0, text);
}

/* Does `whole` digits, a point, `fraction` digits and an exponent fit? */
static bool
fits_numeric(int whole, int fraction, int exponent)
{
	size_t		size = (size_t) whole + (size_t) fraction + 40;
	char	   *text = malloc(size);
	ImpiloNumber number;
	size_t		length;
	bool		fits;

	memset(text, '7', size);
	text[whole] = '.';
	length = (size_t) whole + (fraction > 0 ? 1 + (size_t) fraction : 0);
	length += (size_t) snprintf(text + length, size - length, "e%d", exponent);
	fits = impilo_number_parse(text, length, &number) &&
		impilo_number_numeric(&number) == IMPILO_NUMBER_OK;
	free(text);
	return fits;
}

static bool
is_zero(const char *text)
{
	ImpiloNumber number;

	return impilo_number_parse(text, strlen(text), &number) &&
		impilo_number_zero(&number);
}

void
test_number(void)
{
	check_integer("0", "0");
	check_integer("-0", "0");
	check_integer("42", "42");
	check_integer("-42", "-42");
	check_integer("+42", "42");
	check_integer("00042", "42");
	check_integer("42.000", "42");
	check_integer("4.2e1", "42");
	check_integer("420E-1", "42");
	check_integer("1e3", "1000");
	check_integer("0e999999999999", "0");
	check_integer("0.000e-5", "0");
	check_integer("1e18", "1000000000000000000");
	check_integer("9223372036854775807", "9223372036854775807");
	check_integer("9223372036854775808", "range");
	check_integer("-9223372036854775808", "-9223372036854775808");
	check_integer("-9223372036854775809", "range");
	check_integer("922337203685477580.7e1", "9223372036854775807");
	check_integer("0000000000000000000000000000009", "9");
	check_integer("9999999999999999999", "range");
	check_integer("99999999999999999999999999", "range");
	check_integer("1e19", "range");
	check_integer("1e999999999999999999999", "range");
	check_integer("1e-999999999999999999999", "fraction");
	check_integer("1.5", "fraction");
	check_integer("5e-1", "fraction");
	check_integer("0.1", "fraction");

	check_integer("", "no number");
	check_integer("-", "no number");
	check_integer("+", "no number");
	check_integer(".5", "no number");
	check_integer("5.", "no number");
	check_integer("1e", "no number");
	check_integer("1e+", "no number");
	check_integer(" 1", "no number");
	check_integer("1 ", "no number");
	check_integer("1,5", "no number");
	check_integer("0x10", "no number");
	check_integer("NaN", "no number");
	check_integer("Infinity", "no number");
	check_integer("--1", "no number");

	CHECK(is_zero("0"));
	CHECK(is_zero("-0.00e5"));
	CHECK(!is_zero("0.001"));
	CHECK(!is_zero("100"));

	CHECK(fits_numeric(131072, 0, 0));
	CHECK(!fits_numeric(131073, 0, 0));
	CHECK(fits_numeric(1, 0, 131071));
	CHECK(!fits_numeric(1, 0, 131072));
	CHECK(fits_numeric(1, 16383, 0));
	CHECK(!fits_numeric(1, 16384, 0));
	CHECK(fits_numeric(1, 0, -16383));
	CHECK(!fits_numeric(1, 0, -16384));
	CHECK(fits_numeric(1, 20000, 20000));
	CHECK(!fits_numeric(1, 0, 2000000000));
}
