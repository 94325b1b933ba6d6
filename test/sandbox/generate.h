/*-------------------------------------------------------------------------
 *
 * generate.h
 *		Orders made by rule, and the formulas that tests use.
 *
 * Order number k (1, 2, 3 ...) of an account is the same in every run.  With N
 * orders, whole-number division and k running from 1 to N:
 *
 * id					k; where k is a multiple of 1000:
 *						9007199254740993 + k (that is 2^53 + 1 + k).
 *						The second account adds 5000000000 to either.
 *						sum(id) = N(N+1)/2 + (N/1000) * 9007199254740993
 * currentStatus		statuses[k % 8]: 0 created, 1 reconfirmAddress,
 *						2 processing, 3 shipped, 4 availableForPickup,
 *						5 delivered, 6 returned, 7 canceled.
 *						count(status s) = N/8 + (s between 1 and N%8)
 * site or patient		k % 5 = 0: a site order, site id 1 + k % 1000;
 *						else patient id 1 + (k/2 * 37) % 100000.
 *						The other one is null (k odd) or absent.
 * orderItems			k % 4 elements; element j (from 0) has
 *						item id 1000 + (7k + 13j) % 800 and
 *						count 1 + (k + j) % 5.
 *						rows = 6 * (N/4) + 0, 1, 3, 6 for N % 4 = 0, 1, 2, 3
 *						sum(count) over each 20 orders in a row = 90
 *						Where there are none: k/4 % 3 = 0 an empty array,
 *						1 null, 2 absent.
 * orderKits			one element where k % 4 = 0 or k % 10 = 1: kit id
 *						1000 + k % 50, count 1 + k % 3; else an empty array
 * externalOrderIds		k % 7 = 0 null, 1 empty, 2 absent, else 1 + k % 3
 *						of them: "ext-K-J" with J from 0; where k % 7 = 6
 *						the bytes hold the slash form "ext\/K\/J".
 *						The second account has "oth" for "ext".
 * orderEvents			1 + k % 4 elements, the first named "orderCreated"
 *						at 2024-01-01T00:00:00Z + k minutes (+ 123 ms where
 *						k % 3 > 0), each next one an hour later; 0, 3 or 6
 *						digits of fraction for k % 3 = 0, 1, 2
 * trackingNumbers		none where k % 3 = 0, else one, value "1Z%010d" of k
 * devices				k % 3 elements, device id 10k + j, item as of
 *						orderItems; packedKits: one with two devices (ids
 *						10k + 5 and 10k + 6) where k % 6 = 0
 * shippingOption		k % 3 = 0 standard, 1 overnight, 2 absent
 * emailLabel			k % 4 = 0 true, 1 null, else false
 * orderNotes			one where k % 11 = 0, else empty
 * returnItems, returnDevices, returnPackedKits
 *						one element each where k % 25 = 0, else absent
 *
 * dateOfBirth is "YYYY-MM-DD", for every third patient id with
 * "T00:00:00Z" after it.  Names are in many scripts, some as \u escapes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_GENERATE_H
#define SANDBOX_GENERATE_H

#include "buf.h"

#define GEN_BIG_ID INT64_C(9007199254740993)
#define GEN_OTHER_ACCOUNT INT64_C(5000000000)
#define GEN_LOANER_KIT_FIRST 1050
#define GEN_LOANER_KIT_LAST 1059

typedef struct Generator
{
	int			account;		/* 0 or 1 */
} Generator;

extern int64_t gen_id(const Generator *g, int64_t k);
extern int64_t gen_number(const Generator *g, int64_t id);
extern void gen_order(const Generator *g, int64_t k, int64_t id, Buf *b);

extern void gen_patient(const Generator *g, int64_t id, bool whole, Buf *b);
extern void gen_site(const Generator *g, int64_t id, bool whole, Buf *b);
extern void gen_item(const Generator *g, int64_t id, Buf *b);
extern void gen_kit(const Generator *g, int64_t id, Buf *b);

#endif							/* SANDBOX_GENERATE_H */
