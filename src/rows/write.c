/*-------------------------------------------------------------------------
 *
 * write.c
 *	  A row to be inserted, turned into the order that it asks for.
 *
 * An order cannot be taken back, so whatever can be known to be wrong is an
 * error here, before anything is sent: what the API documents as required,
 * and whatever a row says that a create request cannot carry.  Nothing in a
 * row is ignored: a value in a column that only the API sets means that the
 * row was an order before, and a restored dump must not ship again; a member
 * of an item beside its id and count might be meant to do something.
 *
 * The body holds what the row gives and nothing else.  An empty array counts
 * as not given.  Rules that depend on the account (stock, which patients
 * exist, which shipping options) are left to the API.
 *
 * Nothing is sent here, and nothing is known of other rows.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/write.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "json/tree.h"
#include "rows/convert.h"
#include "rows/write.h"

typedef enum MemberKind
{
	MEMBER_RECIPIENT,			/* the id of a patient or site */
	MEMBER_IDS,					/* array of strings */
	MEMBER_CONTENT,				/* array of {item or kit: {id}, count} */
	MEMBER_RETURN,				/* array of anything; makes an order, too */
	MEMBER_OTHER				/* anything */
} MemberKind;

/*
 * The members of a create request, in the order of the guide's examples, and
 * behind them those that were documented later.
 */
typedef struct Member
{
	const char *name;
	MemberKind	kind;
	const char *part;			/* of an element of MEMBER_CONTENT: "item" */
} Member;

static const Member members[] = {
	{"externalOrderIds", MEMBER_IDS},
	{"patient", MEMBER_RECIPIENT},
	{"site", MEMBER_RECIPIENT},
	{"orderItems", MEMBER_CONTENT, "item"},
	{"orderKits", MEMBER_CONTENT, "kit"},
	{"shippingOption", MEMBER_OTHER},
	{"orderNotes", MEMBER_OTHER},
	{"emailLabel", MEMBER_OTHER},
	{"returnDevices", MEMBER_RETURN},
	{"returnItems", MEMBER_RETURN},
	{"returnPackedKits", MEMBER_RETURN},
};

struct ImpiloRequestBuilder
{
	const ImpiloTable *table;
	const ImpiloColumn *columns[lengthof(members)]; /* NULL: the table has no
													 * column for it */
	ImpiloOutConverter *converters[lengthof(members)];
	MemoryContext row;			/* reset at each row */
};

/* One row on its way to a draft, for the error context. */
typedef struct Drafting
{
	const ImpiloRequestBuilder *drafter;
	const ImpiloColumn *column; /* being looked at, or NULL */
	ImpiloOrderRequest draft;	/* what is known so far */
	bool		has_recipient;
	bool		has_content;
} Drafting;

/*
 * impilo_request_builder
 *		Make ready to turn rows of a table into drafts.
 *
 * Lives in `context`, like `table` must.  A table that has no column for a
 * member can not give it; that is not an error yet.
 */
ImpiloRequestBuilder *
impilo_request_builder(const ImpiloTable *table, MemoryContext context)
{
	ImpiloRequestBuilder *drafter = MemoryContextAllocZero(context,
														   sizeof(ImpiloRequestBuilder));

	drafter->table = table;
	drafter->row = AllocSetContextCreate(context, "impilo_fdw draft",
										 ALLOCSET_SMALL_SIZES);
	for (int i = 0; i < table->natts; i++)
	{
		const ImpiloColumn *column = &table->columns[i];

		if (column->attnum == 0 || column->write_member == NULL)
			continue;
		for (int m = 0; m < lengthof(members); m++)
		{
			if (strcmp(column->write_member, members[m].name) != 0)
				continue;
			drafter->columns[m] = column;
			drafter->converters[m] = impilo_out_converter(column->type,
														  context);
		}
	}
	return drafter;
}

/*
 * impilo_external_ids_column
 *		Name of the column with the external ids, or NULL.
 */
