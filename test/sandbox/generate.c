/*-------------------------------------------------------------------------
 *
 * generate.c
 *		Patients, sites, items and kits made by rule.
 *
 * Everything is a function of the seed and an id, so that a patient looks
 * the same in each of its orders and an order the same in each run.  Texts
 * are stored in the tables as JSON: an escape in a table is an escape in the
 * response.  orders.c makes whole orders; store.c stores them.
 *
 *-------------------------------------------------------------------------
 */
#include "generate.h"
#include "orders.h"

#define PICK(table, n) (table)[(n) % (sizeof(table) / sizeof((table)[0]))]

static const char *const first_names[] = {
	"John", "María", "Zoë", "Søren", "美咲", "محمد", "अनन्या", "Олена",
	"Ngọc", "\\u00c9lodie", "Fran\\u00e7ois", "\\ud83d\\ude00 Sam",
	"Robert \\\"Bob\\\"", "Anne\\/Marie", "Ἀλέξανδρος", "D'Arcy", "안나",
	"J\\u006fhn", "🦊 Robin", "Tab\\there", "Chloé", "伟", "Al\\u0131"
};

static const char *const last_names[] = {
	"Doe", "O'Neil", "Müller", "García Márquez", "鈴木", "الهاشمي", "शर्मा",
	"Шевченко", "Nguyễn", "Bj\\u00f6rk", "\\u5c71\\u7530", "Smith-Jones",
	"van der Berg", "Back\\\\slash", "Ünal", "Kowalski", "Þórsdóttir", "박",
	"100%s", "{}[],:", "\\ud834\\udd1e Clef"
};

static const char *const streets[] = {
	"12 Main Street", "Bj\\u00f6rkv\\u00e4gen 5", "Strada Înfrățirii 3",
	"東京都千代田区1-1", "Rue de l'\\u00c9glise 7\\nB\\u00e2timent C",
	"P.O. Box 42", "شارع الملك فهد ٥", "1600 Pennsylvania Ave \\\"NW\\\""
};

static const char *const cities[] = {
	"Springfield", "Göteborg", "Cluj-Napoca", "大阪", "Saint-\\u00c9tienne",
	"Boston", "الرياض", "New York"
};

static const char *const states[] = {"MA", "NY", "CA", "TX", "WA"};
static const char *const countries[] = {"US", "US", "US", "CA", "SE"};
static const char *const sexes[] = {"female", "male", "other", "unknown"};

static const char *const item_names[] = {
	"Blood Pressure Monitor", "Pulse Oximeter", "Weight Scale",
	"Glucometer \\u2013 Kit", "Thermom\\u00e8tre", "Cellular Hub"
};

static const char *const makers[] = {
	"Acme Medical", "A&D", "Nonin", "Øst Medico"
};

