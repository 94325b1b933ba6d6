/*-------------------------------------------------------------------------
 *
 * timer.h
 *		Requests that sleep without a thread for each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_TIMER_H
#define SANDBOX_TIMER_H

#include <microhttpd.h>

#include "buf.h"

extern void timer_start(void);
extern void timer_sleep(struct MHD_Connection *connection, int64_t ms);
extern void timer_hang(struct MHD_Connection *connection);
extern void timer_release_hung(void);

#endif							/* SANDBOX_TIMER_H */
