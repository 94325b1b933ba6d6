/*-------------------------------------------------------------------------
 *
 * http_socket.c
 *	  The sockets of HTTP connections: counted, closed on exec, and where
 *	  plain http may go.
 *
 * A backend has a limited number of files, of which PostgreSQL keeps the
 * count; sockets that libcurl opened by itself would be missing in it.  And a
 * program that the backend starts, for COPY TO PROGRAM say, must not inherit
 * a connection on which a key was sent.
 *
 * All of this is called by libcurl's callbacks: nothing here throws.
 *
 * Not here: waiting for sockets (wait.c), and when to open one (libcurl).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http_socket.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/fd.h"

#include "http/http_private.h"


/* 127.0.0.0/8, ::1, and the former as an address of IPv6 */
bool
impilo_http_socket_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
	{
		const struct sockaddr_in *in4 = (const struct sockaddr_in *) address;

		return (ntohl(in4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
	}
	if (address->sa_family == AF_INET6)
	{
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) address;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			 in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	}
	return false;
}

/* A socket, or -1 if the backend may open no more or the kernel says no */
int
impilo_http_socket_open(int family, int type, int protocol)
{
	int			fd;

	/* leave one: to wait for the socket takes a file, too */
	if (!AcquireExternalFD())
		return -1;
	if (!AcquireExternalFD())
	{
		ReleaseExternalFD();
		return -1;
	}
	ReleaseExternalFD();
	fd = socket(family, type, protocol);
	if (fd < 0)
	{
		ReleaseExternalFD();
		return -1;
	}
	(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* Close what impilo_http_socket_open gave; 0, or -1 as close(2); no argument */
int
impilo_http_socket_close(void *arg, int fd)
{
	ReleaseExternalFD();
	return close(fd);
}
