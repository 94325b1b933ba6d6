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

/* There is a node for each member, so this cannot fail. */
static void
want_member(ImpiloJsonWanted *wanted, const char *member)
{
	ImpiloPointerStep step = impilo_pointer_step(member, strlen(member));

	(void) impilo_json_want(wanted, &step, 1);
}

void
impilo_page_reader_init(ImpiloPageReader *reader)
{
	impilo_json_want_begin(&reader->envelope, reader->envelope_nodes,
						   1 + IMPILO_PAGE_MEMBERS);
	for (int slot = 0; slot < IMPILO_PAGE_MEMBERS; slot++)
		want_member(&reader->envelope, envelope_members[slot]);
	impilo_json_want_begin(&reader->order_id, reader->order_id_nodes, 2);
	want_member(&reader->order_id, "id");
}

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

/*
 * Check arrays and objects in place of a number or boolean, of which the
 * search has read only the brackets.
 */
static bool
check_scalars(const char *body, const ImpiloJsonSlice *found,
			  ImpiloJsonError *wrong)
{
	for (int slot = SLOT_PAGE; slot < IMPILO_PAGE_MEMBERS; slot++)
	{
		ImpiloJsonSlice value;

		if (found[slot].kind < IMPILO_JSON_ARRAY ||
			impilo_json_check(found[slot].data, found[slot].length,
							  IMPILO_JSON_MAX_DEPTH - 1, &value, wrong))
			continue;
		wrong->offset += (size_t) (found[slot].data - body);
		return false;
	}
	return true;
}

static ImpiloReadVerdict
unfit(ImpiloJsonError *wrong, const char *what)
{
	wrong->what = what;
	return IMPILO_READ_UNFIT;
}

ImpiloReadVerdict
impilo_page_read(ImpiloPageReader *reader, const char *body, size_t length,
				 ImpiloPage *page, ImpiloJsonError *wrong)
{
	ImpiloJsonSlice found[IMPILO_PAGE_MEMBERS];

	if (!impilo_json_find(&reader->envelope, body, length,
						  IMPILO_JSON_MAX_DEPTH, found, wrong) ||
		!check_scalars(body, found, wrong))
		return IMPILO_READ_BROKEN;
	if (found[SLOT_CONTENT].kind != IMPILO_JSON_ARRAY)
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
read_id(ImpiloPageReader *reader, const ImpiloJsonSlice *order, int64_t *id,
		ImpiloJsonError *wrong)
{
	ImpiloJsonSlice found;

	if (order->kind != IMPILO_JSON_OBJECT)
		return unfit(wrong, "is not a JSON object");
	if (!impilo_json_find(&reader->order_id, order->data, order->length,
						  IMPILO_JSON_CHECKED, &found, wrong) ||
		found.kind == IMPILO_JSON_ABSENT || found.kind == IMPILO_JSON_NULL)
		return unfit(wrong, "has no id");
	if (!impilo_json_int64(&found, id))
		return unfit(wrong, "has an id that is not an integer of 64 bits");
	return IMPILO_READ_OK;
}

ImpiloReadVerdict
impilo_page_next(ImpiloPageReader *reader, ImpiloPage *page,
				 ImpiloJsonSlice *order, int64_t *id, ImpiloJsonError *wrong)
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
	return read_id(reader, order, id, wrong);
}

ImpiloReadVerdict
impilo_page_order(ImpiloPageReader *reader, const char *body, size_t length,
				  ImpiloJsonSlice *order, int64_t *id, ImpiloJsonError *wrong)
{
	if (!impilo_json_check(body, length, IMPILO_ORDER_DEPTH, order, wrong))
		return IMPILO_READ_BROKEN;
	return read_id(reader, order, id, wrong);
}
