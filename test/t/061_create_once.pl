# Each way in which PostgreSQL could run a row again or drop it: exactly one order
# is created for each row that is reported, and none for other rows.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use Time::HiRes qw(time);

my $api = sandbox(orders => 20);
my $node = cluster('main', conf => "plan_cache_mode = force_generic_plan\n");
attach($node, $api, server => { reconcile_timeout => '0s', max_retries => 3 });

# Returns external id => number of orders, listed or not, for the ids with this
# prefix
sub created
{
	my ($prefix) = @_;
	my $dump = $api->ctl('dump', 'all');
	my %n;

	$n{$1}++ while $dump =~ /"(\Q$prefix\E[^"]*)"/g;
	return \%n;
}

sub once_each
{
	my ($prefix, $from, $to, $what) = @_;

	is_deeply(created($prefix), { map { ("$prefix$_" => 1) } $from .. $to },
		$what);
	return;
}

sub row
{
	my ($id) = @_;

	return "(patient_id, external_order_ids, order_items)"
	  . " VALUES (1, '{$id}', impilo_order_item(1000))";
}

sub rows
{
	my ($prefix, $from, $to) = @_;

	return "(patient_id, external_order_ids, order_items)"
	  . " SELECT i, ARRAY['$prefix' || i], impilo_order_item(1000)"
	  . " FROM generate_series($from, $to) i";
}

my $columns = 'patient_id bigint, external_order_ids text[], order_items jsonb';

$node->safe_psql('postgres', <<"SQL");
CREATE FOREIGN TABLE generated ($columns,
	email_label boolean GENERATED ALWAYS AS (true) STORED)
	SERVER impilo OPTIONS (relation 'orders', batch_size '3');
CREATE TABLE parted ($columns) PARTITION BY RANGE (patient_id);
CREATE FOREIGN TABLE part_remote PARTITION OF parted
	FOR VALUES FROM (1) TO (100)
	SERVER impilo OPTIONS (relation 'orders', batch_size '3');
CREATE TABLE part_local PARTITION OF parted FOR VALUES FROM (1000) TO (1001);
CREATE TABLE local (id int PRIMARY KEY, n int);
INSERT INTO local VALUES (1, 0);
SQL

#----------------------------------------------------------------------
# PostgreSQL's batches, from which ON CONFLICT DO NOTHING drops rows
#----------------------------------------------------------------------

foreach my $table ('generated', 'parted')
{
	$node->safe_psql('postgres', "INSERT INTO $table " . rows("$table-", 2, 4));
	my $error = psql_error($node,
		"INSERT INTO $table " . rows("$table-", 1, 12) . ' ON CONFLICT DO NOTHING');
	is($error->{sqlstate}, '00000', "$table: the rest is inserted");
	once_each("$table-", 1, 12, "$table: every row is created once");
}

# the same with RETURNING, in batches of the extension
$node->safe_psql('postgres',
	"ALTER SERVER impilo OPTIONS (ADD batch_size '3');"
	  . 'INSERT INTO impilo.orders ' . rows('direct-', 2, 4));
is($node->safe_psql('postgres',
		'WITH n AS (INSERT INTO impilo.orders ' . rows('direct-', 1, 12)
		  . ' ON CONFLICT DO NOTHING RETURNING *)'
		  . " SELECT string_agg(external_order_ids[1] || patient_id, ' ') FROM n"
		  . " WHERE order_items->0->'item'->>'id' = '1000'"),
	join(' ', map { "direct-$_$_" } 1, 5 .. 12),
	'direct: the new rows are returned, in their order');
once_each('direct-', 1, 12, 'direct: every row is created once');

# an empty external id is ignored: the second row does not repeat the first
$api->ctl('log-reset');
is(psql_error($node,
		'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES'
		  . " (1, '{\"\"}', impilo_order_item(1000)), (1, '{\"\"}', impilo_order_item(1001))"
		  . ' ON CONFLICT DO NOTHING')->{sqlstate},
	'23502', 'empty external ids do not name an order');
is($api->count('posts'), 0, 'nothing was sent');

#----------------------------------------------------------------------
# Statements that PostgreSQL stops reading, or runs in pieces
#----------------------------------------------------------------------

$node->safe_psql('postgres',
	'WITH n AS (INSERT INTO impilo.orders ' . rows('limit-', 1, 8)
	  . ' RETURNING id) SELECT id FROM n LIMIT 1');
once_each('limit-', 1, 8, 'LIMIT above the INSERT');

