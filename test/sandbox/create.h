/*-------------------------------------------------------------------------
 *
 * create.h
 *		POST /order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_CREATE_H
#define SANDBOX_CREATE_H

#include "request.h"

extern void create_order(Request *request);

#endif							/* SANDBOX_CREATE_H */
