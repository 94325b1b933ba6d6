# Joins and arrays on the id take the route with fewer requests, and the
# lookups of a join go out together.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use JSON::PP ();

# 20 pages of 250
my $api = sandbox(orders => 5000);
my $node = cluster();
attach($node, $api);

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE few (n bigint, k bigint);
INSERT INTO few SELECT g, g * 30 FROM generate_series(1, 16) g;
CREATE TABLE repeated (n bigint, k integer, filler text);
INSERT INTO repeated SELECT g, g % 10 + 1, repeat('x', 100) FROM generate_series(1, 2000) g;
CREATE TABLE many (n bigint, k bigint);
INSERT INTO many SELECT g, g * 3 FROM generate_series(1, 1500) g;
CREATE TABLE grown (n bigint, k bigint) WITH (autovacuum_enabled = false);
INSERT INTO grown VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE gaps (n bigint, k numeric);
INSERT INTO gaps VALUES (1, 1), (2, NULL), (3, 700000), (4, 4.5), (5, 5), (6, 5);
CREATE TABLE kinds (n bigint, s smallint, i integer, b bigint);
INSERT INTO kinds VALUES (1, 1, 2, 3), (2, 4, 5, 6), (3, NULL, NULL, NULL);
CREATE TABLE empty (n bigint, k bigint);
CREATE TABLE paged (n bigint, k bigint);
INSERT INTO paged SELECT g, g FROM generate_series(1, 300) g;
ANALYZE few, repeated, many, grown, gaps, kinds, empty, paged;
INSERT INTO grown SELECT g, g FROM generate_series(4, 400) g;
SQL

# asks(NAME, SQL, LIMIT, OPTIONS): tests that a query returns the rows of plain
# tables with at most LIMIT requests in a new session; returns the plan
my $plain = session($node);
$plain->query(
	'CREATE TEMP TABLE orders AS SELECT id, current_status FROM impilo.orders; '
	  . 'CREATE TEMP TABLE order_items AS SELECT order_id, position, item_id FROM impilo.order_items; '
	  . 'ANALYZE');

