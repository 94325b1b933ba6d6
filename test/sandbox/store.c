/*-------------------------------------------------------------------------
 *
 * store.c
 *		The orders of each account, in the order of their creation.
 *
 * Generated orders are rendered once, at the start, so that a read only copies
 * them.  Orders created or put later are stored separately.  This file does
 * not decide whether an order is valid or what a page contains.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store.h"

#define CHUNK_ORDERS 1024
#define HUGE_PAGE ((size_t) 2 * 1024 * 1024)
#define NACCOUNTS 2
#define OTHER_ACCOUNT_ORDERS 40

typedef struct Pending
{
	struct Pending *next;
	Order	   *order;
	bool		front;
	int64_t		due_ms;
} Pending;

static Account accounts[NACCOUNTS];
static pthread_rwlock_t lock;
static int64_t next_chunk;
static int64_t next_due_ms = INT64_MAX;

static void
list_add(Account *a, Order *order, bool front)
{
	if (a->count >= a->room)
	{
		a->room = a->room > 0 ? a->room * 2 : 1024;
		a->list = xrealloc(a->list, a->room * sizeof(Order *));
	}
	if (front)
	{
		memmove(a->list + 1, a->list, a->count * sizeof(Order *));
		a->list[0] = order;
	}
	else
		a->list[a->count] = order;
	a->count++;
}

static void
fill_base(Account *a)
{
	int64_t		k;

	for (k = 1; k <= a->nbase; k++)
	{
		a->base[k - 1].gone = false;
		list_add(a, &a->base[k - 1], false);
	}
	a->next_id = a->nbase + 1;
	if (a->generator.account > 0)
		a->next_id += GEN_OTHER_ACCOUNT;
}

static void
init_account(Account *a, const char *key, int64_t norders)
{
	int64_t		k;

	a->key = key;
	a->nbase = norders;
	a->base = xmalloc(norders * sizeof(Order));
	memset(a->base, 0, norders * sizeof(Order));
	for (k = 1; k <= norders; k++)
	{
		a->base[k - 1].id = gen_id(&a->generator, k);
		a->base[k - 1].base = true;
	}
	fill_base(a);
}

/* fills both accounts; called once before any thread; acquires no lock */
void
store_init(const char *key, int64_t norders)
{
	pthread_rwlockattr_t attr;
	int			i;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
								  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&lock, &attr);
	for (i = 0; i < NACCOUNTS; i++)
		accounts[i].generator.account = i;
	init_account(&accounts[0], key, norders);
	init_account(&accounts[1], "other-key", OTHER_ACCOUNT_ORDERS);
}

/* the lock of orders and configuration */
void
store_lock(bool exclusive)
{
	if (exclusive)
		pthread_rwlock_wrlock(&lock);
	else
		pthread_rwlock_rdlock(&lock);
}

void
store_unlock(void)
{
	pthread_rwlock_unlock(&lock);
}

/* returns the account of a key, or NULL; needs no lock */
Account *
store_account(const char *key)
{
	int			i;

	for (i = 0; i < NACCOUNTS; i++)
	{
		if (strcmp(accounts[i].key, key) == 0)
			return &accounts[i];
	}
	return NULL;
}

/* the account of the key that the sandbox was started with */
Account *
store_first_account(void)
{
	return &accounts[0];
}

