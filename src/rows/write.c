/*-------------------------------------------------------------------------
 *
 * write.c
 *	  Rows of a foreign table turned into requests to create orders.
 *
 * An order cannot be taken back.  So everything that can be known to be wrong
 * is an error here, before anything is sent: the rules that the API
 * documents, and whatever a row holds that a create request cannot carry.
 * Nothing in a row is ignored.  A value in a column that only the API sets
 * means that the row comes from an existing order, and a restored dump must
 * not ship orders again.  An unexpected member of an item might have a
 * meaning.
 *
 * A value is written as JSON, and this is converted to the default type of
 * the place as if it had been read from there.  Columns of any type can be
 * written, and what is sent is in the form that the API expects; a value that
 * the default type cannot hold exactly is an error.
 *
 * The body holds what the row gives and nothing else.  An empty array counts
 * as not given.  Rules that depend on the account (stock, existing patients,
 * shipping options) are left to the API.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/rows/write.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "json/text.h"
#include "rows/convert.h"
#include "rows/write.h"

/* arrays come first; MEMBER_CONTENT to MEMBER_JSON are JSON of any kind */
typedef enum MemberKind
{
	MEMBER_IDS,					/* array of strings */
	MEMBER_CONTENT,				/* array of {item or kit: {id}, count} */
	MEMBER_RETURN,				/* array of anything; makes an order, too */
	MEMBER_JSON,				/* anything */
	MEMBER_RECIPIENT,			/* {"id": n} of a patient or site */
	MEMBER_TEXT,
	MEMBER_BOOLEAN
} MemberKind;

/* What to do about a column that does not hold what it should; %s: the part. */
static const char *const hints[] = {
	[MEMBER_IDS] = "Use an array of text, for example ARRAY['my-id'].",
	[MEMBER_CONTENT] = "Use impilo_order_%s(id, count).",
	[MEMBER_RETURN] = "Use a JSON array, of type jsonb.",
	[MEMBER_JSON] = "Use type jsonb.",
	[MEMBER_RECIPIENT] = "Use the id that the API has given the %s, an integer greater than 0.",
	[MEMBER_TEXT] = "Use a string.",
	[MEMBER_BOOLEAN] = "Use true or false."
};

/*
 * The members of a create request, in the order of the guide's examples, and
 * after them those that were documented later.
 */
typedef struct Member
{
	const char *name;
	MemberKind	kind;
	const char *part;			/* what the ids are of: "item" */
} Member;

static const Member members[] = {
	{"externalOrderIds", MEMBER_IDS},
	{"patient", MEMBER_RECIPIENT, "patient"},
	{"site", MEMBER_RECIPIENT, "site"},
	{"orderItems", MEMBER_CONTENT, "item"},
	{"orderKits", MEMBER_CONTENT, "kit"},
	{"shippingOption", MEMBER_TEXT},
	{"orderNotes", MEMBER_JSON},
	{"emailLabel", MEMBER_BOOLEAN},
	{"returnDevices", MEMBER_RETURN},
	{"returnItems", MEMBER_RETURN},
	{"returnPackedKits", MEMBER_RETURN},
};

/* A column that INSERT writes. */
typedef struct Writer
{
	const ImpiloColumn *column;
	const Member *member;
	Oid			type;			/* its base type */
	FmgrInfo	to_json;		/* the function to_json(), for the type */
	bool		padded;			/* trailing spaces of character(n) do not
								 * belong to the elements of its array */
} Writer;

struct ImpiloRequestBuilder
{
	const ImpiloTable *table;
	Writer	   *writers;		/* in the order of members */
	int			nwriters;
	ImpiloConverter *to_int8;	/* to the default types */
	ImpiloConverter *to_bool;
	ImpiloConverter *to_jsonb;
	MemoryContext context;		/* reset for each row */
};

/* A request that is being built. */
typedef struct Build
{
	const ImpiloRequestBuilder *builder;
	Writer	   *writer;			/* of the current column, or NULL */
	const Writer *given;		/* the last one that gave something, or NULL */
	ImpiloOrderRequest request;
	StringInfoData body;
	bool		has_recipient;
	bool		has_content;
} Build;

/* ------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------
 */

/*
 * Error context callback: name the row, the table and the column.
 */
static void
row_error_callback(void *arg)
{
	const Build *build = arg;

	if (build->writer)
		errcontext("row " INT64_FORMAT " for foreign table \"%s\", column \"%s\"",
				   build->request.row, build->builder->table->name,
				   build->writer->column->name);
	else
		errcontext("row " INT64_FORMAT " for foreign table \"%s\"",
				   build->request.row, build->builder->table->name);
}

