/*-------------------------------------------------------------------------
 *
 * serve.h
 *		The steps of a request from its first byte to its response.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SANDBOX_SERVE_H
#define SANDBOX_SERVE_H

#include <microhttpd.h>

extern void *serve_uri(void *cls, const char *uri,
					   struct MHD_Connection *connection);
extern enum MHD_Result serve_request(void *cls,
									 struct MHD_Connection *connection,
									 const char *url, const char *method,
									 const char *version,
									 const char *upload_data,
									 size_t *upload_data_size,
									 void **request_cls);
extern void serve_completed(void *cls, struct MHD_Connection *connection,
							void **request_cls,
							enum MHD_RequestTerminationCode how);
extern void serve_connection(void *cls, struct MHD_Connection *connection,
							 void **socket_context,
							 enum MHD_ConnectionNotificationCode what);

#endif							/* SANDBOX_SERVE_H */
