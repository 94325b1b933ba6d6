/*-------------------------------------------------------------------------
 *
 * control.h
 *		The control endpoint, /_sandbox/.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_CONTROL_H
#define SANDBOX_CONTROL_H

#include "request.h"

extern void control_answer(Request *request);

#endif							/* SANDBOX_CONTROL_H */
