/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *		  What the fuzz targets share
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

/* What must hold for every input; the fuzzer keeps one for which it does not */
#define REQUIRE(fact) \
	do { \
		if (!(fact)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #fact); \
			abort(); \
		} \
	} while (0)

#endif							/* IMPILO_FUZZ_H */