const char *
impilo_external_ids_column(const ImpiloTable *table)
{
	for (int i = 0; i < table->natts; i++)
	{
		const ImpiloColumn *column = &table->columns[i];

		if (column->attnum != 0 && column->write_member &&
			strcmp(column->write_member, "externalOrderIds") == 0)
			return column->name;
	}
	return NULL;
}

static void
tell_row(void *arg)
{
	const Drafting *drafting = arg;

	if (drafting->column)
		errcontext("row " INT64_FORMAT " for foreign table \"%s\", column \"%s\"",
				   drafting->draft.row, drafting->drafter->table->name,
				   drafting->column->name);
	else
		errcontext("row " INT64_FORMAT " for foreign table \"%s\"",
				   drafting->draft.row, drafting->drafter->table->name);
}

/*
 * Raise the error of a column that does not hold what it should.
 */
static void
raise_not(const Drafting *drafting, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("column \"%s\" of foreign table \"%s\" does not hold %s",
					drafting->column->name, drafting->drafter->table->name,
					what)));
}

/*
 * A column that only the API fills must be NULL.
 */
static void
check_read_only(Drafting *drafting, TupleTableSlot *slot)
{
	const ImpiloTable *table = drafting->drafter->table;

	for (int i = 0; i < table->natts; i++)
	{
		const ImpiloColumn *column = &table->columns[i];

		if (column->attnum == 0 || column->write_member ||
			slot->tts_isnull[i])
			continue;
		drafting->column = column;
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot insert a value into column \"%s\" of foreign table \"%s\"",
						column->name, table->name),
				 errdetail("Only the API sets it: a row that has it is an order that exists already, and would be created and shipped once more."),
				 errhint("Leave the column out, or NULL, to create a new order.")));
	}
}

/*
 * The id of a patient, site, item or kit.
 */
static bool
read_id(const ImpiloJsonSlice *value, int64 *id)
{
	int64_t		number;

	if (!impilo_json_int64(value, &number) || number < 1)
		return false;
	*id = number;
	return true;
}

static void
read_recipient(Drafting *drafting, const Member *member,
			   const ImpiloJsonSlice *value)
{
	if (drafting->has_recipient)
	{
		drafting->column = NULL;
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("order is for a patient and for a site"),
				 errdetail("An order is for exactly one of them."),
				 errhint("Set either patient_id or site_id.")));
	}
	if (!read_id(value, &drafting->draft.recipient))
		raise_not(drafting, "an id, which is an integer above 0");
	drafting->has_recipient = true;
	drafting->draft.to_site = strcmp(member->name, "site") == 0;
}

/*
 * The next element of an array that was checked.
 */
static bool
next_element(ImpiloJsonCursor *cursor, ImpiloJsonSlice *element)
{
	ImpiloJsonError wrong;
	int			more = impilo_json_next(cursor, NULL, element, &wrong);

	if (more < 0)
		elog(ERROR, "impilo_fdw: a checked array is broken: %s", wrong.what);
	return more > 0;
}

static int
count_elements(const ImpiloJsonSlice *array)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	int			n = 0;

	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (next_element(&cursor, &element))
		n++;
	return n;
}

static void
read_external_ids(Drafting *drafting, const ImpiloJsonSlice *array)
{
	ImpiloOrderRequest *draft = &drafting->draft;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;

	draft->ids = palloc(count_elements(array) * sizeof(char *));
	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (next_element(&cursor, &element))
	{
		char	   *id = palloc(element.length + 1);
		size_t		length = 0;

		if (element.kind == IMPILO_JSON_NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of foreign table \"%s\" holds a NULL element",
							drafting->column->name,
							drafting->drafter->table->name)));
		if (impilo_json_unescape(&element, id, &length) != IMPILO_JSON_TEXT_OK)
			raise_not(drafting, "an array of strings");
		id[length] = '\0';
		draft->ids[draft->nids++] = id;
	}
}

