/*-------------------------------------------------------------------------
 *
 * test_scan.c
 *		  Valid and invalid JSON, and walking and reading it
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/scan.h"
#include "unit.h"

typedef struct Refusal
{
	const char *text;
	size_t		offset;
	const char *what;
} Refusal;

static bool
check(const char *text, int max_depth, ImpiloJsonSlice *value,
	  ImpiloJsonError *error)
{
	size_t		length = strlen(text);

	return impilo_json_check(unit_exact(text, length), length, max_depth,
							 value, error);
}

static void
accepts(const char *text, ImpiloJsonKind kind, size_t length)
{
	ImpiloJsonSlice value = {0};
	ImpiloJsonError error;

	CHECK_FOR(check(text, 8, &value, &error), text);
	CHECK_FOR(value.kind == kind && value.length == length, text);
}

static void
test_accepted(void)
{
	accepts("null", IMPILO_JSON_NULL, 4);
	accepts("true", IMPILO_JSON_BOOL, 4);
	accepts(" \t\r\n false \n", IMPILO_JSON_BOOL, 5);
	accepts("0", IMPILO_JSON_NUMBER, 1);
	accepts("-0", IMPILO_JSON_NUMBER, 2);
	accepts("-12.50e+07", IMPILO_JSON_NUMBER, 10);
	accepts("1E9", IMPILO_JSON_NUMBER, 3);
	accepts("\"\"", IMPILO_JSON_STRING, 2);
	accepts("\"a b \\\" \\\\ \\/ \\b\\f\\n\\r\\t \\u00e9\"",
			IMPILO_JSON_STRING, 32);
	accepts("\"\xc3\xa9 \x7f\"", IMPILO_JSON_STRING, 6);
	accepts("\"[0123456789abcdef{\\\"}0123456789abcdef]\"",
			IMPILO_JSON_STRING, 40);
	accepts("[]", IMPILO_JSON_ARRAY, 2);
	accepts(" [ ] ", IMPILO_JSON_ARRAY, 3);
	accepts("{}", IMPILO_JSON_OBJECT, 2);
	accepts("[1,[2,{\"a\":[{}]}],\"]\"]", IMPILO_JSON_ARRAY, 22);
	accepts(" { \"a\" : 1 , \"a\" : { } } ", IMPILO_JSON_OBJECT, 23);
}

static const Refusal refused[] = {
	{"", 0, "value expected"},
	{"  ", 2, "value expected"},
	{"nul", 0, "value expected"},
	{"True", 0, "value expected"},
	{"nullx", 4, "text after the end of the value"},
	{"1 2", 2, "text after the end of the value"},
	{"[]]", 2, "text after the end of the value"},
	{"01", 1, "text after the end of the value"},
	{"-", 1, "digit expected"},
	{"+1", 0, "value expected"},
	{".5", 0, "value expected"},
	{"1.", 2, "digit expected"},
	{"1.e5", 2, "digit expected"},
	{"1e", 2, "digit expected"},
	{"1e+", 3, "digit expected"},
	{"0x10", 1, "text after the end of the value"},
	{"NaN", 0, "value expected"},
	{"-Infinity", 1, "digit expected"},
	{"'a'", 0, "value expected"},
	{"\xef\xbb\xbf" "1", 0, "value expected"},
	{"\xc2\xa0" "1", 0, "value expected"},
	{"\f1", 0, "value expected"},
	{"/**/1", 0, "value expected"},
	{"[1,//\n2]", 3, "value expected"},
	{"\"abc", 0, "unterminated string"},
	{"\"", 0, "unterminated string"},
	{"\"abc\\\"", 0, "unterminated string"},
	{"[\"abc\\", 5, "invalid escape in a string"},
	{"\"a\nb\"", 2, "control character in a string"},
	{"\"0123456789abcdef\x1f\"", 17, "control character in a string"},
	{"\"0123456789\x1f" "0123456789\"", 11, "control character in a string"},
	{"\"a\\x\"", 2, "invalid escape in a string"},
	{"\"\\u12g4\"", 1, "invalid escape in a string"},
	{"\"\\u12", 1, "invalid escape in a string"},
	{"\"\\U0041\"", 1, "invalid escape in a string"},
	{"[", 1, "unterminated array"},
	{"[1", 2, "unterminated array"},
	{"[1,", 3, "value expected"},
	{"[1,]", 3, "value expected"},
	{"[,1]", 1, "value expected"},
	{"[1 2]", 3, "comma or closing bracket expected"},
	{"[1}", 2, "comma or closing bracket expected"},
	{"{", 1, "unterminated object"},
	{"{\"a\"", 4, "colon expected"},
	{"{\"a\" 1}", 5, "colon expected"},
	{"{\"a\":}", 5, "value expected"},
	{"{\"a\":1", 6, "unterminated object"},
	{"{\"a\":1,}", 7, "member name expected"},
	{"{,}", 1, "member name expected"},
	{"{a:1}", 1, "member name expected"},
	{"{1:1}", 1, "member name expected"},
	{"{\"a\":1]", 6, "comma or closing brace expected"},
	{"{\"a\":1 \"b\":2}", 7, "comma or closing brace expected"},
	{"[[1]", 4, "unterminated array"},
	{"]", 0, "value expected"},
	{"[1:2]", 2, "comma or closing bracket expected"},
};