$node->safe_psql('postgres',
	'WITH n AS (INSERT INTO impilo.orders ' . rows('unread-', 1, 8)
	  . ' RETURNING id) SELECT 1');
once_each('unread-', 1, 8, 'the returned rows are not read');

$node->safe_psql('postgres', <<"SQL");
DO \$\$
DECLARE
	r record;
BEGIN
	FOR r IN INSERT INTO impilo.orders ${\ rows('loop-', 1, 8)} RETURNING id LOOP
		EXIT;
	END LOOP;
END \$\$
SQL
once_each('loop-', 1, 8, 'a loop that is left');

$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION make(prefix text) RETURNS SETOF bigint LANGUAGE sql AS
	\$\$ INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	SELECT i, ARRAY[prefix || i], impilo_order_item(1000)
	FROM generate_series(1, 8) i RETURNING id \$\$;
SELECT make('function-') LIMIT 1;
SQL
once_each('function-', 1, 8, 'a function of which one row is read');

my $prepared = join ";\n",
  "PREPARE one(int, text) AS INSERT INTO impilo.orders"
  . " (patient_id, external_order_ids, order_items)"
  . " VALUES (\$1, ARRAY[\$2], impilo_order_item(1000)) RETURNING id",
  map { "EXECUTE one($_, 'prepared-$_')" } 1 .. 12;
$node->safe_psql('postgres', $prepared);
once_each('prepared-', 1, 12, 'a generic plan');

#----------------------------------------------------------------------
# Rows that another session changes at the same time
#----------------------------------------------------------------------

# runs SQL while another session holds the row of "local", then lets it go
sub contended
{
	my ($sql) = @_;
	my $holder = session($node);
	my $waiter = session($node);

	$holder->query('BEGIN; UPDATE local SET n = n + 1 WHERE id = 1');
	$waiter->send($sql);
	wait_until(
		sub {
			$node->safe_psql('postgres',
				"SELECT count(*) FROM pg_locks WHERE NOT granted") > 0;
		},
		'a lock that is waited for');
	$holder->query('COMMIT');
	my $out = $waiter->wait;
	is($waiter->error->{sqlstate}, '00000', "ran: " . substr($sql, 0, 40));
	$_->quit foreach $holder, $waiter;
	return $out;
}

contended('WITH n AS (INSERT INTO impilo.orders ' . rows('recheck-', 1, 3)
	  . ' RETURNING id) UPDATE local SET n = n + (SELECT count(*) FROM n) WHERE id = 1');
once_each('recheck-', 1, 3, 'an UPDATE beside it is checked again');

contended('INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
	  . " SELECT id, ARRAY['locked-' || id], impilo_order_item(1000)"
	  . ' FROM local WHERE id = 1 FOR UPDATE');
once_each('locked-', 1, 1, 'rows that are locked on the way');

# an UPDATE does not move a row into the foreign partition, which would make it an order
$node->safe_psql('postgres',
	"INSERT INTO parted VALUES (1000, '{moved-1}', impilo_order_item(1000))");
my $holder = session($node);
my $mover = session($node);
$holder->query('BEGIN; UPDATE part_local SET order_items = impilo_order_item(1001)');
$mover->send("UPDATE parted SET patient_id = 2 WHERE patient_id = 1000");
wait_until(
	sub {
		$node->safe_psql('postgres',
			"SELECT count(*) FROM pg_locks WHERE NOT granted") > 0;
	},
	'a lock that is waited for');
$holder->query('COMMIT');
$mover->wait;
is($mover->error->{sqlstate}, '0A000', 'an UPDATE that would move a row is refused');
is_deeply(created('moved-'), {}, 'this UPDATE creates no order');

#----------------------------------------------------------------------
# Requests of a cancelled statement are not sent later
#----------------------------------------------------------------------

my $session = session($node);

$api->fault({ method => 'POST', body => 'queued-',
	do => { status => 429, retry_after => '1' } });
$session->send(<<"SQL");
DO \$\$
BEGIN
	INSERT INTO impilo.orders ${\ rows('queued-', 1, 5)};
EXCEPTION WHEN query_canceled THEN
	PERFORM count(*) FROM impilo.orders;
END \$\$
SQL
wait_until(sub { $api->log =~ /queued-/ }, 'the first request');
$session->cancel;
$session->wait;
is($session->error->{sqlstate}, '00000', 'the cancel was caught');
$api->fault;
$session->query('INSERT INTO impilo.orders ' . row('after-1'));
$session->query('SELECT pg_sleep(1.5)');
$session->query('INSERT INTO impilo.orders ' . row('after-2'));
is_deeply(created('queued-'), {}, 'a request that waited for its retry is not sent');
once_each('after-', 1, 2, 'the session continues');