/*
 * Raise the error of the current column, or without one of the row.
 */
pg_noreturn static void
reject(const Build *build, int sqlstate, const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg_internal("%s", message),
			 errhint("%s", hint),
			 impilo_errtable(build->builder->table,
							 build->writer ? build->writer->column : NULL)));
}

/*
 * Raise the error of a column that does not hold what it should.
 */
pg_noreturn static void
raise_not(const Build *build, const char *what)
{
	const Member *member = build->writer->member;

	reject(build, ERRCODE_CHECK_VIOLATION,
		   psprintf("column \"%s\" of foreign table \"%s\" does not hold %s",
					build->writer->column->name, build->builder->table->name,
					what),
		   psprintf(hints[member->kind], member->part));
}

/*
 * Raise the error of an element that is not {item or kit: {id}, count}.  If
 * it has more members, it was probably read from an order.
 */
pg_noreturn static void
raise_element(const Build *build, int number, bool has_more,
			  const char *detail)
{
	const char *column = build->writer->column->name;
	const char *part = build->writer->member->part;

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("element %d of column \"%s\" of foreign table \"%s\" is not {\"%s\": {\"id\": n}, \"count\": m}",
					number, column, build->builder->table->name, part),
			 errdetail_internal("%s", detail),
			 has_more
			 ? errhint("To copy what an existing order has, use (SELECT impilo_order_%ss((e->'%s'->>'id')::bigint, (e->>'count')::integer) FROM jsonb_array_elements(%s) e).",
					   part, part, column)
			 : errhint("Use impilo_order_%s(id, count).", part),
			 impilo_errtable(build->builder->table, build->writer->column)));
}

/* ------------------------------------------------------------------------
 * Members
 * ------------------------------------------------------------------------
 */

/*
 * Convert a value to one of the default types; false if it has no exact value
 * of that type.
 */
static bool
to_default(ImpiloConverter *converter, const ImpiloJsonSlice *value,
		   Datum *result)
{
	ImpiloConvertError error;
	bool		isnull;

	return impilo_convert(converter, value, result, &isnull, &error) &&
		!isnull;
}

/*
 * An id, or with `max` a count: an integer from 1 on.
 */
static bool
read_positive(const Build *build, const ImpiloJsonSlice *value, int64 max,
			  int64 *number)
{
	Datum		datum;

	if (!to_default(build->builder->to_int8, value, &datum))
		return false;
	*number = DatumGetInt64(datum);
	return *number >= 1 && *number <= max;
}

static void
write_recipient(Build *build, const ImpiloJsonSlice *value)
{
	if (build->has_recipient)
	{
		build->writer = NULL;
		reject(build, ERRCODE_CHECK_VIOLATION,
			   "order has both a patient and a site",
			   "Set either patient_id or site_id.");
	}
	if (!read_positive(build, value, PG_INT64_MAX, &build->request.recipient))
		raise_not(build, "an id");
	build->has_recipient = true;
	build->request.to_site = strcmp(build->writer->member->name, "site") == 0;
	appendStringInfo(&build->body, "{\"id\":" INT64_FORMAT "}",
					 build->request.recipient);
}

/*
 * The external ids are sent as they are kept in the request.
 */
static void
write_external_ids(Build *build, const ImpiloJsonSlice *array)
{
	ImpiloOrderRequest *request = &build->request;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError wrong;

	/* an element has two bytes at least: ,7 */
	request->ids = palloc((array->length / 2 + 1) * sizeof(char *));
	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &wrong) > 0)
	{
		char	   *id;
		size_t		length;

		CHECK_FOR_INTERRUPTS();
		if (element.kind == IMPILO_JSON_NULL)
			reject(build, ERRCODE_NOT_NULL_VIOLATION,
				   psprintf("column \"%s\" of foreign table \"%s\" holds a NULL element",
							build->writer->column->name,
							build->builder->table->name),
				   psprintf("Remove it, for example with array_remove(%s, NULL).",
							quote_identifier(build->writer->column->name)));
		id = impilo_scalar_string(&element);
		if (id == NULL)
			raise_not(build, "an array of strings");
		length = strlen(id);
		while (build->writer->padded && length > 0 && id[length - 1] == ' ')
			id[--length] = '\0';
		appendStringInfoChar(&build->body, request->nids == 0 ? '[' : ',');
		escape_json(&build->body, id);
		request->ids[request->nids++] = id;
	}
	appendStringInfoChar(&build->body, ']');
}

/*
 * Read the members of an object that may have only the one or two named;
 * those that it does not have are ABSENT.  Returns NULL, or what is wrong;
 * *has_more says that it has other members.
 */
