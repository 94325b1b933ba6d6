/*-------------------------------------------------------------------------
 *
 * page_fuzz.c
 *		  Comparison of pages and orders with json-c's tree of the same bytes
 *
 * For any bytes the reader and the tree must agree: a page with the same members,
 * number of orders, ids and bytes of each order; or a refusal, at the same order
 * and for a reason that the tree confirms.  A tree treats repeated names
 * differently, so those are found by walking the bytes.  json_tree.c names where
 * json-c differs.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <string.h>

#include "json_tree.h"
#include "api/page.h"

/* a member of the document, found by walking the members */
typedef struct Member
{
	int			times;			/* number of members with that name */
	ImpiloJsonSlice first;		/* the value of the first of them */
} Member;

static Member
member_of(const ImpiloJsonSlice *object, const char *member)
{
	Member		result = {0};
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError error;

	impilo_json_begin(&cursor, object, DEPTH);
	while (impilo_json_next(&cursor, &name, &value, &error) == 1)
	{
		if (impilo_json_name_equals(&name, member, strlen(member)) &&
			result.times++ == 0)
			result.first = value;
	}
	return result;
}

/* --- envelope ---------------------------------------------------------- */

/* Check that an integer of the page is the tree's, or that the tree has none */
static void
compare_number(struct json_object *tree, const char *member, int64_t number)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(tree, member, &value);
	if (number != IMPILO_UNKNOWN)
	{
		REQUIRE(number >= 0 && json_object_get_int64(value) == number);
		/* json-c reads -0 as a double */
		REQUIRE(json_object_is_type(value, json_type_int) || number == 0);
		return;
	}
	REQUIRE(!json_object_is_type(value, json_type_int) ||
			json_object_get_int64(value) < 0 ||
			json_object_get_uint64(value) > INT64_MAX);
}

static void
compare_boolean(struct json_object *tree, const char *member, int truth)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(tree, member, &value);
	REQUIRE(json_object_is_type(value, json_type_boolean) ==
			(truth != IMPILO_UNKNOWN));
	if (truth != IMPILO_UNKNOWN)
		REQUIRE(json_object_get_boolean(value) == truth);
}

static void
compare_envelope(const ImpiloPage *page, struct json_object *tree)
{
	compare_number(tree, "page", page->page);
	compare_number(tree, "size", page->size);
	compare_number(tree, "total", page->total);
	compare_boolean(tree, "first", page->first);
	compare_boolean(tree, "last", page->last);
}

