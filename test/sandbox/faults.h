/*-------------------------------------------------------------------------
 *
 * faults.h
 *		What goes wrong on purpose, request by request.
 *
 * The rules have a lock of their own.  An action never changes once it was
 * made; who got one from fault_match gives it back with fault_release.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include <json-c/json.h>

#include "request.h"

enum Delivery
{
	DELIVER_WHOLE,				/* as an answer should be sent */
	DELIVER_RESET_BEFORE,		/* connection reset, nothing done */
	DELIVER_RESET_AFTER,		/* done, then reset without an answer */
	DELIVER_CLOSE,				/* done or not, closed without an answer */
	DELIVER_HANG,				/* never answered */
	DELIVER_CUT,				/* fewer bytes than Content-Length says */
	DELIVER_CHUNKED_CUT,		/* chunks that end without the last one */
	DELIVER_CHUNKED,			/* whole, in chunks */
	DELIVER_DRIP,				/* some bytes at a time */
	DELIVER_ENDLESS,			/* chunks for ever */
	DELIVER_WIRE				/* these bytes instead of any HTTP answer */
};

typedef struct Patch
{
	char	   *pointer;		/* RFC 6901 */
	bool		remove;
	Buf			bytes;			/* what stands there instead */
} Patch;

typedef struct FaultAction
{
	int			references;
	enum Delivery delivery;
	int64_t		number;			/* bytes before a cut, bytes a drip */
	int64_t		every_ms;		/* of a drip, or of each byte of a wire */
	int64_t		header_bytes;	/* of a header without sense; 0: none */
	unsigned int status;		/* 0: as it is */
	bool		processed;		/* the request has its effect all the same */
	bool		has_body;
	Buf			body;
	Buf			wire;			/* what DELIVER_WIRE sends */
	Buf			wire_loop;		/* and then over and over */
	char	   *content_type;	/* NULL: as it is */
	char	   *retry_after;
	char	   *location;
	json_object *headers;		/* more of them, name to value, or NULL */
	bool		gzipped;		/* the body is compressed already */
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
