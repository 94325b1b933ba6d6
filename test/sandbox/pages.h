/*-------------------------------------------------------------------------
 *
 * pages.h
 *		The API: from a request to its response.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_PAGES_H
#define SANDBOX_PAGES_H

#include "request.h"

extern void api_answer(Request *request);

#endif							/* SANDBOX_PAGES_H */
