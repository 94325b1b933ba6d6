/*-------------------------------------------------------------------------
 *
 * rules.c
 *		The rules that an order must satisfy to be created.
 *
 * The rules and their messages are the API's documentation; where it gives
 * no message the answer is invalid_order.  Which ids exist: patients
 * 1..100000 and sites 1..1000 (configurable), items 1000..1999 of which
 * 1800..1899 are out of stock, 1900..1949 not orderable and 1950..1999 not
 * orderable with the other documented wording, kits 1000..1089 of which
 * 1050..1059 are loaner kits.  More than 1000 of one item are not in stock.
 *
 * A body is accepted only in the API's own form: a member that the API does
 * not take, or that only the API writes, refuses the order.  (The guide's
 * own sample sends "sex" beside the patient's id, so that one passes.)
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "generate.h"
#include "rules.h"

typedef bool (*MemberCheck) (json_object *value);

typedef struct Member
{
	const char *name;
	MemberCheck check;
} Member;

static bool
refuse(Refusal *r, const char *message, const char *detail)
{
	snprintf(r->message, sizeof(r->message), "%s", message);
	snprintf(r->detail, sizeof(r->detail), "%s", detail ? detail : "");
	return false;
}

static bool
is_string(json_object *value)
{
	return json_object_is_type(value, json_type_string);
}

static bool
is_bool(json_object *value)
{
	return json_object_is_type(value, json_type_boolean);
}

static bool
is_positive(json_object *value)
{
	return json_object_is_type(value, json_type_int) &&
		json_object_get_int64(value) > 0;
}

/* an object with only these members, of which the first is required */
static bool
is_object_of(json_object *value, const Member *members, int nmembers)
{
	if (!json_object_is_type(value, json_type_object) ||
		json_object_object_get(value, members[0].name) == NULL)
		return false;
	{
		json_object_object_foreach(value, name, member)
		{
			int			i;

			for (i = 0; i < nmembers; i++)
			{
				if (strcmp(members[i].name, name) == 0)
					break;
			}
			if (i == nmembers || (member != NULL && !members[i].check(member)))
				return false;
		}
	}
	return true;
}

