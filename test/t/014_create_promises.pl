# An order is created once and never lost, also where the API, the statement or
# another session behaves unusually: short or rewritten responses, caches, slow
# lists, nested statements, opposite locks, large rows and large responses.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use POSIX ();
use Time::HiRes qw(sleep time);

my $api = sandbox(orders => 20);
my $node = cluster();
attach($node, $api, server => { reconcile_timeout => '0s', max_retries => 3 });

my $session = session($node);
my $skip = 'ON CONFLICT DO NOTHING';

sub server_option
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SERVER impilo OPTIONS (SET $name '$value')");
	return;
}

# Returns an INSERT of rows for patient 7 with these external ids, and $end
sub insert_of
{
	my ($ids, $end) = @_;

	return 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES '
	  . join(', ', map { "(7, '{$_}', impilo_order_item(1000))" } ref $ids ? @$ids : $ids)
	  . ' ' . ($end // '');
}

# Runs a statement, and tests its SQLSTATE and the number of its requests that
# create orders.
sub runs
{
	my ($sql, $sqlstate, $posts, $what) = @_;
	my $before = $api->count('posts');

	$session->query($sql);
	is($session->error->{sqlstate} . ' ' . ($api->count('posts') - $before),
		"$sqlstate $posts", $what)
	  or diag($session->error->{stderr});
	return $session->error;
}

# number of orders that have exactly this external id, listed or not
sub orders_with
{
	my ($id) = @_;

	return scalar grep { /"\Q$id\E"/ } split /\n/, $api->ctl('dump', 'all');
}

sub iso8601
{
	return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime shift);
}

#----------------------------------------------------------------------
# A 2xx response that names another order
#----------------------------------------------------------------------

my $claim = sub {
	my ($answer) = @_;

	$api->fault({ method => 'POST', do => { status => 201, raw => $answer, processed => \0 } });
};

$claim->('{"id":5,"externalOrderIds":["claimed_1"]}');
my $error = runs(insert_of('claimed_1', $skip), 'IU001', 1,
	'a response that names an order of the list read before is not accepted');
like($error->{detail}, qr/is order 5, which existed before the request/, 'the detail states it');
$api->fault;
runs('SELECT impilo_forget_created_orders()', '00000', 0, 'forgotten');
my $id = $session->query(insert_of('claimed_2', 'RETURNING id'));
$claim->(qq({"id":$id}));
$error = runs(insert_of('claimed_3'), 'IU001', 1,
	'a response that names an order created for another row is not accepted');
like($error->{detail}, qr/is order $id, which another request has created/, 'the detail states it');
$claim->('{"id":990,"patient":{"id":7},"externalOrderIds":["claimed_2"]}');
$error = runs(insert_of('claimed_4'), 'IU001', 1,
	'a response with other external ids is not accepted');
like($error->{detail}, qr/which has other external ids/, 'the detail states it');
$claim->('{"id":991,"patient":{"id":7},"externalOrderIds":["  CLAIMED_5 "]}');
runs(insert_of('claimed_5'), '00000', 1,
	'a response with the external ids in another form is accepted');
$api->fault;

#----------------------------------------------------------------------
# External ids that the API rewrites or does not show
#----------------------------------------------------------------------

$id = $session->query(insert_of('form a', 'RETURNING id'));
$api->ctl('replace', $id, qq({"id":$id,"patient":{"id":7},"externalOrderIds":["FORM A"]}));
runs(insert_of('form a', $skip), '00000', 0,
	'ON CONFLICT: a row with the external ids as sent is skipped');
runs(insert_of('FORM A', $skip), '00000', 0, 'ON CONFLICT: a row with the external ids as listed is skipped');
$session->query('BEGIN; ' . insert_of('form b') . '; ROLLBACK');
runs('SELECT impilo_forget_created_orders()', '00000', 0, 'forgotten');
runs(insert_of('form b', $skip), '00000', 0,
	"an order in the list is skipped after the session's list was emptied");

$api->fault({ method => 'GET', path => 'order',
	do => { raw => '{"content":[{"id":1},{"id":2,"patient":{"id":7}}],"page":1,"size":250,"total":2,"first":true,"last":true}' } });
$error = runs(insert_of('blind', $skip), 'HV00M', 0,
	'ON CONFLICT: a list in which no order shows external ids is an error');
