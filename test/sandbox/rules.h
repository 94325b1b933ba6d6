/*-------------------------------------------------------------------------
 *
 * rules.h
 *		The rules that an order must satisfy to be created.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_RULES_H
#define SANDBOX_RULES_H

#include <json-c/json.h>
#include <stdbool.h>

typedef struct Refusal
{
	char		message[160];	/* a text from the API's documentation */
	char		detail[160];	/* our own text, may be empty */
} Refusal;

extern bool rules_accept(json_object *asked, Refusal *refusal);

#endif							/* SANDBOX_RULES_H */
