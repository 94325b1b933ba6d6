# A session of 10,000 statements that fail in every way does not grow: memory,
# descriptors, connections.
#
# The statements run in equal rounds.  The first rounds fill caches and the pools
# of libraries.  From the end of this warm-up to the end of the session there may
# be
#
# - no new memory context, and less than 1 kB more in all of them, including
#   PostgreSQL's: pg_backend_memory_contexts counts every byte, so a leak in one
#   statement of a round adds up to more;
#   (The journal keeps up to 10,000 orders: keep_a_journal tests that.)
# - less than 64 kB more memory of malloc that is not PostgreSQL's, but libcurl's,
#   OpenSSL's and json-c's.  It includes contexts that PostgreSQL caches.  Three
#   transfers of libcurl are more than that, and so are ten bytes for each
#   statement.  (Measured with closed connections, whose buffers vary.)
# - less than 2 MB more in RssAnon, the pages that the process has written, which
#   include holes in the heap and the buffers of connections;
# - no more connections to a server than max_concurrency; and after they are
#   closed, no more sockets, pipes or other descriptors than at the beginning,
#   here and in the sandbox, and no temporary file.  (PostgreSQL opens and closes
#   the files of its catalogs.)
#
# The connection of server impilo lives as long as the backend; others are closed
# and reopened when their options change.
#
# Meanwhile another session does nothing.  A connection that was idle for 30 s
# is not used again: a NAT device may have dropped it.
#
# SLOW=1 runs ten such sessions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use Time::HiRes qw(time);

my $statements_wanted = 10_000;
my $warm_up = 3;    # rounds

# maximum growth in bytes from the warm-up to the end
my %allowed = (contexts => 1024, heap => 64 * 1024, resident => 2 * 1024 * 1024);

my $rows = 24;
my $api = sandbox(orders => $rows);
my $tls = sandbox(orders => 3, tls => 1);
my $quiet = sandbox(orders => 3);
my $node = cluster('main', conf => "autovacuum = off\n");
my %server = (
	max_retries => 0,
	request_timeout => '5s',
	reconcile_timeout => '0s',
	fetch_size => 10,
	max_concurrency => 4,
	max_response_size => '256kB');

attach($node, $api, server => \%server);
attach($node, $tls, name => 'secure', server => \%server);
attach($node, $quiet, name => 'quiet');
attach(
	$node, undef,
	name => 'untrusted',
	url => $tls->url . '/api/v3',
	server => \%server);
attach(
	$node, undef,
	name => 'nobody',
	url => 'http://127.0.0.1:9/api/v3',
	server => \%server);
attach($node, $api, name => 'changing', server => \%server);
attach($node, $api, name => 'hurried', server => { %server, request_timeout => '40ms' });
attach($node, $api, name => 'stubborn', server => { %server, max_retries => 1 });

# memory of malloc, where the function can be built
chomp(my $headers = `@{[ $node->installed_command('pg_config') ]} --includedir-server`);
my $heap = eval { ImpiloTest::preload('heap', "-I$headers") };