like($error->{message}, qr/does not show external ids/, 'the message states it');
$api->fault;

runs(insert_of([ '"",empty_1', '"",empty_2' ], $skip), '00000', 2,
	'empty external ids identify nothing');
runs(insert_of([ '"",empty_1', '"",empty_2' ], $skip), '00000', 0, 'the external ids that are not empty identify the row');
$error = runs(insert_of('""', $skip), '23502', 0, 'a row with empty external ids only has none');
like($error->{hint}, qr/external_order_ids/, 'a hint names the column');

#----------------------------------------------------------------------
# Orders that functions and triggers of the statement create
#----------------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION nested(id text, caught boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
		VALUES (7, ARRAY[id], impilo_order_item(1000));
	RETURN id || '_caller';
EXCEPTION WHEN SQLSTATE 'IU001' THEN
	RETURN id || '_caller';
END $$;
CREATE FOREIGN TABLE triggered (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders');
CREATE FUNCTION nest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nested('trigger_2') WHERE NEW.external_order_ids = '{trigger_1}';
	RETURN NEW;
END $$;
CREATE TRIGGER nest BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION nest();
SQL
my $with_function = 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
  . " SELECT 7, ARRAY[CASE i WHEN 2 THEN nested('%s') ELSE '%s' END], impilo_order_item(1000)"
  . " FROM generate_series(1, 2) i $skip";
runs(sprintf($with_function, 'nested_1', 'nested_1'), '00000', 2,
	'ON CONFLICT: an order that a function of the statement creates counts');
is(orders_with('nested_1'), 1, 'the order of a function is created once');
is(orders_with('nested_1_caller'), 1, 'the row that calls the function is created once');
runs("INSERT INTO triggered VALUES (7, '{trigger_1}', impilo_order_item(1000)),"
	  . " (7, '{trigger_2}', impilo_order_item(1000)) $skip", '00000', 2,
	'ON CONFLICT: an order that a trigger of the statement creates counts');
is(orders_with('trigger_2'), 1, 'it is created once');
$api->fault({ method => 'POST', body => 'nested_2"', do => { status => 500 } });
runs(sprintf($with_function, 'nested_2', 'nested_2'), 'IU001', 1,
	'a row whose order a function may have created is an error');
is(orders_with('nested_2'), 0, 'the error does not create the order');
$api->fault;
runs('SELECT impilo_forget_created_orders()', '00000', 0, 'forgotten');
runs(insert_of('nested_2', $skip), '00000', 1,
	'the row is created after the unknown outcome was forgotten');

#----------------------------------------------------------------------
# Lists with short elements
#----------------------------------------------------------------------

my $short = sub {
	my ($elements) = @_;
	my $n = () = $elements =~ /"id":\d+,?/g;

	return { method => 'GET', path => 'order',
		do => { raw => qq({"content":[$elements],"page":1,"size":250,"first":true,"last":true}) } };
};
my $lost = { method => 'POST', do => { reset => 'after' } };
my $next = sub { return 21 + $api->count('created') };

$api->ctl('reset');
$session->quit;
$session = session($node);
$node->safe_psql('postgres', 'SELECT 1');
my $n = $next->();
$api->fault($lost, $short->(qq({"id":$n,"externalOrderIds":["short_1"],"patient":{"id":7}})));
runs(insert_of('short_1'), '00000', 1, 'a list element without events: the order is fetched');
like($api->log, qr/GET \S+\/order\/$n$/m, 'a list element without events: one request fetches the order');
$n = $next->();
$api->fault($lost, $short->(qq({"id":1},{"id":2,"patient":{"id":7}},{"id":$n,"patient":{"id":7}})));
runs(insert_of('short_2'), '00000', 1, 'a list element without external ids: the order is fetched');
$n = $next->();
$api->fault({ method => 'POST', do => { status => 500 } },
	$short->(join ',', map { qq({"id":$_}) } 1 .. 20));
runs(insert_of('short_3'), 'IU001', 1, 'fetched orders that do not match: IU001');
$api->fault($lost, $short->(qq({"id":$n,"externalOrderIds":["short_4"],"patient":{"id":7}})),
	{ method => 'GET', path => 'order/*', do => { status => 403 } });
runs(insert_of('short_4'), 'IU001', 1, 'an order that cannot be fetched: IU001');
my $forbidden = { method => 'GET', path => '/order/3$', do => { status => 403 } };
foreach my $ids ('', '"externalOrderIds":["short_5"],')
{
	$n = $next->();
	$api->fault($lost, $forbidden,
		$short->(join ',', map { qq({"id":$_,$ids"patient":{"id":7}}) } 3, $n));
	$error = runs(insert_of('short_5'), 'IU001', 1,
		'a match is not known to be the only one if another order cannot be fetched: IU001');
	like($error->{detail}, qr/The list of orders could not be searched: /, '... and the detail states it');
	runs('SELECT impilo_forget_created_orders()', '00000', 0, 'forgotten');
}
$n = $next->();
$api->fault($lost, $short->(qq({"id":900,"patient":{"id":7}},{"id":$n,"patient":{"id":7}})));
runs(insert_of('short_6'), '00000', 1, 'an order that does not exist any more does not count');
$api->fault;

#----------------------------------------------------------------------
# Whether an order is older than the request: the server's clock
#----------------------------------------------------------------------

# an order of 50 s ago, where a cache states a time of 100 s ago, and its Age
my $old = 800_000;
my $put = sub {
	my ($external, $time) = @_;

	$old++;
	$api->ctl('put', qq({"id":$old,"externalOrderIds":["$external"],"patient":{"id":7},)
		  . qq("orderEvents":[{"name":"created","eventTimestamp":") . iso8601($time) . '"}]}');
	return;
};
$api->config(date_offset_s => -100);
$put->('cached', time - 50);
$api->fault({ method => 'POST', do => { status => 500 } },
	{ method => 'GET', do => { headers => { Age => '100' } } });
$error = runs(insert_of('cached'), 'IU001', 1, 'Age is added to the Date of a cached response');
like($error->{detail}, qr/Order $old matches, but may be older/, 'the older order is named');
$api->config(date_offset_s => undef);

# an order of another client between two attempts
$api->fault({ method => 'POST', times => 1, do => { status => 429, retry_after => '3' } },
	{ method => 'POST', do => { status => 500 } });
$session->send(insert_of('between'));
wait_until(sub { $api->log =~ /between/ }, 'the first attempt');
$put->('between', time);
$session->wait;
is($session->error->{sqlstate}, 'IU001', 'the last attempt decides what is older');
$api->fault;

#----------------------------------------------------------------------
# Another API, whose orders have the same ids
#----------------------------------------------------------------------

my $created = $session->query(insert_of('here', 'RETURNING id'));
my $elsewhere = sandbox(orders => $created - 1);
server_option('base_url', $elsewhere->url . '/api/v3');
is($session->query(insert_of('elsewhere', 'RETURNING id')), $created,
	'an order with the id of an order of another address is accepted');
is($session->error->{sqlstate}, '00000', '... without an error');
server_option('base_url', $api->url . '/api/v3');

#----------------------------------------------------------------------
# How long the list is searched
#----------------------------------------------------------------------

# pages of the list that were requested; each search reads one, and the clock
sub searches
{
	return scalar grep { /page=1&size=250/ } split /\n/, $api->log;
}

server_option('reconcile_timeout', '1s');
$api->ctl('log-reset');
$api->fault({ method => 'POST', do => { reset => 'after', appear_after_ms => 2200 } },
	{ method => 'GET', do => { delay_ms => 800 } });
runs(insert_of('slow_list'), '00000', 1,
	'a list that takes as long as reconcile_timeout is searched again after it');
is(searches(), 2, 'the list is searched twice');

server_option('reconcile_timeout', '5s');
$api->ctl('log-reset');
$api->fault({ method => 'POST', do => { status => 500 } });
$session->query('LISTEN noise');
my $begin = time;
$session->send(insert_of('noise'));
wait_until(sub { searches() > 0 }, 'the first search');
$node->safe_psql('postgres', 'NOTIFY noise'), sleep 0.1 foreach 1 .. 30;
$session->wait;
is($session->error->{sqlstate}, 'IU001', 'not found');
cmp_ok(time - $begin, '>=', 5, 'an order is absent only after reconcile_timeout');
cmp_ok(searches(), '<=', 4, 'signals do not shorten the pause between searches');
is($session->error->{messages}[0]{severity}, 'NOTICE', 'a notice reports the search');
like($session->error->{messages}[0]{message},
	qr/^searching the list of server "impilo" for 1 order of unknown outcome/,
	'the notice has the number of orders');
server_option('reconcile_timeout', '0s');
$api->fault;

#----------------------------------------------------------------------
# Messages, details and hints of errors
#----------------------------------------------------------------------

my $bulk = sub {
	my ($prefix, $rows, $end) = @_;

	return 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
	  . " SELECT i, ARRAY['${prefix}_' || i || '_'], impilo_order_item(1000)"
	  . " FROM generate_series(1, $rows) i " . ($end // '');
};
my $refuse = sub {
	my ($body) = @_;

	return { method => 'POST', body => $body,
		do => { status => 400, body => '{"message":"insufficient_inventory"}', content_type => 'application/json' } };
};

# a statement of several batches
server_option('reconcile_timeout', '0s');
$node->safe_psql('postgres', "ALTER SERVER impilo OPTIONS (ADD max_concurrency '1', ADD batch_size '10')");
$api->fault($refuse->('parts_35_'));
$error = runs($bulk->('parts', 60), 'IU002', 35, 'a row is refused after orders of the statement');
is($error->{message},
	'row 35 (external ids "parts_35_") was refused: server "impilo" refused to create the order: insufficient_inventory',
	'the message names the row, its external ids and the reason');
like($error->{detail}, qr/This transaction has created 34 orders: (\d+, ){19}\d+, and 14 more\./,
	'the detail counts the orders of all batches');
like($error->{detail}, qr/Rows 36 to 60 were not sent\./, 'the detail names the rows that were not sent');
unlike($error->{stderr}, qr/WARNING/, 'no warning repeats the detail');
$api->fault($refuse->('last_10_'));
like(runs($bulk->('last', 30), 'IU002', 10, 'the last row of a batch is refused')->{detail},
	qr/Rows 11 to 30 were not sent\./, 'the rows of other batches are named');

# a transaction of several statements
$session->query('BEGIN');
$session->query($bulk->('first', 2));
$api->fault($refuse->('second'));
$error = runs(insert_of('second'), '23514', 1,
	'a refusal keeps its SQLSTATE if the statement has created nothing');
like($error->{detail}, qr/This transaction has created 2 orders: \d+, \d+\./, 'the detail names the orders of the transaction');
like($error->{hint}, qr/impilo_created_orders\(\)/, 'the hint names the function that lists them');
$session->query('ROLLBACK');
$api->fault;
$node->safe_psql('postgres', "ALTER SERVER impilo OPTIONS (SET max_concurrency '64', SET batch_size '100')");

# more unknown rows than an error names
runs('SELECT impilo_forget_created_orders()', '00000', 0, 'forgotten');
$api->fault({ method => 'POST', do => { status => 500, processed => \1, appear_after_ms => 500 } });
$session->query($bulk->('many', 100));
$error = $session->error;
is($error->{sqlstate}, 'IU001', 'many unknown outcomes');
my ($unknown) = $error->{message} =~ /(\d+) orders/;
is(scalar(() = $error->{detail} =~ /^Row \d+ /mg), 20, 'the detail names twenty rows');
like($error->{detail}, qr/^The outcome of ${\ ($unknown - 20)} more rows is unknown\./m, 'the detail counts the other rows');
$api->fault;
sleep 0.7;
my ($query) = $error->{hint} =~ /(SELECT .*)\.$/s;
is($session->query("SELECT count(*) FROM ($query) q"), $unknown, 'the query of the hint finds all of them');

# a cancel reports how many orders were created and how many may have been
$api->fault({ method => 'POST', body => '_[5-9]_|_10_', do => { hang => \1 } });
$session->send($bulk->('cancel', 10));
wait_until(sub { 4 == (() = $api->ctl('dump') =~ /"cancel_/g) && 10 == (() = $api->log =~ /"cancel_/g) },
	'four orders, six requests');
$session->cancel;
$session->wait;
$error = $session->error;
is($error->{sqlstate}, '57014', 'a cancel');
like($error->{context}, qr/foreign table "orders": 4 were created, 6 more may have been created/,
	'the context of a cancel counts the orders that were created and may have been');
$api->fault;

#----------------------------------------------------------------------
# Who sees the orders of the session
#----------------------------------------------------------------------

$session->query(<<'SQL');
SELECT impilo_forget_created_orders();
CREATE ROLE caller;
GRANT USAGE ON SCHEMA impilo TO caller;
CREATE FUNCTION order_and_fail() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
		SELECT i, ARRAY['definer_' || i], impilo_order_item(1000) FROM generate_series(1, 30) i;
	PERFORM 1 / 0;
END $$;
SET ROLE caller;
SELECT order_and_fail();
SQL
is($session->query('SELECT state, count(*) FROM impilo_created_orders() GROUP BY 1'),
	'rolled back|30', 'the caller of a SECURITY DEFINER function sees the orders that it created');
$session->query('RESET ROLE; CREATE ROLE outsider; SET ROLE outsider');
is($session->query('SELECT count(*) FROM impilo_created_orders()'), 0, 'another role does not see them');
$session->query('RESET ROLE');

#----------------------------------------------------------------------
# Two servers in opposite order
#----------------------------------------------------------------------

attach($node, $api, name => 'second', server => { reconcile_timeout => '1s' });
server_option('reconcile_timeout', '1s');
my $other = session($node);
my $second = sub {
	my ($sql) = @_;

	return $sql =~ s/impilo\.orders/second.orders/r;
};

$session->query('BEGIN; ' . insert_of('opposite_1', $skip));
$other->query('BEGIN; ' . $second->(insert_of('opposite_2', $skip)));
$session->send($second->(insert_of('opposite_3', $skip)));
$other->query(insert_of('opposite_4', $skip));
$session->wait;
my ($first) = grep { $_->{sqlstate} ne '00000' } map { $_->error } $session, $other;
is($first->{sqlstate}, 'IU002', 'opposite locks are IU002, not a deadlock, once orders exist');
like($first->{message}, qr/another statement with ON CONFLICT DO NOTHING is running on server "(second|impilo)"/,
	'the message names the lock');
$_->query('ROLLBACK') foreach $session, $other;

# a transaction without orders waits as usual
$session->query('BEGIN; ' . insert_of('waiting_1', $skip));
$other->send(insert_of('waiting_1', $skip));
wait_until(sub { $node->safe_psql('postgres', 'SELECT count(*) FROM pg_locks WHERE NOT granted') > 0 },
	'the lock');
$session->query('COMMIT');
$other->wait;
is($other->error->{sqlstate}, '00000', 'a transaction without orders waits for the lock');
is(orders_with('waiting_1'), 1, 'after the wait no order is created twice');
server_option('reconcile_timeout', '0s');

#----------------------------------------------------------------------
# Large rows and large responses
#----------------------------------------------------------------------

server_option('max_concurrency', 8);

my $large = 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
  . " SELECT 7, array_agg('%s' || i % 40000), impilo_order_item(1000) FROM generate_series(1, 80000) i $skip";

cmp_ok(elapsed(sub { runs(sprintf($large, 'large-'), '00000', 1, 'an order with 80,000 external ids') }),
	'<', 20, 'takes seconds');
cmp_ok(elapsed(sub { runs(sprintf($large, 'large-'), '00000', 0, 'an order with 80,000 external ids is recognised') }),
	'<', 20, 'in seconds');
cmp_ok(elapsed(sub {
			$api->fault({ method => 'POST', do => { status => 500, processed => \1 } });
			runs(sprintf($large =~ s/ $skip//r, 'larger-'), '00000', 1, 'a search finds an order with 80,000 external ids');
			$api->fault;
		}), '<', 20, 'in seconds');
$api->ctl('only');

sub peak { return memory($session->pid, 'VmHWM') / 1024; }

SKIP:
{
	skip 'no /proc', 4 unless -r '/proc/self/status';

	foreach my $returning ('', 'RETURNING id')
	{
		$session->quit;
		$session = session($node);
		$session->query('INSERT INTO impilo.orders (patient_id, order_items) VALUES (7, impilo_order_item(1000)) RETURNING id');
		my $before = peak();
		$api->fault({ method => 'POST', do => { replace =>
			[ { pointer => '/currentStatus', json => '"' . 'x' x 1_000_000 . '"' } ] } });
		is(psql_lines($session->query($bulk->("huge$returning", 150, $returning))),
			$returning ? 150 : 0, "150 responses of 1 MB $returning");
		$api->fault;
		cmp_ok(peak() - $before, '<', 60, "150 responses of 1 MB need memory for those in flight only $returning");
	}
}

sub psql_lines
{
	my ($text) = @_;

	return scalar(my @lines = split /\n/, $text);
}

done_testing();
