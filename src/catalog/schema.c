/*-------------------------------------------------------------------------
 *
 * schema.c
 *	  The relations and columns that version 3 of the API offers.
 *
 * This constant table is used to bind foreign tables, for IMPORT FOREIGN
 * SCHEMA and for the data dictionary.  Every scalar of a nested object is a
 * column named after its path in snake_case.  Every array is a jsonb column
 * with the API's JSON, and every array of documented members is a relation
 * too.  Objects that occur in several places (patient, site, address, item,
 * kit, device) are macros, with the prefix of the names, the path and the
 * owner as arguments.
 *
 * There are two exceptions.  The id of a device is device_id, because id would
 * look like the row's own.  A scalar element has a column named after what it
 * is.
 *
 * Types are those that the API documents.  A place that is not documented as
 * a time or a number is text.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/catalog/schema.c
 *
 *-------------------------------------------------------------------------
 */

#include <string.h>

#include "catalog/schema.h"

#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

/*
 * Columns.  INSERT writes those with a member of the create request, which is
 * also their place.  Descriptions get a full stop.
 */
#define COLUMN(name, pointer, type, description) \
	{name, IMPILO_SOURCE_POINTER, pointer, type, NULL, description "."}
#define WRITTEN(name, type, member, description) \
	{name, IMPILO_SOURCE_POINTER, "/" member, type, member, \
	description "."}
#define WRITTEN_ID(name, member, description) \
	{name, IMPILO_SOURCE_POINTER, "/" member "/id", "bigint", member, \
	description "."}

#define BIGINT(name, at, description) COLUMN(name, at, "bigint", description)
#define BOOLEAN(name, at, description) COLUMN(name, at, "boolean", description)
#define DATE(name, at, description) COLUMN(name, at, "date", description)
#define INTEGER(name, at, description) COLUMN(name, at, "integer", description)
#define JSONB(name, at, description) COLUMN(name, at, "jsonb", description)
#define TEXT(name, at, description) COLUMN(name, at, "text", description)
#define TIME(name, at, description) \
	COLUMN(name, at, "timestamp with time zone", description)

#define ORDER_ID \
	{"order_id", IMPILO_SOURCE_ORDER_ID, NULL, "bigint", NULL, \
	"Id of the order."}
#define POSITION(array) \
	{"position", IMPILO_SOURCE_POSITION, NULL, "integer", NULL, \
	"Place in the order's " array ", counted from 1."}
#define DOCUMENT(what) \
	{"document", IMPILO_SOURCE_DOCUMENT, "", "jsonb", NULL, \
	what ", as the API sent it."}

/*
 * Objects of the API.  `of` is the owner, for the descriptions: "the patient".
 */
#define ADDRESS(name, at, of) \
	TEXT(name "line_one", at "/lineOne", "First line of the address of " of), \
	TEXT(name "line_two", at "/lineTwo", \
		 "Second line of the address of " of), \
	TEXT(name "line_three", at "/lineThree", \
		 "Third line of the address of " of), \
	TEXT(name "city", at "/city", "City in the address of " of), \
	TEXT(name "state", at "/state", "State in the address of " of), \
	TEXT(name "zip_code", at "/zipCode", "Zip code in the address of " of), \
	TEXT(name "country", at "/country", "Country in the address of " of), \
	TEXT(name "note", at "/note", "Note on the address of " of)

/* a site without its id */
#define SITE_FIELDS(name, at, of) \
	TEXT(name "name", at "/name", "Name of " of), \
	BOOLEAN(name "active", at "/active", "Whether " of " is active"), \
	TEXT(name "phone_number", at "/phoneNumber", "Phone number of " of), \
	ADDRESS(name "address_", at "/address", of)

#define SITE(name, at, of) \
	BIGINT(name "id", at "/id", "Id of " of), \
	SITE_FIELDS(name, at, of)

/* a patient without the id */
#define PATIENT_FIELDS(name, at, of) \
	TEXT(name "external_identifier", at "/externalIdentifier", \
		 "The customer's own identifier of " of), \
	TEXT(name "first_name", at "/firstName", "First name of " of), \
	TEXT(name "last_name", at "/lastName", "Last name of " of), \
	DATE(name "date_of_birth", at "/dateOfBirth", "Date of birth of " of), \
	TEXT(name "email", at "/email", "Email address of " of), \
	TEXT(name "phone_number", at "/phoneNumber", "Phone number of " of), \
	BOOLEAN(name "archived", at "/archived", "Whether " of " is archived"), \
	ADDRESS(name "address_", at "/address", of), \
	SITE(name "site_", at "/site", "the site of " of), \
	BOOLEAN(name "enrolled", at "/enrolled", "Whether " of " is enrolled"), \
	TEXT(name "sex", at "/sex", \
		 "Sex of " of ": female, male, other or unknown")

#define PATIENT(name, at, of) \
	BIGINT(name "id", at "/id", "Id of " of), \
	PATIENT_FIELDS(name, at, of)

