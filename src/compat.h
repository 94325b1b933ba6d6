/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Every test of a PostgreSQL or libcurl version, and nothing else.
 *
 * Provides the newest API on older releases, so that other files contain no
 * conditionals.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_COMPAT_H
#define IMPILO_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "impilo_fdw needs PostgreSQL 15, 16, 17 or 18"
#endif

/* 18 moved the functions that print properties out of explain.h. */
#if defined(EXPLAIN_H) && PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* 16 moved VARDATA etc. out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * 16 added the search for the name that a misspelt one is closest to, for
 * files that include varlena.h before this one.
 */
#if defined(VARLENA_H) && PG_VERSION_NUM < 160000
typedef struct ClosestMatchState
{
	const char *source;
	int			min_d;
	int			max_d;
	const char *match;
} ClosestMatchState;

static inline void
initClosestMatch(ClosestMatchState *state, const char *source, int max_d)
{
	state->source = source;
	state->min_d = -1;
	state->max_d = max_d;
	state->match = NULL;
}

static inline void
updateClosestMatch(ClosestMatchState *state, const char *candidate)
{
	int			length = strlen(state->source);
	int			distance;

	/* longer names are an error of the function */
	if (length == 0 || length > 255 || strlen(candidate) > 255)
		return;
	distance = varstr_levenshtein_less_equal(state->source, length, candidate,
											 strlen(candidate), 1, 1, 1,
											 state->max_d, false);
	if (distance <= state->max_d && distance <= length / 2 &&
		(state->min_d == -1 || distance < state->min_d))
	{
		state->min_d = distance;
		state->match = candidate;
	}
}

#define getClosestMatch(state) ((state)->match)
#endif

/* A function that does not return says so in front of it from 18 on. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* From 17 on, a wait event of an extension has a name. */
#if PG_VERSION_NUM >= 170000
#define ImpiloWaitEvent(name) WaitEventExtensionNew(name)
#else
#define ImpiloWaitEvent(name) PG_WAIT_EXTENSION
#endif

/*
 * Planning.  17 added the restrictions of a pushed-down join to a path, 18
 * the number of disabled nodes.
 */
#if PG_VERSION_NUM >= 180000
#define IMPILO_DISABLED_NODES 0,
#else
#define IMPILO_DISABLED_NODES
#endif
#if PG_VERSION_NUM >= 170000
#define IMPILO_RESTRICTIONS NIL,
#define impilo_estimate_array_length(root, array) \
	estimate_array_length(root, array)
#else
#define IMPILO_RESTRICTIONS
#define impilo_estimate_array_length(root, array) \
	((double) estimate_array_length(array))
#endif

#define impilo_create_scan_path(root, rel, rows, startup, total, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, \
							IMPILO_DISABLED_NODES startup, total, NIL, outer, \
							NULL, IMPILO_RESTRICTIONS private)
#define impilo_create_upper_path(root, rel, target, rows, startup, total, private) \
	create_foreign_upper_path(root, rel, target, rows, \
							  IMPILO_DISABLED_NODES startup, total, NIL, \
							  NULL, IMPILO_RESTRICTIONS private)

/* 16 passes relations instead of sets of them. */
#if PG_VERSION_NUM >= 160000
#define impilo_adjust_for_child(root, exprs, child) \
	adjust_appendrel_attrs_multilevel(root, exprs, child, (child)->top_parent)
#else
#define impilo_adjust_for_child(root, exprs, child) \
	adjust_appendrel_attrs_multilevel(root, exprs, (child)->relids, \
									  (child)->top_parent_relids)
#endif

/*
 * The user whose rights count: through a view, its owner.  For a scan, of
 * which `rtindex` is any relation, InvalidOid is the current user.  Up to 15
 * the user is in the range table entry, which a partition that is modified
 * has through its root only.
 */
#if PG_VERSION_NUM >= 160000
#define impilo_scan_check_as_user(plan, rtindex, estate) \
	((plan)->checkAsUser)
#define impilo_check_as_user(rinfo, estate) \
	ExecGetResultRelCheckAsUser(rinfo, estate)
#else
#define impilo_scan_check_as_user(plan, rtindex, estate) \
	(exec_rt_fetch(rtindex, estate)->checkAsUser)
#define impilo_modify_check_as_user(rinfo, estate) \
	(exec_rt_fetch((rinfo)->ri_RangeTableIndex ? (rinfo)->ri_RangeTableIndex \
				   : (rinfo)->ri_RootResultRelInfo->ri_RangeTableIndex, \
				   estate)->checkAsUser)
#define impilo_check_as_user(rinfo, estate) \
	(OidIsValid(impilo_modify_check_as_user(rinfo, estate)) \
	 ? impilo_modify_check_as_user(rinfo, estate) : GetUserId())
#endif

/*
 * Temporary files.  Before 16 the caller had to notice that a read came short.
 */
#if PG_VERSION_NUM >= 160000
#define impilo_buffile_read_exact(file, data, size) \
	BufFileReadExact(file, data, size)
#else
#define impilo_buffile_read_exact(file, data, size) \
	do { \
		if (BufFileRead(file, data, size) != (size)) \
			ereport(ERROR, \
					(errcode_for_file_access(), \
					 errmsg("could not read from temporary file: %m"))); \
	} while (0)
#endif

/*
 * libcurl, for the one file that included it before this one.
 */
#ifdef LIBCURL_VERSION_NUM

#if LIBCURL_VERSION_NUM < 0x074c00
#error "impilo_fdw needs libcurl 7.76 or newer"
#endif

/* 7.85: protocols by name; the bit masks are deprecated since */
#if LIBCURL_VERSION_NUM >= 0x075500
#define impilo_curl_restrict_protocols(easy) \
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https")
#else
#define impilo_curl_restrict_protocols(easy) \
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, \
					 (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS))
#endif

/*
 * 7.87: a transfer can be ended while its name is looked up.  Before, ending
 * it waits for the lookup.  8.20: the threads that look up names belong to the
 * multi handle.
 */
#if LIBCURL_VERSION_NUM >= 0x075700
#define impilo_curl_quick_exit(easy) \
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L)
#else
#define impilo_curl_quick_exit(easy) CURLE_OK
#endif
#if LIBCURL_VERSION_NUM >= 0x081400
#define impilo_curl_multi_quick_exit(multi) \
	curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L)
#else
#define impilo_curl_multi_quick_exit(multi) CURLM_OK
#endif

#endif							/* LIBCURL_VERSION_NUM */

/*
 * Errors that are reported instead of thrown: input functions from 16 on,
 * constraints of domains from 17 on.  Before, both names throw, and the two
 * constants tell that they do.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define IMPILO_SOFT_INPUT true
#else
#include "fmgr.h"
#include "nodes/nodes.h"
#define IMPILO_SOFT_INPUT false
#define T_ErrorSaveContext T_Invalid

typedef struct ErrorSaveContext
{
	NodeTag		type;
	bool		error_occurred;
	bool		details_wanted;
	ErrorData  *error_data;
} ErrorSaveContext;

static inline bool
InputFunctionCallSafe(FmgrInfo *flinfo, char *str, Oid typioparam,
					  int32 typmod, Node *escontext, Datum *result)
{
	*result = InputFunctionCall(flinfo, str, typioparam, typmod);
	return true;
}
#endif

#if PG_VERSION_NUM >= 170000
#define IMPILO_SOFT_DOMAINS true
#else
#define IMPILO_SOFT_DOMAINS false
#define domain_check_safe(value, isnull, type, extra, context, escontext) \
	(domain_check(value, isnull, type, extra, context), true)
#endif

#endif							/* IMPILO_COMPAT_H */
