/*-------------------------------------------------------------------------
 *
 * test_page.c
 *		  Reading a page of the list and an order from bytes
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/page.h"
#include "unit.h"

static char result[400];
static size_t used;

static void
add(const char *text)
{
	used += (size_t) snprintf(result + used, sizeof(result) - used, "%s", text);
	if (used >= sizeof(result))
		abort();
}

static void
add_number(int64_t number)
{
	char		text[30];

	snprintf(text, sizeof(text), " %" PRId64, number);
	add(text);
}

/* The result of reading: "." or the error, with its offset */
static void
add_verdict(ImpiloReadVerdict verdict, const ImpiloJsonError *wrong)
{
	if (verdict == IMPILO_READ_END || verdict == IMPILO_READ_OK)
	{
		add(".");
		return;
	}
	add(verdict == IMPILO_READ_BROKEN ? " broken: " : " unfit: ");
	add(wrong->what);
	if (verdict == IMPILO_READ_BROKEN)
		add_number((int64_t) wrong->offset);
}

/* "page size total first last: id id ...", and the result */
static const char *
page_of(const char *text)
{
	size_t		length = strlen(text);
	ImpiloPage	page;
	ImpiloJsonSlice order;
	ImpiloJsonError wrong;
	ImpiloReadVerdict verdict;
	int64_t		id;
	int			n = 0;

	used = 0;
	add("");
	verdict = impilo_page_read(unit_exact(text, length), length,
							   &page, &wrong);
	if (verdict == IMPILO_READ_OK)
	{
		add_number(page.page);
		add_number(page.size);
		add_number(page.total);
		add_number(page.first);
		add_number(page.last);
		add(":");
		CHECK_FOR(text[page.content_at] == '[', text);
		while ((verdict = impilo_page_next(&page, &order, &id,
										   &wrong)) == IMPILO_READ_OK)
		{
			CHECK_FOR(page.orders == ++n, text);
			CHECK_FOR(order.kind == IMPILO_JSON_OBJECT, text);
			add_number(id);
		}
		CHECK_FOR(page.orders == n + (verdict == IMPILO_READ_END ? 0 : 1),
				  text);
	}
	add_verdict(verdict, &wrong);
	return result;
}

static void
check_page(const char *text, const char *expected)
{
	CHECK_FOR(strcmp(page_of(text), expected) == 0, text);
	if (strcmp(result, expected) != 0)
		printf("  expected \"%s\", got \"%s\"\n", expected, result);
}

static void
check_order(const char *text, const char *expected)
{
	size_t		length = strlen(text);
	ImpiloJsonSlice order;
	ImpiloJsonError wrong;
	ImpiloReadVerdict verdict;
	int64_t		id;

	used = 0;
	add("");
	verdict = impilo_page_order(unit_exact(text, length), length,
								&order, &id, &wrong);
	if (verdict == IMPILO_READ_OK)
		add_number(id);
	add_verdict(verdict, &wrong);
	CHECK_FOR(strcmp(result, expected) == 0, text);
	if (strcmp(result, expected) != 0)
		printf("  expected \"%s\", got \"%s\"\n", expected, result);
}

/* An order with so many nested containers, alone and on a page */
static void
check_depth(int depth, bool fits)
{
	char		order[400];
	char		page[500];
	size_t		n = 0;

	n += (size_t) snprintf(order, sizeof(order), "{\"id\":1,\"a\":");
	memset(order + n, '[', (size_t) depth - 1);
	n += (size_t) depth - 1;
	memset(order + n, ']', (size_t) depth - 1);
	n += (size_t) depth - 1;
	snprintf(order + n, sizeof(order) - n, "}");
	snprintf(page, sizeof(page), "{\"content\":[%s]}", order);
	check_order(order, fits ? " 1." : " broken: nested too deeply 73");
	check_page(page, fits ? " -1 -1 -1 -1 -1: 1."
			   : " -1 -1 -1 -1 -1: broken: nested too deeply 85");
}