static void
test_refused(void)
{
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	size_t		i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
	{
		error.what = "";
		CHECK_FOR(!check(refused[i].text, 8, &value, &error),
				  refused[i].text);
		CHECK_FOR(strcmp(error.what, refused[i].what) == 0, refused[i].text);
		CHECK_FOR(error.offset == refused[i].offset, refused[i].text);
	}
	CHECK(!impilo_json_check(unit_exact("\"a\0b\"", 5), 5, 8, &value,
							 &error));
	CHECK(!impilo_json_check(unit_exact("1\0", 2), 2, 8, &value, &error));
	CHECK(!impilo_json_check(unit_exact("\"\\\0\"", 4), 4, 8, &value,
							 &error));
}

/* A valid document cut anywhere is refused, and not read after the cut */
static void
test_truncated(void)
{
	static const char text[] =
	"{\"id\":-12.5e3,\"s\":\"\\u00e9\\n\",\"a\":[true,null,{}],\"o\":{\"x\":[]}}";
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	size_t		length;

	for (length = 0; length < sizeof(text) - 1; length++)
		CHECK(!impilo_json_check(unit_exact(text, length), length, 8, &value,
								 &error));
	CHECK(impilo_json_check(unit_exact(text, length), length, 8, &value,
							&error));
}

static void
test_depth(void)
{
	static char brackets[2000000];
	ImpiloJsonSlice value;
	ImpiloJsonError error = {0, ""};
	char		deep[2 * IMPILO_JSON_MAX_DEPTH + 2];
	int			max = IMPILO_JSON_MAX_DEPTH;

	CHECK(check("[[1]]", 2, &value, &error));
	CHECK(!check("[[1]]", 1, &value, &error));
	CHECK(error.offset == 1 && strcmp(error.what, "nested too deeply") == 0);
	CHECK(!check("[{}]", 1, &value, &error));
	CHECK(check("[[],{\"a\":[]},[]]", 3, &value, &error));

	/* every level of the word that holds the nesting */
	memset(deep, '[', max + 1);
	memset(deep + max + 1, ']', max + 1);
	CHECK(impilo_json_check(deep + 1, 2 * max, 1000, &value, &error));
	CHECK(!impilo_json_check(deep, 2 * max + 2, 1000, &value, &error));

	memset(brackets, '[', sizeof(brackets));
	CHECK(!impilo_json_check(brackets, sizeof(brackets), 1000000, &value,
							 &error));
	CHECK(error.offset == (size_t) max);
}

/* Elements of an array, one letter for each kind; "!" for an error */
static const char *
kinds_of(const char *text, size_t length, int max_depth)
{
	static const char letters[] = "-nb#saoXX";
	static char kinds[32];
	ImpiloJsonSlice array = {0};
	ImpiloJsonSlice element;
	ImpiloJsonCursor cursor;
	ImpiloJsonError error;
	size_t		n = 0;
	int			more;

	array.data = unit_exact(text, length);
	array.length = length;
	array.kind = IMPILO_JSON_ARRAY;
	impilo_json_begin(&cursor, &array, max_depth);
	while ((more = impilo_json_next(&cursor, NULL, &element, &error)) > 0 &&
		   n < sizeof(kinds) - 2)
		kinds[n++] = letters[element.kind];
	if (more < 0)
		kinds[n++] = '!';
	else
		/* after the end the walk stays at the end */
		CHECK(impilo_json_next(&cursor, NULL, &element, &error) == 0);
	kinds[n] = '\0';
	return kinds;
}