static const char *
read_members(const ImpiloJsonSlice *object, const char *const *names,
			 ImpiloJsonSlice *values, int n, bool *has_more)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice name;
	ImpiloJsonSlice value;
	ImpiloJsonError wrong;

	memset(values, 0, n * sizeof(*values));
	if (object->kind != IMPILO_JSON_OBJECT)
		return "is not an object";
	impilo_json_begin(&cursor, object, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, &name, &value, &wrong) > 0)
	{
		int			i = 0;

		while (i < n &&
			   !impilo_json_name_equals(&name, names[i], strlen(names[i])))
			i++;
		if (i == n)
		{
			*has_more = true;
			return psprintf("has an unexpected member \"%s\"",
							impilo_text_clean(name.data + 1, name.length - 2,
											  40));
		}
		if (values[i].kind != IMPILO_JSON_ABSENT)
			return psprintf("has the member \"%s\" twice", names[i]);
		values[i] = value;
	}
	return NULL;
}

static void
write_content(Build *build, const ImpiloJsonSlice *array)
{
	const char *part = build->writer->member->part;
	const char *const outer[] = {part, "count"};
	const char *const inner[] = {"id"};
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError broken;
	int			number = 0;

	impilo_json_begin(&cursor, array, IMPILO_JSON_CHECKED);
	while (impilo_json_next(&cursor, NULL, &element, &broken) > 0)
	{
		bool		has_more = false;
		ImpiloJsonSlice values[2];
		ImpiloJsonSlice id_value;
		const char *wrong = read_members(&element, outer, values, 2,
										 &has_more);
		int64		id;
		int64		count;

		CHECK_FOR_INTERRUPTS();
		number++;
		if (wrong)
			raise_element(build, number,
						  has_more && values[0].kind != IMPILO_JSON_ABSENT,
						  psprintf("It %s.", wrong));
		wrong = read_members(&values[0], inner, &id_value, 1, &has_more);
		if (wrong)
			raise_element(build, number, has_more,
						  psprintf("Member \"%s\" %s.", part, wrong));
		if (id_value.kind != IMPILO_JSON_NUMBER ||
			!read_positive(build, &id_value, PG_INT64_MAX, &id))
			raise_element(build, number, false,
						  "The id is not an integer greater than 0.");
		if (values[1].kind <= IMPILO_JSON_NULL)
			raise_element(build, number, false, "It has no count.");
		if (values[1].kind != IMPILO_JSON_NUMBER ||
			!read_positive(build, &values[1], PG_INT32_MAX, &count))
			raise_element(build, number, false,
						  psprintf("The count is not an integer from 1 to %d.",
								   PG_INT32_MAX));
		appendStringInfo(&build->body,
						 "%s{\"%s\": {\"id\": " INT64_FORMAT "}, \"count\": " INT64_FORMAT "}",
						 number == 1 ? "[" : ", ", part, id, count);
	}
	appendStringInfoChar(&build->body, ']');
	build->has_content = true;
}

/*
 * The number of members of all objects in a JSON text.
 */
static int
count_members(const char *json)
{
	bool		in_string = false;
	int			count = 0;

	for (; *json; json++)
	{
		if (*json == '"')
			in_string = !in_string;
		else if (in_string && *json == '\\')
			json++;
		else if (!in_string && *json == ':')
			count++;
	}
	return count;
}

/*
 * Any JSON, as jsonb has it.  If that has fewer members, some were repeated.
 */
static void
write_json(Build *build, const ImpiloJsonSlice *value)
{
	Datum		jsonb;
	char	   *text;

	if (!to_default(build->builder->to_jsonb, value, &jsonb))
		raise_not(build, "JSON that type jsonb can hold");
	text = JsonbToCString(NULL, &DatumGetJsonbP(jsonb)->root,
						  (int) value->length);
	if (count_members(text) !=
		count_members(pnstrdup(value->data, value->length)))
		raise_not(build, "JSON without repeated members");
	appendStringInfoString(&build->body,
						   pg_server_to_any(text, strlen(text), PG_UTF8));
}

/*
 * Write the value of a member, or return false if it gives nothing: null or
 * an empty array.
 */
