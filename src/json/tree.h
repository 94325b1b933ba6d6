/*-------------------------------------------------------------------------
 *
 * tree.h
 *	  What needs a JSON tree: the body of a request, and error bodies.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/tree.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_JSON_TREE_H
#define IMPILO_JSON_TREE_H

/* One member of a create request. */
typedef struct ImpiloJsonMember
{
	const char *name;			/* as in the API, "orderItems" */
	const char *json;			/* its value: JSON text in UTF-8, from
								 * impilo_convert_out; goes into the body as
								 * it stands */
	bool		by_id;			/* the value is an id: {"id": value} */
} ImpiloJsonMember;

/* in tree.c */

extern char *impilo_json_create_body(const ImpiloJsonMember *members,
									 int nmembers, size_t *length);
extern char *impilo_json_error_text(const char *body, size_t length,
									const char *content_type);
extern const char *impilo_json_library_version(void);

#endif							/* IMPILO_JSON_TREE_H */