uint64_t
gen_hash(int what, int64_t id)
{
	uint64_t	x = UINT64_C(0x9e3779b97f4a7c15) +
	(uint64_t) what * UINT64_C(0xd1342543de82ef95) + (uint64_t) id;

	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void
add_text(Buf *b, const char *json)
{
	buf_char(b, '"');
	buf_str(b, json);
	buf_char(b, '"');
}

static void
add_bool(Buf *b, bool value)
{
	buf_str(b, value ? "true" : "false");
}

static void
add_phone(Buf *b, uint64_t h)
{
	BUF_LIT(b, "\"+1");
	buf_digits(b, h % 9000000000 + 1000000000, 10);
	buf_char(b, '"');
}

static void
add_address(Buf *b, uint64_t h)
{
	BUF_LIT(b, "{\"lineOne\":");
	add_text(b, PICK(streets, h));
	BUF_LIT(b, ",\"lineTwo\":");
	if (h % 3 == 0)
		add_text(b, "Apt. 4\\/B");
	else
		BUF_LIT(b, "null");
	if (h % 2 == 0)
		BUF_LIT(b, ",\"lineThree\":null");
	BUF_LIT(b, ",\"city\":");
	add_text(b, PICK(cities, h >> 8));
	BUF_LIT(b, ",\"state\":");
	add_text(b, PICK(states, h >> 16));
	BUF_LIT(b, ",\"zipCode\":\"");
	buf_digits(b, (h >> 20) % 20000, 5);
	BUF_LIT(b, "\",\"country\":");
	add_text(b, PICK(countries, h >> 24));
	BUF_LIT(b, ",\"note\":");
	if (h % 5 == 0)
		add_text(b, "Ring twice, \\u201cback door\\u201d");
	else
		BUF_LIT(b, "null");
	BUF_LIT(b, "}");
}

static void
add_birth_date(Buf *b, uint64_t h, int64_t id)
{
	buf_char(b, '"');
	buf_int(b, 1930 + h % 80);
	buf_char(b, '-');
	buf_digits(b, 1 + (h >> 8) % 12, 2);
	buf_char(b, '-');
	buf_digits(b, 1 + (h >> 16) % 28, 2);
	if (id % 3 == 0)
		BUF_LIT(b, "T00:00:00Z");
	buf_char(b, '"');
}

/* a site; if not whole, without the address, as in other objects */
void
gen_site(const Generator *g, int64_t id, bool whole, Buf *b)
{
	uint64_t	h = gen_hash(1, id);

	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	BUF_LIT(b, ",\"name\":\"");
	buf_str(b, id % 4 == 0 ? "Clinique Ste-Zo\\u00e9 " : "Clinic ");
	buf_int(b, id);
	BUF_LIT(b, "\",\"active\":");
	add_bool(b, id % 10 != 0);
	if (whole)
	{
		BUF_LIT(b, ",\"phoneNumber\":");
		add_phone(b, h);
		BUF_LIT(b, ",\"address\":");
		add_address(b, h);
	}
	BUF_LIT(b, "}");
}

/* a patient; if not whole, as in a device */
void
gen_patient(const Generator *g, int64_t id, bool whole, Buf *b)
{
	uint64_t	h = gen_hash(2, id);

	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	BUF_LIT(b, ",\"externalIdentifier\":\"mrn-");
	buf_digits(b, id, 6);
	BUF_LIT(b, "\",\"firstName\":");
	add_text(b, PICK(first_names, h));
	BUF_LIT(b, ",\"lastName\":");
	add_text(b, PICK(last_names, h >> 8));
	BUF_LIT(b, ",\"dateOfBirth\":");
	add_birth_date(b, h >> 16, id);
	BUF_LIT(b, ",\"email\":");
	if (h % 7 == 0)
		BUF_LIT(b, "null");
	else
	{
		BUF_LIT(b, "\"patient.");
		buf_int(b, id);
		BUF_LIT(b, "@example.com\"");
	}
	BUF_LIT(b, ",\"phoneNumber\":");
	add_phone(b, h);
	BUF_LIT(b, ",\"archived\":");
	add_bool(b, id % 20 == 0);
	if (whole)
	{
		BUF_LIT(b, ",\"address\":");
		add_address(b, h >> 4);
		if (id % 3 != 1)
		{
			BUF_LIT(b, ",\"site\":");
			if (id % 3 == 0)
				BUF_LIT(b, "null");
			else
				gen_site(g, 1 + id % 1000, false, b);
		}
		BUF_LIT(b, ",\"enrolled\":");
		buf_str(b, id % 6 == 0 ? "null" : id % 2 ? "true" : "false");
	}
	BUF_LIT(b, ",\"sex\":");
	add_text(b, PICK(sexes, h >> 40));
	BUF_LIT(b, "}");
}

/* an item with its later members; every ninth has only an id */
void
gen_item(const Generator *g, int64_t id, Buf *b)
{
	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	if (id % 9 != 0)
	{
		BUF_LIT(b, ",\"name\":");
		add_text(b, PICK(item_names, (uint64_t) id));
		BUF_LIT(b, ",\"model\":\"M-");
		buf_int(b, id % 100);
		BUF_LIT(b, "\",\"sku\":\"");
		buf_digits(b, id, 8);
		BUF_LIT(b, "\",\"orderable\":");
		add_bool(b, id < 1900);
		BUF_LIT(b, ",\"manufacturer\":{\"id\":");
		buf_int(b, 1 + id % 4);
		BUF_LIT(b, ",\"name\":");
		add_text(b, PICK(makers, (uint64_t) id));
		BUF_LIT(b, "}");
	}
	BUF_LIT(b, "}");
}

/* a kit with its later members */
void
gen_kit(const Generator *g, int64_t id, Buf *b)
{
	BUF_LIT(b, "{\"id\":");
	buf_int(b, id);
	buf_str(b, id >= GEN_LOANER_KIT_FIRST && id <= GEN_LOANER_KIT_LAST ?
			",\"name\":\"Loaner Kit " : ",\"name\":\"Kit ");
	buf_int(b, id);
	BUF_LIT(b, "\",\"archived\":");
	add_bool(b, id >= 1090);
	BUF_LIT(b, ",\"kitItems\":[{\"item\":");
	gen_item(g, 1000 + id % 800, b);
	BUF_LIT(b, ",\"count\":1}]}");
}