#define ITEM(name, at, of) \
	BIGINT(name "id", at "/id", "Id of " of), \
	TEXT(name "name", at "/name", "Name of " of), \
	TEXT(name "model", at "/model", "Model of " of), \
	TEXT(name "sku", at "/sku", \
		 "Stock keeping unit of " of "; may have leading zeros"), \
	BOOLEAN(name "orderable", at "/orderable", \
			"Whether " of " can be ordered"), \
	BIGINT(name "manufacturer_id", at "/manufacturer/id", \
		   "Id of the manufacturer of " of), \
	TEXT(name "manufacturer_name", at "/manufacturer/name", \
		 "Name of the manufacturer of " of)

#define KIT(name, at, of) \
	BIGINT(name "id", at "/id", "Id of " of), \
	TEXT(name "name", at "/name", "Name of " of), \
	BOOLEAN(name "archived", at "/archived", "Whether " of " is archived"), \
	JSONB(name "kit_items", at "/kitItems", \
		  "What " of " consists of: an array of items and counts")

#define DEVICE \
	BIGINT("device_id", "/id", "Id of the device"), \
	ITEM("item_", "/item", "the item that the device is"), \
	TEXT("current_status", "/currentStatus", \
		 "Status of the device, for example availableAtSite, withPatient " \
		 "or decommissioned"), \
	BOOLEAN("used", "/used", "Whether the device has been used"), \
	PATIENT("current_patient_", "/currentPatient", \
			"the patient who has the device"), \
	SITE("site_", "/site", "the site of the device"), \
	TEXT("last_health_check", "/lastHealthCheck", \
		 "Last health check of the device, as text"), \
	JSONB("device_identifiers", "/deviceIdentifiers", \
		  "Identifiers of the device: an array of types and values"), \
	JSONB("device_events", "/deviceEvents", \
		  "History of the device: an array of types and times"), \
	TEXT("external_identifier", "/externalIdentifier", \
		 "The customer's own identifier of the device"), \
	BOOLEAN("disabled_readings", "/disabledReadings", \
			"Whether readings of the device are disabled")

/*
 * Relations
 */
static const ImpiloSchemaColumn orders[] = {
	{"id", IMPILO_SOURCE_ORDER_ID, "/id", "bigint", NULL,
	"Id of the order."},
	WRITTEN("external_order_ids", "text[]", "externalOrderIds",
			"The customer's own ids of the order"),
	WRITTEN_ID("patient_id", "patient",
			   "Id of the patient whom the order is for; NULL if it is for "
			   "a site"),
	PATIENT_FIELDS("patient_", "/patient", "the patient"),
	WRITTEN_ID("site_id", "site",
			   "Id of the site that the order is for; NULL if it is for a "
			   "patient"),
	SITE_FIELDS("site_", "/site", "the site"),
	TEXT("current_status", "/currentStatus",
		 "Status of the order, for example reconfirmAddress or "
		 "availableForPickup"),
	WRITTEN("shipping_option", "text", "shippingOption",
			"How the order is shipped: standard or overnight"),
	WRITTEN("email_label", "boolean", "emailLabel",
			"Whether the label for a return is sent by email"),
	WRITTEN("order_items", "jsonb", "orderItems",
			"Items ordered: an array of items and counts"),
	WRITTEN("order_kits", "jsonb", "orderKits",
			"Kits ordered: an array of kits and counts"),
	JSONB("order_events", "/orderEvents",
		  "History of the order's status: an array of names and times"),
	JSONB("tracking_numbers", "/trackingNumbers",
		  "Tracking numbers of the order: an array of carriers and values"),
	JSONB("devices", "/devices",
		  "Devices picked to fulfil the items: an array"),
	JSONB("packed_kits", "/packedKits",
		  "Kits packed, each with its devices: an array"),
	WRITTEN("order_notes", "jsonb", "orderNotes",
			"Notes on the order: an array"),
	WRITTEN("return_devices", "jsonb", "returnDevices",
			"Devices to be returned: an array"),
	WRITTEN("return_items", "jsonb", "returnItems",
			"Items to be returned: an array"),
	WRITTEN("return_packed_kits", "jsonb", "returnPackedKits",
			"Packed kits to be returned: an array"),
	DOCUMENT("The whole order"),
};

static const ImpiloSchemaColumn order_external_ids[] = {
	ORDER_ID,
	POSITION("external ids"),
	TEXT("external_order_id", "",
		 "One of the customer's own ids of the order"),
	DOCUMENT("The id"),
};

static const ImpiloSchemaColumn order_items[] = {
	ORDER_ID,
	POSITION("items"),
	ITEM("item_", "/item", "the item"),
	INTEGER("count", "/count", "Number of the item that is ordered"),
	DOCUMENT("The item and its count"),
};

static const ImpiloSchemaColumn order_kits[] = {
	ORDER_ID,
	POSITION("kits"),
	KIT("kit_", "/kit", "the kit"),
	INTEGER("count", "/count", "Number of the kit that is ordered"),
	DOCUMENT("The kit and its count"),
};

