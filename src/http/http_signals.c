/*-------------------------------------------------------------------------
 *
 * http_signals.c
 *	  Keep signals away from the threads that libcurl starts.
 *
 * libcurl looks names up in a thread, which inherits what is blocked in the
 * one that starts it.  A handler of this backend that ran there would set
 * latches and raise errors beside the code that they are meant for.
 *
 * Not here: when libcurl may start one (http.c).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/http/http_signals.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>

#include "http/http_private.h"


/*
 * Block all signals while libcurl may start a thread; but those of a crash in
 * this code, for which blocking them is undefined.
 */
void
impilo_http_block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	(void) pthread_sigmask(SIG_SETMASK, &all, before);
}

/* Let them through again as they were */
void
impilo_http_restore_signals(const sigset_t *before)
{
	(void) pthread_sigmask(SIG_SETMASK, before, NULL);
}
