# A whole account: exact numbers of 10,000 orders, definitions after pg_dump and
# restore, and a standby, which reads and never creates.
#
# test/sandbox/generate.h has the formulas for the numbers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $orders = 10_000;
my $api = sandbox(orders => $orders);
my $node = PostgreSQL::Test::Cluster->new('primary');

$node->init(allows_streaming => 1);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION impilo_fdw');
attach($node, $api);

sub value
{
	my ($sql, $of) = @_;

	return ($of // $node)->safe_psql('postgres', $sql);
}

# --- every order, exactly ------------------------------------------------

my $sum = $orders * ($orders + 1) / 2;

is(value('SELECT count(*), count(DISTINCT id) FROM impilo.orders'),
	"$orders|$orders", 'every order is returned once');
is( value("SELECT sum(id) = $sum + 10 * 9007199254740993::numeric FROM impilo.orders"),
	't', 'ids add up, beyond 2^53 too');
is(value('SELECT count(*), sum(count) FROM impilo.order_items'),
	6 * $orders / 4 . '|' . 90 * $orders / 20, 'items add up');
is( value(
		'SELECT count(*), min(c), max(c) FROM (SELECT count(*) AS c FROM impilo.orders GROUP BY current_status) s'
	),
	'8|1250|1250',
	'each status has its share');
is( value(
		'INSERT INTO impilo.orders (site_id, order_kits) VALUES (7, impilo_order_kit(1000)) RETURNING id'
	),
	$orders + 1,
	'an order is created');
is(value("SELECT site_id, current_status FROM impilo.orders WHERE id = $orders + 1"),
	'7|created', 'the next SELECT returns it');
is(value('SELECT count(*) FROM impilo.orders WHERE site_id IS NOT NULL'),
	$orders / 5 + 1, 'the list contains it');

# --- pg_dump and back ------------------------------------------------------

sub dump_of
{
	my ($database) = @_;
	my ($out, $error);

	IPC::Run::run [
		'pg_dump', '--schema-only', '-d', $node->connstr($database)
	  ],
	  '>', \$out, '2>', \$error
	  or die $error;
	$out =~ s/^\\(?:un)?restrict .*$//mg;    # a random word
	return $out;
}

$node->safe_psql('postgres', <<'SQL');
SELECT impilo_comment_tables('impilo');
CREATE FOREIGN TABLE impilo.cities (
	id bigint,
	city varchar(80) OPTIONS (json_pointer '/patient/address/city', on_invalid 'null')
) SERVER impilo OPTIONS (relation 'orders', fetch_size '100', post_at 'never');
SQL

my $dump = dump_of('postgres');

$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('restored', $dump);
is(dump_of('restored'), $dump, 'restored definitions are the same');
ok($dump =~ m{json_pointer '/patient/address/city',\s+on_invalid 'null'},
	'the dump contains column options');
is($node->safe_psql('restored', 'SELECT id, city FROM impilo.cities WHERE id = 42'),
	$node->safe_psql('postgres', 'SELECT id, city FROM impilo.cities WHERE id = 42'),
	'the restored table reads the same');

# --- a standby -------------------------------------------------------------

$node->backup('copy');

my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');

is(value('SELECT current_status FROM impilo.orders WHERE id = 42', $standby),
	value('SELECT current_status FROM impilo.orders WHERE id = 42'),
	'a standby reads');

my $posts = $api->count('posts');
my $error = psql_error($standby,
	'INSERT INTO impilo.orders (site_id, order_kits) VALUES (7, impilo_order_kit(1000))');

is($error->{sqlstate}, '25006', 'a standby does not create');
is($api->count('posts'), $posts, 'a standby sends no request that creates');

$standby->promote;
is( value(
		'INSERT INTO impilo.orders (site_id, order_kits) VALUES (7, impilo_order_kit(1000)) RETURNING id',
		$standby),
	$orders + 2,
	'a promoted standby creates');

$standby->stop;
$node->stop;
done_testing();
