/*-------------------------------------------------------------------------
 *
 * unit.h
 *		  Count checks, and print the places of those that fail
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_UNIT_H
#define IMPILO_UNIT_H

#include <stdbool.h>
#include <stddef.h>

/* Count a check; if it fails, print its place and `about` */
extern void unit_fact(bool holds, const char *file, int line,
					  const char *fact, const char *about);

#define CHECK(fact) unit_fact((fact), __FILE__, __LINE__, #fact, NULL)
#define CHECK_FOR(fact, about) \
	unit_fact((fact), __FILE__, __LINE__, #fact, about)

/*
 * A copy of bytes in memory that ends exactly with them, so that the address
 * sanitizer sees a read one byte too far.  Kept until the program ends.
 */
extern char *unit_exact(const char *bytes, size_t length);

extern void test_scan(void);
extern void test_find(void);
extern void test_pointer(void);
extern void test_schema(void);
extern void test_page(void);

#endif							/* IMPILO_UNIT_H */