static const ImpiloSchemaColumn order_events[] = {
	ORDER_ID,
	POSITION("events"),
	TEXT("name", "/name", "What happened to the order"),
	TIME("event_timestamp", "/eventTimestamp", "When it happened"),
	DOCUMENT("The event"),
};

static const ImpiloSchemaColumn order_tracking_numbers[] = {
	ORDER_ID,
	POSITION("tracking numbers"),
	TEXT("carrier", "/carrier", "Carrier of the parcel"),
	TEXT("value", "/value", "The carrier's tracking number"),
	DOCUMENT("The tracking number"),
};

static const ImpiloSchemaColumn order_devices[] = {
	ORDER_ID,
	POSITION("devices"),
	DEVICE,
	DOCUMENT("The device"),
};

static const ImpiloSchemaColumn order_packed_kits[] = {
	ORDER_ID,
	POSITION("packed kits"),
	KIT("kit_", "/kit", "the kit packed"),
	JSONB("devices", "/devices", "Devices in the kit: an array"),
	DOCUMENT("The packed kit"),
};

static const ImpiloSchemaColumn order_packed_kit_devices[] = {
	ORDER_ID,
	{"kit_position", IMPILO_SOURCE_OUTER_POSITION, NULL, "integer", NULL,
	"Place of the kit in the order's packed kits, counted from 1."},
	{"position", IMPILO_SOURCE_POSITION, NULL, "integer", NULL,
	"Place of the device in the packed kit, counted from 1."},
	DEVICE,
	DOCUMENT("The device"),
};

static const ImpiloSchemaColumn order_notes[] = {
	ORDER_ID,
	POSITION("notes"),
	TEXT("note", "/note", "The text of the note"),
	TIME("created_at", "/createdAt", "When the note was written"),
	BIGINT("created_by_id", "/createdBy/id",
		   "Id of the user who wrote the note"),
	TEXT("created_by_first_name", "/createdBy/firstName",
		 "First name of the user who wrote the note"),
	TEXT("created_by_last_name", "/createdBy/lastName",
		 "Last name of the user who wrote the note"),
	TEXT("created_by_email", "/createdBy/email",
		 "Email address of the user who wrote the note"),
	DOCUMENT("The note"),
};

#define RELATION(name, array, inner_array, description) \
	{#name, array, inner_array, description, name, COUNT(name)}

const ImpiloSchemaRelation impilo_schema_relations[] = {
	RELATION(orders, NULL, NULL,
			 "Orders for patients and sites; INSERT creates one."),
	RELATION(order_external_ids, "/externalOrderIds", NULL,
			 "The customer's own ids of orders, one row per id."),
	RELATION(order_items, "/orderItems", NULL,
			 "Items ordered, one row per item of an order."),
	RELATION(order_kits, "/orderKits", NULL,
			 "Kits ordered, one row per kit of an order."),
	RELATION(order_events, "/orderEvents", NULL,
			 "History of the status of orders, one row per event."),
	RELATION(order_tracking_numbers, "/trackingNumbers", NULL,
			 "Tracking numbers of orders, one row per parcel."),
	RELATION(order_devices, "/devices", NULL,
			 "Devices picked to fulfil the items of orders, one row per "
			 "device."),
	RELATION(order_packed_kits, "/packedKits", NULL,
			 "Kits packed for orders, one row per kit."),
	RELATION(order_packed_kit_devices, "/packedKits", "/devices",
			 "Devices in the kits packed for orders, one row per device."),
	RELATION(order_notes, "/orderNotes", NULL,
			 "Notes on orders, one row per note."),
};

/* columns of orders for a table that reads pages of the list, see plan.c */
static const ImpiloSchemaColumn list_columns[] = {
	{"list_page", IMPILO_SOURCE_LIST_PAGE, NULL, "bigint", NULL,
	"Page of the list."},
	{"list_place", IMPILO_SOURCE_LIST_PLACE, NULL, "bigint", NULL,
	"Place in the list, from 1."},
	{"list_total", IMPILO_SOURCE_LIST_TOTAL, NULL, "bigint", NULL,
	"Number of orders that the page states."},
	{"list_size", IMPILO_SOURCE_LIST_SIZE, NULL, "bigint", NULL,
	"Number of orders a page that the page states."},
};

const int	impilo_schema_nrelations = COUNT(impilo_schema_relations);

const ImpiloSchemaRelation *
impilo_schema_relation(const char *name)
{
	for (int i = 0; i < impilo_schema_nrelations; i++)
		if (strcmp(impilo_schema_relations[i].name, name) == 0)
			return &impilo_schema_relations[i];
	return NULL;
}

const ImpiloSchemaColumn *
impilo_schema_column(const ImpiloSchemaRelation *relation, const char *name)
{
	for (int i = 0; i < relation->ncolumns; i++)
		if (strcmp(relation->columns[i].name, name) == 0)
			return &relation->columns[i];
	for (int i = 0; i < COUNT(list_columns) && relation->array == NULL; i++)
		if (strcmp(list_columns[i].name, name) == 0)
			return &list_columns[i];
	return NULL;
}
