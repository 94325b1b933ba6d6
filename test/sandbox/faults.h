/*-------------------------------------------------------------------------
 *
 * faults.h
 *		What goes wrong on purpose, request by request.
 *
 * The rules have their own lock.  An action does not change after it was
 * parsed; the caller of fault_match releases it with fault_release.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include <json-c/json.h>

#include "request.h"

enum Delivery
{
	DELIVER_WHOLE,				/* as a correct response */
	DELIVER_RESET_BEFORE,		/* connection reset, nothing done */
	DELIVER_RESET_AFTER,		/* done, then reset without a response */
	DELIVER_CLOSE,				/* done or not, closed without a response */
	DELIVER_HANG,				/* no response */
	DELIVER_CUT,				/* fewer bytes than Content-Length says */
	DELIVER_CHUNKED_CUT,		/* chunks without the last one */
	DELIVER_CHUNKED,			/* complete, in chunks */
	DELIVER_DRIP,				/* some bytes at a time */
	DELIVER_ENDLESS,			/* endless chunks */
	DELIVER_WIRE				/* these bytes instead of an HTTP response */
};

typedef struct Patch
{
	char	   *pointer;		/* RFC 6901 */
	bool		remove;
	Buf			bytes;			/* the replacement */
} Patch;

typedef struct FaultAction
{
	int			references;
	enum Delivery delivery;
	int64_t		number;			/* bytes before a cut, bytes of a drip */
	int64_t		every_ms;		/* of a drip, or of each byte of a wire */
	int64_t		header_bytes;	/* of a meaningless header; 0: none */
	unsigned int status;		/* 0: unchanged */
	bool		processed;		/* the request takes effect nevertheless */
	bool		has_body;
	Buf			body;
	Buf			wire;			/* what DELIVER_WIRE sends */
	Buf			wire_loop;		/* and then repeatedly */
	char	   *content_type;	/* NULL: unchanged */
	char	   *retry_after;
	char	   *location;
	json_object *headers;		/* more headers, name to value, or NULL */
	bool		gzipped;		/* the body is already compressed */
	bool		close;
	int64_t		delay_ms;
	int64_t		appear_after_ms;
	json_object *omit;			/* of the envelope, for this page alone */
	json_object *null;
	json_object *envelope;
	Patch	   *patches;
	int			npatches;
} FaultAction;

/* in faults.c */
extern bool faults_set(json_object *rules, Buf *error);
extern void faults_clear(void);
extern void faults_show(Buf *b);
extern FaultAction *fault_match(Request *request);
extern void fault_release(FaultAction *action);

/* in actions.c */
extern FaultAction *action_parse(json_object *spec, Buf *error);
extern void action_free(FaultAction *action);

/* in deliver.c */
extern void fault_change_answer(Request *request);
extern enum MHD_Result fault_deliver(Request *request);
extern enum MHD_Result fault_abort(Request *request, bool reset);

#endif							/* SANDBOX_FAULTS_H */