static void
test_envelope(void)
{
	check_page("{\"content\":[],\"page\":1,\"size\":15,\"total\":0,\"first\":true,\"last\":false}",
			   " 1 15 0 1 0:.");
	check_page(" { \"last\" : true , \"total\":9223372036854775807, \"content\" : [ {\"id\":3} , {\"id\":-4} ] } ",
			   " -1 -1 9223372036854775807 -1 1: 3 -4.");
	check_page("{\"\\u0063ontent\":[{\"\\u0069d\":5}],\"pag\\u0065\":2}",
			   " 2 -1 -1 -1 -1: 5.");

	/* a value that is not a number or boolean is unknown */
	check_page("{\"content\":[],\"page\":\"1\",\"size\":null,\"total\":9223372036854775808,\"first\":1,\"last\":\"true\"}",
			   " -1 -1 -1 -1 -1:.");
	check_page("{\"content\":[],\"page\":1.0,\"size\":1e2,\"total\":-1,\"first\":[true],\"last\":{}}",
			   " -1 -1 -1 -1 -1:.");
	check_page("{\"content\":[],\"x\":{\"page\":1,\"content\":[{\"id\":1}]}}",
			   " -1 -1 -1 -1 -1:.");

	check_page("{\"content\":[],\"page\":{\"a\":07},\"last\":true}",
			   " broken: comma or closing brace expected 27");
	check_page("{\"content\":[],\"page\":{\"a\":[0]},\"last\":[[}]}",
			   " broken: value expected 40");

	/* not a page */
	check_page("{\"content\":{}}", " unfit: has no array \"content\"");
	check_page("{\"content\":null}", " unfit: has no array \"content\"");
	check_page("{\"page\":1}", " unfit: has no array \"content\"");
	check_page("[]", " unfit: has no array \"content\"");
	check_page("7", " unfit: has no array \"content\"");
	check_page("", " broken: value expected 0");
	check_page("{\"content\":[]}x", " broken: text after the end of the value 14");
	check_page("{\"content\":[],\"a\":[}", " broken: value expected 19");
	check_page("{\"content\":[],\"content\":[]}", " broken: duplicate member 14");
	check_page("{\"total\":1,\"content\":[],\"total\":2}",
			   " broken: duplicate member 24");
}

static void
test_orders(void)
{
	/* orders before the wrong one are returned */
	check_page("{\"content\":[{\"id\":1},{\"id\":}]}",
			   " -1 -1 -1 -1 -1: 1 broken: value expected 27");
	check_page("{\"content\":[{\"id\":1} {\"id\":2}]}",
			   " -1 -1 -1 -1 -1: 1 broken: comma or closing bracket expected 21");
	check_page("{\"content\":[{\"id\":1},]}",
			   " -1 -1 -1 -1 -1: 1 broken: value expected 21");
	check_page("{\"content\":[{\"id\":1},7]}",
			   " -1 -1 -1 -1 -1: 1 unfit: is not a JSON object");
	check_page("{\"content\":[null]}",
			   " -1 -1 -1 -1 -1: unfit: is not a JSON object");
	check_page("{\"content\":[{}]}", " -1 -1 -1 -1 -1: unfit: has no id");

	check_order(" {\"a\":[{\"id\":2}],\"id\":1} ", " 1.");
	check_order("{\"id\":1,\"id\":2}", " 1.");
	check_order("{\"id\":-9223372036854775808}", " -9223372036854775808.");
	check_order("{\"id\":null}", " unfit: has no id");
	check_order("{\"ID\":1}", " unfit: has no id");
	check_order("{\"id\":\"1\"}", " unfit: has an id that is not an integer of 64 bits");
	check_order("{\"id\":1.0}", " unfit: has an id that is not an integer of 64 bits");
	check_order("{\"id\":9223372036854775808}", " unfit: has an id that is not an integer of 64 bits");
	check_order("[{\"id\":1}]", " unfit: is not a JSON object");
	check_order("{\"id\":1", " broken: unterminated object 7");
	check_order("{\"id\":1}{", " broken: text after the end of the value 8");

	check_depth(IMPILO_ORDER_DEPTH, true);
	check_depth(IMPILO_ORDER_DEPTH + 1, false);
}

void
test_page(void)
{
	test_envelope();
	test_orders();
}
