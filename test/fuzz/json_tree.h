/*-------------------------------------------------------------------------
 *
 * json_tree.h
 *		  json-c's tree as the measure of the scanner
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
 * Does json-c take these bytes, which the scanner took or not (`ours`)?  The
 * tree is the caller's to put
 */
extern bool fuzz_json_c_accepts(const Document *doc, bool ours,
								struct json_object **tree);

/* Is this a text that json-c accepts although RFC 8259 does not? */
extern bool fuzz_known_difference(const Document *doc,
								  const ImpiloJsonError *error);

/* A slice must lie in the document and have a kind */
extern void fuzz_inside(const Document *doc, const ImpiloJsonSlice *slice);

/*
 * Decode a string, which must fit and agree with name_equals; free *text.
 * Returns what is wrong with it, or NULL
 */
extern const char *fuzz_decode(const ImpiloJsonSlice *string, char **text,
							   size_t *length);

/* A value and all that is in it must be the tree's */
extern void fuzz_compare_value(Document *doc, const ImpiloJsonSlice *slice,
							   struct json_object *tree);

#endif							/* IMPILO_FUZZ_JSON_TREE_H */
