/*-------------------------------------------------------------------------
 *
 * match.c
 *	  Is an order of the list the one that a draft asks for?  Can one that
 *	  an answer claims be it?
 *
 * The API has no look-up by the customer's own ids, and does not say that
 * these are unique.  So an order is recognised by all that a create request
 * fixes for good: its external ids, all of them and no others, and for whom
 * it is.  Items and kits are no part of it: the API may show them otherwise
 * than they were sent.  Whether the order is old enough to be another one is
 * asked by the caller, for which the first of its events is told.
 *
 * An answer needs less: it belongs to its request already.  But one that says
 * something else than what was asked for is not believed; what it leaves out
 * says nothing, as the API may leave out everything.  Other external ids say
 * nothing either if the recipient is the right one: the API may have put the
 * ids into a form of its own, trimmed or in capitals.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/match.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "create/match.h"
#include "rows/convert.h"

/*
 * The member of an object that was checked, ABSENT if it has none.
 */
static ImpiloJsonSlice
get_member(const ImpiloJsonSlice *object, const char *wanted)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonSlice none = {.kind = IMPILO_JSON_ABSENT};
	ImpiloJsonError wrong;

	if (object->kind != IMPILO_JSON_OBJECT)
		return none;
	impilo_json_begin(&cursor, object, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, &name, &value, &wrong) > 0)
	{
		if (impilo_json_name_equals(&name, wanted, strlen(wanted)))
			return value;
	}
	return none;
}

/*
 * A string without its escapes, palloc'd; NULL if it is none.
 */
static char *
get_text(const ImpiloJsonSlice *string, size_t *length)
{
	char	   *text;

	if (string->kind != IMPILO_JSON_STRING)
		return NULL;
	text = palloc(string->length + 1);
	if (impilo_json_unescape(string, text, length) != IMPILO_JSON_TEXT_OK)
		return NULL;
	text[*length] = '\0';
	return text;
}

static void
read_ids(const ImpiloJsonSlice *array, ImpiloIdentity *identity)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError wrong;
	int			room = 4;

	identity->nids = 0;
	identity->ids = palloc(room * sizeof(char *));
	if (array->kind != IMPILO_JSON_ARRAY)
		return;
	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &wrong) > 0)
	{
		size_t		length;
		char	   *id = get_text(&element, &length);

		if (id == NULL)
			continue;
		if (identity->nids == room)
		{
			room *= 2;
			identity->ids = repalloc(identity->ids, room * sizeof(char *));
		}
		identity->ids[identity->nids++] = id;
	}
}

static bool
read_recipient(const ImpiloJsonSlice *document, const char *member,
			   int64 *recipient)
{
	ImpiloJsonSlice who = get_member(document, member);
	ImpiloJsonSlice id = get_member(&who, "id");
	int64_t		number;

	if (!impilo_json_int64(&id, &number))
		return false;
	*recipient = number;
	return true;
}

/*
 * The time of the earliest event: the only times that an order has.
 */
static TimestampTz
first_event(const ImpiloJsonSlice *events)
{
	TimestampTz first = DT_NOEND;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError wrong;

	if (events->kind != IMPILO_JSON_ARRAY)
		return first;
	impilo_json_begin(&cursor, events, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &wrong) > 0)
	{
		ImpiloJsonSlice stamp = get_member(&element, "eventTimestamp");
		TimestampTz at;

		if (impilo_read_timestamp(&stamp, &at))
			first = Min(first, at);
	}
	return first;
}

/*
 * impilo_identify
 *		Read what tells an order from others.
 *
 * What it points to is palloc'd.  Members that are not what they should be
 * count as absent: then the order is not recognised.
 */
void
impilo_identify(const ImpiloOrder *order, ImpiloIdentity *identity)
{
	const ImpiloJsonSlice *document = &order->document;
	ImpiloJsonSlice ids = get_member(document, "externalOrderIds");
	ImpiloJsonSlice events = get_member(document, "orderEvents");

	identity->id = order->id;
	identity->recipient = 0;
	identity->to_site = false;
	if (!read_recipient(document, "patient", &identity->recipient))
		identity->to_site = read_recipient(document, "site",
										   &identity->recipient);
	read_ids(&ids, identity);
	identity->first_event = first_event(&events);
}

static bool
has_id(char **ids, int nids, const char *id)
{
	for (int i = 0; i < nids; i++)
	{
		if (strcmp(ids[i], id) == 0)
			return true;
	}
	return false;
}

/*
 * impilo_common_ids
 *		How many of the draft's external ids does the order have?  -1 if it
 *		has others besides all of them.
 */
int
impilo_common_ids(const ImpiloIdentity *identity, const ImpiloOrderRequest *draft)
{
	int			common = 0;

	for (int i = 0; i < draft->nids; i++)
		common += has_id(identity->ids, identity->nids, draft->ids[i]);
	if (common < draft->nids)
		return common;
	for (int i = 0; i < identity->nids; i++)
	{
		if (!has_id(draft->ids, draft->nids, identity->ids[i]))
			return -1;
	}
	return common;
}

/*
 * impilo_same_recipient
 *		Is the order for the patient or site of the draft?
 */
bool
impilo_same_recipient(const ImpiloIdentity *identity, const ImpiloOrderRequest *draft)
{
	return identity->recipient == draft->recipient &&
		identity->to_site == draft->to_site;
}

/*
 * impilo_contradicts
 *		What in the order says that it is not the draft's?  NULL: nothing.
 *
 * Of the recipient only the member that the draft asks for is looked at: a
 * patient has a site, too, and an order may show both.
 */
const char *
impilo_contradicts(const ImpiloOrder *order, const ImpiloOrderRequest *draft)
{
	ImpiloJsonSlice ids = get_member(&order->document, "externalOrderIds");
	ImpiloIdentity identity;
	int64		recipient;

	if (read_recipient(&order->document, draft->to_site ? "site" : "patient",
					   &recipient))
	{
		if (recipient == draft->recipient)
			return NULL;
		return draft->to_site ? "is for another site"
			: "is for another patient";
	}
	read_ids(&ids, &identity);
	if (draft->nids > 0 && identity.nids > 0 &&
		impilo_common_ids(&identity, draft) == 0)
		return "has other external ids";
	return NULL;
}
