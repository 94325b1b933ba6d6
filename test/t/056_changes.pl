# The effect of changing a server or a user mapping on following and on running
# statements, one change at a time.  057_many_sessions.pl does the same with
# fifty sessions at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use PostgreSQL::Test::Cluster;

my $api = sandbox(orders => 60);
my $other = sandbox(orders => 50);

# the second account's key is not valid there
$other->fault({ key => 'other-key', do => { status => 401 } });
my $node = PostgreSQL::Test::Cluster->new('primary');

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'impilo_fdw'
log_error_verbosity = verbose
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION impilo_fdw');
attach($node, $api, server => { fetch_size => 10, max_retries => 0 });
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE impilo.at_commit (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
CREATE ROLE reader;
GRANT USAGE ON SCHEMA impilo TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA impilo TO reader;
SQL

# Returns the account that a statement read, by its number of orders and lowest id.
my $read = 'SELECT count(id), min(id) FROM impilo.orders';
my %account = ('60|1' => 'first', '40|5000000001' => 'second', '50|1' => 'other server');
my $ddl = session($node);
my $session = session($node);

sub seen
{
	my ($sql) = @_;
	my $answer = $session->query($sql // $read);
	my $state = $session->error->{sqlstate};

	return $state eq '00000' ? $account{$answer} // $answer : $state;
}

sub change
{
	my ($sql) = @_;

	$ddl->query($sql);
	is($ddl->error->{sqlstate}, '00000', $sql);
	return;
}

sub key
{
	my ($key) = @_;

	return change("ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key '$key')");
}

sub address
{
	my ($of) = @_;

	return change("ALTER SERVER impilo OPTIONS (SET base_url '" . $of->url . "/api/v3')");
}

#----------------------------------------------------------------------
# The next statement
#----------------------------------------------------------------------

$session->query('SET plan_cache_mode = force_generic_plan; '
	  . "PREPARE p AS $read; "
	  . 'CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS '
	  . "\$\$ BEGIN RETURN (SELECT count(id) || '|' || min(id) FROM impilo.orders); END \$\$");

# A prepared plan and that of a function do not process invalidation messages, as
# the transaction already holds their locks.
foreach my $begin ('', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ')
{
	foreach my $sql ($read, 'EXECUTE p', 'SELECT f()')
	{
		my $where = ($begin || 'no transaction') . ", $sql";

		$session->query($begin) if $begin;
		is(seen($sql), 'first', $where);
		key('other-key');
		is(seen($sql), 'second', "$where: another key");
		address($other);
		is(seen($sql), '28000', "$where: another address");
		key('sandbox-key');
		$session->query("ROLLBACK; $begin") if $begin;
		is(seen($sql), 'other server', "$where: the other server, with another key");
		address($api);
		is(seen($sql), 'first', "$where: and back");
		$session->query('COMMIT') if $begin;
	}
}

my $insert = 'INSERT INTO impilo.orders (site_id, order_items) VALUES (1, impilo_order_item(1000))';

foreach (
	[ "ADD updatable 'false'", 'DROP updatable', '55000', 0 ],
	[ "ADD post_at 'never'", 'DROP post_at', '00000', 0 ])
{
	my ($set, $reset, $state, $posts) = @$_;

	$session->query("PREPARE i AS $insert; BEGIN; SAVEPOINT s; SELECT count(*) FROM impilo.orders WHERE false");
	$session->query("EXPLAIN EXECUTE i; LOCK TABLE pg_class IN ACCESS SHARE MODE; EXPLAIN $insert");
	change("ALTER SERVER impilo OPTIONS ($set)");
	foreach my $sql ('EXECUTE i', $insert)
	{
		my $before = $api->count('posts');

		$session->query("SAVEPOINT t; $sql");
		is($session->error->{sqlstate}, $state, "$set, in a transaction: $sql");
		is($api->count('posts') - $before, $posts, 'no request that creates is sent');
		$session->query('ROLLBACK TO t');
	}
	$session->query('ROLLBACK; DEALLOCATE i');
	change("ALTER SERVER impilo OPTIONS ($reset)");
}

# A new key is never sent to an old address, and an old key never to a new one:
# here a session has read the server, but not the mapping, when both change.
change("CREATE USER MAPPING FOR reader SERVER impilo OPTIONS (api_key 'revoked-key')");
$session->quit;
$session = session($node);
$session->query("SET search_path = ''; SET plan_cache_mode = force_generic_plan; PREPARE p AS $read; EXECUTE p;"
	  . " SELECT has_table_privilege('reader', 'impilo.orders', 'SELECT');"
	  . ' SET ROLE reader; RESET ROLE; BEGIN; EXECUTE p');
$ddl->query("BEGIN; ALTER SERVER impilo OPTIONS (SET base_url '" . $other->url . "/api/v3');"
	  . " ALTER USER MAPPING FOR reader SERVER impilo OPTIONS (SET api_key 'sandbox-key'); COMMIT");
$api->ctl('log-reset');
is(seen('SET LOCAL ROLE reader; EXECUTE p'), 'other server', 'a new key goes to the new address');
is($api->ctl('log'), '', 'a new key does not go to the old address');
$session->query('ROLLBACK');
$session->query('RESET search_path');
change('DROP USER MAPPING FOR reader SERVER impilo');
address($api);

# a change by the session itself, and its rollback
$session->query('BEGIN; SAVEPOINT s');
is(seen(), 'first', 'before the change of the session');
$session->query("ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'other-key')");
is(seen(), 'second', 'after the change of the session');
$session->query('ROLLBACK TO s');
is(seen(), 'first', 'after ROLLBACK TO the old key is used');
$session->query("ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'other-key'); "
	  . 'SELECT id FROM impilo.orders LIMIT 1; ROLLBACK');
is(seen(), 'first', 'after ROLLBACK the old key is used');

#----------------------------------------------------------------------
# The statement that is running
#----------------------------------------------------------------------

my $rows = 'DECLARE c CURSOR FOR SELECT id FROM impilo.orders';

$session->query("BEGIN; $rows");
is($session->query('FETCH 1 FROM c'), '1', 'a cursor is open');
key('other-key');
is(seen(), 'second', 'another statement uses the new key');
is(scalar(split /\n/, $session->query('FETCH 30 FROM c')), 30, 'the cursor continues with the old key');
change('DROP USER MAPPING FOR CURRENT_USER SERVER impilo');
is(scalar(() = $session->query('FETCH ALL FROM c') =~ /^\d{1,2}$/mg), 29, 'the cursor continues to its end without a mapping');
is(seen(), '42704', 'another statement has no mapping');
$session->query('ROLLBACK');
change("CREATE USER MAPPING FOR PUBLIC SERVER impilo OPTIONS (api_key 'other-key')");
is(seen(), 'second', 'the mapping of PUBLIC');
change("CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key')");
is(seen(), 'first', 'the mapping of the user precedes that of PUBLIC');
$session->query("BEGIN; $rows; SET LOCAL ROLE reader");
is(seen(), 'second', 'another role has another account in the same session');
is($session->query('FETCH 1 FROM c'), '1', 'a cursor uses the key of the role that declared it');
$session->query('RESET ROLE');
is(seen(), 'first', 'the first account is used again');
$session->query('COMMIT');
change('DROP USER MAPPING FOR PUBLIC SERVER impilo');
is(seen("SET ROLE reader; $read; RESET ROLE"), '42704', 'a role whose mapping was dropped has no mapping');
$session->query('RESET ROLE');

# orders that wait for the commit go to the account of their INSERT
$session->query('BEGIN; INSERT INTO impilo.at_commit (patient_id, external_order_ids, order_items)'
	  . " VALUES (1, '{kept}', impilo_order_item(1000))");
key('other-key');
$session->query('COMMIT');
is($session->error->{sqlstate}, '00000', 'an order is created at the commit');
like($api->ctl('dump'), qr/"kept"/, 'it is in the account of the INSERT');
key('sandbox-key');
$api->ctl('reset');

# All relations of a statement are of one account, also if the key changes while
# the executor starts.  Before 18 partitions are pruned between the first scan and
# the last: there a function can wait for the change.
SKIP:
{
	skip 'partitions are pruned before all scans', 2 if $node->pg_version >= 18;
	$session->query(<<'SQL');
CREATE TABLE parts (id bigint) PARTITION BY LIST (id);
CREATE TABLE part0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
CREATE FUNCTION wait() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM pg_advisory_lock(1);
	PERFORM pg_advisory_unlock(1);
	RETURN 7;
END $$;
SQL
	# the planner calls it, too, except in the second run
	$session->query('PREPARE two AS SELECT (SELECT min(id) FROM impilo.orders),'
		  . ' (SELECT count(*) FROM parts WHERE id = wait()),'
		  . ' (SELECT max(id) FROM impilo.orders); EXECUTE two');
	$ddl->query('SELECT pg_advisory_lock(1)');
	$session->send('EXECUTE two');
	wait_until(
		sub {
			$node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
		},
		'the lock');
	key('other-key');
	$ddl->query('SELECT pg_advisory_unlock(1)');
	is($session->wait, '1|0|60', 'a change between two scans of a statement does not affect it');
	is(seen(), 'second', 'the next statement uses the new key');
	key('sandbox-key');
}

#----------------------------------------------------------------------
# A standby
#----------------------------------------------------------------------

$node->backup('copy');

my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');
$session->quit;
$session = session($standby);
$session->query('BEGIN');
is(seen(), 'first', 'a standby reads');
key('other-key');
$node->wait_for_catchup($standby, 'replay');
is(seen(), 'second', 'a standby uses the new key after replaying the change');
key('sandbox-key');
$node->wait_for_catchup($standby, 'replay');
$session->query("ROLLBACK; BEGIN; $rows; FETCH 5 FROM c");

my $posts = $api->count('posts');

$session->query("SAVEPOINT s; $insert");
is($session->error->{sqlstate}, '25006', 'a standby does not create');
$session->query('ROLLBACK TO s');
$standby->promote;
is(scalar(split /\n/, $session->query('FETCH ALL FROM c')), 55, 'a cursor continues across a promotion');
$session->query($insert);
is($session->error->{sqlstate}, '25006', 'a transaction from before the promotion does not create');
$session->query('ROLLBACK');
is($api->count('posts'), $posts, 'no request that creates was sent until now');
$session->query($insert);
is($session->error->{sqlstate}, '00000', 'the same session creates in the next transaction');
is($api->count('posts'), $posts + 1, 'once');
is(seen('SELECT count(*) FROM impilo.orders'), '61', 'it reads the order that it created');

unlike(log_text($_), qr/PANIC|was terminated by signal|TRAP:/, $_->name . ': no backend died')
  foreach $node, $standby;
$session->quit;
$ddl->quit;
$standby->stop;
$node->stop;
done_testing();
