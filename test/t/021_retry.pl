# Requests are retried if a retry can help, and only then.  Connections are
# reused, limits are respected, and accounts do not share connections.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use JSON::PP ();

my $api = sandbox(orders => 1000);
my $node = cluster();
attach($node, $api, server => { max_retries => 3 });
my $s = session($node);
my $scan = 'SELECT count(*), sum(id) FROM (SELECT id FROM impilo.orders OFFSET 0) o';
my $all = '1000|9007199255241493';

sub fresh
{
	$api->ctl('reset');
	$s->query('DISCARD PLANS');
	return;
}

# Temporary errors are retried.  Fails if a status is not, or counts as final.
foreach my $status (408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 529)
{
	fresh();
	$api->fault({ path => 'order', page => 2, times => 2, do => { status => $status } });
	is($s->query($scan), $all, "$status twice on a page");
	is($api->count('requests'), 6, "$status: six requests");
	$api->fault({ path => 'order/*', times => 1, do => { status => $status } });
	is($s->query('SELECT id FROM impilo.orders WHERE id = 5'), 5, "$status on an order");
}
foreach my $lost ({ reset => 'before' }, { reset => 'after' }, { close => JSON::PP::true() }, { cut_body => 100 }, { chunked_cut => 1000 })
{
	my ($how) = %$lost;

	fresh();
	$api->fault({ path => 'order', page => 3, times => 1, do => $lost });
	is($s->query($scan), $all, "a connection lost: $how $lost->{$how}")
	  or diag($s->error->{message});
}