static void
walks(const char *text, const char *checked, const char *skipped)
{
	size_t		length = strlen(text);

	CHECK_FOR(strcmp(kinds_of(text, length, 4), checked) == 0, text);
	CHECK_FOR(strcmp(kinds_of(text, length, IMPILO_JSON_CHECKED),
					 skipped) == 0, text);
}

static void
test_elements(void)
{
	walks("[]", "", "");
	walks("[ ]", "", "");
	walks("[1,\"x\",null,true,[[]],{\"a\":{}}]", "#snbao", "#snbao");
	walks("[ 1 , [ 2 ] , 3 ]", "#a#", "#a#");
	/* errors that only the strict walk finds */
	walks("[1,[2 3],4]", "#!", "#a#");
	walks("[[[[[]]]]]", "!", "a");
	walks("[[[[]]]]", "a", "a");
	walks("[{\"a\":1]}]", "!", "o!");
	/* errors that both find */
	walks("[1,]", "#!", "#!");
	walks("[1 2]", "#!", "#!");
	walks("[,]", "!", "!");
	walks("[1}", "#!", "#!");
	walks("[1", "#!", "#!");
	walks("[", "!", "!");
	walks("", "!", "!");
	walks("{}", "!", "!");
	walks("17", "!", "!");
	walks(" [1] ", "#", "#");
	walks("[1] 2", "#!", "#!");
	walks("[[1]", "a!", "a!");
	walks("[[1", "!", "!");
	walks("[{\"a\":[1]", "!", "!");
	walks("[\"]\"]", "s", "s");
	walks("[[\"]\\\"]\\\\\"],[]]", "aa", "aa");
	CHECK(strcmp(kinds_of("[1]", 3, 1), "#") == 0);
	CHECK(strcmp(kinds_of("[[]]", 4, 1), "!") == 0);
}

static void
test_members(void)
{
	static const char text[] =
	" { \"a\" : [1,{}] , \"b\\u0041\":\"x\" , \"\":null } ";
	ImpiloJsonSlice object;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonCursor cursor;
	ImpiloJsonError error;
	int			depth;

	CHECK(check(text, 8, &object, &error));
	/* the strict walk, and the one over checked bytes */
	for (depth = IMPILO_JSON_CHECKED; depth <= 8; depth += 9)
	{
		impilo_json_begin(&cursor, &object, depth);
		CHECK(impilo_json_next(&cursor, &name, &value, &error) == 1);
		CHECK(impilo_json_name_equals(&name, "a", 1) &&
			  !impilo_json_name_equals(&name, "ab", 2) &&
			  !impilo_json_name_equals(&name, "", 0));
		CHECK(value.kind == IMPILO_JSON_ARRAY && value.length == 6);
		CHECK(impilo_json_next(&cursor, &name, &value, &error) == 1);
		CHECK(name.escaped && impilo_json_name_equals(&name, "bA", 2) &&
			  !impilo_json_name_equals(&name, "b\\u0041", 7) &&
			  !impilo_json_name_equals(&name, "bAA", 3) &&
			  !impilo_json_name_equals(&name, "b", 1));
		CHECK(value.kind == IMPILO_JSON_STRING && !value.escaped);
		CHECK(impilo_json_next(&cursor, &name, &value, &error) == 1);
		CHECK(impilo_json_name_equals(&name, "", 0));
		CHECK(impilo_json_next(&cursor, &name, &value, &error) == 0);
	}

	CHECK(check("[]", 8, &object, &error));
	impilo_json_begin(&cursor, &object, 8);
	CHECK(impilo_json_next(&cursor, &name, &value, &error) == -1);
	CHECK(check("{\"a\":1}", 8, &object, &error));
	impilo_json_begin(&cursor, &object, 8);
	CHECK(impilo_json_next(&cursor, NULL, &value, &error) == -1);
}

