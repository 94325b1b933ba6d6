/*-------------------------------------------------------------------------
 *
 * json_speed.c
 *		  Speed of splitting, checking and searching a page
 *
 * Prints MB/s of page bytes on one core, the best of several rounds, for the
 * work of a scan: split the page and check its orders; the same and find the id
 * of each order; the same with twelve columns.  It has no limits, so no test
 * depends on the load of the machine.
 *
 * Usage: json_speed [FILE]; without a file it makes a page of 250 orders of
 * about 2 kB.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/page.h"

#define ORDERS 250
#define ROUNDS 40
#define REPEAT 10
#define MAX_ORDERS 100000

static const char *const twelve[] = {
	"/id", "/externalOrderIds", "/patient/id", "/patient/firstName",
	"/patient/lastName", "/patient/dateOfBirth", "/patient/address/city",
	"/patient/address/zipCode", "/site/id", "/currentStatus",
	"/orderItems/0/count", "/shippingOption", NULL
};
static const char *const id_only[] = {"/id", NULL};
static ImpiloJsonSlice orders[MAX_ORDERS];
static size_t norders;

/* A set of places, with memory for the longest list above */
typedef struct Places
{
	ImpiloJsonWanted wanted;
	ImpiloJsonNode nodes[64];
	char		names[1024];
} Places;

static void
want_all(Places *places, const char *const *paths)
{
	char	   *names = places->names;
	ImpiloJsonError error;
	int32_t		slot;

	impilo_json_want_begin(&places->wanted, places->nodes, 64);
	for (slot = 0; paths[slot] != NULL; slot++)
	{
		memcpy(names, paths[slot], strlen(paths[slot]));
		if (impilo_json_want(&places->wanted, names, strlen(paths[slot]),
							 &error) != slot)
			abort();
		names += strlen(paths[slot]);
	}
}

static size_t
make_address(char *out, size_t size, int n)
{
	return (size_t) snprintf(out, size,
							 "{\"lineOne\":\"%d North Wacker Drive\",\"lineTwo\":\"Suite %d\","
							 "\"lineThree\":null,\"city\":\"Chicago\",\"state\":\"IL\","
							 "\"zipCode\":\"%05d\",\"country\":\"US\",\"note\":\"ring twice\"}",
							 n, n % 40, 60600 + n % 99);
}

static size_t
make_order(char *out, size_t size, int n)
{
	char		address[512];
	size_t		at;

	make_address(address, sizeof(address), n);
	at = (size_t) snprintf(out, size,
						   "{\"id\":%d,\"externalOrderIds\":[\"xyz_%d_0\",\"ref-%d\"],"
						   "\"patient\":{\"id\":%d,\"externalIdentifier\":\"mrn-%08d\","
						   "\"firstName\":\"Zo\xc3\xab\",\"lastName\":\"O\\u0027Neill\","
						   "\"dateOfBirth\":\"1980-01-01\",\"email\":\"p%d@example.org\","
						   "\"phoneNumber\":\"+1 312 555 %04d\",\"archived\":false,\"address\":%s,"
						   "\"site\":{\"id\":%d,\"name\":\"Lakeside Clinic\",\"active\":true,"
						   "\"phoneNumber\":null,\"address\":%s},\"enrolled\":true,\"sex\":\"female\"},"
						   "\"site\":null,\"currentStatus\":\"availableForPickup\",",
						   n, n, n * 7, n + 1000, n, n, n % 10000, address, n % 50,
						   address);
	at += (size_t) snprintf(out + at, size - at,
							"\"orderItems\":[{\"item\":{\"id\":1000,\"name\":\"Blood pressure cuff\","
							"\"model\":\"BP-200\",\"sku\":\"00471\",\"orderable\":true,"
							"\"manufacturer\":{\"id\":4,\"name\":\"A&D Medical\"}},\"count\":%d},"
							"{\"item\":{\"id\":1001,\"name\":\"Scale\",\"model\":\"UC-352\",\"sku\":\"00472\","
							"\"orderable\":true,\"manufacturer\":{\"id\":4,\"name\":\"A&D Medical\"}},"
							"\"count\":1}],\"orderKits\":[],\"orderEvents\":["
							"{\"name\":\"created\",\"eventTimestamp\":\"2024-03-01T10:11:12Z\"},"
							"{\"name\":\"shipped\",\"eventTimestamp\":\"2024-03-02T08:00:00.125Z\"}],"
							"\"trackingNumbers\":[{\"carrier\":\"UPS\",\"value\":\"1Z%016d\"}],",
							n % 5 + 1, n);
	at += (size_t) snprintf(out + at, size - at,
							"\"devices\":[{\"id\":%d,\"item\":{\"id\":1000},\"currentStatus\":\"withPatient\","
							"\"used\":false,\"currentPatient\":{\"id\":%d},\"site\":null,"
							"\"lastHealthCheck\":\"2024-03-05T00:00:00Z\",\"deviceIdentifiers\":"
							"[{\"type\":\"serial\",\"value\":\"SN%08d\"}],\"deviceEvents\":[],"
							"\"externalIdentifier\":null,\"disabledReadings\":false}],"
							"\"packedKits\":[],\"shippingOption\":\"overnight\",\"orderNotes\":"
							"[{\"note\":\"leave at the door\\nthank you\",\"createdAt\":\"2024-03-01T10:11:12Z\","
							"\"createdBy\":{\"id\":9,\"firstName\":\"Sam\",\"lastName\":\"Field\","
							"\"email\":\"sam@example.org\"}}],\"emailLabel\":false,\"returnDevices\":[],"
							"\"returnItems\":[],\"returnPackedKits\":[]}",
							n + 5000, n + 1000, n);
	return at;
}

