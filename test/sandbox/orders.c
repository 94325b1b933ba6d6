/*-------------------------------------------------------------------------
 *
 * orders.c
 *		Whole orders made by rule, as the bytes that are served.
 *
 * generate.h describes the rules, as tests depend on them.
 *
 *-------------------------------------------------------------------------
 */
#include "generate.h"
#include "orders.h"

/* 2024-01-01T00:00:00Z */
#define FIRST_ORDER_MS INT64_C(1704067200000)

static const char *const statuses[] = {
	"created", "reconfirmAddress", "processing", "shipped",
	"availableForPickup", "delivered", "returned", "canceled"
};

static const char *const event_names[] = {
	"orderCreated", "addressConfirmed", "packed", "shipped"
};

static const char *const device_statuses[] = {
	"availableAtSite", "withPatient", "decommissioned"
};

/* returns the id of an account's order number k */
int64_t
gen_id(const Generator *g, int64_t k)
{
	return k + (k % 1000 == 0 ? GEN_BIG_ID : 0) +
		(g->account > 0 ? GEN_OTHER_ACCOUNT : 0);
}

/* the inverse; 0 or less, or the k of another id, if no order has the id */
int64_t
gen_number(const Generator *g, int64_t id)
{
	if (g->account > 0)
		id -= GEN_OTHER_ACCOUNT;
	return id > GEN_BIG_ID ? id - GEN_BIG_ID : id;
}

static void
add_external_ids(const Generator *g, int64_t k, Buf *b)
{
	const char *stem = g->account > 0 ? "oth" : "ext";
	const char *dash = k % 7 == 6 ? "\\/" : "-";
	int			j;

	if (k % 7 == 2)
		return;
	BUF_LIT(b, ",\"externalOrderIds\":");
	if (k % 7 == 0)
	{
		BUF_LIT(b, "null");
		return;
	}
	BUF_LIT(b, "[");
	for (j = 0; k % 7 != 1 && j < 1 + k % 3; j++)
	{
		buf_str(b, j > 0 ? ",\"" : "\"");
		buf_str(b, stem);
		buf_str(b, dash);
		buf_int(b, k);
		buf_str(b, dash);
		buf_int(b, j);
		buf_char(b, '"');
	}
	BUF_LIT(b, "]");
}

static void
add_recipient(const Generator *g, int64_t k, Buf *b)
{
	if (k % 5 == 0)
	{
		if (k % 2)
			BUF_LIT(b, ",\"patient\":null");
		BUF_LIT(b, ",\"site\":");
		gen_site(g, 1 + k % 1000, true, b);
	}
	else
	{
		BUF_LIT(b, ",\"patient\":");
		gen_patient(g, 1 + k / 2 * 37 % 100000, true, b);
		if (k % 2)
			BUF_LIT(b, ",\"site\":null");
	}
}

static int64_t
item_of(int64_t k, int j)
{
	return 1000 + (7 * k + 13 * j) % 800;
}

static void
add_items(const Generator *g, int64_t k, Buf *b)
{
	int			j;

	if (k % 4 == 0 && k / 4 % 3 == 2)
		return;
	BUF_LIT(b, ",\"orderItems\":");
	if (k % 4 == 0 && k / 4 % 3 == 1)
	{
		BUF_LIT(b, "null");
		return;
	}
	BUF_LIT(b, "[");
	for (j = 0; j < k % 4; j++)
	{
		if (j > 0)
			BUF_LIT(b, ",");
		BUF_LIT(b, "{\"item\":");
		gen_item(g, item_of(k, j), b);
		BUF_LIT(b, ",\"count\":");
		buf_int(b, 1 + (k + j) % 5);
		BUF_LIT(b, "}");
	}
	BUF_LIT(b, "]");
}

static void
add_kits(const Generator *g, int64_t k, Buf *b)
{
	BUF_LIT(b, ",\"orderKits\":[");
	if (k % 4 == 0 || k % 10 == 1)
	{
		BUF_LIT(b, "{\"kit\":");
		gen_kit(g, 1000 + k % 50, b);
		BUF_LIT(b, ",\"count\":");
		buf_int(b, 1 + k % 3);
		BUF_LIT(b, "}");
	}
	BUF_LIT(b, "]");
}

static int64_t
created_at(int64_t k)
{
	return FIRST_ORDER_MS + k * 60000 + (k % 3 > 0 ? 123 : 0);
}

static void
add_time(int64_t k, int hours, Buf *b)
{
	buf_char(b, '"');
	buf_timestamp(b, created_at(k) + hours * 3600000, (int) (k % 3) * 3);
	buf_char(b, '"');
}

static void
add_events(const Generator *g, int64_t k, Buf *b)
{
	int			j;

	BUF_LIT(b, ",\"orderEvents\":[");
	for (j = 0; j < 1 + k % 4; j++)
	{
		buf_str(b, j > 0 ? ",{\"name\":\"" : "{\"name\":\"");
		buf_str(b, event_names[j]);
		BUF_LIT(b, "\",\"eventTimestamp\":");
		add_time(k, j, b);
		BUF_LIT(b, "}");
	}
	BUF_LIT(b, "],\"trackingNumbers\":[");
	if (k % 3 > 0)
	{
		BUF_LIT(b, "{\"carrier\":\"");
		buf_str(b, k % 2 ? "ups" : "fedex");
		BUF_LIT(b, "\",\"value\":\"1Z");
		buf_digits(b, k, 10);
		BUF_LIT(b, "\"}");
	}
	BUF_LIT(b, "]");
}