/*
 * Raise the error of an element that is not {item or kit: {id}, count}.  A
 * column that was read from the API has more members: the hint takes from
 * them what a new order needs.
 */
static void
raise_element(const Drafting *drafting, const Member *member, int number,
			  const char *detail)
{
	const char *column = drafting->column->name;

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("element %d of column \"%s\" of foreign table \"%s\" is not {\"%s\": {\"id\": n}, \"count\": m}",
					number, column, drafting->drafter->table->name,
					member->part),
			 errdetail_internal("%s", detail),
			 errhint("Build it with impilo_order_%s(id, count); what was read from an order with: (SELECT impilo_order_%ss((e->'%s'->>'id')::bigint, (e->>'count')::integer) FROM jsonb_array_elements(%s) e).",
					 member->part, member->part, member->part, column)));
}

/*
 * Pass the members of an object that has to have exactly the one or two
 * named; those not met are left ABSENT.  Returns NULL, or what is wrong.
 */
static const char *
read_members(const ImpiloJsonSlice *object, const char *const *names,
			 ImpiloJsonSlice *values, int n)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError wrong;

	memset(values, 0, n * sizeof(*values));
	if (object->kind != IMPILO_JSON_OBJECT)
		return "It is not an object.";
	impilo_json_begin(&cursor, object, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, &name, &value, &wrong) > 0)
	{
		int			i = 0;

		while (i < n &&
			   !impilo_json_name_equals(&name, names[i], strlen(names[i])))
			i++;
		if (i == n)
			return psprintf("It has another member, %s.",
							pnstrdup(name.data, Min(name.length, 40)));
		if (values[i].kind != IMPILO_JSON_ABSENT)
			return psprintf("It has the member \"%s\" twice.", names[i]);
		values[i] = value;
	}
	return NULL;
}

static void
check_content(const Drafting *drafting, const Member *member,
			  const ImpiloJsonSlice *array)
{
	const char *const outer[] = {member->part, "count"};
	const char *const inner[] = {"id"};
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	int			number = 0;

	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (next_element(&cursor, &element))
	{
		ImpiloJsonSlice values[2];
		ImpiloJsonSlice id;
		const char *wrong = read_members(&element, outer, values, 2);
		int64_t		count;
		int64		ignored;

		number++;
		if (wrong)
			raise_element(drafting, member, number, wrong);
		wrong = read_members(&values[0], inner, &id, 1);
		if (wrong)
			raise_element(drafting, member, number,
						  psprintf("Of its member \"%s\": %s", member->part,
								   wrong));
		if (!read_id(&id, &ignored))
			raise_element(drafting, member, number,
						  "The id is not an integer above 0.");
		if (!impilo_json_int64(&values[1], &count) || count < 1 ||
			count > PG_INT32_MAX)
			raise_element(drafting, member, number,
						  "The count is not an integer above 0.");
	}
}

/*
 * Read what a column says.  Returns false if that is nothing: an empty array.
 */
static bool
read_member(Drafting *drafting, const Member *member,
			const char *json, size_t length)
{
	ImpiloJsonSlice value;
	ImpiloJsonError wrong;
	bool		array = member->kind == MEMBER_IDS ||
	member->kind == MEMBER_CONTENT || member->kind == MEMBER_RETURN;

	if (!impilo_json_check(json, length, IMPILO_JSON_MAX_DEPTH - 1,
						   &value, &wrong))
		raise_not(drafting, "valid JSON");
	if (value.kind == IMPILO_JSON_NULL)
		return false;
	if (array && value.kind != IMPILO_JSON_ARRAY)
		raise_not(drafting, value.kind == IMPILO_JSON_STRING
				  ? "an array, but a string" : "an array");
	if (value.kind == IMPILO_JSON_ARRAY && count_elements(&value) == 0)
		return false;

	switch (member->kind)
	{
		case MEMBER_RECIPIENT:
			read_recipient(drafting, member, &value);
			break;
		case MEMBER_IDS:
			read_external_ids(drafting, &value);
			break;
		case MEMBER_CONTENT:
			check_content(drafting, member, &value);
			drafting->has_content = true;
			break;
		case MEMBER_RETURN:
			drafting->has_content = true;
			break;
		case MEMBER_OTHER:
			break;
	}
	return true;
}