static bool
is_array_of(json_object *value, MemberCheck check)
{
	size_t		i;

	if (!json_object_is_type(value, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(value); i++)
	{
		if (!check(json_object_array_get_idx(value, i)))
			return false;
	}
	return true;
}

static bool
is_reference(json_object *value)
{
	static const Member members[] = {{"id", is_positive}};

	return is_object_of(value, members, 1);
}

static bool
is_patient(json_object *value)
{
	static const Member members[] = {{"id", is_positive}, {"sex", is_string}};

	return is_object_of(value, members, 2);
}

static bool
is_item_line(json_object *value)
{
	static const Member members[] = {
		{"item", is_reference}, {"count", is_positive}
	};

	return is_object_of(value, members, 2);
}

static bool
is_kit_line(json_object *value)
{
	static const Member members[] = {
		{"kit", is_reference}, {"count", is_positive}
	};

	return is_object_of(value, members, 2);
}

static bool
is_note(json_object *value)
{
	static const Member members[] = {{"note", is_string}};

	return is_object_of(value, members, 1);
}

static bool
is_external_ids(json_object *value)
{
	return is_array_of(value, is_string);
}

static bool
is_items(json_object *value)
{
	return is_array_of(value, is_item_line);
}

static bool
is_kits(json_object *value)
{
	return is_array_of(value, is_kit_line);
}

static bool
is_notes(json_object *value)
{
	return is_array_of(value, is_note);
}

static bool
is_shipping_option(json_object *value)
{
	return is_string(value) &&
		(strcmp(json_object_get_string(value), "standard") == 0 ||
		 strcmp(json_object_get_string(value), "overnight") == 0);
}

static bool
is_object(json_object *value)
{
	return json_object_is_type(value, json_type_object);
}

/* the members of return* are not documented: accept any object */
static bool
is_objects(json_object *value)
{
	return is_array_of(value, is_object);
}

static const Member order_members[] = {
	{"patient", is_patient},
	{"site", is_reference},
	{"orderItems", is_items},
	{"orderKits", is_kits},
	{"externalOrderIds", is_external_ids},
	{"shippingOption", is_shipping_option},
	{"orderNotes", is_notes},
	{"emailLabel", is_bool},
	{"returnItems", is_objects},
	{"returnDevices", is_objects},
	{"returnPackedKits", is_objects},
};

#define NORDER_MEMBERS (sizeof(order_members) / sizeof(order_members[0]))

/* the form: only known members, each with its type */
static bool
check_form(json_object *asked, Refusal *r)
{
	char		detail[120];

	if (!is_object(asked))
		return refuse(r, "invalid_order", "the body is not a JSON object");
	{
		json_object_object_foreach(asked, name, value)
		{
			size_t		i;

			for (i = 0; i < NORDER_MEMBERS; i++)
			{
				if (strcmp(order_members[i].name, name) == 0)
					break;
			}
			if (i < NORDER_MEMBERS &&
				(value == NULL || order_members[i].check(value)))
				continue;
			snprintf(detail, sizeof(detail), "%s member: %.60s",
					 i < NORDER_MEMBERS ? "malformed" : "unknown or read-only",
					 name);
			return refuse(r, "invalid_order", detail);
		}
	}
	return true;
}

static size_t
length_of(json_object *asked, const char *name)
{
	json_object *list = json_object_object_get(asked, name);

	return list != NULL ? json_object_array_length(list) : 0;
}

static bool
has_returns(json_object *asked)
{
	return length_of(asked, "returnItems") > 0 ||
		length_of(asked, "returnDevices") > 0 ||
		length_of(asked, "returnPackedKits") > 0;
}

static int64_t
id_of(json_object *object)
{
	return json_object_get_int64(json_object_object_get(object, "id"));
}

static bool
check_recipient(json_object *asked, Refusal *r)
{
	json_object *patient = json_object_object_get(asked, "patient");
	json_object *site = json_object_object_get(asked, "site");
	char		message[80];

	if (patient == NULL && site == NULL)
		return refuse(r, "patient or site required", NULL);
	if (patient != NULL && site != NULL)
		return refuse(r, "invalid_order",
					  "exactly one of patient and site may be given");
	if (patient != NULL && id_of(patient) > config.patients)
		return refuse(r, "patient_does_not_exist", NULL);
	if (site != NULL && id_of(site) > 1000)
	{
		snprintf(message, sizeof(message), "Site %" PRId64 " not found",
				 id_of(site));
		return refuse(r, message, NULL);
	}
	return true;
}

static int64_t
count_of(json_object *line)
{
	json_object *count = json_object_object_get(line, "count");

	return count != NULL ? json_object_get_int64(count) : 1;
}

static bool
check_items(json_object *asked, Refusal *r)
{
	json_object *list = json_object_object_get(asked, "orderItems");
	size_t		i;

	for (i = 0; i < length_of(asked, "orderItems"); i++)
	{
		json_object *line = json_object_array_get_idx(list, i);
		int64_t		id = id_of(json_object_object_get(line, "item"));

		if (id < 1000 || id > 1999)
			return refuse(r, "invalid_order", "no such item");
		if (id >= 1950)
			return refuse(r, "Order contains Items that are marked as "
						  "non-orderable. Order cannot be placed.", NULL);
		if (id >= 1900)
			return refuse(r, "item_not_orderable", NULL);
		if (id >= 1800 || count_of(line) > 1000)
			return refuse(r, "insufficient_inventory", NULL);
	}
	return true;
}

static bool
check_kits(json_object *asked, Refusal *r)
{
	json_object *list = json_object_object_get(asked, "orderKits");
	int			loaners = 0;
	size_t		i;

	for (i = 0; i < length_of(asked, "orderKits"); i++)
	{
		json_object *line = json_object_array_get_idx(list, i);
		int64_t		id = id_of(json_object_object_get(line, "kit"));

		if (id < 1000 || id >= 1090)
			return refuse(r, "invalid_order", "no such kit");
		if (count_of(line) > 1000)
			return refuse(r, "insufficient_inventory", NULL);
		if (id < GEN_LOANER_KIT_FIRST || id > GEN_LOANER_KIT_LAST)
			continue;
		loaners++;
		if (count_of(line) > 1)
			return refuse(r, "qty_over_one_loaner_kit", NULL);
	}
	if (loaners > 1)
		return refuse(r, "max_one_loaner_kit", NULL);
	if (loaners > 0 && has_returns(asked))
		return refuse(r, "no_returns_with_loaner_kit", NULL);
	if (loaners > 0 && json_object_object_get(asked, "site") != NULL)
		return refuse(r, "no_loaner_kit_to_site", NULL);
	return true;
}

/* a device as {"id": n} or {"device": {"id": n}}; 0 for neither */
static int64_t
device_id(json_object *entry)
{
	json_object *device = json_object_object_get(entry, "device");

	return id_of(device != NULL ? device : entry);
}

static bool
is_packed(json_object *asked, int64_t id)
{
	json_object *kits = json_object_object_get(asked, "returnPackedKits");
	size_t		i;
	size_t		j;

	for (i = 0; i < length_of(asked, "returnPackedKits"); i++)
	{
		json_object *kit = json_object_array_get_idx(kits, i);
		json_object *devices = json_object_object_get(kit, "devices");

		if (!json_object_is_type(devices, json_type_array))
			continue;
		for (j = 0; j < json_object_array_length(devices); j++)
		{
			if (device_id(json_object_array_get_idx(devices, j)) == id)
				return true;
		}
	}
	return false;
}

static bool
check_returns(json_object *asked, Refusal *r)
{
	json_object *devices = json_object_object_get(asked, "returnDevices");
	json_object *label = json_object_object_get(asked, "emailLabel");
	size_t		i;

	if (!has_returns(asked))
		return true;
	if (!json_object_get_boolean(label) &&
		json_object_object_get(asked, "shippingOption") == NULL)
		return refuse(r, "shippingOption is required when emailLabel is false "
					  "and return items are included", NULL);
	for (i = 0; i < length_of(asked, "returnDevices"); i++)
	{
		int64_t		id = device_id(json_object_array_get_idx(devices, i));

		if (id != 0 && is_packed(asked, id))
			return refuse(r, "Device cannot be included both as a return "
						  "device and in a packed kit", NULL);
	}
	return true;
}

/*
 * Returns whether such an order may be created; if not, fills the reason.
 * NULL stands for a body that is not JSON.  Requires the store's lock, for
 * the configuration.
 */
bool
rules_accept(json_object *asked, Refusal *refusal)
{
	if (!check_form(asked, refusal))
		return false;
	if (json_object_object_get(asked, "patient") == NULL &&
		json_object_object_get(asked, "site") == NULL)
		return check_recipient(asked, refusal);
	if (length_of(asked, "orderItems") == 0 &&
		length_of(asked, "orderKits") == 0 && !has_returns(asked))
		return refuse(refusal, "Order must contain at least one of: "
					  "orderItems, orderKits, returnItems, returnDevices, "
					  "or returnPackedKits", NULL);
	return check_recipient(asked, refusal) && check_items(asked, refusal) &&
		check_kits(asked, refusal) && check_returns(asked, refusal);
}
