/*-------------------------------------------------------------------------
 *
 * main.c
 *		Options and start of the sandbox.
 *
 * Listens on 127.0.0.1 only.  Then it prints its address as one line, and
 * nothing else on standard output.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "serve.h"
#include "store.h"
#include "timer.h"

#define WORKER_THREADS 4
#define RENDER_THREADS 2
#define MAX_CONNECTIONS 40000

typedef struct Options
{
	int			port;
	int64_t		orders;
	const char *key;
	const char *tls_cert;
	const char *tls_key;
	const char *state;
	bool		die_with_parent;
} Options;

static void
usage(FILE *to)
{
	fputs("usage: impilo_sandbox [--port 0] [--orders 1000]\n"
		  "           [--key sandbox-key] [--die-with-parent]\n"
		  "           [--state FILE]\n"
		  "           [--tls-cert FILE --tls-key FILE]\n", to);
}

static void
fatal(const char *what)
{
	fprintf(stderr, "impilo_sandbox: %s\n", what);
	exit(1);
}

static int64_t
number_option(const char *text, int64_t most)
{
	char	   *end;
	int64_t		value = strtoll(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < 0 || value > most)
	{
		fprintf(stderr, "impilo_sandbox: bad number \"%s\"\n", text);
		exit(2);
	}
	return value;
}

static void
parse_options(int argc, char **argv, Options *o)
{
	static const struct option known[] = {
		{"port", required_argument, NULL, 'p'},
		{"orders", required_argument, NULL, 'n'},
		{"key", required_argument, NULL, 'k'},
		{"tls-cert", required_argument, NULL, 'C'},
		{"tls-key", required_argument, NULL, 'K'},
		{"state", required_argument, NULL, 'S'},
		{"die-with-parent", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}
	};
	int			c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		if (c == 'p')
			o->port = number_option(optarg, 65535);
		else if (c == 'n')
			o->orders = number_option(optarg, 20000000);
		else if (c == 'k')
			o->key = optarg;
		else if (c == 'C')
			o->tls_cert = optarg;
		else if (c == 'K')
			o->tls_key = optarg;
		else if (c == 'S')
			o->state = optarg;
		else if (c == 'd')
			o->die_with_parent = true;
		else
		{
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind < argc || (o->tls_cert == NULL) != (o->tls_key == NULL))
	{
		usage(stderr);
		exit(2);
	}
}

static char *
read_file(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	Buf			b = {0};
	char		part[4096];
	size_t		n;

	if (file == NULL)
		fatal("could not read the TLS certificate or key");
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		buf_add(&b, part, n);
	fclose(file);
	buf_char(&b, '\0');
	return b.data;
}

static struct MHD_Daemon *
start_daemon(const Options *o)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD |
	MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
	struct sockaddr_in address = {0};
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, NULL},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, NULL},
		{MHD_OPTION_END, 0, NULL}
	};

	if (o->tls_cert != NULL)
	{
		flags |= MHD_USE_TLS;
		tls[0].ptr_value = read_file(o->tls_cert);
		tls[1].ptr_value = read_file(o->tls_key);
	}
	else
		tls[0].option = MHD_OPTION_END;
	address.sin_family = AF_INET;
	address.sin_port = htons(o->port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return MHD_start_daemon(flags, 0, NULL, NULL, serve_request, NULL,
							MHD_OPTION_SOCK_ADDR, &address,
							MHD_OPTION_THREAD_POOL_SIZE, WORKER_THREADS,
							MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS,
							MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT,
							(size_t) 32 * 1024,
							MHD_OPTION_URI_LOG_CALLBACK, serve_uri, NULL,
							MHD_OPTION_NOTIFY_COMPLETED, serve_completed,
							NULL,
							MHD_OPTION_NOTIFY_CONNECTION, serve_connection,
							NULL,
							MHD_OPTION_ARRAY, tls,
							MHD_OPTION_END);
}

static void
block_signals(sigset_t *set)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* allow thousands of sockets, and keep responses in the heap */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
	{
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024 * 1024);
}

#ifdef SANDBOX_LEAK_CHECK
extern void __lsan_do_leak_check(void);
#endif

int
main(int argc, char **argv)
{
	Options		o = {0, 1000, "sandbox-key", NULL, NULL, NULL,
	false};
	struct MHD_Daemon *daemon;
	const union MHD_DaemonInfo *info;
	sigset_t	set;
	int			number;

	parse_options(argc, argv, &o);
	block_signals(&set);
	if (o.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	raise_limits();
	config_reset();
	store_init(o.key, o.orders);
	store_render(RENDER_THREADS);
	if (o.state != NULL && !store_load(o.state))
		fatal("could not read the state");
	log_reset();
	timer_start();
	daemon = start_daemon(&o);
	if (daemon == NULL)
		fatal("could not listen");
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	printf("http%s://127.0.0.1:%d\n", o.tls_cert ? "s" : "", info->port);
	fflush(stdout);
	sigwait(&set, &number);

	/* from here on no order is created that the file would not contain */
	store_lock(true);
	if (o.state != NULL && !store_save(o.state))
		fatal("could not write the state");
#ifdef SANDBOX_LEAK_CHECK
	__lsan_do_leak_check();
#endif

	/* requests may sleep or hang, so do not wait for them */
	_exit(0);
}