#----------------------------------------------------------------------
# What a search must not conclude
#----------------------------------------------------------------------

# an order that the same session created a moment ago
$session->query('INSERT INTO impilo.orders ' . row('again-1'));
$api->fault({ method => 'POST', do => { status => 500 } });
$session->query('INSERT INTO impilo.orders ' . row('again-1'));
is($session->error->{sqlstate}, 'IU001',
	"an order of the session's last transaction is not taken for the next");
$api->fault;

# an unreadable list proves nothing
$api->fault(
	{ method => 'POST', times => 1, do => { status => 500, processed => \1 } },
	{ method => 'GET', do => { status => 400 } });
is(psql_error($node, 'INSERT INTO impilo.orders ' . row('unread_list-1'))->{sqlstate},
	'IU001', 'the list cannot be read: the outcome stays unknown');
$api->fault;
once_each('unread_list-', 1, 1, 'the order exists once');

# one order cannot be the response to two requests
$api->fault({ method => 'POST', body => 'both-',
	do => { status => 201, raw => '{"id":77777}', processed => \0 } });
is(psql_error($node, 'INSERT INTO impilo.orders ' . rows('both-', 1, 2))->{sqlstate},
	'IU001', 'two responses with one order');
$api->fault;

#----------------------------------------------------------------------
# Created, but not listed yet: ON CONFLICT DO NOTHING in the same session
#----------------------------------------------------------------------

my $skip = ' ON CONFLICT DO NOTHING';

# a second account of the same server
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE other;
GRANT USAGE ON SCHEMA impilo TO other;
GRANT SELECT, INSERT ON impilo.orders TO other;
CREATE USER MAPPING FOR other SERVER impilo OPTIONS (api_key 'other-key');
SQL

# orders that have the external id, in both accounts
sub everywhere
{
	my ($id) = @_;
	local $ENV{IMPILO_KEY};
	my $n = 0;

	foreach my $key ('sandbox-key', 'other-key')
	{
		$ENV{IMPILO_KEY} = $key;
		$n += grep { /"\Q$id\E"/ } split /\n/, $api->ctl('dump', 'all');
	}
	return $n;
}

sub in_session
{
	my ($sql, $sqlstate, $what) = @_;

	$session->query($sql);
	is($session->error->{sqlstate}, $sqlstate, $what);
	return $session->error;
}

$api->config(appear_after_ms => 600_000);
in_session('INSERT INTO impilo.orders ' . rows('lag-', 1, 3), '00000',
	'not listed: created');
$api->ctl('log-reset');
in_session('INSERT INTO impilo.orders ' . rows('lag-', 1, 3) . $skip, '00000',
	'not listed: skipped');
is($api->count('posts'), 0, 'not listed: nothing was sent');
in_session('INSERT INTO impilo.orders ' . rows('lag-', 2, 5) . $skip, '00000',
	'not listed: what is new is created');
once_each('lag-', 1, 5, 'not listed: each once');

# also if the transaction is rolled back
$session->query('BEGIN; INSERT INTO impilo.orders ' . rows('undone-', 1, 3) . '; ROLLBACK');
in_session('INSERT INTO impilo.orders ' . rows('undone-', 1, 4) . $skip, '00000',
	'rolled back, and run again');
once_each('undone-', 1, 4, 'rolled back, and run again: each once');
$api->fault({ method => 'POST', body => 'halted-7', do => { status => 400 } });
in_session('INSERT INTO impilo.orders ' . rows('halted-', 1, 9), 'IU002',
	'refused in the middle');
$api->fault;
in_session('INSERT INTO impilo.orders ' . rows('halted-', 1, 9) . $skip, '00000',
	'refused in the middle, and run again');
once_each('halted-', 1, 9, 'refused in the middle, and run again: each once');

# such an order counts like a listed one
like(in_session("INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)"
		  . " VALUES (9, '{lag-1}', impilo_order_item(1000))$skip",
		'23505', 'not listed, for somebody else')->{message},
	qr/^order \d+ has an external id of row 1, but another recipient/,
	'not listed, for somebody else: the order is named');

# orders of another account do not count
$session->query('SET ROLE other');
in_session('INSERT INTO impilo.orders ' . rows('lag-', 1, 3) . $skip, '00000',
	"an order of another account does not count");