static char *
make_page(size_t *length)
{
	size_t		size = ORDERS * 4096;
	char	   *page = malloc(size);
	size_t		at;
	int			i;

	if (page == NULL)
		abort();
	at = (size_t) snprintf(page, size, "{\"content\":[");
	for (i = 0; i < ORDERS; i++)
	{
		if (i > 0)
			page[at++] = ',';
		at += make_order(page + at, size - at, i);
	}
	at += (size_t) snprintf(page + at, size - at,
							"],\"page\":1,\"size\":250,\"total\":1000,"
							"\"first\":true,\"last\":false}");
	*length = at;
	return page;
}

static char *
read_page(const char *path, size_t *length)
{
	size_t		size = 64 * 1024 * 1024;
	char	   *page = malloc(size);
	FILE	   *file = fopen(path, "rb");

	if (page == NULL || file == NULL)
	{
		perror(path);
		exit(1);
	}
	*length = fread(page, 1, size, file);
	fclose(file);
	return page;
}

static void
give_up(const ImpiloJsonError *error)
{
	fprintf(stderr, "%s at %zu\n", error->what, error->offset);
	exit(1);
}

/* What a scan does with a page as it comes from the network */
static void
split_page(const char *body, size_t length)
{
	ImpiloPage	page;
	ImpiloJsonError error;
	int64_t		id;
	ImpiloReadVerdict verdict;

	norders = 0;
	verdict = impilo_page_read(body, length, &page, &error);
	while (verdict == IMPILO_READ_OK &&
		   (verdict = impilo_page_next(&page, &orders[norders], &id,
									   &error)) == IMPILO_READ_OK)
		norders++;
	if (verdict != IMPILO_READ_END)
		give_up(&error);
}

/* Find places of every order; returns their number */
static size_t
find_all(Places *places)
{
	ImpiloJsonSlice found[16];
	ImpiloJsonError error;
	size_t		hits = 0;
	size_t		i;
	int32_t		slot;

	for (i = 0; i < norders; i++)
	{
		if (!impilo_json_find(&places->wanted, &orders[i], found, &error))
			give_up(&error);
		for (slot = 0; slot < places->wanted.slots; slot++)
			hits += found[slot].kind != IMPILO_JSON_ABSENT;
	}
	return hits;
}

typedef enum Work
{
	WORK_SKIP, WORK_CHECK, WORK_SPLIT, WORK_ID, WORK_TWELVE, WORK_FIND_ID,
	WORK_FIND_TWELVE
} Work;

static size_t
work_once(Work work, Places *places, const char *page, size_t length)
{
	ImpiloPage	envelope;
	ImpiloJsonSlice value;
	ImpiloJsonError error;

	if (work == WORK_CHECK &&
		!impilo_json_check(page, length, IMPILO_JSON_MAX_DEPTH, &value, &error))
		give_up(&error);
	if (work == WORK_SKIP &&
		impilo_page_read(page, length, &envelope, &error) != IMPILO_READ_OK)
		give_up(&error);
	if (work == WORK_SPLIT || work == WORK_ID || work == WORK_TWELVE)
		split_page(page, length);
	if (work >= WORK_ID)
		return find_all(places);
	return 0;
}

static void
measure(const char *name, Work work, const char *const *paths,
		const char *page, size_t length)
{
	static Places places;
	double		best = 0;
	size_t		hits = 0;
	int			round;
	int			i;

	want_all(&places, paths);
	split_page(page, length);
	for (round = 0; round < ROUNDS; round++)
	{
		struct timespec from;
		struct timespec to;
		double		speed;

		clock_gettime(CLOCK_MONOTONIC, &from);
		for (i = 0; i < REPEAT; i++)
			hits = work_once(work, &places, page, length);
		clock_gettime(CLOCK_MONOTONIC, &to);
		speed = (double) length * REPEAT / 1e6 /
			((double) (to.tv_sec - from.tv_sec) +
			 (double) (to.tv_nsec - from.tv_nsec) / 1e9);
		if (speed > best)
			best = speed;
	}
	printf("%-28s %6.0f MB/s   %zu orders, %zu values\n", name, best, norders,
		   hits);
}

int
main(int argc, char **argv)
{
	size_t		length;
	char	   *page;

	page = argc > 1 ? read_page(argv[1], &length) : make_page(&length);
	printf("page of %zu bytes\n", length);
	measure("check of the page", WORK_CHECK, id_only, page, length);
	measure("envelope, orders skipped", WORK_SKIP, id_only, page, length);
	measure("split and check", WORK_SPLIT, id_only, page, length);
	measure("split, check, id", WORK_ID, id_only, page, length);
	measure("split, check, 12 columns", WORK_TWELVE, twelve, page, length);
	measure("find id alone", WORK_FIND_ID, id_only, page, length);
	measure("find 12 columns alone", WORK_FIND_TWELVE, twelve, page, length);
	free(page);
	return 0;
}
