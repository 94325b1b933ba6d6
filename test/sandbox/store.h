/*-------------------------------------------------------------------------
 *
 * store.h
 *		The orders of each account, in the order of their creation.
 *
 * One lock protects the orders of all accounts and the configuration.  Unless
 * its comment says otherwise, a function requires it: shared if it reads,
 * exclusive if it changes something.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_STORE_H
#define SANDBOX_STORE_H

#include "generate.h"

typedef struct Order
{
	int64_t		id;				/* 0: it cannot be fetched by id */
	const char *bytes;			/* the bytes served, JSON or not */
	uint32_t	len;
	bool		base;			/* made by rule at the start */
	bool		gone;			/* a base order removed from the list */
} Order;

typedef struct Account
{
	const char *key;
	Generator	generator;
	int64_t		nbase;			/* number of orders made by rule */
	Order	   *base;
	Order	  **list;
	int64_t		count;			/* entries of the list */
	int64_t		room;
	int64_t		next_id;
	Order	  **extra;			/* hash by id of all other orders */
	int64_t		nextra;
	int64_t		extra_room;		/* a power of two, or 0 */
	struct Pending *pending;	/* orders that appear later */
	int64_t		pages_served;	/* since the last change of the configuration */
	int64_t		inserts_done;
	int64_t		moves_done;
	bool		vanished;
} Account;

extern void store_init(const char *key, int64_t norders);
extern void store_render(int nthreads);
extern void store_reset(void);
extern void store_lock(bool exclusive);
extern void store_unlock(void);

extern Account *store_account(const char *key);
extern Account *store_first_account(void);
extern Order *store_find(Account *a, int64_t id);
extern Order *store_add(Account *a, int64_t id, const char *bytes, size_t len,
						bool front, int64_t delay_ms);
extern void store_generate(Account *a, bool front);
extern bool store_remove(Account *a, int64_t id);
extern bool store_replace(Account *a, int64_t id, const char *bytes,
						  size_t len);
extern void store_clear(Account *a);
extern void store_rotate(Account *a, int64_t n);
extern void store_drop_oldest(Account *a, int64_t n);
extern void store_restart_shifts(void);
extern void store_dump(const Account *a, bool all, Buf *to);
extern void store_publish_due(void);
extern bool store_save(const char *path);
extern bool store_load(const char *path);

#endif							/* SANDBOX_STORE_H */
