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

#define COLUMN(name, pointer, type, description) \
	{name, IMPILO_SOURCE_POINTER, pointer, type, NULL, false, description}
#define WRITTEN(name, pointer, type, member, description) \
	{name, IMPILO_SOURCE_POINTER, pointer, type, member, false, description}
#define WRITTEN_ID(name, pointer, member, description) \
	{name, IMPILO_SOURCE_POINTER, pointer, "bigint", member, true, description}

#define ORDER_ID \
	{"order_id", IMPILO_SOURCE_ORDER_ID, NULL, "bigint", NULL, false, \
	"Id of the order."}
#define POSITION(array) \
	{"position", IMPILO_SOURCE_POSITION, NULL, "integer", NULL, false, \
	"Place in the order's " array ", counted from 1."}
#define DOCUMENT(what) \
	{"document", IMPILO_SOURCE_DOCUMENT, "", "jsonb", NULL, false, \
	what ", as the API sent it."}

/*
 * Objects of the API.  `of` is the owner, for the descriptions: "the patient".
 */
#define ADDRESS(name, at, of) \
	COLUMN(name "line_one", at "/lineOne", "text", \
		   "First line of the address of " of "."), \
	COLUMN(name "line_two", at "/lineTwo", "text", \
		   "Second line of the address of " of "."), \
	COLUMN(name "line_three", at "/lineThree", "text", \
		   "Third line of the address of " of "."), \
	COLUMN(name "city", at "/city", "text", \
		   "City in the address of " of "."), \
	COLUMN(name "state", at "/state", "text", \
		   "State in the address of " of "."), \
	COLUMN(name "zip_code", at "/zipCode", "text", \
		   "Zip code in the address of " of "."), \
	COLUMN(name "country", at "/country", "text", \
		   "Country in the address of " of "."), \
	COLUMN(name "note", at "/note", "text", \
		   "Note on the address of " of ".")

/* a site without its id */
#define SITE_FIELDS(name, at, of) \
	COLUMN(name "name", at "/name", "text", \
		   "Name of " of "."), \
	COLUMN(name "active", at "/active", "boolean", \
		   "Whether " of " is active."), \
	COLUMN(name "phone_number", at "/phoneNumber", "text", \
		   "Phone number of " of "."), \
	ADDRESS(name "address_", at "/address", of)

#define SITE(name, at, of) \
	COLUMN(name "id", at "/id", "bigint", \
		   "Id of " of "."), \
	SITE_FIELDS(name, at, of)

/* a patient without the id */
#define PATIENT_FIELDS(name, at, of) \
	COLUMN(name "external_identifier", at "/externalIdentifier", "text", \
		   "The customer's own identifier of " of "."), \
	COLUMN(name "first_name", at "/firstName", "text", \
		   "First name of " of "."), \
	COLUMN(name "last_name", at "/lastName", "text", \
		   "Last name of " of "."), \
	COLUMN(name "date_of_birth", at "/dateOfBirth", "date", \
		   "Date of birth of " of "."), \
	COLUMN(name "email", at "/email", "text", \
		   "Email address of " of "."), \
	COLUMN(name "phone_number", at "/phoneNumber", "text", \
		   "Phone number of " of "."), \
	COLUMN(name "archived", at "/archived", "boolean", \
		   "Whether " of " is archived."), \
	ADDRESS(name "address_", at "/address", of), \
	SITE(name "site_", at "/site", "the site of " of), \
	COLUMN(name "enrolled", at "/enrolled", "boolean", \
		   "Whether " of " is enrolled."), \
	COLUMN(name "sex", at "/sex", "text", \
		   "Sex of " of ": female, male, other or unknown.")

#define PATIENT(name, at, of) \
	COLUMN(name "id", at "/id", "bigint", \
		   "Id of " of "."), \
	PATIENT_FIELDS(name, at, of)