/* A skip sees every bracket, at any place in its blocks of 64 bytes */
static void
test_skip_alignment(void)
{
	static const char rest[] = "]\\\\\\\"]\",{\"k\":\"\\\\\"},[]],7]";
	ImpiloJsonSlice array = {0};
	ImpiloJsonSlice element;
	ImpiloJsonCursor cursor;
	ImpiloJsonError error;
	char		text[400];
	size_t		pad;

	for (pad = 0; pad < 140; pad++)
	{
		size_t		n = 0;

		text[n++] = '[';
		text[n++] = '[';
		text[n++] = '"';
		memset(text + n, 'x', pad);
		n += pad;
		memcpy(text + n, rest, sizeof(rest) - 1);
		n += sizeof(rest) - 1;
		array.data = unit_exact(text, n);
		array.length = n;
		array.kind = IMPILO_JSON_ARRAY;
		impilo_json_begin(&cursor, &array, IMPILO_JSON_CHECKED);
		CHECK(impilo_json_next(&cursor, NULL, &element, &error) == 1 &&
			  element.length == n - 4);
		CHECK(impilo_json_next(&cursor, NULL, &element, &error) == 1 &&
			  element.kind == IMPILO_JSON_NUMBER);
		CHECK(impilo_json_next(&cursor, NULL, &element, &error) == 0);
	}
}

/* Unescape a string written with its quotes */
static const char *
unescape(const char *text, char *buffer, size_t *length)
{
	ImpiloJsonSlice string;

	string.data = unit_exact(text, strlen(text));
	string.length = strlen(text);
	string.kind = IMPILO_JSON_STRING;
	string.escaped = strchr(text, '\\') != NULL;
	return impilo_json_unescape(&string, buffer, length);
}

static void
decodes(const char *text, const char *expected)
{
	char		buffer[100];
	size_t		length;

	CHECK_FOR(unescape(text, buffer, &length) == NULL, text);
	CHECK_FOR(length == strlen(expected) &&
			  memcmp(buffer, expected, length) == 0, text);
}

static void
fails(const char *text, const char *expected)
{
	char		buffer[100];
	size_t		length;
	const char *wrong = unescape(text, buffer, &length);

	CHECK_FOR(wrong && strcmp(wrong, expected) == 0, text);
}

static void
test_unescape(void)
{
	decodes("\"\"", "");
	decodes("\"plain \xc3\xa9\"", "plain \xc3\xa9");
	decodes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	decodes("\"a\\u0041b\\u007f\"", "aAb\x7f");
	decodes("\"\\u0080\\u00e9\\u07FF\"", "\xc2\x80\xc3\xa9\xdf\xbf");
	decodes("\"\\u0800\\uffff\"", "\xe0\xa0\x80\xef\xbf\xbf");
	decodes("\"\\uD83D\\uDE00.\"", "\xf0\x9f\x98\x80.");
	decodes("\"\\ud800\\udc00\\udbff\\udfff\"",
			"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
	fails("\"ab\\u0000cd\"", "the character \\u0000");
	fails("\"ab\\ud800\"", "half of a surrogate pair");
	fails("\"\\ud800x\"", "half of a surrogate pair");
	fails("\"\\ud800\\n\"", "half of a surrogate pair");
	fails("\"\\ud800\\ud800\"", "half of a surrogate pair");
	fails("\"\\ud800\\u0041\"", "half of a surrogate pair");
	fails("\"\\udc00\\udc00\"", "half of a surrogate pair");
	fails("\"x\\udc00\\ud800\"", "half of a surrogate pair");
	fails("\"\\x\"", "an invalid escape");
	fails("\"\\u12\"", "an invalid escape");
	fails("\"\\\"", "an invalid escape");
}

static void
integer(const char *text, bool expected, int64_t value)
{
	ImpiloJsonSlice number = {0};
	int64_t		result = -99;

	number.data = unit_exact(text, strlen(text));
	number.length = strlen(text);
	number.kind = IMPILO_JSON_NUMBER;
	CHECK_FOR(impilo_json_int64(&number, &result) == expected, text);
	CHECK_FOR(result == (expected ? value : -99), text);
}

static void
test_int64(void)
{
	ImpiloJsonSlice string = {"\"1\"", 3, IMPILO_JSON_STRING, false};
	int64_t		value;

	integer("0", true, 0);
	integer("-0", true, 0);
	integer("42", true, 42);
	integer("-42", true, -42);
	integer("9223372036854775807", true, INT64_MAX);
	integer("-9223372036854775808", true, INT64_MIN);
	integer("9223372036854775808", false, 0);
	integer("-9223372036854775809", false, 0);
	integer("18446744073709551617", false, 0);
	integer("99999999999999999999999", false, 0);
	integer("1.0", false, 0);
	integer("1e3", false, 0);
	CHECK(!impilo_json_int64(&string, &value));
}

void
test_scan(void)
{
	test_accepted();
	test_refused();
	test_truncated();
	test_depth();
	test_elements();
	test_members();
	test_skip_alignment();
	test_unescape();
	test_int64();
}