sub asks
{
	my ($name, $sql, $limit, %option) = @_;
	my $session = session($node);
	my $expected = join "\n", sort split /\n/, $plain->query($sql);
	my $plan;

	is($plain->error->{sqlstate}, '00000', "$name: a valid query");
	$session->query("SET search_path = impilo, public; $_") foreach @{ $option{set} // [] }, 'SET jit = off';
	$api->ctl('log-reset');
	my $got = join "\n", sort split /\n/, $session->query($sql);
	my $requests = $api->count('requests');
	if ($option{any_rows})
	{
		is($got =~ tr/\n//, $expected =~ tr/\n//, "$name: the number of rows of plain tables");
	}
	else
	{
		is($got, $expected, "$name: the rows of plain tables");
	}
	cmp_ok($requests, '<=', $limit, "$name: at most $limit requests ($requests)");
	$plan = $session->query("EXPLAIN (COSTS OFF) $sql");
	like($plan, qr/Impilo Lookahead/, "$name: looks ahead") or diag($plan)
	  if $option{ahead};
	$session->quit;
	return $plan;
}

my @ahead = (ahead => 1);

#
# Few keys: one request for each, and one for the number of orders
#
asks('an inner join of 16 keys', 'SELECT n, id, current_status FROM few JOIN orders ON id = k', 17, @ahead);
asks('a left join', 'SELECT n, id FROM few LEFT JOIN orders ON id = k', 17, @ahead);
asks('a left join with a condition', 'SELECT n, id FROM few LEFT JOIN orders ON id = k AND n > 3', 17, @ahead);
asks('EXISTS', 'SELECT n FROM few WHERE EXISTS (SELECT FROM orders WHERE id = k)', 17, @ahead);
asks('NOT EXISTS', 'SELECT n FROM few WHERE NOT EXISTS (SELECT FROM orders WHERE id = k)', 17, @ahead);
asks('IN', 'SELECT id FROM orders WHERE id IN (SELECT k FROM few)', 17, @ahead);
asks('a child relation', 'SELECT n, position, item_id FROM few JOIN order_items ON order_id = k', 17, @ahead);
asks('two joins', 'SELECT n, position, item_id FROM few JOIN order_items i ON order_id = k LEFT JOIN orders o ON o.id = i.order_id', 38);
asks('stacked left joins', 'SELECT f.n, e.n, id FROM few f LEFT JOIN few e ON e.n = f.n + 5 LEFT JOIN orders ON id = e.k', 17);
asks('keys that are computed', 'SELECT n, id FROM few JOIN orders ON id = k + 1', 17, @ahead);
asks('LATERAL', 'SELECT n, x.id FROM few, LATERAL (SELECT id FROM orders WHERE id = k) x', 17, @ahead);
asks('an empty outer side', 'SELECT n, id FROM empty JOIN orders ON id = k', 1);

#
# Keys
#
asks('2,000 rows of 10 keys', 'SELECT n, id FROM repeated JOIN orders ON id = k', 11, @ahead);
asks('smallint, integer and bigint keys',
	"SELECT n, a.id, b.id, c.id FROM kinds LEFT JOIN orders a ON a.id = s LEFT JOIN orders b ON b.id = i LEFT JOIN orders c ON c.id = b", 7);
asks('numeric keys with gaps', 'SELECT n, id FROM gaps LEFT JOIN orders ON id = k', 21);
asks('IS NOT DISTINCT FROM', 'SELECT n, id FROM few LEFT JOIN orders ON id IS NOT DISTINCT FROM k', 17, @ahead);
asks('absent orders and NULL', 'SELECT n, id FROM gaps LEFT JOIN orders ON id = k::bigint WHERE n <> 4', 5);

#
# Many keys: the list
#
asks('1,500 keys', 'SELECT n, id FROM many JOIN orders ON id = k', 21);
my $plan = asks('400 keys where 3 are expected', 'SELECT n, id FROM grown JOIN orders ON id = k', 2 * 20 + 40);
asks('an array of 1,500 ids', 'SELECT id FROM orders WHERE id = ANY (ARRAY(SELECT k FROM many))', 21);
asks('an array of 16 ids', 'SELECT id FROM orders WHERE id = ANY (ARRAY(SELECT k FROM few))', 17);
asks('an array of 8 ids', 'SELECT id FROM orders WHERE id = ANY (ARRAY(SELECT k FROM few WHERE n <= 8))', 8);
asks('a cursor-like LIMIT', 'SELECT n, id FROM paged JOIN orders ON id = k LIMIT 5', 24, any_rows => 1);

#
# Lookups that orders read before can answer
#
asks('a correlated query in a scan of the list',
	'SELECT id, (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) FROM orders o', 20);

#
# The setting
#
unlike(asks('without lookahead', 'SELECT n, id FROM few JOIN orders ON id = k', 21,
		set => ['SET impilo_fdw.enable_lookahead = off']),
	qr/Lookahead/, 'impilo_fdw.enable_lookahead turns it off');

#
# Lookups that fail
#
my $session = session($node);
$api->ctl('fault', '{"path":"order/90","do":{"status":500}}');
$node->safe_psql('postgres', 'ALTER SERVER impilo OPTIONS (ADD max_retries \'0\')');
$session->query('SELECT n, id FROM few JOIN impilo.orders ON id = k');
is($session->error->{sqlstate}, 'HV00L', 'a lookup that fails is an error');
is($session->query('SELECT count(*) FROM (SELECT n, id FROM few LEFT JOIN impilo.orders ON id = k LIMIT 2) x'), '2',
	'... unless the join does not need it');
$api->ctl('nofault');

#
# A row that another transaction has changed: its order is not fetched again
#
my $writer = session($node);
$writer->query('BEGIN');
$writer->query('UPDATE few SET n = n WHERE k = 60');
$session->query('SELECT 1 FROM impilo.orders WHERE id = 1');
$api->ctl('log-reset');
$session->send('SELECT count(*) FROM (SELECT id FROM few JOIN impilo.orders ON id = k WHERE k < 100 FOR UPDATE OF few) x');
ok($node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM pg_locks WHERE NOT granted'),
	'a join waits for a row');
$writer->query('COMMIT');
is($session->wait, '3', '... and returns it');
is(scalar(grep { m{order/60$} } split /\n/, $api->log), 1, '... with one request for its order');
$writer->quit;

#
# The planner's request for the number of orders
#
$node->safe_psql('postgres', 'ALTER SERVER impilo OPTIONS (SET max_retries \'5\')');
foreach my $fault ('{"status":503}', '{"status":429}', '{"reset":"after"}')
{
	my $planner = session($node);

	$api->ctl('fault', qq({"path":"size=15\$","times":1,"do":$fault}));
	$api->ctl('log-reset');
	like($planner->query('EXPLAIN (COSTS OFF) SELECT n, id FROM few JOIN impilo.orders ON id = k'),
		qr/Impilo Lookahead/, "the planner continues if its request fails ($fault)");
	is($api->count('requests'), 1, '... it does not repeat the request');
	$planner->query('EXPLAIN SELECT n, id FROM few JOIN impilo.orders ON id = k');
	is($api->count('requests'), 1, '... the next statement does not repeat it either');
	$planner->quit;
	$api->ctl('nofault');
}

#
# Round trips of a full scan.  Requests that begin before the first of them is
# answered belong to one round trip.
#
sub round_trips
{
	my $log = JSON::PP::decode_json($api->ctl("log-json"));
	my @log = sort { $a->{start_ms} <=> $b->{start_ms} } @{ $log->{requests} };
	my ($trips, $end) = (0, -1);

	foreach my $request (@log)
	{
		next if $request->{start_ms} < $end;
		$trips++;
		$end = $request->{end_ms};
	}
	return $trips;
}

sub scans
{
	my ($schema, $orders, $fresh, $known) = @_;

	$api->config(latency_ms => 200);
	my $reader = session($node);
	foreach my $trips ($fresh, $known)
	{
		$api->ctl('log-reset');
		is($reader->query("SELECT count(*) FROM (SELECT id FROM $schema.orders OFFSET 0) o"), $orders,
			"a scan of $orders orders");
		cmp_ok(round_trips(), '<=', $trips, "... in $trips round trips");
	}
	$reader->quit;
	$api->ctl('reset');
	return;
}

scans('impilo', 5000, 4, 3);
$api->ctl('log-reset');
$session->query('SELECT id FROM impilo.orders LIMIT 5');
is($api->count('requests'), 1, 'LIMIT 5 is one request');

$api = sandbox(orders => 1000);
attach($node, $api, name => 'small');
scans('small', 1000, 2, 1);

done_testing();