#define ITEM(name, at, of) \
	COLUMN(name "id", at "/id", "bigint", \
		   "Id of " of "."), \
	COLUMN(name "name", at "/name", "text", \
		   "Name of " of "."), \
	COLUMN(name "model", at "/model", "text", \
		   "Model of " of "."), \
	COLUMN(name "sku", at "/sku", "text", \
		   "Stock keeping unit of " of "; may have leading zeros."), \
	COLUMN(name "orderable", at "/orderable", "boolean", \
		   "Whether " of " can be ordered."), \
	COLUMN(name "manufacturer_id", at "/manufacturer/id", "bigint", \
		   "Id of the manufacturer of " of "."), \
	COLUMN(name "manufacturer_name", at "/manufacturer/name", "text", \
		   "Name of the manufacturer of " of ".")

#define KIT(name, at, of) \
	COLUMN(name "id", at "/id", "bigint", \
		   "Id of " of "."), \
	COLUMN(name "name", at "/name", "text", \
		   "Name of " of "."), \
	COLUMN(name "archived", at "/archived", "boolean", \
		   "Whether " of " is archived."), \
	COLUMN(name "kit_items", at "/kitItems", "jsonb", \
		   "What " of " consists of: an array of items and counts.")

#define DEVICE \
	COLUMN("device_id", "/id", "bigint", \
		   "Id of the device."), \
	ITEM("item_", "/item", "the item that the device is"), \
	COLUMN("current_status", "/currentStatus", "text", \
		   "Status of the device, for example availableAtSite, withPatient " \
		   "or decommissioned."), \
	COLUMN("used", "/used", "boolean", \
		   "Whether the device has been used."), \
	PATIENT("current_patient_", "/currentPatient", \
			"the patient who has the device"), \
	SITE("site_", "/site", "the site of the device"), \
	COLUMN("last_health_check", "/lastHealthCheck", "text", \
		   "Last health check of the device, as text."), \
	COLUMN("device_identifiers", "/deviceIdentifiers", "jsonb", \
		   "Identifiers of the device: an array of types and values."), \
	COLUMN("device_events", "/deviceEvents", "jsonb", \
		   "History of the device: an array of types and times."), \
	COLUMN("external_identifier", "/externalIdentifier", "text", \
		   "The customer's own identifier of the device."), \
	COLUMN("disabled_readings", "/disabledReadings", "boolean", \
		   "Whether readings of the device are disabled.")

/*
 * Relations
 */
static const ImpiloSchemaColumn orders[] = {
	{"id", IMPILO_SOURCE_ORDER_ID, "/id", "bigint", NULL, false,
	"Id of the order."},
	WRITTEN("external_order_ids", "/externalOrderIds", "text[]",
			"externalOrderIds", "The customer's own ids of the order."),
	WRITTEN_ID("patient_id", "/patient/id", "patient",
			   "Id of the patient whom the order is for; NULL if it is for "
			   "a site."),
	PATIENT_FIELDS("patient_", "/patient", "the patient"),
	WRITTEN_ID("site_id", "/site/id", "site",
			   "Id of the site that the order is for; NULL if it is for a "
			   "patient."),
	SITE_FIELDS("site_", "/site", "the site"),
	COLUMN("current_status", "/currentStatus", "text",
		   "Status of the order, for example reconfirmAddress or "
		   "availableForPickup."),
	WRITTEN("shipping_option", "/shippingOption", "text", "shippingOption",
			"How the order is shipped: standard or overnight."),
	WRITTEN("email_label", "/emailLabel", "boolean", "emailLabel",
			"Whether the label for a return is sent by email."),
	WRITTEN("order_items", "/orderItems", "jsonb", "orderItems",
			"Items ordered: an array of items and counts."),
	WRITTEN("order_kits", "/orderKits", "jsonb", "orderKits",
			"Kits ordered: an array of kits and counts."),
	COLUMN("order_events", "/orderEvents", "jsonb",
		   "History of the order's status: an array of names and times."),
	COLUMN("tracking_numbers", "/trackingNumbers", "jsonb",
		   "Tracking numbers of the order: an array of carriers and values."),
	COLUMN("devices", "/devices", "jsonb",
		   "Devices picked to fulfil the items: an array."),
	COLUMN("packed_kits", "/packedKits", "jsonb",
		   "Kits packed, each with its devices: an array."),
	WRITTEN("order_notes", "/orderNotes", "jsonb", "orderNotes",
			"Notes on the order: an array."),
	WRITTEN("return_devices", "/returnDevices", "jsonb", "returnDevices",
			"Devices to be returned: an array."),
	WRITTEN("return_items", "/returnItems", "jsonb", "returnItems",
			"Items to be returned: an array."),
	WRITTEN("return_packed_kits", "/returnPackedKits", "jsonb",
			"returnPackedKits", "Packed kits to be returned: an array."),
	DOCUMENT("The whole order"),
};