static void
check_complete(Drafting *drafting)
{
	drafting->column = NULL;
	if (!drafting->has_recipient)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("order is neither for a patient nor for a site"),
				 errdetail("An order is for exactly one of them."),
				 errhint("Set either patient_id or site_id.")));
	if (!drafting->has_content)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("order has nothing to ship and nothing to return"),
				 errhint("Set order_items or order_kits, for instance to impilo_order_item(id, count), or one of return_items, return_devices and return_packed_kits.")));
}

/*
 * Fill in what a row says, and its request's body.
 */
static void
draft_row(Drafting *drafting, TupleTableSlot *slot)
{
	const ImpiloRequestBuilder *drafter = drafting->drafter;
	ImpiloJsonMember given[lengthof(members)];
	int			ngiven = 0;

	slot_getallattrs(slot);
	check_read_only(drafting, slot);
	for (int m = 0; m < lengthof(members); m++)
	{
		const ImpiloColumn *column = drafter->columns[m];
		StringInfoData json;

		if (column == NULL || slot->tts_isnull[column->attnum - 1])
			continue;
		drafting->column = column;
		initStringInfo(&json);
		impilo_convert_out(drafter->converters[m],
						   slot->tts_values[column->attnum - 1], &json);
		if (!read_member(drafting, &members[m], json.data, json.len))
			continue;
		given[ngiven].name = members[m].name;
		given[ngiven].json = json.data;
		given[ngiven].by_id = column->write_id;
		ngiven++;
	}
	check_complete(drafting);
	drafting->draft.body = impilo_json_create_body(given, ngiven,
												   &drafting->draft.length);
}

/*
 * impilo_build_request
 *		Turn a row into the order that it asks for.
 *
 * `row` is its number in the statement, from 1, for messages.  The draft is
 * made in the current memory context.  Raises an error if the row breaks a
 * rule of the API, or holds what a create request cannot carry.
 */
ImpiloOrderRequest *
impilo_build_request(ImpiloRequestBuilder *drafter, TupleTableSlot *slot, int64 row)
{
	MemoryContext caller = CurrentMemoryContext;
	Drafting	drafting = {.drafter = drafter,.draft = {.row = row}};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = tell_row,
		.arg = &drafting
	};
	ImpiloOrderRequest *draft;

	error_context_stack = &context;
	MemoryContextReset(drafter->row);
	MemoryContextSwitchTo(drafter->row);
	draft_row(&drafting, slot);
	MemoryContextSwitchTo(caller);
	draft = impilo_copy_request(&drafting.draft);
	error_context_stack = context.previous;
	return draft;
}

/*
 * impilo_copy_request
 *		A copy in the current memory context: one block, to be freed by pfree.
 */
ImpiloOrderRequest *
impilo_copy_request(const ImpiloOrderRequest *draft)
{
	Size		head = MAXALIGN(sizeof(ImpiloOrderRequest)) +
	draft->nids * sizeof(char *);
	Size		size = head + draft->length + 1;
	ImpiloOrderRequest *copy;
	char	   *at;

	for (int i = 0; i < draft->nids; i++)
		size += strlen(draft->ids[i]) + 1;
	copy = palloc(size);
	*copy = *draft;
	copy->ids = (char **) ((char *) copy + MAXALIGN(sizeof(ImpiloOrderRequest)));
	at = (char *) copy + head;
	for (int i = 0; i < draft->nids; i++)
	{
		Size		length = strlen(draft->ids[i]) + 1;

		copy->ids[i] = memcpy(at, draft->ids[i], length);
		at += length;
	}
	copy->body = memcpy(at, draft->body, draft->length);
	copy->body[draft->length] = '\0';
	return copy;
}
