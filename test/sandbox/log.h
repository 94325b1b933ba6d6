/*-------------------------------------------------------------------------
 *
 * log.h
 *		The log of requests.
 *
 * These functions acquire a separate lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_LOG_H
#define SANDBOX_LOG_H

#include "request.h"

extern int64_t log_begin(Request *request);
extern void log_end(Request *request, unsigned int status);
extern void log_connection(void);
extern void log_created(void);
extern int64_t log_in_flight(void);
extern void log_reset(void);
extern void log_show_json(Buf *b);
extern void log_show_text(Buf *b, bool sorted);
extern void log_show_counts(Buf *b);

#endif							/* SANDBOX_LOG_H */