static void
add_device_event(int64_t k, int n, Buf *b)
{
	if (n > 0)
		BUF_LIT(b, ",");
	BUF_LIT(b, "{\"type\":\"");
	buf_str(b, n % 2 ? "reading" : "healthCheck");
	BUF_LIT(b, "\",\"eventTimestamp\":");
	add_time(k, n, b);
	BUF_LIT(b, "}");
}

static void
add_device(const Generator *g, int64_t k, int j, int events, Buf *b)
{
	int64_t		id = 10 * k + j;
	int			n;

	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	BUF_LIT(b, ",\"item\":");
	gen_item(g, item_of(k, j), b);
	BUF_LIT(b, ",\"currentStatus\":\"");
	buf_str(b, device_statuses[id % 3]);
	BUF_LIT(b, "\",\"used\":");
	buf_str(b, id % 2 ? "true" : "false");
	if (id % 3 == 1 && k % 5 != 0)
	{
		BUF_LIT(b, ",\"currentPatient\":");
		gen_patient(g, 1 + k / 2 * 37 % 100000, false, b);
	}
	else
	{
		BUF_LIT(b, ",\"currentPatient\":null,\"site\":");
		gen_site(g, 1 + k % 1000, false, b);
	}
	BUF_LIT(b, ",\"lastHealthCheck\":");
	if (id % 4 == 0)
		BUF_LIT(b, "null");
	else
		add_time(k, 24, b);
	BUF_LIT(b, ",\"deviceIdentifiers\":[{\"type\":\"serialNumber\","
			"\"value\":\"00");
	buf_digits(b, id, 12);
	BUF_LIT(b, "\"},{\"type\":\"imei\",\"value\":\"35");
	buf_digits(b, gen_hash(3, id), 13);
	BUF_LIT(b, "\"}],\"deviceEvents\":[");
	for (n = 0; n < events; n++)
		add_device_event(k, n, b);
	BUF_LIT(b, "],\"externalIdentifier\":");
	if (id % 2)
	{
		BUF_LIT(b, "\"dev-");
		buf_int(b, id);
		BUF_LIT(b, "\"");
	}
	else
		BUF_LIT(b, "null");
	BUF_LIT(b, ",\"disabledReadings\":");
	buf_str(b, id % 7 ? "false}" : "true}");
}

static void
add_devices(const Generator *g, int64_t k, Buf *b)
{
	BUF_LIT(b, ",\"devices\":[");
	for (int j = 0; j < k % 3; j++)
	{
		if (j > 0)
			BUF_LIT(b, ",");
		add_device(g, k, j, 2, b);
	}
	BUF_LIT(b, "]");
}

static void
add_packed_kits(const Generator *g, int64_t k, Buf *b)
{
	BUF_LIT(b, ",\"packedKits\":[");
	if (k % 6 == 0)
	{
		BUF_LIT(b, "{\"kit\":");
		gen_kit(g, 1000 + k % 50, b);
		BUF_LIT(b, ",\"devices\":[");
		add_device(g, k, 5, 0, b);
		BUF_LIT(b, ",");
		add_device(g, k, 6, 0, b);
		BUF_LIT(b, "]}");
	}
	BUF_LIT(b, "]");
}

static void
add_later_members(const Generator *g, int64_t k, Buf *b)
{
	if (k % 3 != 2)
	{
		BUF_LIT(b, ",\"shippingOption\":\"");
		buf_str(b, k % 3 ? "overnight\"" : "standard\"");
	}
	BUF_LIT(b, ",\"orderNotes\":[");
	if (k % 11 == 0)
	{
		BUF_LIT(b, "{\"note\":\"Call first \\u2014 \\\"before 9\\\"\","
				"\"createdAt\":");
		add_time(k, 1, b);
		BUF_LIT(b, ",\"createdBy\":{\"id\":7,\"firstName\":\"Ren\\u00e9e\","
				"\"lastName\":\"Ops\",\"email\":\"ops@example.com\"}}");
	}
	BUF_LIT(b, "],\"emailLabel\":");
	buf_str(b, k % 4 == 0 ? "true" : k % 4 == 1 ? "null" : "false");
	if (k % 25 == 0)
	{
		BUF_LIT(b, ",\"returnItems\":[{\"item\":");
		gen_item(g, item_of(k, 0), b);
		BUF_LIT(b, ",\"count\":1}],\"returnDevices\":[{\"id\":");
		buf_int(b, 10 * k + 8);
		BUF_LIT(b, "}],\"returnPackedKits\":[{\"kit\":");
		gen_kit(g, 1000 + k % 50, b);
		BUF_LIT(b, ",\"devices\":[]}]");
	}
	if (k % 13 == 0)
		buf_fmt(b, ",\"fulfilmentCenter\":{\"code\":\"FC-%d\"}",
				(int) (k % 4));
}

/* appends order number k with the given id */
void
gen_order(const Generator *g, int64_t k, int64_t id, Buf *b)
{

	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	add_external_ids(g, k, b);
	add_recipient(g, k, b);
	BUF_LIT(b, ",\"currentStatus\":\"");
	buf_str(b, statuses[k % 8]);
	BUF_LIT(b, "\"");
	add_items(g, k, b);
	add_kits(g, k, b);
	add_events(g, k, b);
	add_devices(g, k, b);
	add_packed_kits(g, k, b);
	add_later_members(g, k, b);
	BUF_LIT(b, "}");
}