/* memory that is never freed; in large pages, to avoid page faults */
static char *
chunk_memory(size_t size)
{
	void	   *memory;

	if (size < HUGE_PAGE)
		return xmalloc(size);
	if (posix_memalign(&memory, HUGE_PAGE, size) != 0)
		return xmalloc(size);
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static void
render_chunk(Account *a, int64_t first, Buf *scratch)
{
	int64_t		end = first + CHUNK_ORDERS;
	size_t		offsets[CHUNK_ORDERS];
	char	   *chunk;
	int64_t		i;

	if (end > a->nbase)
		end = a->nbase;
	scratch->len = 0;
	for (i = first; i < end; i++)
	{
		offsets[i - first] = scratch->len;
		gen_order(&a->generator, i + 1, a->base[i].id, scratch);
		a->base[i].len = scratch->len - offsets[i - first];
	}
	chunk = memcpy(chunk_memory(scratch->len), scratch->data, scratch->len);
	for (i = first; i < end; i++)
		a->base[i].bytes = chunk + offsets[i - first];
}

static void *
render_thread(void *arg)
{
	Account    *a = arg;
	Buf			scratch = {0};

	for (;;)
	{
		int64_t		chunk = __atomic_fetch_add(&next_chunk, 1,
											   __ATOMIC_RELAXED);

		if (chunk * CHUNK_ORDERS >= a->nbase)
			break;
		render_chunk(a, chunk * CHUNK_ORDERS, &scratch);
	}
	buf_free(&scratch);
	return NULL;
}

/* renders the orders made by rule; called once, before the first request */
void
store_render(int nthreads)
{
	pthread_t	threads[16];
	int			i;
	int			t;

	for (i = 0; i < NACCOUNTS; i++)
	{
		next_chunk = 0;
		for (t = 1; t < nthreads && t < 16; t++)
		{
			if (pthread_create(&threads[t], NULL, render_thread,
							   &accounts[i]) != 0)
				abort();
		}
		render_thread(&accounts[i]);
		for (t = 1; t < nthreads && t < 16; t++)
			pthread_join(threads[t], NULL);
	}
}

static int64_t
hash_slot(const Account *a, int64_t id)
{
	uint64_t	h = (uint64_t) id * UINT64_C(0x9e3779b97f4a7c15);

	return (h ^ h >> 32) & (a->extra_room - 1);
}

/* the first of the orders with an id remains the one that is found */
static void
hash_insert(Account *a, Order *order)
{
	int64_t		i;

	for (i = hash_slot(a, order->id); a->extra[i] != NULL;
		 i = (i + 1) & (a->extra_room - 1))
		;
	a->extra[i] = order;
}

static void
hash_add(Account *a, Order *order)
{
	if (a->nextra * 2 >= a->extra_room)
	{
		Order	  **old = a->extra;
		int64_t		old_room = a->extra_room;
		int64_t		i;

		a->extra_room = old_room > 0 ? old_room * 2 : 256;
		a->extra = xmalloc(a->extra_room * sizeof(Order *));
		memset(a->extra, 0, a->extra_room * sizeof(Order *));
		for (i = 0; i < old_room; i++)
		{
			if (old[i] != NULL)
				hash_insert(a, old[i]);
		}
		free(old);
	}
	hash_insert(a, order);
	a->nextra++;
}

/* returns the order with that id, or NULL */
Order *
store_find(Account *a, int64_t id)
{
	int64_t		k = gen_number(&a->generator, id);
	int64_t		i;

	if (k >= 1 && k <= a->nbase && a->base[k - 1].id == id &&
		!a->base[k - 1].gone)
		return &a->base[k - 1];
	if (a->extra_room == 0)
		return NULL;
	for (i = hash_slot(a, id); a->extra[i] != NULL;
		 i = (i + 1) & (a->extra_room - 1))
	{
		if (a->extra[i]->id == id && !a->extra[i]->gone)
			return a->extra[i];
	}
	return NULL;
}

static void
publish(Account *a, Order *order, bool front)
{
	list_add(a, order, front);
	hash_add(a, order);
}

/*
 * Adds an order: a copy of the bytes, at the front (as the oldest) or the
 * back, at once or after so many milliseconds.
 */
Order *
store_add(Account *a, int64_t id, const char *bytes, size_t len, bool front,
		  int64_t delay_ms)
{
	Order	   *order = xmalloc(sizeof(Order) + len);
	Pending    *pending;

	memset(order, 0, sizeof(*order));
	order->id = id;
	order->bytes = memcpy((char *) (order + 1), bytes, len);
	order->len = len;
	if (delay_ms <= 0)
	{
		publish(a, order, front);
		return order;
	}
	pending = xmalloc(sizeof(*pending));
	pending->order = order;
	pending->front = front;
	pending->due_ms = now_mono_ms() + delay_ms;
	pending->next = a->pending;
	a->pending = pending;
	if (pending->due_ms < next_due_ms)
		__atomic_store_n(&next_due_ms, pending->due_ms, __ATOMIC_RELAXED);
	return order;
}

/* adds a generated order, as if another client had created it */
void
store_generate(Account *a, bool front)
{
	int64_t		id = a->next_id++;
	Buf			b = {0};

	gen_order(&a->generator, gen_number(&a->generator, id), id, &b);
	store_add(a, id, b.data, b.len, front, 0);
	buf_free(&b);
}

/*
 * Adds the orders whose time has come to the list.  Acquires the lock only if
 * there are any.
 */
void
store_publish_due(void)
{
	int64_t		now;
	int			i;

	if (__atomic_load_n(&next_due_ms, __ATOMIC_RELAXED) == INT64_MAX)
		return;
	now = now_mono_ms();
	if (__atomic_load_n(&next_due_ms, __ATOMIC_RELAXED) > now)
		return;
	store_lock(true);
	__atomic_store_n(&next_due_ms, INT64_MAX, __ATOMIC_RELAXED);
	for (i = 0; i < NACCOUNTS; i++)
	{
		Pending   **link = &accounts[i].pending;

		while (*link != NULL)
		{
			Pending    *p = *link;

			if (p->due_ms <= now)
			{
				*link = p->next;
				publish(&accounts[i], p->order, p->front);
				free(p);
				continue;
			}
			if (p->due_ms < next_due_ms)
				__atomic_store_n(&next_due_ms, p->due_ms, __ATOMIC_RELAXED);
			link = &p->next;
		}
	}
	store_unlock();
}

static void
dump_order(const Order *order, Buf *to)
{
	buf_add(to, order->bytes, order->len);
	buf_char(to, '\n');
}

/* the list, one order on each line; optionally the orders that appear later */
void
store_dump(const Account *a, bool all, Buf *to)
{
	for (int64_t i = 0; i < a->count; i++)
		dump_order(a->list[i], to);
	for (const Pending *p = a->pending; all && p != NULL; p = p->next)
		dump_order(p->order, to);
}

/* removes an order from the list; false if there is none with that id */
bool
store_remove(Account *a, int64_t id)
{
	Order	   *order = store_find(a, id);
	int64_t		i;

	if (order == NULL)
		return false;
	order->gone = true;
	for (i = 0; i < a->count; i++)
	{
		if (a->list[i] == order)
		{
			a->count--;
			memmove(a->list + i, a->list + i + 1,
					(a->count - i) * sizeof(Order *));
			break;
		}
	}
	return true;
}

/* replaces the bytes of an order; false if there is none */
bool
store_replace(Account *a, int64_t id, const char *bytes, size_t len)
{
	Order	   *order = store_find(a, id);
	int64_t		place;

	if (order == NULL)
		return false;
	for (place = 0; place < a->count && a->list[place] != order; place++)
		;
	order->gone = true;
	order = store_add(a, id, bytes, len, false, 0);
	a->count--;
	a->list[place] = order;
	return true;
}

/* empties an account's list; orders of it can no longer be fetched */
void
store_clear(Account *a)
{
	int64_t		i;

	for (i = 0; i < a->count; i++)
		a->list[i]->gone = true;
	a->count = 0;
}

/* the n oldest become the newest */
void
store_rotate(Account *a, int64_t n)
{
	Order	  **moved;

	if (a->count == 0 || n <= 0)
		return;
	n %= a->count;
	moved = xmalloc(n * sizeof(Order *));
	memcpy(moved, a->list, n * sizeof(Order *));
	memmove(a->list, a->list + n, (a->count - n) * sizeof(Order *));
	memcpy(a->list + a->count - n, moved, n * sizeof(Order *));
	free(moved);
}

/* the n oldest disappear */
void
store_drop_oldest(Account *a, int64_t n)
{
	int64_t		i;

	if (n > a->count)
		n = a->count;
	for (i = 0; i < n; i++)
		a->list[i]->gone = true;
	a->count -= n;
	memmove(a->list, a->list + n, a->count * sizeof(Order *));
}

/* restarts the counters for orders that shift */
void
store_restart_shifts(void)
{
	int			i;

	for (i = 0; i < NACCOUNTS; i++)
	{
		accounts[i].pages_served = 0;
		accounts[i].inserts_done = 0;
		accounts[i].moves_done = 0;
		accounts[i].vanished = false;
	}
}

/* restores the orders of the start */
void
store_reset(void)
{
	int			i;

	for (i = 0; i < NACCOUNTS; i++)
	{
		Account    *a = &accounts[i];
		int64_t		slot;

		while (a->pending != NULL)
		{
			Pending    *p = a->pending;

			a->pending = p->next;
			free(p->order);
			free(p);
		}
		for (slot = 0; slot < a->extra_room; slot++)
			free(a->extra[slot]);
		free(a->extra);
		a->extra = NULL;
		a->nextra = a->extra_room = 0;
		a->count = 0;
		fill_base(a);
	}
	next_due_ms = INT64_MAX;
	store_restart_shifts();
}

/* ------------------------------------------------------------------------
 * Kept in a file
 *
 * For each account, in order: "account I next N", then for each order
 * "order ID LENGTH", a newline, its bytes, a newline.
 * ------------------------------------------------------------------------
 */

static void
save_order(FILE *file, const Order *order)
{
	fprintf(file, "order %" PRId64 " %" PRIu32 "\n", order->id, order->len);
	fwrite(order->bytes, 1, order->len, file);
	fputc('\n', file);
}

/*
 * Writes all orders, also those that appear later.  Returns false if this
 * fails; then the old file is unchanged.
 */
bool
store_save(const char *path)
{
	Buf			name = {0};
	FILE	   *file;
	bool		good;
	int			i;

	buf_fmt(&name, "%s.new", path);
	buf_char(&name, '\0');
	file = fopen(name.data, "wb");
	if (file == NULL)
		return false;
	for (i = 0; i < NACCOUNTS; i++)
	{
		const Account *a = &accounts[i];
		const Pending *p;
		int64_t		k;

		fprintf(file, "account %d next %" PRId64 "\n", i, a->next_id);
		for (k = 0; k < a->count; k++)
			save_order(file, a->list[k]);
		for (p = a->pending; p != NULL; p = p->next)
			save_order(file, p->order);
	}
	good = !ferror(file);
	good = fclose(file) == 0 && good && rename(name.data, path) == 0;
	buf_free(&name);
	return good;
}

static bool
load_order(FILE *file, Account *a, int64_t id, uint32_t len)
{
	char	   *bytes = xmalloc(len + 1);
	bool		good = fread(bytes, 1, len, file) == len;

	if (good)
		store_add(a, id, bytes, len, false, 0);
	free(bytes);
	return good;
}

/*
 * Reads orders that replace those made by rule.  A file that does not exist
 * changes nothing.  Returns false if store_save did not write the file.
 */
bool
store_load(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	Account    *a = NULL;
	char		line[100];
	bool		good = true;

	if (file == NULL)
		return true;
	while (good && fgets(line, sizeof(line), file) != NULL)
	{
		int			number;
		int64_t		id;
		uint32_t	len;

		if (sscanf(line, "account %d next %" SCNd64, &number, &id) == 2 &&
			number >= 0 && number < NACCOUNTS)
		{
			a = &accounts[number];
			store_clear(a);
			a->next_id = id;
		}
		else if (a != NULL &&
				 sscanf(line, "order %" SCNd64 " %" SCNu32, &id, &len) == 2)
			good = load_order(file, a, id, len);
		else
			good = strcmp(line, "\n") == 0;
	}
	fclose(file);
	return good;
}