static const ImpiloSchemaColumn order_external_ids[] = {
	ORDER_ID,
	POSITION("external ids"),
	COLUMN("external_order_id", "", "text",
		   "One of the customer's own ids of the order."),
	DOCUMENT("The id"),
};

static const ImpiloSchemaColumn order_items[] = {
	ORDER_ID,
	POSITION("items"),
	ITEM("item_", "/item", "the item"),
	COLUMN("count", "/count", "integer",
		   "Number of the item that is ordered."),
	DOCUMENT("The item and its count"),
};

static const ImpiloSchemaColumn order_kits[] = {
	ORDER_ID,
	POSITION("kits"),
	KIT("kit_", "/kit", "the kit"),
	COLUMN("count", "/count", "integer",
		   "Number of the kit that is ordered."),
	DOCUMENT("The kit and its count"),
};

static const ImpiloSchemaColumn order_events[] = {
	ORDER_ID,
	POSITION("events"),
	COLUMN("name", "/name", "text",
		   "What happened to the order."),
	COLUMN("event_timestamp", "/eventTimestamp", "timestamp with time zone",
		   "When it happened."),
	DOCUMENT("The event"),
};

static const ImpiloSchemaColumn order_tracking_numbers[] = {
	ORDER_ID,
	POSITION("tracking numbers"),
	COLUMN("carrier", "/carrier", "text",
		   "Carrier of the parcel."),
	COLUMN("value", "/value", "text",
		   "The carrier's tracking number."),
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
	COLUMN("devices", "/devices", "jsonb",
		   "Devices in the kit: an array."),
	DOCUMENT("The packed kit"),
};

static const ImpiloSchemaColumn order_packed_kit_devices[] = {
	ORDER_ID,
	{"kit_position", IMPILO_SOURCE_OUTER_POSITION, NULL, "integer", NULL,
	false, "Place of the kit in the order's packed kits, counted from 1."},
	{"position", IMPILO_SOURCE_POSITION, NULL, "integer", NULL, false,
	"Place of the device in the packed kit, counted from 1."},
	DEVICE,
	DOCUMENT("The device"),
};

static const ImpiloSchemaColumn order_notes[] = {
	ORDER_ID,
	POSITION("notes"),
	COLUMN("note", "/note", "text",
		   "The text of the note."),
	COLUMN("created_at", "/createdAt", "timestamp with time zone",
		   "When the note was written."),
	COLUMN("created_by_id", "/createdBy/id", "bigint",
		   "Id of the user who wrote the note."),
	COLUMN("created_by_first_name", "/createdBy/firstName", "text",
		   "First name of the user who wrote the note."),
	COLUMN("created_by_last_name", "/createdBy/lastName", "text",
		   "Last name of the user who wrote the note."),
	COLUMN("created_by_email", "/createdBy/email", "text",
		   "Email address of the user who wrote the note."),
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
	{"list_page", IMPILO_SOURCE_LIST_PAGE, NULL, "bigint", NULL, false,
	"Page of the list."},
	{"list_place", IMPILO_SOURCE_LIST_PLACE, NULL, "bigint", NULL, false,
	"Place in the list, from 1."},
	{"list_total", IMPILO_SOURCE_LIST_TOTAL, NULL, "bigint", NULL, false,
	"Number of orders that the page states."},
	{"list_size", IMPILO_SOURCE_LIST_SIZE, NULL, "bigint", NULL, false,
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