static bool
is_repeated(const ImpiloJsonSlice *object)
{
	static const char *const members[] =
	{"content", "page", "size", "total", "first", "last"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
	{
		if (member_of(object, members[i]).times > 1)
			return true;
	}
	return false;
}

/* --- orders ------------------------------------------------------------ */

/* An id of the tree; of two, json-c keeps the last and the reader the first */
static void
compare_id(const ImpiloJsonSlice *order, struct json_object *tree,
		   const int64_t *id)
{
	Member		member = member_of(order, "id");
	struct json_object *value = NULL;

	REQUIRE(json_object_is_type(tree, json_type_object));
	if (id != NULL)
		REQUIRE(member.times > 0);
	if (member.times > 1)
		return;
	json_object_object_get_ex(tree, "id", &value);
	if (id != NULL)
	{
		REQUIRE(json_object_get_int64(value) == *id);
		REQUIRE(json_object_is_type(value, json_type_int) || *id == 0);
		return;
	}
	/* beyond 64 bits json-c clamps */
	REQUIRE(!json_object_is_type(value, json_type_int) ||
			json_object_get_uint64(value) > INT64_MAX ||
			json_object_get_int64(value) == INT64_MIN);
}

/* Check the verdict on an order that is well-formed */
static void
compare_order(Document *doc, ImpiloReadVerdict verdict,
			  const ImpiloJsonSlice *order, int64_t id, const char *what,
			  struct json_object *tree)
{
	fuzz_compare_value(doc, order, tree);
	if (verdict == IMPILO_READ_OK)
		compare_id(order, tree, &id);
	else if (order->kind == IMPILO_JSON_OBJECT)
	{
		compare_id(order, tree, NULL);
		REQUIRE((strcmp(what, "has no id") == 0) ==
				(member_of(order, "id").first.kind <= IMPILO_JSON_NULL));
	}
	else
		REQUIRE(strcmp(what, "is not a JSON object") == 0);
}

/*
 * The orders of a page, each of which must be the next element of `content`.
 * `tree` is NULL for bytes that are not well-formed; then all orders but the
 * broken one were.
 */
static ImpiloReadVerdict
read_orders(Document *doc, ImpiloPage *page,
			struct json_object *tree, ImpiloJsonError *wrong)
{
	ImpiloJsonCursor cursor = page->content;
	ImpiloReadVerdict verdict;
	ImpiloJsonSlice order;
	ImpiloJsonSlice element;
	ImpiloJsonError error;
	int64_t		id = 0;
	size_t		n = 0;

	for (;;)
	{
		verdict = impilo_page_next(page, &order, &id, wrong);
		if (verdict == IMPILO_READ_END || verdict == IMPILO_READ_BROKEN)
			break;
		fuzz_inside(doc, &order);
		REQUIRE(impilo_json_next(&cursor, NULL, &element, &error) == 1);
		REQUIRE(order.data == element.data && order.length == element.length);
		REQUIRE(impilo_json_check(order.data, order.length, IMPILO_ORDER_DEPTH,
								  &element, &error));
		if (tree != NULL)
			compare_order(doc, verdict, &order, id, wrong->what,
						  json_object_array_get_idx(tree, n));
		n++;
		REQUIRE(page->orders == (int) n);
		if (verdict == IMPILO_READ_UNFIT)
			return verdict;
	}
	if (verdict == IMPILO_READ_END && tree != NULL)
		REQUIRE(n == json_object_array_length(tree));
	return verdict;
}

/* --- the two kinds of response ----------------------------------------- */

static void
check_page(Document *doc,
		   const ImpiloJsonSlice *whole, struct json_object *tree, bool valid)
{
	struct json_object *content = NULL;
	ImpiloPage	page;
	ImpiloJsonError wrong = {0, ""};
	ImpiloReadVerdict verdict;
	bool		known = valid && !doc->odd_names;
	bool		object = valid && whole->kind == IMPILO_JSON_OBJECT;

	verdict = impilo_page_read(doc->data, doc->size, &page, &wrong);
	if (object && is_repeated(whole))
	{
		REQUIRE(verdict == IMPILO_READ_BROKEN &&
				strcmp(wrong.what, "duplicate member") == 0);
		return;
	}
	if (known)
	{
		if (object)
			json_object_object_get_ex(tree, "content", &content);
		REQUIRE((verdict == IMPILO_READ_OK) ==
				json_object_is_type(content, json_type_array));
	}
	if (verdict == IMPILO_READ_OK)
	{
		REQUIRE(doc->data[page.content_at] == '[');
		if (known)
			compare_envelope(&page, tree);
		verdict = read_orders(doc, &page, known ? content : NULL,
							  &wrong);
	}
	/* only a document that was read to its end is checked, and can be refused */
	if (verdict == IMPILO_READ_END)
		REQUIRE(valid);
	if (verdict == IMPILO_READ_BROKEN)
		REQUIRE(!valid && wrong.offset <= doc->size);
}

static void
check_order(Document *doc,
			struct json_object *tree, bool valid)
{
	ImpiloJsonSlice order;
	ImpiloJsonSlice value;
	ImpiloJsonError wrong = {0, ""};
	ImpiloReadVerdict verdict;
	int64_t		id = 0;

	verdict = impilo_page_order(doc->data, doc->size, &order, &id,
								&wrong);
	REQUIRE((verdict == IMPILO_READ_BROKEN) ==
			!impilo_json_check(doc->data, doc->size, IMPILO_ORDER_DEPTH,
							   &value, &wrong));
	if (verdict == IMPILO_READ_BROKEN)
	{
		REQUIRE(wrong.offset <= doc->size);
		return;
	}
	REQUIRE(valid);
	REQUIRE(order.data == value.data && order.length == value.length);
	if (!doc->odd_names)
		compare_order(doc, verdict, &order, id, wrong.what, tree);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Document	doc = {(const char *) data, size, false, false, 7};
	ImpiloJsonSlice whole = {0};
	ImpiloJsonError error;
	struct json_object *tree = NULL;
	bool		valid;

	valid = impilo_json_check(doc.data, size, DEPTH, &whole, &error);
	if (valid)
	{
		REQUIRE(fuzz_json_c_accepts(&doc, true, &tree));
		fuzz_compare_value(&doc, &whole, tree);
	}
	check_page(&doc, &whole, tree, valid);
	check_order(&doc, tree, valid);
	json_object_put(tree);
	return 0;
}
