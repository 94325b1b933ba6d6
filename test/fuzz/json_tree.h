/*-------------------------------------------------------------------------
 *
 * json_tree.h
 *		  Comparison of the scanner with json-c's tree
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_FUZZ_JSON_TREE_H
#define IMPILO_FUZZ_JSON_TREE_H

#include <json-c/json.h>

#include "json/scan.h"

#define DEPTH IMPILO_JSON_MAX_DEPTH

/* What is known about the document */
typedef struct Document
{
	const char *data;
	size_t		size;
	bool		repeated;		/* a name occurs twice in some object */
	bool		odd_names;		/* a name that json-c does not keep */
	uint64_t	seed;
} Document;

/*
 * Return whether json-c accepts these bytes; `ours` states whether the scanner
 * does.  The caller releases the tree
 */
extern bool fuzz_json_c_accepts(const Document *doc, bool ours,
								struct json_object **tree);

/* Return whether json-c accepts this text although RFC 8259 does not */
extern bool fuzz_known_difference(const Document *doc,
								  const ImpiloJsonError *error);

/* Check that a slice is inside the document and has a kind */
extern void fuzz_inside(const Document *doc, const ImpiloJsonSlice *slice);

/*
 * Decode a string and check it against name_equals.  The caller frees *text.
 * Returns the error, or NULL
 */
extern const char *fuzz_decode(const ImpiloJsonSlice *string, char **text,
							   size_t *length);

/* Check that a value and all values in it are those of the tree */
extern void fuzz_compare_value(Document *doc, const ImpiloJsonSlice *slice,
							   struct json_object *tree);

#endif							/* IMPILO_FUZZ_JSON_TREE_H */
