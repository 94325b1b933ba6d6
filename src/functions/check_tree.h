/*-------------------------------------------------------------------------
 *
 * check_tree.h
 *	  What orders hold, as a tree of places, without their values.
 *
 * Between check.c and check_tree.c only.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/check_tree.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_CHECK_TREE_H
#define IMPILO_CHECK_TREE_H

#include "catalog/schema.h"
#include "json/scan.h"
#include "rows/convert.h"

/*
 * Members that one object is followed into.  The largest object known has a
 * dozen; one with so many has ids or names for members, and is data.
 */
#define IMPILO_CHECK_MAX_MEMBERS 100

/* What a value is, as far as a type for it depends on that. */
typedef enum ImpiloSeenKind
{
	IMPILO_SEEN_NULL,
	IMPILO_SEEN_BOOLEAN,
	IMPILO_SEEN_INTEGER,		/* a number that fits into bigint */
	IMPILO_SEEN_NUMBER,			/* any other */
	IMPILO_SEEN_DATE,			/* a string that is one */
	IMPILO_SEEN_TIMESTAMP,		/* a string that is one */
	IMPILO_SEEN_STRING,			/* any other */
	IMPILO_SEEN_EMPTY,			/* an array of nothing */
	IMPILO_SEEN_STRINGS,		/* an array of nothing but strings */
	IMPILO_SEEN_ARRAY,			/* any other */
	IMPILO_SEEN_OBJECT,
	IMPILO_SEEN_KINDS
} ImpiloSeenKind;

/* A column that shows a place. */
typedef struct ImpiloSeenColumn
{
	struct ImpiloSeenColumn *next;	/* of the same place */
	const char *table;			/* as it is written in SQL */
	const char *name;
	const char *type;
	ImpiloConverter *converter; /* NULL: values are not tried */
	bool		lenient;		/* reads what does not convert as NULL */
	int64		unfit;			/* values that do not convert */
	int64		characters;		/* of these, because of characters that the
								 * database cannot hold */
} ImpiloSeenColumn;

/* A place: a member of an object, or all elements of an array. */
typedef struct ImpiloSeen
{
	struct ImpiloSeen *parent;	/* NULL: the order itself */
	struct ImpiloSeen *next;	/* of the same parent */
	struct ImpiloSeen *children;	/* first of them */
	struct ImpiloSeen *last;	/* of the children */
	int			nchildren;
	bool		element;		/* any element of the parent, not a member */
	const char *name;			/* of a member: UTF-8, NUL-terminated */

	const ImpiloSchemaRelation *rows;	/* relation whose rows stand here, or
										 * NULL */
	bool		shown;			/* a column shows it whole */
	ImpiloSeenColumn *columns;	/* whose values and types are checked */

	bool		met;			/* some order has it, null or not */
	bool		crowded;		/* has had too many members to follow */
	int64		order;			/* number of the last order with a value */
	int64		orders;			/* how many have a value */
	int64		values[IMPILO_SEEN_KINDS];
} ImpiloSeen;

/* in check_tree.c */

extern ImpiloSeen *impilo_seen_begin(void);
extern ImpiloSeen *impilo_seen_place(ImpiloSeen *from, const char *pointer);
extern ImpiloSeen *impilo_seen_element(ImpiloSeen *array);
extern void impilo_seen_order(ImpiloSeen *root, int64 number,
							  const ImpiloJsonSlice *document,
							  MemoryContext scratch);
extern void impilo_seen_share(ImpiloSeen *place);
extern int64 impilo_seen_values(const ImpiloSeen *place);
extern int64 impilo_seen_arrays(const ImpiloSeen *place);
extern const char *impilo_seen_type(const ImpiloSeen *place);
extern char *impilo_seen_kinds(const ImpiloSeen *place);

#endif							/* IMPILO_CHECK_TREE_H */
