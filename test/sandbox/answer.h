/*-------------------------------------------------------------------------
 *
 * answer.h
 *		Building responses and sending them correctly.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_ANSWER_H
#define SANDBOX_ANSWER_H

#include "request.h"

extern void answer_error(Answer *answer, unsigned int status,
						 const char *message, const char *detail);
extern void answer_header(Answer *answer, const char *name,
						  const char *value);
extern void answer_free(Answer *answer);
extern void answer_compress(Request *request);
extern struct MHD_Response *answer_response(Answer *answer);
extern enum MHD_Result answer_queue(Request *request,
									struct MHD_Response *response);
extern enum MHD_Result answer_send(Request *request);
extern void answer_date(Buf *b);

#endif							/* SANDBOX_ANSWER_H */