is(everywhere('lag-1'), 2, 'each account has one order');
in_session('INSERT INTO impilo.orders ' . rows('lag-', 1, 3) . $skip, '00000',
	'each account is remembered');
is(everywhere('lag-1'), 2, 'each account is remembered: nothing was sent');
$session->query('RESET ROLE');

# the same account by another mapping
$session->query(<<'SQL');
CREATE ROLE twin;
GRANT USAGE ON SCHEMA impilo TO twin;
GRANT SELECT, INSERT ON impilo.orders TO twin;
CREATE USER MAPPING FOR twin SERVER impilo OPTIONS (api_key 'sandbox-key');
SET ROLE twin;
SQL
in_session('INSERT INTO impilo.orders ' . rows('lag-', 1, 5) . $skip, '00000',
	'another mapping with the same key');
is(everywhere('lag-5'), 1, 'another mapping with the same key: nothing was sent');
$session->query('RESET ROLE');

# a replaced key may belong to the same account or to another one
my $set_key = "ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key '%s')";

$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '1h')");
in_session('INSERT INTO impilo.orders ' . rows('lag-', 1, 5) . $skip, '00000',
	'other options, the same account');
$session->query(sprintf $set_key, 'other-key');
my $error = in_session('INSERT INTO impilo.orders ' . rows('lag-', 4, 6) . $skip,
	'IU001', 'another key in the same mapping');
like($error->{detail}, qr/^This session has created order \d+ for the same external ids with another API key/,
	'another key: the order is named');
like($error->{hint}, qr/impilo_forget_created_orders/, 'another key: the hint names impilo_forget_created_orders()');
is(everywhere('lag-6'), 0, 'another key: nothing was sent');
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '0s')");
$session->query('SELECT impilo_forget_created_orders()');
in_session('INSERT INTO impilo.orders ' . rows('lag-', 4, 6) . $skip, '00000',
	'another key, after impilo_forget_created_orders()');
is(everywhere('lag-4'), 2, 'another key, after that: created');
$session->query(sprintf $set_key, 'sandbox-key');

# another mapping of the same user may belong to the same account, too
my $remap = 'DROP USER MAPPING FOR %s SERVER impilo;'
  . " CREATE USER MAPPING FOR %s SERVER impilo OPTIONS (api_key '%s')";

in_session('INSERT INTO impilo.orders ' . row('mapped-1'), '00000', 'created');
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '1h')");
foreach my $whom ('PUBLIC', 'CURRENT_USER')
{
	$session->query(sprintf $remap, 'CURRENT_USER', $whom, 'other-key');
	in_session('INSERT INTO impilo.orders ' . rows('mapped-', 1, 2) . $skip,
		'IU001', "another mapping, for $whom");
	is(everywhere('mapped-2'), 0, "another mapping, for $whom: nothing was sent");
	$session->query(sprintf $remap, $whom, 'CURRENT_USER', 'sandbox-key');
}
in_session('INSERT INTO impilo.orders ' . row('mapped-1') . $skip, '00000',
	'another mapping with the key of before');
is(everywhere('mapped-1'), 1, 'another mapping with the key of before: skipped');

# the account of another user or of another server is another one
attach($node, $api, name => 'second', key => 'other-key',
	server => { reconcile_timeout => '1h' });
in_session('INSERT INTO impilo.orders ' . rows('apart-', 1, 2), '00000', 'created');
$session->query('SET ROLE other');
in_session('INSERT INTO impilo.orders ' . row('apart-1') . $skip, '00000',
	"another user's account");
$session->query('RESET ROLE');
in_session('INSERT INTO second.orders ' . rows('apart-', 2, 2) . $skip, '00000',
	"another server's account");
is(everywhere("apart-$_"), 2, "apart-$_: each account has its own") foreach 1, 2;
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '0s')");

# impilo_forget_created_orders() forgets unknown outcomes only
my $lag_1 = created('lag-')->{'lag-1'};
in_session('SELECT impilo_forget_created_orders();'
	  . 'INSERT INTO impilo.orders ' . rows('lag-', 1, 1) . $skip, '00000',
	'an order that is known to exist, after impilo_forget_created_orders()');
is(created('lag-')->{'lag-1'}, $lag_1, 'still counts');

# an unknown outcome: the list proves nothing
$api->fault({ method => 'POST', do => { hang => \1, processed => \1 } });
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '1h')");
$session->send('INSERT INTO impilo.orders ' . rows('unsettled-', 1, 2));
wait_until(sub { created('unsettled-')->{'unsettled-2'} }, 'two orders');
$session->cancel;
$session->wait;
$api->fault;
$api->ctl('log-reset');
$error = in_session('INSERT INTO impilo.orders ' . rows('unsettled-', 2, 3) . $skip,
	'IU001', 'unknown, and not listed');
