/*-------------------------------------------------------------------------
 *
 * number_fuzz.c
 *		  Numbers held against a regular expression and their own digits
 *
 * A number is brought into one form: its digits without zeros at either end,
 * and the power of ten of the last one.  That form tells what fits, and the
 * value that is read must have the same.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <inttypes.h>
#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "json/scan.h"
#include "rows/number.h"

#define MAX_SIZE 256

/* groups: 1 whole, 3 fraction, 5 exponent */
#define FORM "^[+-]?([0-9]+)([.]([0-9]+))?([eE]([+-]?[0-9]+))?$"
#define GROUPS 6

typedef struct Plain
{
	char		digits[MAX_SIZE];
	size_t		count;			/* 0: the number is zero */
	int64_t		power;
} Plain;

static bool
has_form(const char *data, size_t size, regmatch_t * group)
{
	static regex_t form;
	static bool compiled = false;
	char		copy[MAX_SIZE + 1];

	if (!compiled)
		REQUIRE(regcomp(&form, FORM, REG_EXTENDED) == 0);
	compiled = true;
	/* the sanitizer asks for a NUL behind it, though there may be one inside */
	memcpy(copy, data, size);
	copy[size] = '\0';
	group[0].rm_so = 0;
	group[0].rm_eo = (regoff_t) size;
	return regexec(&form, copy, GROUPS, group, REG_STARTEND) == 0;
}

static void
append(Plain *plain, const char *digits, size_t count)
{
	REQUIRE(plain->count + count <= MAX_SIZE);
	memcpy(plain->digits + plain->count, digits, count);
	plain->count += count;
}

static void
trim(Plain *plain)
{
	size_t		first = 0;

	while (first < plain->count && plain->digits[first] == '0')
		first++;
	plain->count -= first;
	memmove(plain->digits, plain->digits + first, plain->count);
	while (plain->count > 0 && plain->digits[plain->count - 1] == '0')
	{
		plain->count--;
		plain->power++;
	}
}

/* An exponent of more digits than can matter counts as a billion */
static int64_t
exponent_of(const char *text, size_t length)
{
	bool		negative = *text == '-';
	int64_t		value = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (text[i] >= '0' && text[i] <= '9' && value < 1000000000)
			value = value * 10 + (text[i] - '0');
	}
	if (value > 1000000000)
		value = 1000000000;
	return negative ? -value : value;
}

static void
check_int64(const ImpiloNumber *number, const Plain *plain)
{
	char		text[30];
	Plain		again = {{0}, 0, 0};
	int64_t		value;

	switch (impilo_number_int64(number, &value))
	{
		case IMPILO_NUMBER_OK:
			snprintf(text, sizeof(text), "%" PRId64, value);
			append(&again, text + (value < 0), strlen(text + (value < 0)));
			trim(&again);
			REQUIRE(again.count == plain->count &&
					memcmp(again.digits, plain->digits, again.count) == 0);
			REQUIRE(value == 0 || (again.power == plain->power &&
								   (value < 0) == number->negative));
			break;
		case IMPILO_NUMBER_FRACTION:
			REQUIRE(plain->count > 0 && plain->power < 0);
			break;
		case IMPILO_NUMBER_RANGE:
			REQUIRE(plain->count > 0 && plain->power >= 0);
			REQUIRE((int64_t) plain->count + plain->power >= 19);
			if ((int64_t) plain->count + plain->power == 19)
				/* the last digits of the limits are not zeros */
				REQUIRE(strncmp(plain->digits, number->negative
								? "9223372036854775808" : "9223372036854775807",
								plain->count) >= 0);
			break;
	}
}

/* What JSON calls a number is one, and an integer of it the same */
static void
check_json(const char *data, size_t size, bool ours,
		   const ImpiloNumber *number)
{
	ImpiloJsonSlice slice;
	ImpiloJsonError error;
	int64_t		value;
	int64_t		again;

	if (!impilo_json_check(data, size, 1, &slice, &error) ||
		slice.kind != IMPILO_JSON_NUMBER || slice.length != size)
		return;
	REQUIRE(ours);
	if (impilo_json_int64(&slice, &value))
	{
		REQUIRE(impilo_number_int64(number, &again) == IMPILO_NUMBER_OK);
		REQUIRE(again == value);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	regmatch_t	group[GROUPS];
	ImpiloNumber number;
	Plain		plain = {{0}, 0, 0};
	bool		ours = impilo_number_parse(text, size, &number);

	if (size > MAX_SIZE)
		return 0;
	REQUIRE(ours == has_form(text, size, group));
	check_json(text, size, ours, &number);
	if (!ours)
		return 0;

	REQUIRE(number.negative == (*text == '-'));
	if (group[5].rm_so >= 0)
		plain.power = exponent_of(text + group[5].rm_so,
								  (size_t) (group[5].rm_eo - group[5].rm_so));
	REQUIRE(number.exponent == plain.power);
	append(&plain, text + group[1].rm_so,
		   (size_t) (group[1].rm_eo - group[1].rm_so));
	if (group[3].rm_so >= 0)
	{
		append(&plain, text + group[3].rm_so,
			   (size_t) (group[3].rm_eo - group[3].rm_so));
		plain.power -= group[3].rm_eo - group[3].rm_so;
	}
	trim(&plain);
	REQUIRE(impilo_number_zero(&number) == (plain.count == 0));
	check_int64(&number, &plain);
	/* no digit can be lost that numeric was said to have room for */
	if (impilo_number_numeric(&number) == IMPILO_NUMBER_OK && plain.count > 0)
		REQUIRE((int64_t) plain.count + plain.power <= 131072 &&
				plain.power >= -16383);
	return 0;
}
