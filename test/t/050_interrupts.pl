# Whatever the extension waits for, a cancel, a statement_timeout and the end
# of the session or of the server take effect at once, and the session goes on.
#
# The times are printed, and only held below a limit that a busy machine does
# not reach either.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use IO::Socket::INET;
use Socket;
use Time::HiRes qw(sleep time);

# none of the waits below ends by itself before five times this
my $limit = 2;

my $api = sandbox(orders => 40);
my $node = cluster('main', names => 'slow.test=never');
my $major = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;

# Somebody who listens, and whose kernel answers no further connection
sub deaf
{
	my $socket;
	my @waiting;

	socket($socket, PF_INET, SOCK_STREAM, 0) or die $!;
	bind($socket, sockaddr_in(0, INADDR_LOOPBACK)) or die $!;
	listen($socket, 0) or die $!;
	my ($port) = sockaddr_in(getsockname($socket));
	foreach (1 .. 4)
	{
		my $client = IO::Socket::INET->new(
			PeerHost => '127.0.0.1',
			PeerPort => $port,
			Blocking => 0);

		push @waiting, $client;
	}
	return ($port, $socket, @waiting);
}

# Somebody whose kernel takes connections, and who never says a word
my $silent = IO::Socket::INET->new(
	Listen => 100,
	LocalHost => '127.0.0.1') or die $!;
my ($deaf_port, @deaf) = deaf();

my %patient = (
	connect_timeout => '60s',
	request_timeout => '60s',
	max_retries => 100);
attach($node, $api, server => {%patient});
attach(
	$node, undef,
	name => 'nowhere',
	url => 'https://slow.test/api/v3',
	server => {%patient});
attach(
	$node, undef,
	name => 'deaf',
	url => "http://127.0.0.1:$deaf_port/api/v3",
	server => {%patient});
attach(
	$node, undef,
	name => 'silent',
	url => 'https://127.0.0.1:' . $silent->sockport . '/api/v3',
	server => {%patient});
# a server of its own: Retry-After holds for all later requests to it, too
attach($node, $api, name => 'held', server => {%patient});
attach(
	$node, $api,
	name => 'slow',
	server => { %patient, requests_per_second => '0.05', fetch_size => 10 });