static bool
write_value(Build *build, const ImpiloJsonSlice *value)
{
	const Member *member = build->writer->member;
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice element;
	ImpiloJsonError wrong;
	Datum		datum;
	char	   *string;

	if (value->kind == IMPILO_JSON_NULL)
		return false;
	if (member->kind <= MEMBER_RETURN && value->kind != IMPILO_JSON_ARRAY)
		raise_not(build, "an array");
	if (value->kind == IMPILO_JSON_ARRAY)
	{
		impilo_json_begin(&cursor, value, IMPILO_JSON_CHECKED);
		if (impilo_json_next(&cursor, NULL, &element, &wrong) == 0)
			return false;
	}

	if (build->given && build->given->member == member)
		reject(build, ERRCODE_CHECK_VIOLATION,
			   psprintf("columns \"%s\" and \"%s\" of foreign table \"%s\" set the same part of the order",
						build->given->column->name,
						build->writer->column->name,
						build->builder->table->name),
			   "Set only one of them.");
	appendStringInfo(&build->body, "%s\"%s\":", build->given ? "," : "{",
					 member->name);
	switch (member->kind)
	{
		case MEMBER_RECIPIENT:
			write_recipient(build, value);
			break;
		case MEMBER_IDS:
			write_external_ids(build, value);
			break;
		case MEMBER_CONTENT:
			write_content(build, value);
			break;
		case MEMBER_TEXT:
			string = impilo_scalar_string(value);
			if (string == NULL)
				raise_not(build, "a string");
			escape_json(&build->body, string);
			break;
		case MEMBER_BOOLEAN:
			if (!to_default(build->builder->to_bool, value, &datum))
				raise_not(build, "a boolean");
			appendStringInfoString(&build->body,
								   DatumGetBool(datum) ? "true" : "false");
			break;
		case MEMBER_RETURN:
		case MEMBER_JSON:
			build->has_content |= member->kind == MEMBER_RETURN;
			write_json(build, value);
			break;
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Requests
 * ------------------------------------------------------------------------
 */

/*
 * Prepare to write the values of a column as JSON.
 */
static void
prepare_writer(Writer *writer)
{
	Node	   *argument;
	Oid			element;

	writer->type = getBaseType(writer->column->type);
	element = get_element_type(writer->type);
	writer->padded = OidIsValid(element) && getBaseType(element) == BPCHAROID;
	fmgr_info(F_TO_JSON, &writer->to_json);
	argument = (Node *) makeNullConst(writer->type, -1, InvalidOid);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSON, JSONOID,
											 list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &writer->to_json);
}

/*
 * impilo_request_builder
 *		Prepare to turn rows of a table into requests.
 *
 * The builder lives in `context`, as `table` must.
 */
ImpiloRequestBuilder *
impilo_request_builder(const ImpiloTable *table, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ImpiloRequestBuilder *builder = palloc0(sizeof(ImpiloRequestBuilder));

	builder->table = table;
	builder->writers = palloc0(Max(table->natts, 1) * sizeof(Writer));
	for (int m = 0; m < lengthof(members); m++)
	{
		for (int i = 0; i < table->natts; i++)
		{
			const ImpiloColumn *column = &table->columns[i];
			Writer	   *writer = &builder->writers[builder->nwriters];

			if (column->attnum == 0 || column->write_member == NULL ||
				strcmp(column->write_member, members[m].name) != 0)
				continue;
			writer->column = column;
			writer->member = &members[m];
			prepare_writer(writer);
			builder->nwriters++;
		}
	}
	builder->to_int8 = impilo_converter(INT8OID, -1, context);
	builder->to_bool = impilo_converter(BOOLOID, -1, context);
	builder->to_jsonb = impilo_converter(JSONBOID, -1, context);
	builder->context = AllocSetContextCreate(context, "impilo_fdw request",
											 ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(caller);
	return builder;
}

/*
 * impilo_external_ids_column
 *		The name of the column with the external ids, or NULL.
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

/*
 * A column that only the API sets must be NULL.
 */
static void
check_read_only(const ImpiloTable *table, TupleTableSlot *slot)
{
	for (int i = 0; i < table->natts; i++)
	{
		const ImpiloColumn *column = &table->columns[i];

		if (column->attnum == 0 || column->write_member ||
			slot->tts_isnull[i])
			continue;
		impilo_table_check(table, bms_make_singleton(column->attnum));
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot insert a value into column \"%s\" of foreign table \"%s\"",
						column->name, table->name),
				 errdetail("This column is set by the API. A row with a value in it comes from an existing order, which would be shipped again."),
				 errhint("Omit the column, or set it to NULL, to create a new order."),
				 impilo_errtable(table, column)));
	}
}

static void
check_complete(const Build *build)
{
	if (!build->has_recipient)
		reject(build, ERRCODE_NOT_NULL_VIOLATION,
			   "order has neither a patient nor a site",
			   "Set either patient_id or site_id.");
	if (!build->has_content)
		reject(build, ERRCODE_NOT_NULL_VIOLATION,
			   "order has nothing to ship and nothing to return",
			   "Set order_items or order_kits, for example to impilo_order_item(id, count), or one of return_items, return_devices, and return_packed_kits.");
}

