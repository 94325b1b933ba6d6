# The mirror beyond one server: a hot standby, logical replication, postgres_fdw,
# a role without superuser rights, and pg_cron.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 300);
my $share = `pg_config --sharedir`;
chomp $share;
my $pg_cron = -f "$share/extension/pg_cron.control";
my $node = cluster('primary',
	conf => "wal_level = logical\nmax_wal_senders = 5\n"
	  . ($pg_cron ? "shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on\n" : ''));

# A role without superuser rights owns server, mapping and mirror.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE reports LOGIN;
GRANT CREATE ON DATABASE postgres TO reports;
GRANT USAGE ON FOREIGN DATA WRAPPER impilo_fdw TO reports;
GRANT EXECUTE ON FUNCTION impilo_create_mirror, impilo_refresh_mirror, impilo_mirror_status,
	impilo_apply_webhook, impilo_upgrade_mirror, impilo_drop_mirror TO reports;
SQL
my $base_url = $api->url . '/api/v3';
my $reports = session($node, user => 'reports');
$reports->query(<<"SQL");
CREATE SERVER impilo FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url '$base_url');
CREATE USER MAPPING FOR reports SERVER impilo OPTIONS (api_key 'sandbox-key');
CREATE SCHEMA impilo;
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO impilo;
SELECT impilo_create_mirror('impilo', 'mirror')
SQL
is($reports->query(q(SELECT complete, new_orders FROM impilo_refresh_mirror('mirror'))),
	't|300', 'a role without superuser rights creates and refreshes a mirror');
is($node->safe_psql('postgres', q(SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'mirror'::regnamespace)),
	'reports', 'this role owns all objects of the mirror');

my $sums = q(SELECT (SELECT md5(string_agg(o::text, '' ORDER BY id)) FROM mirror.orders o),
	(SELECT md5(string_agg(i::text, '' ORDER BY order_id, position)) FROM mirror.order_items i),
	(SELECT count(*) FROM mirror.order_packed_kit_devices));

# pg_cron refreshes a mirror of another account.  Its first run is at the next
# full minute: the result is checked at the end.
my $cron_api = sandbox(orders => 4);
my $cron_url = $cron_api->url . '/api/v3';
if ($pg_cron)
{
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO reports');
	$reports->query(<<"SQL");
CREATE SERVER cron FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url '$cron_url');
CREATE USER MAPPING FOR reports SERVER cron OPTIONS (api_key 'sandbox-key');
SELECT impilo_create_mirror('cron', 'cron_mirror');
SELECT cron.schedule('mirror', '* * * * *', \$\$SELECT impilo_refresh_mirror('cron_mirror', wait => false)\$\$)
SQL
}

# A hot standby reads the mirror; it cannot refresh it.
$node->backup('standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'standby', has_streaming => 1);
$standby->start;
$api->ctl('generate', 5);
is($reports->query(q(SELECT complete, new_orders FROM impilo_refresh_mirror('mirror'))), 't|5', 'new orders on the primary');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $sums), $node->safe_psql('postgres', $sums), 'a standby has the rows of the mirror');
is($standby->safe_psql('postgres', q(SELECT orders FROM impilo_mirror_status('mirror'))), 305, 'a standby has the status of the mirror');
is(psql_error($standby, q(SELECT impilo_refresh_mirror('mirror')))->{sqlstate}, '25006', 'a standby cannot refresh the mirror');
$standby->stop;

# Logical replication: the table is published, the subscriber creates the views.
my $other = cluster('subscriber');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/order_data.sql';
$node->command_ok(
	[ 'pg_dump', '--schema-only', '--no-owner', '-t', 'mirror.order_data', '-f', $dump, '-d', $node->connstr('postgres') ],
	'the definition of order_data');
$node->safe_psql('postgres', 'CREATE PUBLICATION mirror FOR TABLE mirror.order_data');
$other->safe_psql('postgres', 'CREATE SCHEMA mirror');
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $other->connstr('postgres') ], 'is created');
$other->safe_psql('postgres', q(SELECT impilo_upgrade_mirror('mirror')));
my $connection = sprintf 'host=%s port=%d dbname=postgres', $node->host, $node->port;
$other->safe_psql('postgres', "CREATE SUBSCRIPTION mirror CONNECTION '$connection' PUBLICATION mirror");
$other->wait_for_subscription_sync($node, 'mirror') if $other->can('wait_for_subscription_sync');
$api->ctl('generate', 3);
$api->ctl('replace', 304, '{"id":304,"currentStatus":"shipped"}');
is($reports->query(q(SELECT complete, new_orders, changed_orders FROM impilo_refresh_mirror('mirror'))), 't|3|1', 'changes');
wait_until(sub { $other->safe_psql('postgres', $sums) eq $node->safe_psql('postgres', $sums) }, 'the subscriber');
pass('a subscriber has the rows of the mirror');
like(psql_error($other, 'DELETE FROM mirror.orders')->{message}, qr/cannot write to mirror/, 'a subscriber refuses other writes');

# Another PostgreSQL reads foreign tables and mirror through postgres_fdw.
my ($host, $port) = ($node->host, $node->port);
$other->safe_psql('postgres', <<"SQL");
CREATE EXTENSION postgres_fdw;
CREATE SERVER primary_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER primary_server OPTIONS (user 'reports', password_required 'false');
CREATE SCHEMA far;
CREATE SCHEMA far_mirror;
IMPORT FOREIGN SCHEMA impilo LIMIT TO (orders) FROM SERVER primary_server INTO far;
IMPORT FOREIGN SCHEMA mirror LIMIT TO (orders, order_items) FROM SERVER primary_server INTO far_mirror;
SQL
$api->ctl('log-reset');
is($other->safe_psql('postgres', 'SELECT id FROM far.orders WHERE id = 42'), 42, 'an order through postgres_fdw');
is($api->log, "GET /api/v3/order/42\n", 'an order through postgres_fdw is one request');
is($other->safe_psql('postgres', 'SELECT count(*) FROM far_mirror.orders'), 308, 'the mirror through postgres_fdw');
is($other->safe_psql('postgres', 'SELECT sum(count) FROM far_mirror.order_items'),
	$node->safe_psql('postgres', 'SELECT sum(count) FROM mirror.order_items'), 'a view of the mirror through postgres_fdw');
my $insert = q(INSERT INTO far.orders (patient_id, external_order_ids, order_items)
	VALUES (5, '{far_1}', '[{"item":{"id":1000},"count":1}]') RETURNING external_order_ids);
like(psql_error($other, $insert)->{message}, qr/REPEATABLE READ|repeat/i,
	'INSERT through postgres_fdw is refused, as its transactions may be repeated');
$reports->query(q(ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD post_at 'statement')));
is($other->safe_psql('postgres', $insert), '{far_1}', "INSERT through postgres_fdw is accepted if the foreign table has post_at 'statement'");
is($api->count('posts'), 1, 'INSERT through postgres_fdw creates the order once');

SKIP:
{
	skip 'pg_cron is not installed', 2 unless $pg_cron;

	local $ImpiloTest::PATIENCE = 90;
	wait_until(sub { $node->safe_psql('postgres', q(SELECT count(*) FROM cron.job_run_details WHERE end_time IS NOT NULL)) > 0 },
		'the job');
	is($node->safe_psql('postgres', q(SELECT DISTINCT username || ' ' || status FROM cron.job_run_details WHERE end_time IS NOT NULL)),
		'reports succeeded', 'pg_cron refreshes a mirror as its owner');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM cron_mirror.orders'), 4, 'the mirror that pg_cron refreshes has the orders');
}

done_testing();