# Retries have limits.  Fails if max_retries is ignored, or if a request is
# retried although a retry cannot help.
fresh();
$api->fault({ path => 'order', page => 2, do => { status => 503 } });
is($s->query($scan), '', 'a page that always fails: no rows');
is($s->error->{sqlstate}, 'HV00L', 'a page that always fails is an error');
like($s->error->{detail}, qr/page=2.*503, after 4 attempts/, 'the detail has the number of attempts');
is(() = $api->log =~ /page=2&/g, 4, 'the server received as many requests');
# An API may refuse the page of size 1 that count(*) requests, with status 400:
# then the list is read, all of its pages at once as their number is known.
my %requests = (400 => 5);
foreach my $status (400, 401, 403, 404, 410, 501, 505)
{
	fresh();
	$api->fault({ path => 'order', page => 1, do => { status => $status } });
	$s->query('SELECT count(*) FROM impilo.orders');
	isnt($s->error->{sqlstate}, '00000', "$status is an error");
	like($s->error->{detail}, qr/page=1&.*HTTP status $status/, "$status: the detail names page 1");
	is($api->count('requests'), $requests{$status} // 1, "$status is not retried");
}
fresh();
$api->fault({ path => 'order', do => { status => 429 } });
$s->query('SELECT count(*) FROM impilo.orders');
is($s->error->{sqlstate}, '53400', '429 to every request is an error');

# Retry-After, as seconds and as a date.  Fails if the client does not wait.
foreach my $form (sub { '1' }, sub { HTTP_date(time + 2) })
{
	fresh();
	my $after = $form->();
	$api->fault({ path => 'order', page => 1, times => 1, do => { status => 503, retry_after => $after } });
	my $took = elapsed(sub { is($s->query('SELECT count(*) FROM impilo.orders'), 1000, "Retry-After: $after") });
	cmp_ok($took, '>=', 0.9, 'Retry-After is waited for');
}
# A Retry-After whose microseconds exceed 64 bits is not taken for a short one.
foreach my $after ('18446744073710', '9000000000000000')
{
	fresh();
	$api->fault({ path => 'order', page => 1, do => { status => 503, retry_after => $after } });
	my $took = elapsed(sub { $s->query('SELECT count(*) FROM impilo.orders') });
	is($s->error->{sqlstate}, 'HV00L', "Retry-After: $after is an error");
	is($api->count('requests'), 1, "Retry-After: $after is an error after one request");
	cmp_ok($took, '<', 5, 'at once');
}
# A Retry-After that is longer than a statement waits is an error.  It holds back
# later statements of the session until impilo_fdw_disconnect ends the pause.
fresh();
$api->fault({ path => 'order', do => { status => 429, retry_after => '3000' } });
my $took = elapsed(sub { $s->query('SELECT count(*) FROM impilo.orders') });
is($s->error->{sqlstate}, '53400', 'a long Retry-After is an error');
like($s->error->{detail}, qr/retry after 3000 s/, 'the detail states the time');
cmp_ok($took, '<', 30, 'at once');
$api->ctl('nofault');
$api->ctl('log-reset');
foreach my $later ('SELECT count(*) FROM impilo.orders', 'SELECT id FROM impilo.orders WHERE id = 5',
	'INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000))')
{
	$s->query($later);
	is($s->error->{sqlstate}, '53400', 'a later statement is held back');
	like($s->error->{detail}, qr/was not sent: the server has asked not to send requests for \d+ s/, '... the detail states the reason');
}
is($api->count('requests'), 0, '... without a request');
my $other = session($node);
is($other->query('SELECT count(*) FROM impilo.orders'), 1000, 'another session is not held back');
$other->quit;
$s->query(q{SELECT impilo_fdw_disconnect('impilo')});
is($s->query('SELECT count(*) FROM impilo.orders'), 1000, 'impilo_fdw_disconnect ends the pause');

sub HTTP_date
{
	my ($sec, $min, $hour, $day, $mon, $year, $wday) = gmtime shift;

	return sprintf '%s, %02d %s %d %02d:%02d:%02d GMT',
	  (qw(Sun Mon Tue Wed Thu Fri Sat))[$wday], $day,
	  (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[$mon],
	  $year + 1900, $hour, $min, $sec;
}

# In flight: many, never more than allowed.
foreach my $limit (1, 3, 8)
{
	fresh();
	$s->query("ALTER SERVER impilo OPTIONS (ADD max_concurrency '$limit', ADD fetch_size '50')");
	$api->config(latency_ms => 30);
	is($s->query($scan), $all, "max_concurrency $limit");
	is($api->count('most_in_flight'), $limit, "$limit pages at most, and that many");
	$api->ctl('log-reset');
	is($s->query('SELECT count(*) FROM impilo.order_items WHERE order_id = ANY (ARRAY(SELECT generate_series(1, 40)))'), 60, 'look-ups');
	is($api->count('most_in_flight'), $limit, "$limit look-ups at most, and that many");
	$s->query('ALTER SERVER impilo OPTIONS (DROP max_concurrency, DROP fetch_size)');
}

# A server that refuses requests gets fewer at a time.
fresh();
$api->config(max_in_flight => 2, latency_ms => 20);
$s->query("ALTER SERVER impilo OPTIONS (SET max_retries '10')");
is($s->query($scan), $all, 'a server that takes two requests at a time');

# requests_per_second, measured in the server's log.
fresh();
$s->query("ALTER SERVER impilo OPTIONS (ADD requests_per_second '20', ADD fetch_size '100')");
is($s->query($scan), $all, 'at most 20 requests a second');
my $log = JSON::PP::decode_json($api->ctl('log-json'));
$log = $log->{requests} if ref $log eq 'HASH';
my @starts = sort { $a <=> $b } map { $_->{start_ms} } @$log;
is(@starts, 10, 'requests_per_second: ten requests');
cmp_ok($starts[-1] - $starts[0], '>=', 400, 'requests_per_second: they take nine intervals');
$s->query('ALTER SERVER impilo OPTIONS (DROP requests_per_second, DROP fetch_size)');

# Connections: kept from statement to statement, usable after an early end.
fresh();
$s->query('SELECT id FROM impilo.orders WHERE id = 1');
$api->ctl('log-reset');
$s->query("SELECT id FROM impilo.orders WHERE id = $_") foreach 1 .. 20;
cmp_ok($api->count('connections'), '<=', 1, 'twenty statements, one connection');
fresh();
$api->config(latency_ms => 20);
is($s->query('SELECT count(*) FROM (SELECT id FROM impilo.orders LIMIT 300) o'), 300, 'a LIMIT ends a scan early');
is($s->query($scan), $all, 'the next scan returns all rows');
is($s->query('SELECT id FROM impilo.orders WHERE id = 9'), 9, 'the next lookup returns a row');

# A cursor that is left open: the server closes the connection, or stops sending
# the page that is not fetched.
foreach my $how ('reset', 'hang')
{
	fresh();
	$s->query("ALTER SERVER impilo OPTIONS (ADD request_timeout '1s')");
	$s->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; MOVE 30 FROM c;');
	$api->fault({ path => 'order', times => 1, do => { reset => 'before' } }) if $how eq 'reset';
	$s->query('SELECT pg_sleep(2.5)');
	$s->query('FETCH 1 FROM c');
	$s->query('CREATE TEMP TABLE IF NOT EXISTS t (id bigint); DO $$ DECLARE c refcursor := \'c\'; r bigint; n int := 0; BEGIN LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; n := n + 1; END LOOP; RAISE NOTICE \'% rows\', n; END $$');
	is($s->error->{messages}[-1]{message}, '969 rows', "a cursor left open: $how")
	  or diag($s->error->{message});
	$s->query('COMMIT');
	$s->query('ALTER SERVER impilo OPTIONS (DROP request_timeout)');
}
fresh();
$api->config(latency_ms => 300);
$s->query("ALTER SERVER impilo OPTIONS (ADD request_timeout '1s')");
$s->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; MOVE 30 FROM c; SELECT pg_sleep(2.5)');
$s->query('MOVE 100 FROM c');
is($s->query('FETCH 130 FROM c') =~ tr/\n//, 129, 'a page that was in flight while no row was fetched');
is($s->error->{sqlstate}, '00000', 'this page is requested again');
$s->query('COMMIT; ALTER SERVER impilo OPTIONS (DROP request_timeout)');

# A statement that takes a moment for each row.  Fails if these times are not
# added up.
fresh();
$api->config(latency_ms => 100);
$s->query("ALTER SERVER impilo OPTIONS (ADD request_timeout '1s', ADD fetch_size '100', ADD max_concurrency '4')");
is( $s->query('SELECT count(*), sum(id) FROM (SELECT id FROM impilo.orders OFFSET 0) o WHERE id NOT BETWEEN 21 AND 100 OR pg_sleep(0.035) IS NOT NULL'),
	$all, 'many short pauses between rows') or diag($s->error->{message});

# A short request_timeout and a short pause.
fresh();
$api->config(latency_ms => 100);
$s->query("ALTER SERVER impilo OPTIONS (SET request_timeout '400ms')");
$s->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; MOVE 30 FROM c; SELECT pg_sleep(0.9)');
$s->query('MOVE 100 FROM c; COMMIT');
is($s->error->{sqlstate}, '00000', 'a short pause with a short request_timeout')
  or diag($s->error->{message});

# An error that no pause causes is not retried.
fresh();
$api->fault({ path => 'order', page => 2, do => { endless => JSON::PP::true() } });
$s->query("ALTER SERVER impilo OPTIONS (SET request_timeout '60s', ADD max_response_size '1MB')");
$s->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; MOVE 30 FROM c; SELECT pg_sleep(1.2)');
$s->query('MOVE 100 FROM c');
is($s->error->{sqlstate}, '54000', 'a page that is too large, while no row was fetched');
is(() = $api->log =~ /page=2&/g, 1, 'this page is requested once');
$s->query("ROLLBACK; ALTER SERVER impilo OPTIONS (DROP request_timeout, DROP fetch_size, DROP max_concurrency, DROP max_response_size)");

# A key that has changed is never used again; accounts share nothing.
fresh();
$s->query('SELECT count(*) FROM impilo.orders');
$s->query("ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'other-key')");
is($s->query('SELECT count(*) FROM impilo.orders'), 40, 'another key, another account');
is($s->query('SELECT min(id) FROM impilo.orders'), 5000000001, 'a new key: the orders of the second account');
is($s->query('SELECT count(*) FROM impilo.orders WHERE id = 5'), 0, 'a new key: no order of the first account');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'wrong')");
$s->query('SELECT count(*) FROM impilo.orders');
is($s->error->{sqlstate}, '28000', 'a key changed by another session is used and refused');
unlike($s->error->{stderr}, qr/wrong|other-key|sandbox-key/, 'the error does not show the key');
$s->query("ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'sandbox-key')");
is($s->query('SELECT count(*) FROM impilo.orders'), 1000, 'the old key: the orders of the first account');

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE clerk LOGIN;
CREATE USER MAPPING FOR clerk SERVER impilo OPTIONS (api_key 'other-key');
GRANT USAGE ON SCHEMA impilo TO clerk;
GRANT SELECT ON ALL TABLES IN SCHEMA impilo TO clerk;
CREATE VIEW impilo.by_owner AS SELECT id FROM impilo.orders;
GRANT SELECT ON impilo.by_owner TO clerk;
SQL
is($s->query('SET ROLE clerk; SELECT count(*) FROM impilo.orders; RESET ROLE'), 40, 'another role');
is($s->query('SET ROLE clerk; SELECT count(*) FROM impilo.by_owner; RESET ROLE'), 1000, 'a view reads as its owner');
is($s->query('SET ROLE clerk; SELECT count(*) FROM impilo.orders o JOIN impilo.by_owner v ON v.id + 0 = o.id + 0; RESET ROLE'),
	0, 'two accounts in one statement');
is($s->query('SELECT count(*) FROM impilo.orders'), 1000, 'the first account is used again');

done_testing();
