/*-------------------------------------------------------------------------
 *
 * tree.h
 *	  Texts of error responses, read by json-c.
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

/* in tree.c */

extern char *impilo_json_error_text(const char *body, size_t length,
									const char *content_type);
extern const char *impilo_json_library_version(void);

#endif							/* IMPILO_JSON_TREE_H */
