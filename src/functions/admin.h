/*-------------------------------------------------------------------------
 *
 * admin.h
 *	  SQL functions for who looks after a server: connections, ping, versions.
 *
 * PostgreSQL finds them by name; no other file calls them.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/functions/admin.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef IMPILO_ADMIN_H
#define IMPILO_ADMIN_H

#endif							/* IMPILO_ADMIN_H */
