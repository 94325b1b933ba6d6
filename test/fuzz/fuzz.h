/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *		  Declarations of all fuzz targets
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_FUZZ_H
#define IMPILO_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A condition for every input; the fuzzer keeps an input that violates it */
#define REQUIRE(fact) \
	do { \
		if (!(fact)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #fact); \
			abort(); \
		} \
	} while (0)

#endif							/* IMPILO_FUZZ_H */
