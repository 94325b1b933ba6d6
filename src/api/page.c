/*-------------------------------------------------------------------------
 *
 * page.c
 *	  Reads a page of the list, or an order, from the bytes of a body.
 *
 * The envelope of a page is read first: everything around the orders is
 * checked, the orders themselves are only skipped.  Each order is checked when
 * it is read, so a page that is read to its end has been checked completely.
 *
 * Only the id of an order is read here.  The search ends at the first id,
 * which the API writes in front, so a second one is not noticed.
 *
 * Not here: whether pages are consistent (read/list.c), and the wording of
 * errors (api.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/api/page.c
 *
 *-------------------------------------------------------------------------
 */

#include <string.h>

#include "api/page.h"

/* The members of a page's envelope, in the order of their slots */
enum EnvelopeSlot
{
	SLOT_CONTENT,
	SLOT_PAGE,
	SLOT_SIZE,
	SLOT_TOTAL,
	SLOT_FIRST,
	SLOT_LAST
};

static const char *const envelope_members[IMPILO_PAGE_MEMBERS] = {
	"content", "page", "size", "total", "first", "last"
};

static int64_t
number_or_unknown(const ImpiloJsonSlice *value)
{
	int64_t		number;

	if (!impilo_json_int64(value, &number) || number < 0)
		return IMPILO_UNKNOWN;
	return number;
}

static int
boolean_or_unknown(const ImpiloJsonSlice *value)
{
	if (value->kind != IMPILO_JSON_BOOL)
		return IMPILO_UNKNOWN;
	return value->data[0] == 't';
}

static ImpiloReadVerdict
unfit(ImpiloJsonError *wrong, const char *what)
{
	wrong->what = what;
	return IMPILO_READ_UNFIT;
}

ImpiloReadVerdict
impilo_page_read(const char *body, size_t length, ImpiloPage *page,
				 ImpiloJsonError *wrong)
{
	ImpiloJsonSlice document = {body, length, IMPILO_JSON_OBJECT, false};
	ImpiloJsonSlice found[IMPILO_PAGE_MEMBERS] = {{0}};
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonCursor cursor;
	int			more;

	impilo_json_begin(&cursor, &document, IMPILO_JSON_CHECKED);
	while ((more = impilo_json_next(&cursor, &name, &value, wrong)) > 0)
	{
		int			slot = 0;

		while (slot < IMPILO_PAGE_MEMBERS &&
			   !impilo_json_name_equals(&name, envelope_members[slot],
										strlen(envelope_members[slot])))
			slot++;
		if (slot < IMPILO_PAGE_MEMBERS &&
			found[slot].kind != IMPILO_JSON_ABSENT)
		{
			wrong->offset = (size_t) (name.data - body);
			wrong->what = "duplicate member";
			return IMPILO_READ_BROKEN;
		}
		/* of arrays and objects only the brackets have been read */
		if (value.kind >= IMPILO_JSON_ARRAY && slot != SLOT_CONTENT &&
			!impilo_json_check(value.data, value.length,
							   IMPILO_JSON_MAX_DEPTH - 1, &value, wrong))
		{
			wrong->offset += (size_t) (value.data - body);
			return IMPILO_READ_BROKEN;
		}
		if (slot < IMPILO_PAGE_MEMBERS)
			found[slot] = value;
	}
	if (more < 0 && !impilo_json_check(body, length, IMPILO_JSON_MAX_DEPTH,
									   &value, wrong))
		return IMPILO_READ_BROKEN;
	if (more < 0 || found[SLOT_CONTENT].kind != IMPILO_JSON_ARRAY)
		return unfit(wrong, "has no array \"content\"");

	page->page = number_or_unknown(&found[SLOT_PAGE]);
	page->size = number_or_unknown(&found[SLOT_SIZE]);
	page->total = number_or_unknown(&found[SLOT_TOTAL]);
	page->first = boolean_or_unknown(&found[SLOT_FIRST]);
	page->last = boolean_or_unknown(&found[SLOT_LAST]);
	page->content_at = (size_t) (found[SLOT_CONTENT].data - body);
	page->orders = 0;
	impilo_json_begin(&page->content, &found[SLOT_CONTENT],
					  IMPILO_ORDER_DEPTH + 1);
	return IMPILO_READ_OK;
}

/* Read the id of an order whose bytes were checked. */
static ImpiloReadVerdict
read_id(const ImpiloJsonSlice *order, int64_t *id, ImpiloJsonError *wrong)
{
	ImpiloJsonSlice found = impilo_json_member(order, "id");

	if (order->kind != IMPILO_JSON_OBJECT)
		return unfit(wrong, "is not a JSON object");
	if (found.kind == IMPILO_JSON_ABSENT || found.kind == IMPILO_JSON_NULL)
		return unfit(wrong, "has no id");
	if (!impilo_json_int64(&found, id))
		return unfit(wrong, "has an id that is not an integer of 64 bits");
	return IMPILO_READ_OK;
}

ImpiloReadVerdict
impilo_page_next(ImpiloPage *page, ImpiloJsonSlice *order, int64_t *id,
				 ImpiloJsonError *wrong)
{
	int			more = impilo_json_next(&page->content, NULL, order, wrong);

	if (more == 0)
		return IMPILO_READ_END;
	page->orders++;
	if (more < 0)
	{
		wrong->offset += page->content_at;
		return IMPILO_READ_BROKEN;
	}
	return read_id(order, id, wrong);
}

ImpiloReadVerdict
impilo_page_order(const char *body, size_t length, ImpiloJsonSlice *order,
				  int64_t *id, ImpiloJsonError *wrong)
{
	if (!impilo_json_check(body, length, IMPILO_ORDER_DEPTH, order, wrong))
		return IMPILO_READ_BROKEN;
	return read_id(order, id, wrong);
}