my $list = 'SELECT count(document) FROM impilo.orders';
my $create = 'INSERT INTO impilo.orders (patient_id, order_items) '
  . 'SELECT g, impilo_order_item(1000) FROM generate_series(1, 5) g';

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE impilo.later (patient_id bigint, order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
SQL

# name, statement, fault, whether statement_timeout is not in force then
my @waits = (
	[ 'name look-up', 'SELECT id FROM nowhere.orders' ],
	[ 'connect', 'SELECT id FROM deaf.orders' ],
	[ 'TLS handshake', 'SELECT id FROM silent.orders' ],
	[ 'headers', $list, { do => { hang => \1 } } ],
	[
		'headers of many', 'SELECT count(*) FROM impilo.orders '
		  . "WHERE id = ANY ('{1,2,3,4,5}')",
		{ do => { hang => \1 } }
	],
	[
		'body', $list, { do => { drip => { bytes => 1, every_ms => 100 } } }
	],
	[
		'steady body', $list,
		{
			do => {
				repeat => { text => ' ', count => 30_000_000 },
				drip => { bytes => 2000, every_ms => 1 }
			}
		}
	],
	[ 'back-off', $list, { do => { status => 503 } } ],
	[
		'Retry-After', 'SELECT count(document) FROM held.orders',
		{ do => { status => 429, retry_after => '60' } }
	],
	[ 'rate wait', 'SELECT count(document) FROM slow.orders' ],
	[ 'batch create', $create, { method => 'POST', do => { hang => \1 } } ],
	[
		'create with RETURNING', "$create RETURNING id",
		{ method => 'POST', do => { hang => \1 } }
	],
	[
		'create at commit',
		'BEGIN; INSERT INTO impilo.later VALUES '
		  . '(1, impilo_order_item(1000)), (2, impilo_order_item(1000)); COMMIT',
		{ method => 'POST', do => { hang => \1 } },
		'no timeout'
	]);

sub set_fault
{
	my ($wait) = @_;

	$api->fault($wait->[2] ? $wait->[2] : ());
	return;
}

my $watcher = session($node);

# pg_stat_activity tells that it waits for the network
sub wait_event
{
	my ($session) = @_;

	return $watcher->query(
		'SELECT wait_event FROM pg_stat_activity '
		  . "WHERE state = 'active' AND wait_event_type = 'Extension' AND pid = "
		  . $session->pid);
}

# Send the statement, and come back when it waits
sub send_and_watch
{
	my ($session, $wait) = @_;
	my $event;

	set_fault($wait);
	$session->send($wait->[1]);
	wait_until(sub { $event = wait_event($session) },
		"$wait->[0]: that it waits");
	# past the first waits, into the one that is meant
	sleep 0.15;
	wait_until(sub { wait_event($session) }, "$wait->[0]: that it goes on waiting");
	return $event;
}

sub goes_on
{
	my ($session, $name) = @_;

	$api->fault;
	is($session->query('SELECT id FROM impilo.orders WHERE id = 7'),
		'7', "$name: the session goes on");
	return;
}

my $session = session($node);
my %latency;

sub note_latency
{
	my ($kind, $name, $seconds) = @_;

	push @{ $latency{$kind} }, [ $name, $seconds ];
	cmp_ok($seconds, '<', $limit, "$name: $kind in time");
	return;
}

#----------------------------------------------------------------------
# Cancel
#----------------------------------------------------------------------

foreach my $wait (@waits)
{
	my $name = $wait->[0];
	my $event = send_and_watch($session, $wait);

	is($event, $major >= 17 ? 'ImpiloFdwRequest' : 'Extension',
		"$name: pg_stat_activity shows the wait");
	$watcher->send('SELECT pg_cancel_backend(' . $session->pid . ')');
	note_latency('cancel', $name, elapsed(sub { $session->wait }));
	is($watcher->wait, 't', "$name: cancelled");
	is($session->error->{sqlstate}, '57014', "$name: SQLSTATE of a cancel");
	is($session->error->{message},
		'canceling statement due to user request',
		"$name: the server's own text");
	goes_on($session, $name);
}

#----------------------------------------------------------------------
# statement_timeout, also where it comes from within a function
#----------------------------------------------------------------------

$session->query("SET statement_timeout = '300ms'");
foreach my $wait (grep { !$_->[3] } @waits)
{
	my $name = $wait->[0];
	my $time;

	set_fault($wait);
	$time = elapsed(sub { $session->query($wait->[1]) });
	note_latency('statement_timeout', $name, $time - 0.3);
	cmp_ok($time, '>=', 0.29, "$name: not before");
	is($session->error->{sqlstate}, '57014',
		"$name: SQLSTATE of statement_timeout");
	is($session->error->{message},
		'canceling statement due to statement timeout',
		"$name: the server's own text");
	$session->query('SET statement_timeout = 0');
	goes_on($session, $name);
	$session->query("SET statement_timeout = '300ms'");
}
$session->query('SET statement_timeout = 0');

# a handler in PL/pgSQL does not catch a cancel, and one that does goes on
$api->fault({ do => { hang => \1 } });
$session->query("SET statement_timeout = '300ms'");
$session->query(<<'SQL');
DO $$ BEGIN PERFORM count(document) FROM impilo.orders;
EXCEPTION WHEN OTHERS THEN RAISE EXCEPTION 'swallowed'; END $$
SQL
is($session->error->{sqlstate}, '57014', 'WHEN OTHERS leaves a cancel alone');
$session->query(<<'SQL');
DO $$ BEGIN PERFORM count(document) FROM impilo.orders;
EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'caught'; END $$
SQL
is($session->error->{sqlstate}, '00000', 'WHEN query_canceled may catch it');
$session->query('SET statement_timeout = 0');
goes_on($session, 'after an exception block');

#----------------------------------------------------------------------
# Time-outs that are not for waits of this kind, and those that are
#----------------------------------------------------------------------

# nothing is locked: a slow answer is no lock_timeout
$api->fault({ do => { delay_ms => 500 } });
$session->query("SET lock_timeout = '100ms'");
is($session->query('SELECT id FROM impilo.orders WHERE id = 7'),
	'7', 'lock_timeout does not end a wait for the network');
$session->query('RESET lock_timeout');

# an open transaction is not idle while a statement waits, but afterwards
$session->query("SET idle_in_transaction_session_timeout = '300ms'");
is( $session->query(
		'BEGIN; SELECT id FROM impilo.orders WHERE id = 7; COMMIT'),
	'7',
	'idle_in_transaction_session_timeout does not end a wait');
$session->query('RESET idle_in_transaction_session_timeout');
$api->fault;

{
	my $idle = session($node);

	$idle->query("SET idle_in_transaction_session_timeout = '300ms'; BEGIN");
	$idle->query('SELECT id FROM impilo.orders WHERE id = 7');
	wait_until(
		sub {
			$watcher->query(
				'SELECT count(*) FROM pg_stat_activity WHERE pid = '
				  . $idle->pid) eq '0';
		},
		'the end of an idle session');
	pass('a session that is idle in a transaction with a connection ends');
	$idle->quit;
}

# from 17 on the whole transaction may be limited, also while it commits
SKIP:
{
	skip 'transaction_timeout came with PostgreSQL 17', 1 if $major < 17;

	foreach my $wait (@waits)
	{
		my $name = $wait->[0];
		my $short = session($node);
		my $time;

		$short->query("SET transaction_timeout = '300ms'");
		set_fault($wait);
		$time = elapsed(sub { $short->query($wait->[1]) });
		note_latency('transaction_timeout', $name, $time - 0.3);
		cmp_ok($time, '>=', 0.29, "$name: not before");
		is($short->error->{sqlstate}, '25P04',
			"$name: SQLSTATE of transaction_timeout");
		is( $short->error->{message},
			'terminating connection due to transaction timeout',
			"$name: the server's own text");
		like($short->error->{context}, qr/may have been created/,
			"$name: what is left in doubt")
		  if $name =~ /create/;
		$short->quit;
	}
	$api->fault;
}

#----------------------------------------------------------------------
# The end of the session
#----------------------------------------------------------------------

sub is_gone
{
	my ($pid) = @_;

	return !kill(0, $pid) && $!{ESRCH};
}

foreach my $wait (@waits)
{
	my $name = $wait->[0];
	my $victim = session($node);
	my $pid = $victim->pid;

	send_and_watch($victim, $wait);
	$watcher->send("SELECT pg_terminate_backend($pid)");
	note_latency('pg_terminate_backend',
		$name, elapsed(sub { wait_until(sub { is_gone($pid) }, "$name: end") }));
	$watcher->wait;
	$victim->wait;
	is($victim->error->{sqlstate}, '57P01', "$name: SQLSTATE of the end");
	like($victim->error->{context}, qr/may have been created/,
		"$name: what is left in doubt")
	  if $name =~ /create/;
	$victim->quit;
}
$api->fault;

# a client that went away is noticed where the server was told to look
{
	my $victim = session($node);
	my $pid = $victim->pid;

	$victim->query("SET client_connection_check_interval = '200ms'");
	send_and_watch($victim, $waits[3]);
	$victim->quit;
	note_latency('lost client', 'headers',
		elapsed(sub { wait_until(sub { is_gone($pid) }, 'its end') }));
	$api->fault;
}

#----------------------------------------------------------------------
# The end of the server
#----------------------------------------------------------------------

my @fast = grep { $_->[0] =~ /^(name|connect|headers$|back-off|batch|create at)/ } @waits;

# one session for each wait; the sandbox hangs and refuses for all of them
sub wait_everywhere
{
	my @victims;

	foreach my $wait (@fast)
	{
		my $victim = session($node);

		send_and_watch($victim, $wait);
		push @victims, $victim;
	}
	return @victims;
}

my @victims = wait_everywhere();
my @pids = map { $_->pid } @victims;
note_latency('fast shutdown', 'all', elapsed(sub { $node->stop('fast') }));
is(scalar(grep { !is_gone($_) } @pids), 0, 'fast shutdown: all have ended');
$_->quit foreach (@victims, $session, $watcher);
unlike(log_text($node), qr/PANIC|was terminated by signal/, 'nothing crashed');

{
	local $ENV{IMPILO_TEST_NAMES} = 'slow.test=never';
	local $ENV{LD_PRELOAD} = ImpiloTest::preload('names');
	$node->start;
}
$watcher = session($node);
@victims = wait_everywhere();
@pids = map { $_->pid } @victims;
note_latency(
	'death of the postmaster',
	'all',
	elapsed(
		sub {
			$node->kill9;
			foreach my $pid (@pids)
			{
				wait_until(sub { is_gone($pid) }, 'their end');
			}
		}));
$_->quit foreach (@victims, $watcher);
$api->fault;

$node->start;
is( $node->safe_psql(
		'postgres', 'SELECT id FROM impilo.orders WHERE id = 7'),
	'7',
	'the server starts again');

foreach my $kind (sort keys %latency)
{
	note(
		sprintf '%-24s %-22s %4.0f ms',
		$kind, $_->[0], $_->[1] * 1000) foreach @{ $latency{$kind} };
}

done_testing();