diag("the memory of malloc is not measured: $@") unless $heap;
$node->safe_psql('postgres', "CREATE FUNCTION impilo_test_heap() RETURNS bigint LANGUAGE C AS '$heap'")
  if $heap;
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE impilo.later (patient_id bigint, order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE impilo.never (patient_id bigint, order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'never');
CREATE FOREIGN TABLE hurried.later (patient_id bigint, order_items jsonb)
	SERVER hurried OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE impilo.estimated (id bigint, current_status text)
	SERVER impilo OPTIONS (relation 'orders', use_remote_estimate 'true');
CREATE FOREIGN TABLE impilo.mine (id bigint, first_name int OPTIONS (json_pointer '/patient/firstName'))
	SERVER impilo OPTIONS (relation 'orders');
CREATE FOREIGN TABLE impilo.broken (id bigint, current_statu text) SERVER impilo OPTIONS (relation 'orders');
CREATE ROLE stranger;
GRANT USAGE ON SCHEMA impilo TO stranger;
GRANT SELECT ON impilo.orders TO stranger;
CREATE SERVER keyless FOREIGN DATA WRAPPER impilo_fdw;
CREATE USER MAPPING FOR CURRENT_USER SERVER keyless OPTIONS (api_key_file '/nowhere/key');
CREATE FOREIGN TABLE impilo.keyless (id bigint) SERVER keyless OPTIONS (relation 'orders');
SQL

#----------------------------------------------------------------------
# Ways to fail
#----------------------------------------------------------------------

# faults of the API
my @faults = (
	(map { { do => { status => $_ } } } 400, 401, 403, 404, 409, 429, 500),
	{ do => { status => 500, processed => \1 } },
	{ do => { status => 400, body => '{"errors":[{"defaultMessage":"no"},{"message":"never"}]}' } },
	{ do => { redirect => 'https://elsewhere.test/' } },
	{ do => { reset => 'before' } },
	{ do => { reset => 'after' } },
	{ do => { close => \1 } },
	{ do => { cut_body => 60 } },
	{ do => { chunked_cut => 60 } },
	{ do => { raw => '{"content":[{"id":1,"patient":{"firstName":"' } },
	{ do => { raw => '' } },
	{ do => { raw => '{"id":"seven","content":[{"id":null}]}' } },
	{ do => { raw => '<html>', content_type => 'text/html' } },
	{ do => { raw => '{"id":', headers => { 'Content-Encoding' => 'gzip' } } },
	{ do => { wire => "no HTTP\r\n\r\n" } },
	{ do => { gzip_bomb => 5 } },
	{ do => { endless => \1 } },
	{ do => { header_bytes => 500_000 } },
	{ do => { repeat => { text => '[', count => 10_000 } } },
	{ path => 'order', page => 2, do => { status => 503 } },
	{ path => 'order', page => 3, do => { cut_body => 200 } },
	{ skip => 1, do => { reset => 'before' } });

# lists of statements that run with each fault
my $order = "patient_id, order_items) VALUES (1, impilo_order_item(1000))";
my @operations = (
	['SELECT count(document) FROM impilo.orders'],
	['SELECT id FROM impilo.orders LIMIT 1'],
	['SELECT count(*) FROM impilo.orders'],
	["SELECT patient_last_name FROM impilo.orders WHERE current_status = 'shipped'"],
	['SELECT count(*) FROM impilo.order_items'],
	['SELECT document FROM impilo.orders WHERE id = 7'],
	["SELECT count(document) FROM impilo.orders WHERE id = ANY ('{1,2,3,4,5,6}')"],
	['SELECT (SELECT current_status FROM impilo.orders o WHERE o.id = k) FROM generate_series(1, 3) k'],
	['SELECT count(*) FROM impilo.orders a JOIN impilo.orders b USING (id)'],
	['SELECT * FROM impilo.estimated'],
	['ANALYZE impilo.order_items'],
	['EXPLAIN ANALYZE SELECT * FROM impilo.orders'],
	["SELECT ok FROM impilo_fdw_ping('impilo')"],
	["SELECT count(*) FROM impilo_check_schema('impilo')"],
	['EXECUTE one(7)'],
	[
		'BEGIN', 'SAVEPOINT s',
		'DECLARE c SCROLL CURSOR FOR SELECT id FROM impilo.orders',
		'FETCH 11 FROM c', 'ROLLBACK TO s', 'SELECT 1', 'ROLLBACK'
	],
	[
		'DECLARE c CURSOR WITH HOLD FOR SELECT id FROM impilo.orders',
		'FETCH 1 FROM c', 'CLOSE c'
	],
	['DO $$ BEGIN PERFORM document FROM impilo.orders WHERE id = 7; EXCEPTION WHEN OTHERS THEN RAISE; END $$'],
	["INSERT INTO impilo.orders ($order RETURNING id"],
	['INSERT INTO impilo.orders (site_id, order_items) SELECT g, impilo_order_item(1000) FROM generate_series(1, 3) g'],
	["COPY impilo.orders (patient_id, order_items) FROM STDIN;\n1\t[{\"item\":{\"id\":1001}}]\n2\t[{\"item\":{\"id\":1001}}]\n\\.\n"],
	[
		'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) '
		  . q(VALUES (1, '{k1}', impilo_order_item(1000)), (2, '{k2}', impilo_order_item(1000)) ON CONFLICT DO NOTHING)
	],
	[ 'BEGIN', "INSERT INTO impilo.later ($order", 'COMMIT' ],
	[
		'BEGIN', 'SAVEPOINT s', "INSERT INTO impilo.orders ($order",
		'ROLLBACK TO s', "INSERT INTO impilo.later ($order", 'ROLLBACK'
	]);

# statements that fail or end early without a fault
my $prepare = 'PREPARE one(bigint) AS SELECT document FROM impilo.orders WHERE id = $1';
my @others = (
	['SELECT 1 / (id - 5) FROM impilo.orders'],
	['SELECT 1 / (id - 7) FROM impilo.orders WHERE id = 7'],
	['SELECT pg_cancel_backend(pg_backend_pid()) FROM impilo.orders'],
	['SELECT * FROM impilo.mine'],
	['SELECT * FROM impilo.broken'],
	['SELECT * FROM impilo.nothing'],
	['SELECT * FROM impilo.keyless'],
	['SELECT * FROM nobody.orders'],
	['SELECT * FROM untrusted.orders'],
	['SELECT count(document) FROM secure.orders'],
	['SELECT document::text::int FROM secure.orders'],
	["SELECT impilo_fdw_disconnect('secure')"],
	[ 'SET ROLE stranger', 'SELECT * FROM impilo.orders', 'RESET ROLE' ],
	["ALTER SERVER changing OPTIONS (ADD fetch_sise '10')"],
	["ALTER SERVER changing OPTIONS (SET request_timeout 'soon')"],
	["CREATE FOREIGN TABLE impilo.more (id bigint) SERVER impilo OPTIONS (relation 'order')"],
	['IMPORT FOREIGN SCHEMA v9 FROM SERVER impilo INTO impilo'],
	[
		'BEGIN', "ALTER SERVER changing OPTIONS (SET fetch_size '3')",
		'SELECT count(document) FROM changing.orders WHERE id < 5', 'ROLLBACK',
		'SELECT id FROM changing.orders WHERE id = 7'
	],
	[
		"ALTER USER MAPPING FOR CURRENT_USER SERVER changing OPTIONS (SET api_key 'none')",
		'SELECT id FROM changing.orders WHERE id = 7',
		"ALTER USER MAPPING FOR CURRENT_USER SERVER changing OPTIONS (SET api_key 'sandbox-key')"
	],
	['INSERT INTO impilo.orders (patient_id, site_id, order_items) VALUES (1, 1, impilo_order_item(1000))'],
	['INSERT INTO impilo.orders (patient_id) VALUES (1)'],
	["INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{\"item\":7}]')"],
	['INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000, 0))'],
	['INSERT INTO impilo.orders (patient_id, order_items) VALUES (99999999, impilo_order_item(1000))'],
	['INSERT INTO impilo.orders (patient_id, order_items) SELECT 1, impilo_order_item(996 + g * g) FROM generate_series(1, 30) g'],
	['INSERT INTO impilo.orders (id, patient_id, order_items) VALUES (1, 1, impilo_order_item(1000))'],
	['INSERT INTO impilo.order_items (item_id) VALUES (1)'],
	["INSERT INTO impilo.orders ($order ON CONFLICT DO NOTHING"],
	["INSERT INTO impilo.never ($order"],
	["COPY impilo.orders (patient_id, order_items) FROM STDIN;\n1\tno JSON\n\\.\n"],
	["UPDATE impilo.orders SET site_id = 1 WHERE id = 7"],
	['DELETE FROM impilo.orders'],
	[ 'BEGIN', "INSERT INTO impilo.later ($order", "PREPARE TRANSACTION 'p'" ],
	[ 'BEGIN ISOLATION LEVEL SERIALIZABLE', "INSERT INTO impilo.later ($order", 'ROLLBACK' ],
	[ 'BEGIN', "INSERT INTO impilo.orders ($order", 'SELECT 1 / 0', 'ROLLBACK' ],
	['SELECT count(*) FROM impilo_created_orders()'],
	['SELECT impilo_forget_created_orders()'],
	[ ('EXECUTE one(7)') x 7, 'DEALLOCATE one' ],
	[ 'DISCARD ALL', $prepare ]);

# statements whose waits end in a timeout
my @waits = (
	["SET statement_timeout = '15ms'"],
	(grep { $_->[-1] !~ /later/ } @operations),
	['RESET statement_timeout'],
	['SELECT id FROM hurried.orders LIMIT 1'],
	['SELECT id FROM hurried.orders WHERE id = 7'],
	["INSERT INTO hurried.orders ($order"],
	[ 'BEGIN', "INSERT INTO hurried.later ($order", 'COMMIT' ]);

#----------------------------------------------------------------------
# Running a session
#----------------------------------------------------------------------

my $session;
my ($statements, $errors, $wrong, %states);
my @ways = qw(
  08001 08006 22012 22023 22P02 23502 23503 23514 28000 42501 42704 42P01
  53400 54000 57014 58P01 0A000 HV007 HV00D HV00L HV00M HV00N HV024 IU001 IU002);

# Runs many statements at once.
sub live
{
	my @statements = map { @$_ } @_;
	my $said;

	$session->query(join '', map { /\\\.\n\z/ ? $_ : "$_;\n" } @statements);
	$said = $session->error->{stderr};
	$statements += @statements;
	foreach ($said =~ /^ERROR:  ([0-9A-Z]{5}):/mg)
	{
		$errors++;
		$states{$_}++;
	}
	return;
}

sub live_a_round
{
	foreach my $fault (@faults)
	{
		$api->fault($fault);
		live(@operations);
		$api->fault;
		$wrong++
		  if $session->query('SELECT id FROM impilo.orders WHERE id = 7') ne '7';
		$statements++;
	}
	live(@others);

	$api->fault({ do => { hang => \1 } });
	live(@waits);
	$api->fault({ times => 1, do => { status => 503 } });
	live(['SELECT count(document) FROM stubborn.orders']);
	$api->ctl('reset');
	# the sandbox begins with the same ids again
	$session->query('SELECT impilo_forget_created_orders()');
	$wrong++
	  if $session->query('SELECT count(document) FROM impilo.orders') ne $rows;
	$statements++;
	return;
}

sub resident { return memory($session->pid, 'RssAnon') * 1024; }

# Returns the targets of a process's open descriptors.
sub descriptors
{
	my ($pid) = @_;

	return sort map { readlink($_) // () } glob "/proc/$pid/fd/*";
}

sub sockets_of
{
	my ($sandbox) = @_;

	return scalar grep { /^socket:/ } descriptors($sandbox->{pid});
}

# Returns the number of descriptors of each kind; of files, only temporary ones.
sub open_in
{
	my ($pid) = @_;
	my @open = descriptors($pid);
	my %kinds;

	foreach (@open)
	{
		$kinds{$1}++ if m{^([^/:]+|/dev/.*)};
		$kinds{'temporary file'}++ if /pgsql_tmp/;
	}
	return %kinds;
}

# Measures contexts by name and pages, with open connections.
sub measure
{
	my %now = (statements => $statements, resident => resident());

	foreach (split /\n/, $session->query(<<'SQL'))
SELECT name, count(*), sum(used_bytes) FROM pg_backend_memory_contexts GROUP BY name
UNION ALL SELECT 'all', count(*), sum(used_bytes) FROM pg_backend_memory_contexts
	WHERE name NOT IN ('impilo_fdw journal', 'impilo_fdw created orders')
SQL
	{
		my ($name, $count, $bytes) = /^(.*)\|(\d+)\|(\d+)$/ or next;

		$now{contexts}{$name} = { count => $count, bytes => $bytes };
	}
	return \%now;
}

# Measures descriptors and memory of malloc outside contexts, without connections.
sub measure_at_rest
{
	my %now;

	$session->query('SELECT impilo_fdw_disconnect_all()');
	$now{open} = { open_in($session->pid) };
	$now{heap} = $session->query(
		'SELECT impilo_test_heap() - sum(total_bytes) FROM pg_backend_memory_contexts')
	  if $heap;
	return \%now;
}

# Returns the contexts that have grown.
sub differences
{
	my ($then, $now) = @_;
	my @lines;

	foreach my $name (sort keys %{ $now->{contexts} })
	{
		my ($before, $after) = map { $_->{contexts}{$name} // { count => 0, bytes => 0 } } $then, $now;

		push @lines, "$name: $before->{count} contexts of $before->{bytes} bytes, then $after->{count} of $after->{bytes}"
		  if $before->{count} != $after->{count} || $before->{bytes} != $after->{bytes};
	}
	return join "\n", @lines;
}

# the journal remembers a limited number of orders
sub keep_a_journal
{
	my ($life) = @_;
	my ($count, $bytes, @full);
	my $create = 'INSERT INTO impilo.orders (site_id, order_items) '
	  . 'SELECT 1, impilo_order_item(1000) FROM generate_series(1, %d)';

	foreach my $more (10_050, 500)
	{
		$session->query(sprintf $create, $more);
		$count = $session->query('SELECT count(*) FROM impilo_created_orders()');
		$bytes = $session->query(
			"SELECT used_bytes FROM pg_backend_memory_contexts WHERE name = 'impilo_fdw journal'");
		push @full, "$count orders, $bytes bytes";
	}
	like($full[0], qr/^10000 orders, \d+ bytes/, "$life: 10,000 orders are remembered");
	is($full[1], $full[0], "$life: the journal does not grow further");
	$session->query('SELECT impilo_forget_created_orders()');
	$api->ctl('reset');
	return;
}

sub live_a_life
{
	my ($life) = @_;
	my $start = time;
	my ($then, $now, $then_at_rest, $now_at_rest, $connections, $sockets, %grown);

	$session = session($node);
	($statements, $errors, $wrong, %states) = (0, 0, 0);
	my @served = map { sockets_of($_) } $api, $tls;

	# descriptors that the first use opens and keeps
	live([$prepare], ['SELECT count(*) FROM impilo.orders, secure.orders']);
	my $at_rest = measure_at_rest();

	for (my $round = 1; $round <= $warm_up || $statements < $statements_wanted; $round++)
	{
		live_a_round();
		$now = measure();
		note(sprintf 'round %d: %d statements, %d bytes in %d contexts, %d kB resident, %.1f s',
			$round, $statements, $now->{contexts}{all}{bytes}, $now->{contexts}{all}{count},
			$now->{resident} / 1024, time - $start);
		next if $round != $warm_up;
		$then = $now;
		$then_at_rest = measure_at_rest();
	}
	$connections = $session->query('SELECT count(*) FROM impilo_fdw_get_connections()');
	$sockets = { open_in($session->pid) }->{socket} - $at_rest->{open}{socket};
	$now_at_rest = measure_at_rest();

	note("$errors errors: " . join ', ', map { "$_ $states{$_}" } sort keys %states);
	cmp_ok($errors, '>', $statements / 2, "$life: most statements fail");
	is(join(' ', grep { !$states{$_} } @ways), '', "$life: statements fail in every way");
	is($wrong, 0, "$life: the statements between them return the right rows");

	%grown = (
		contexts => $now->{contexts}{all}{bytes} - $then->{contexts}{all}{bytes},
		resident => $now->{resident} - $then->{resident},
		$heap ? (heap => $now_at_rest->{heap} - $then_at_rest->{heap}) : ());
	note(join ', ', map { "$grown{$_} bytes more in $_" } sort keys %grown);
	cmp_ok($now->{contexts}{all}{count}, '<=', $then->{contexts}{all}{count},
		"$life: no memory context is added")
	  or diag(differences($then, $now));
	cmp_ok($grown{$_}, '<', $allowed{$_}, "$life: memory is flat: $_")
	  or diag(differences($then, $now))
	  foreach sort keys %grown;

	cmp_ok($sockets, '<=', $server{max_concurrency} * $connections,
		"$life: no more sockets than $connections connections");
	is_deeply($now_at_rest->{open}, $at_rest->{open}, "$life: closed connections leave no descriptor");
	keep_a_journal($life);
	$session->query('SELECT impilo_fdw_disconnect_all()');
	wait_until(
		sub { sockets_of($api) <= $served[0] && sockets_of($tls) <= $served[1] },
		'the end of all connections at the sandbox');
	pass("$life: closed connections leave no connection at the sandbox");
	$session->quit;
	return;
}

my $idle = session($node);

$idle->query('SELECT id FROM quiet.orders WHERE id = 1') foreach 1, 2;
my $since = time;
is($quiet->count('connections'), 1, 'two statements use one connection');

SKIP:
{
	skip 'the memory of a process cannot be seen here', 1
	  unless -r "/proc/$$/status" && -d "/proc/$$/fd";
	live_a_life($_ == 1 ? 'a session' : "session $_") foreach 1 .. ($ENV{SLOW} ? 10 : 1);
}

sleep 1 while time < $since + 31;
is($idle->query('SELECT id FROM quiet.orders WHERE id = 1'), '1', 'after a long pause a query works');
is($quiet->count('connections'), 2, 'it uses a new connection');
$idle->quit;

unlike(log_text($node), qr/PANIC|was terminated by signal/, 'nothing crashed');

done_testing();