like($error->{message}, qr/^cannot determine whether the order of row 1 already exists/,
	'unknown, and not listed: the row is named');
is($api->count('posts'), 0, 'unknown, and not listed: nothing was sent');
in_session('INSERT INTO impilo.orders ' . rows('unsettled-', 3, 3) . $skip, '00000',
	'unknown: other rows may be inserted');
in_session("INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)"
	  . " VALUES (9, '{unsettled-1}', impilo_order_item(1000))$skip",
	'00000', 'unknown: and somebody else may have the id');
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '0s')");
in_session('INSERT INTO impilo.orders ' . rows('unsettled-', 2, 2) . $skip, 'IU001',
	'unknown, and not listed when reconcile_timeout is over');
$session->query('SELECT impilo_forget_created_orders()');
in_session('INSERT INTO impilo.orders ' . rows('unsettled-', 2, 2) . $skip, '00000',
	'unknown, after impilo_forget_created_orders()');
is(created('unsettled-')->{'unsettled-2'}, 2, 'unknown: the order is created then');

# a listed order is skipped at once
$api->config(appear_after_ms => undef);
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '1h')");
$api->fault({ method => 'POST', do => { hang => \1, processed => \1 } });
$session->send('INSERT INTO impilo.orders ' . rows('seen-', 1, 2));
wait_until(sub { created('seen-')->{'seen-2'} }, 'two orders');
$session->cancel;
$session->wait;
$api->fault;
in_session('INSERT INTO impilo.orders ' . rows('seen-', 1, 3) . $skip, '00000',
	'unknown, and listed');
once_each('seen-', 1, 3, 'unknown, and listed: each once');
$session->query("ALTER SERVER impilo OPTIONS (SET reconcile_timeout '0s')");

# the external ids as sent count, too: the API can store them in another form
my $id = $session->query('INSERT INTO impilo.orders ' . row('renamed-1') . ' RETURNING id');
$api->ctl('replace', $id,
	qq({"id":$id,"patient":{"id":1},"externalOrderIds":["named-1"]}));
in_session('INSERT INTO impilo.orders ' . row('renamed-1') . $skip, '00000',
	'an order that is listed with another id');
is_deeply(created('renamed-'), {}, 'is not created again');

# the INSERT, not the commit, decides which role owns the orders
$session->query(<<"SQL");
CREATE FOREIGN TABLE at_commit ($columns) SERVER impilo
	OPTIONS (relation 'orders', post_at 'commit');
CREATE ROLE clerk;
GRANT INSERT ON at_commit TO clerk;
CREATE USER MAPPING FOR clerk SERVER impilo OPTIONS (api_key 'sandbox-key');
SELECT impilo_forget_created_orders();
BEGIN;
SET ROLE clerk;
INSERT INTO at_commit ${\ row('clerk-1')};
RESET ROLE;
COMMIT;
SQL
is($session->query("SELECT count(*) FROM impilo_created_orders();"
		  . ' SET ROLE clerk; SELECT count(*) FROM impilo_created_orders(); RESET ROLE'),
	"0\n1", "orders of a commit are listed for the role that inserted");

#----------------------------------------------------------------------
# After an order was created, no error of the extension invites a retry
#----------------------------------------------------------------------

my %after = (
	'a query' => 'SELECT * FROM impilo.orders',
	'a count' => 'SELECT count(*) FROM impilo.orders',
	'a look-up' => 'SELECT * FROM impilo.orders WHERE id = 1',
	'ON CONFLICT' => 'INSERT INTO impilo.orders ' . row('retry-2')
	  . ' ON CONFLICT DO NOTHING');

foreach my $what (sort keys %after)
{
	$session->query('BEGIN; INSERT INTO impilo.orders ' . row("retry $what"));
	$api->fault({ method => 'GET', do => { reset => 'before' } });
	$session->query($after{$what});
	unlike($session->error->{sqlstate}, qr/^(00|08|40|53|57)/,
		"$what that loses its connection");
	$session->query('ROLLBACK');
	$api->fault;
}
$session->query($after{'a query'});
is($session->error->{sqlstate}, '00000', 'the session continues');
$api->fault({ method => 'GET', do => { reset => 'before' } });
$session->query($after{'a query'});
like($session->error->{sqlstate}, qr/^08/,
	'without an order of the transaction, the error may be retried');
$api->fault;

done_testing();
