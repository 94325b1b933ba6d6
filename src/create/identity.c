/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  What identifies an order: recipient, external ids, first event.
 *
 * The API can show external ids in another form than they were sent.  A
 * response belongs to its request already, so there only ids that have nothing
 * in common count as a contradiction.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/create/identity.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/qunique.h"
#include "utils/timestamp.h"

#include "create/create.h"
#include "rows/convert.h"

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Sort the external ids, drop repeated ones, and the empty one, which
 * identifies nothing.
 */
static void
normalize_ids(ImpiloIdentity *identity)
{
	qsort(identity->ids, identity->nids, sizeof(char *), compare_texts);
	identity->nids = qunique(identity->ids, identity->nids, sizeof(char *),
							 compare_texts);
	if (identity->nids > 0 && identity->ids[0][0] == '\0')
	{
		identity->ids++;
		identity->nids--;
	}
}

static void
read_ids(const ImpiloJsonSlice *array, ImpiloIdentity *identity)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError wrong;

	identity->nids = 0;
	identity->shows_ids = array->kind == IMPILO_JSON_ARRAY;
	if (!identity->shows_ids)
		return;
	/* an element has three bytes at least: ,"" */
	identity->ids = palloc((array->length / 3 + 1) * sizeof(char *));
	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &wrong) > 0)
	{
		char	   *id = element.kind == IMPILO_JSON_STRING
		? impilo_scalar_string(&element) : NULL;

		if (id)
			identity->ids[identity->nids++] = id;
	}
	normalize_ids(identity);
}

static bool
read_recipient(const ImpiloJsonSlice *document, const char *member,
			   int64 *recipient)
{
	ImpiloJsonSlice object = impilo_json_member(document, member);
	ImpiloJsonSlice id = impilo_json_member(&object, "id");
	int64_t		number;

	if (!impilo_json_int64(&id, &number))
		return false;
	*recipient = number;
	return true;
}

/*
 * Returns the time of the earliest event: an order has no other times.
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
		ImpiloJsonSlice stamp = impilo_json_member(&element, "eventTimestamp");
		TimestampTz at;

		if (impilo_read_timestamp(&stamp, &at, NULL))
			first = Min(first, at);
	}
	return first;
}

/*
 * impilo_identify
 *		Read what identifies an order.
 *
 * What it points to is palloc'd.  Members that are not what they should be
 * count as absent: then the order is not recognised.
 */
void
impilo_identify(const ImpiloOrder *order, ImpiloIdentity *identity)
{
	const ImpiloJsonSlice *document = &order->document;
	ImpiloJsonSlice ids = impilo_json_member(document, "externalOrderIds");
	ImpiloJsonSlice events = impilo_json_member(document, "orderEvents");
	int64		recipient;

	identity->id = order->id;
	identity->recipient = 0;
	if (read_recipient(document, "patient", &recipient))
		identity->recipient = (uint64) recipient * 2;
	else if (read_recipient(document, "site", &recipient))
		identity->recipient = (uint64) recipient * 2 + 1;
	read_ids(&ids, identity);
	identity->first_event = first_event(&events);
}

/*
 * impilo_identify_row
 *		Fill in the identity that a row's order will have.  The ids are not
 *		copied, but their array is.
 */
void
impilo_identify_row(const ImpiloOrderRequest *row, ImpiloIdentity *identity)
{
	memset(identity, 0, sizeof(*identity));
	identity->recipient = (uint64) row->recipient * 2 + row->to_site;
	identity->first_event = DT_NOEND;
	identity->nids = row->nids;
	identity->ids = palloc((row->nids + 1) * sizeof(char *));
	memcpy(identity->ids, row->ids, row->nids * sizeof(char *));
	normalize_ids(identity);
}

/*
 * impilo_common_ids
 *		Returns how many external ids two identities have in common.
 */
int
impilo_common_ids(const ImpiloIdentity *a, const ImpiloIdentity *b)
{
	int			common = 0;
	int			i = 0;
	int			j = 0;

	while (i < a->nids && j < b->nids)
	{
		int			order = strcmp(a->ids[i], b->ids[j]);

		common += order == 0;
		i += order <= 0;
		j += order >= 0;
	}
	return common;
}

/*
 * Reduce an external id to what survives a change of form: ASCII letters and
 * digits, in lower case, and all bytes beyond ASCII.
 */
static char *
reduce_id(const char *id)
{
	char	   *reduced = palloc(strlen(id) + 1);
	char	   *to = reduced;

	for (; *id; id++)
		if (IS_HIGHBIT_SET(*id) || isalnum((unsigned char) *id))
			*to++ = pg_ascii_tolower((unsigned char) *id);
	*to = '\0';
	return reduced;
}

/*
 * impilo_contradiction
 *		Returns what in an order says that it is not the row's, or NULL.
 *
 * Of the recipient only the member that the row asks for counts: a patient
 * has a site too, and an order may show both.
 */
const char *
impilo_contradiction(const ImpiloOrder *order, const ImpiloOrderRequest *row)
{
	ImpiloIdentity shown;
	ImpiloIdentity asked;
	int64		recipient;

	if (read_recipient(&order->document, row->to_site ? "site" : "patient",
					   &recipient) && recipient != row->recipient)
		return row->to_site ? "is for another site" : "is for another patient";

	impilo_identify(order, &shown);
	impilo_identify_row(row, &asked);
	if (shown.nids == 0 || asked.nids == 0 ||
		impilo_common_ids(&shown, &asked) > 0)
		return NULL;
	for (int i = 0; i < shown.nids; i++)
		shown.ids[i] = reduce_id(shown.ids[i]);
	for (int i = 0; i < asked.nids; i++)
		asked.ids[i] = reduce_id(asked.ids[i]);
	normalize_ids(&shown);
	normalize_ids(&asked);
	return impilo_common_ids(&shown, &asked) > 0 ? NULL
		: "has other external ids";
}