/*
 * Returns a value as JSON in UTF-8, checked.
 */
static ImpiloJsonSlice
value_as_json(Build *build, Datum value)
{
	Writer	   *writer = build->writer;
	MemberKind	kind = writer->member->kind;
	ImpiloJsonSlice slice;
	ImpiloJsonError wrong;
	char	   *string;

	if (writer->type == BPCHAROID)
		value = DirectFunctionCall1(rtrim1, value);
	string = TextDatumGetCString(FunctionCall1(&writer->to_json, value));
	string = pg_server_to_any(string, strlen(string), PG_UTF8);
	if (!impilo_json_check(string, strlen(string), IMPILO_JSON_MAX_DEPTH - 1,
						   &slice, &wrong))
		raise_not(build, "valid JSON");
	if (kind < MEMBER_CONTENT || kind > MEMBER_JSON ||
		slice.kind != IMPILO_JSON_STRING || writer->type == JSONOID ||
		writer->type == JSONBOID)
		return slice;

	/* a string of another type is JSON text */
	string = impilo_scalar_string(&slice);
	if (!impilo_json_check(string, strlen(string), IMPILO_JSON_MAX_DEPTH - 1,
						   &slice, &wrong))
		raise_not(build, "valid JSON");
	return slice;
}

/*
 * Fill in the request of a row.
 */
static void
build_row(Build *build, TupleTableSlot *slot)
{
	const ImpiloRequestBuilder *builder = build->builder;

	slot_getallattrs(slot);
	check_read_only(builder->table, slot);
	initStringInfo(&build->body);
	for (int i = 0; i < builder->nwriters; i++)
	{
		Writer	   *writer = &builder->writers[i];
		AttrNumber	attnum = writer->column->attnum;
		ImpiloJsonSlice value;

		if (slot->tts_isnull[attnum - 1])
			continue;
		build->writer = writer;
		value = value_as_json(build, slot->tts_values[attnum - 1]);
		if (write_value(build, &value))
			build->given = writer;
	}
	build->writer = NULL;
	check_complete(build);
	appendStringInfoChar(&build->body, '}');
	build->request.body = build->body.data;
	build->request.length = build->body.len;
}

/*
 * impilo_build_request
 *		Turn a row into a request to create an order.
 *
 * `row` is its number in the statement, from 1, for messages.  The request is
 * allocated in CurrentMemoryContext.  Raises an error if the row breaks a
 * rule of the API or holds what a create request cannot carry.
 *
 * Values are written independent of the session's settings, so that an
 * external id is the same each time.
 */
ImpiloOrderRequest *
impilo_build_request(ImpiloRequestBuilder *builder, TupleTableSlot *slot,
					 int64 row)
{
	MemoryContext caller = CurrentMemoryContext;
	Build		build = {.builder = builder,.request = {.row = row}};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = row_error_callback,
		.arg = &build
	};
	ImpiloOrderRequest *request;
	int			nestlevel;

	error_context_stack = &context;
	nestlevel = impilo_fix_settings();
	MemoryContextReset(builder->context);
	MemoryContextSwitchTo(builder->context);
	build_row(&build, slot);
	MemoryContextSwitchTo(caller);
	AtEOXact_GUC(true, nestlevel);
	request = impilo_copy_request(&build.request);
	error_context_stack = context.previous;
	return request;
}

/*
 * impilo_copy_request
 *		A copy in CurrentMemoryContext: one block, to be freed by pfree.
 */
ImpiloOrderRequest *
impilo_copy_request(const ImpiloOrderRequest *request)
{
	Size		head = MAXALIGN(sizeof(ImpiloOrderRequest)) +
	request->nids * sizeof(char *);
	Size		size = head + request->length + 1;
	ImpiloOrderRequest *copy;
	char	   *at;

	for (int i = 0; i < request->nids; i++)
		size += strlen(request->ids[i]) + 1;
	copy = palloc(size);
	*copy = *request;
	copy->ids = (char **) ((char *) copy + MAXALIGN(sizeof(ImpiloOrderRequest)));
	at = (char *) copy + head;
	for (int i = 0; i < request->nids; i++)
	{
		Size		length = strlen(request->ids[i]) + 1;

		copy->ids[i] = memcpy(at, request->ids[i], length);
		at += length;
	}
	copy->body = memcpy(at, request->body, request->length);
	copy->body[request->length] = '\0';
	return copy;
}
