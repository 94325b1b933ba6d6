# How a create request can end, and what follows: the table in the head of
# src/create/create.c, row by row.  An order is never created twice, and never lost
# in silence.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 300);
my $node = cluster();
attach($node, $api, server => { reconcile_timeout => '0s', max_retries => 2 });

my $number = 0;

# an INSERT with external ids of its own
sub insert_of
{
	my ($ids) = @_;
	my $array = defined $ids ? "'{$ids}'" : 'NULL';

	return
	  "INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)"
	  . " VALUES (7, $array, impilo_order_item(1000)) RETURNING external_order_ids";
}

sub server_option
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres',
		defined $value
		? "ALTER SERVER impilo OPTIONS (ADD $name '$value')"
		: "ALTER SERVER impilo OPTIONS (DROP $name)");
	return;
}

# Orders in the sandbox with this external id.  What a fault let through is
# counted there, not in what the client was told.
sub orders_with
{
	my ($id) = @_;
	my $dump = $api->ctl('dump');

	return scalar grep { /"\Q$id\E"/ } split /\n/, $dump;
}

#----------------------------------------------------------------------
# One request: what the client is told, how many orders there are
#----------------------------------------------------------------------

my @cases = (
	# [what, fault, SQLSTATE, orders, requests]
	[ 'answered', undef, '00000', 1, 1 ],
	[ 'refused', { status => 400 }, '23514', 0, 1 ],
	[ 'no right', { status => 403 }, '42501', 0, 1 ],
	[ 'redirected', { redirect => 'http://127.0.0.1:1/' }, 'IU001', 0, 1 ],
	[ 'moved', { redirect => 'http://127.0.0.1:1/', status => 308 },
		'HV00N', 0, 1 ],
	[ '408', { status => 408 }, 'IU001', 0, 1 ],
	[ '500, not created', { status => 500 }, 'IU001', 0, 1 ],
	[ '500, created', { status => 500, processed => \1 }, '00000', 1, 1 ],
	[ '503 and Retry-After', { status => 503, retry_after => '0' },
		'IU001', 0, 1 ],
	[ 'reset before', { reset => 'before' }, 'IU001', 0, 1 ],
	[ 'reset after', { reset => 'after' }, '00000', 1, 1 ],
	[ 'closed', { close => \1 }, 'IU001', 0, 1 ],
	[ 'answer cut', { cut_body => 20 }, '00000', 1, 1 ],
	[ 'chunked answer cut', { chunked_cut => 20 }, '00000', 1, 1 ],
	[ 'answer is no JSON', { raw => '<html>' }, '00000', 1, 1 ],
	[ 'answer is no order', { raw => '{}' }, '00000', 1, 1 ],
	[ 'answer is not said to be JSON', { content_type => 'text/html' },
		'00000', 1, 1 ],
	[ 'answer is empty', { raw => '' }, '00000', 1, 1 ],
	[ 'answer is for another patient, created',
		{ replace => [ { pointer => '/patient/id', json => '8' } ] },
		'00000', 1, 1 ],
	[ 'answer is for another patient, not created',
		{ status => 201, raw => '{"id":5,"patient":{"id":8}}', processed => \0 },
		'IU001', 0, 1 ],
	[ 'answer has other external ids, created',
		{ replace => [ { pointer => '/externalOrderIds', json => '["x","y"]' },
				{ pointer => '/patient', remove => \1 } ] },
		'00000', 1, 1 ],
	[ 'answer has other external ids, not created',
		{ status => 201, raw => '{"id":5,"externalOrderIds":["x"]}', processed => \0 },
		'IU001', 0, 1 ],
);

foreach my $case (@cases)
{
	my ($what, $do, $sqlstate, $orders, $requests) = @$case;
	my $id = 'case_' . ++$number . '_';

	$api->ctl('log-reset');
	$api->fault($do ? { method => 'POST', do => $do } : ());
	my $error = psql_error($node, insert_of($id));
	$api->fault;
	is($error->{sqlstate}, $sqlstate, "$what: SQLSTATE");
	is($api->count('posts'), $requests, "$what: requests");
	is(orders_with($id), $orders, "$what: orders");
	is($error->{stdout}, "{$id}", "$what: row returned")
	  if $sqlstate eq '00000';
}

# what an answer leaves out contradicts nothing, nor does what it adds
foreach my $answer (
	'{"id":900,"patient":null,"externalOrderIds":null}',
	'{"id":901}',
	'{"id":902,"patient":{},"externalOrderIds":[]}',
	'{"id":903,"patient":{"id":null},"externalOrderIds":[null]}',
	'{"id":904,"patient":{"id":7,"site":{"id":3}},"site":{"id":3}}',
	'{"id":905,"externalOrderIds":["more","left_out","x"]}',
	# the API's own form of the ids, of an order that says for whom it is
	'{"id":908,"patient":{"id":7},"externalOrderIds":["LEFT_OUT"]}')
{
	$api->ctl('log-reset');
	$api->fault({ method => 'POST', do => { status => 201, raw => $answer } });
	is(psql_error($node, insert_of('left_out'))->{sqlstate}, '00000',
		"believed: $answer");
	is($api->count('pages'), 0, 'believed: nothing is looked up');
}
$api->fault;

# an order for a site; the error says what is wrong, and not for whom it is
my $for_site = 'INSERT INTO impilo.orders (site_id, order_items)'
  . ' VALUES (3, impilo_order_item(1000))';

$api->fault({ method => 'POST',
	do => { status => 201, raw => '{"id":906,"patient":{"id":7},"site":{"id":3}}' } });
is(psql_error($node, $for_site)->{sqlstate}, '00000', 'believed: for the site');
$api->fault({ method => 'POST',
	do => { status => 201, raw => '{"id":907,"site":{"id":445566}}' } });
my $other = psql_error($node, $for_site);
is($other->{sqlstate}, 'IU001', 'for another site');
like($other->{detail}, qr/The response to POST \/order is order 907, which is for another site\./,
	'for another site: the error says so');
unlike($other->{stderr}, qr/445566/, 'for another site: and no more');
$api->fault;

# 429 proves that nothing was created, so it is sent again
$api->ctl('log-reset');
$api->fault({ method => 'POST', times => 2,
	do => { status => 429, retry_after => '0' } });
is(psql_error($node, insert_of('again'))->{sqlstate},
	'00000', '429 twice: created at last');
is($api->count('posts'), 3, '429 twice: three requests');
is(orders_with('again'), 1, '429 twice: one order');
$api->fault({ method => 'POST', do => { status => 429, retry_after => '0' } });
is(psql_error($node, insert_of('never'))->{sqlstate},
	'53400', '429 for ever: nothing exists, so the class may be retried');
$api->fault;

# no server at all
$api->stop;
is(psql_error($node, insert_of('down'))->{sqlstate},
	'08001', 'no connection: nothing was sent');
$api->start;

#----------------------------------------------------------------------
# What a refusal is told with
#----------------------------------------------------------------------

foreach my $case (
	[ 400, '23514', qr/^$/ ],
	[ 401, '28000', qr/^The key may have expired. Set a valid one with ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS \(SET api_key/ ],
	[ 403, '42501', qr/^The account of the API key in the user mapping/ ],
	[ 404, '23514', qr/^Check option base_url of server "impilo"/ ],
	[ 405, 'HV00L', qr/^Check option base_url of server "impilo"/ ],
	[ 413, 'HV00L', qr/^The request exceeds the size limit of server "impilo"/ ],
	[ 429, '53400', qr/^Lower the rate with option requests_per_second/ ],
	[ 308, 'HV00N', qr/Set option "base_url" of server "impilo"/ ])
{
	my ($status, $sqlstate, $hint) = @$case;

	$api->fault({ method => 'POST', do => { status => $status,
		($status == 429 ? (retry_after => '0') : ()),
		($status == 308 ? (redirect => 'https://elsewhere.test/') : ()) } });
	my $refused = psql_error($node, insert_of("status_$status"));
	is($refused->{sqlstate}, $sqlstate, "$status: SQLSTATE");
	like($refused->{hint}, $hint, "$status: hint");
}

# where the address has proven right, it is not to blame
$api->fault({ method => 'POST', do => { status => 404 } });
unlike(psql_error($node, 'SELECT id FROM impilo.orders WHERE id = 1; ' . insert_of('proven'))->{hint},
	qr/base_url/, '404 after an answer: no word of the address');
$api->fault;

# through another role's view the hint names its mapping
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE reader;
CREATE VIEW seen AS SELECT id FROM impilo.orders;
GRANT SELECT ON seen TO reader;
SQL
$api->fault({ do => { status => 401 } });
my $owner = $node->safe_psql('postgres', 'SELECT quote_ident(current_user)');
like(psql_error($node, 'SET ROLE reader; SELECT * FROM seen')->{hint},
	qr/ALTER USER MAPPING FOR \Q$owner\E SERVER impilo /, "401: whose mapping");
$api->fault;

#----------------------------------------------------------------------
# Unknown outcomes: the error says what to do
#----------------------------------------------------------------------

$api->fault({ method => 'POST', do => { status => 500 } });
my $error = psql_error($node, insert_of('lost_1,lost_2'));
is($error->{sqlstate}, 'IU001', 'not found: IU001');
like($error->{detail}, qr/Row 1 \(external ids "lost_1", "lost_2"\): .*500/,
	'row, ids and reason are told');
like($error->{hint},
	qr/SELECT \* FROM impilo\.orders WHERE external_order_ids && ARRAY\['lost_1'\]/,
	'the query that finds out is told');
is($node->safe_psql('postgres',
		"SELECT * FROM impilo.orders WHERE external_order_ids && ARRAY['lost_1']"),
	'', 'the query runs');
ok(!(grep { $_->{severity} eq 'WARNING' } @{ $error->{messages} }),
	'no warning repeats what the error says');
like($error->{message}, qr/500|failed to answer/, 'the message contains the reason');
is($error->{messages}[0]{message},
	'searching the list of server "impilo" for 1 order of unknown outcome',
	'a notice says that the search begins');

# without external ids nothing is looked up
$api->ctl('log-reset');
$error = psql_error($node, insert_of(undef));
is($error->{sqlstate}, 'IU001', 'no external ids: IU001');
is($api->count('pages'), 0, 'no external ids: the list is not read');
$api->fault;

# the order appears later, within reconcile_timeout
server_option('reconcile_timeout', undef);
server_option('reconcile_timeout', '20s');
$api->fault({ method => 'POST',
	do => { reset => 'after', appear_after_ms => 1500 } });
$error = psql_error($node, insert_of('late'));
is($error->{sqlstate}, '00000', 'found when it appeared');
is(orders_with('late'), 1, 'and created once');
server_option('reconcile_timeout', undef);
server_option('reconcile_timeout', '0s');

# the look-up fails: that is no reason to forget the order
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } },
	{ method => 'GET', do => { status => 400 } });
$error = psql_error($node, insert_of('blind'));
is($error->{sqlstate}, 'IU001', 'list not readable: IU001, not its own error');

# nor is what a part of the list has shown a result
$api->config(order => 'newest');
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } },
	{ method => 'GET', page => 2, do => { status => 400 } });
$error = psql_error($node, insert_of('half_blind'));
is($error->{sqlstate}, 'IU001', 'half of the list not readable: IU001');
unlike($error->{detail}, qr/matches/, 'half of the list: nothing is concluded');
$api->config(order => undef);
$api->fault;

#----------------------------------------------------------------------
# What is found must not be an older order
#----------------------------------------------------------------------

# an order of a minute ago, with the same ids, for the same patient
my $old = sub {
	my ($id, $patient, $time) = @_;

	$api->ctl('put',
		qq({"id":$number,"externalOrderIds":["$id"],"patient":{"id":$patient},)
		  . qq("orderEvents":[{"name":"created","eventTimestamp":"$time"}]}));
	return;
};
$number = 900_000;
$old->('old', 7, '2020-01-01T00:00:00Z');
$api->fault({ method => 'POST', do => { status => 500 } });
$error = psql_error($node, insert_of('old'));
is($error->{sqlstate}, 'IU001', 'an older order is not taken for it');
like($error->{detail}, qr/Order 900000 matches, but may be older/,
	'it is named');

# the same although the server's clock is wrong
$api->config(date_offset_s => -100_000);
$number++;
$old->('old_clock', 7, '2020-01-01T00:00:00Z');
is(psql_error($node, insert_of('old_clock'))->{sqlstate},
	'IU001', 'nor if the clock is slow');
$api->config(date_offset_s => undef);

# no Date, no events: no proof
$api->config(date => \0);
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } });
is(psql_error($node, insert_of('dateless'))->{sqlstate},
	'IU001', 'without Date nothing is proven');
$api->config(date => undef);
$api->config(create_events => \0);
is(psql_error($node, insert_of('eventless'))->{sqlstate},
	'IU001', 'without events nothing is proven');

# but the user's promise proves it
server_option('unique_external_ids', 'true');
is(psql_error($node, insert_of('promised'))->{sqlstate},
	'00000', "unique_external_ids proves it");
$api->config(create_events => undef);

# other recipient, more ids, fewer ids: not it
$api->fault({ method => 'POST', do => { status => 500 } });
$number++;
$old->('other', 8, '2020-01-01T00:00:00Z');
is(psql_error($node, insert_of('other'))->{sqlstate},
	'IU001', 'for somebody else: not it');
$number++;
$old->('more","x', 7, '2020-01-01T00:00:00Z');
is(psql_error($node, insert_of('more'))->{sqlstate},
	'IU001', 'with more ids: not it');
is(psql_error($node, insert_of('more,x,y'))->{sqlstate},
	'IU001', 'with fewer ids: not it');
is(psql_error($node, insert_of('x,more'))->{sqlstate},
	'00000', 'the same ids in another order: it');

# two matches
$number++;
$old->('twin', 7, '2020-01-01T00:00:00Z');
$number++;
$old->('twin', 7, '2020-01-01T00:00:00Z');
$error = psql_error($node, insert_of('twin'));
is($error->{sqlstate}, 'IU001', 'two matches: IU001');
like($error->{detail}, qr/Two orders match: 900004 and 900005/,
	'both are named');
server_option('unique_external_ids', undef);

# an order that the transaction created itself is not it, either
$api->fault;
my $session = session($node);
$session->query('BEGIN');
$session->query(insert_of('same'));
$api->fault({ method => 'POST', do => { status => 500 } });
$session->query(insert_of('same'));
is($session->error->{sqlstate}, 'IU001',
	'an order created a statement before is not taken for it');
$session->query('ROLLBACK');
$api->fault;

#----------------------------------------------------------------------
# Many rows
#----------------------------------------------------------------------

my $bulk = sub {
	my ($prefix, $n) = @_;

	return
	  'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
	  . " SELECT i, ARRAY['${prefix}_' || i || '_'], impilo_order_item(1000)"
	  . " FROM generate_series(1, $n) i";
};

# one look-up for all unknown ones of a batch, and rows in their order
$api->ctl('log-reset');
$api->fault({ method => 'POST', body => 'bulk_[3-6]_',
	do => { status => 500, processed => \1 } });
is($node->safe_psql('postgres',
		"WITH n AS (" . $bulk->('bulk', 100) . " RETURNING patient_id) "
		  . "SELECT string_agg(patient_id::text, ',') = string_agg(i::text, ',') FROM "
		  . "(SELECT patient_id, row_number() OVER () AS i FROM n) x"),
	't', 'all rows are returned, in their order');
is(orders_with('bulk_3_') + orders_with('bulk_100_'), 2, 'each created once');
is($api->count('created'), 100, '100 orders');
cmp_ok($api->count('pages'), '<=', 4, 'the list was read once');

# one order is not two rows
$api->fault(
	{ method => 'POST', times => 1, do => { status => 500, processed => \1 } },
	{ method => 'POST', do => { status => 500 } });
$error = psql_error($node,
	'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES'
	  . join(',', (" (7, '{shared}', impilo_order_item(1000))") x 2));
is($error->{sqlstate}, 'IU001', 'one order for two rows: IU001');
like($error->{detail}, qr/Order \d+ matches more than one row/, 'one order for two rows: it is named');
$api->fault;

# a refusal stops the rest: with some latency all of those sent together are
# answered before those that follow them
$api->ctl('log-reset');
$api->config(latency_ms => 50);
$api->fault({ method => 'POST', body => 'stop_5_', do => { status => 400 } });
$error = psql_error($node, $bulk->('stop', 500));
is($error->{sqlstate}, 'IU002', 'one refused: IU002');
like($error->{message}, qr/^row 5 \(external ids "stop_5_"\) was refused: /, 'row is told');
like($error->{detail}, qr/This transaction has created \d+ orders: \d+, /,
	'orders that exist are told');
like($error->{detail}, qr/Rows \d+ to 500 were not sent\./, 'and what was not sent');
cmp_ok($api->count('posts'), '<', 20, 'the rest was not sent');
$api->config(latency_ms => undef);
my $created = $api->count('created');
like($error->{detail}, qr/has created $created orders/, 'the detail counts the orders');

# a dead server is not asked for all rows
$api->ctl('log-reset');
$api->fault({ method => 'POST', do => { status => 502 } });
$error = psql_error($node, $bulk->('dead', 500));
is($error->{sqlstate}, 'IU001', 'all unknown: IU001');
cmp_ok($api->count('posts'), '<=', 16, 'stopped after as many as fly at once');

# the server dies under way: what exists and what may exist are told
$api->fault({ method => 'POST', skip => 20, do => { reset => 'before' } });
$error = psql_error($node, $bulk->('dying', 100));
is($error->{sqlstate}, 'IU001', 'dying server: IU001');
like($error->{detail}, qr/This transaction has created \d+ orders: /, 'dying server: what exists');
$api->fault;

# concurrency
$api->ctl('log-reset');
$api->config(latency_ms => 50);
$node->safe_psql('postgres', $bulk->('wide', 40));
cmp_ok($api->count('most_posts_in_flight'), '>', 1, 'requests fly together');
cmp_ok($api->count('most_posts_in_flight'), '<=', 8, 'but no more than max_concurrency');
$api->config(latency_ms => undef);

#----------------------------------------------------------------------
# After an order was created, no error invites a retry
#----------------------------------------------------------------------

# Without a kept connection: where the end of one that was kept has not come
# through yet, the request goes into it, and its outcome is unknown.
$api->config(keep_alive => \0);
$session->query('BEGIN');
$session->query(insert_of('before'));
$api->stop;
$session->query(insert_of('after'));
is($session->error->{sqlstate}, 'IU002',
	'no connection, after an order of the transaction: IU002 instead of 08001');
$session->query('ROLLBACK');
$api->start;

#----------------------------------------------------------------------
# Cancel
#----------------------------------------------------------------------

$api->ctl('log-reset');
$api->fault({ method => 'POST', do => { hang => \1, processed => \1 } });
$session->send($bulk->('cancelled', 3));
wait_until(sub { $api->count('created') >= 3 }, 'three orders');
$session->cancel;
$session->wait;
$error = $session->error;
is($error->{sqlstate}, '57014', "cancel: the server's own SQLSTATE");
like($error->{message}, qr/canceling statement due to user request/,
	"cancel: the server's own text");
like($error->{context}, qr/were created, 3 more may have been created/, 'cancel: how many may exist');
is($session->query("SELECT count(*) FROM impilo_created_orders() WHERE state = 'unknown' "
		  . "AND external_order_ids::text LIKE '{cancelled%'"),
	3, 'cancel: they are listed');
$api->fault;

# while it waits for a look-up
server_option('reconcile_timeout', undef);
$api->fault({ method => 'POST', do => { status => 500 } });
$session->send(insert_of('sought_for'));
wait_until(sub { $api->log =~ /sought_for/ }, 'the request');
$session->cancel;
$session->wait;
is($session->error->{sqlstate}, '57014', 'cancel while looking up');
like($session->error->{context}, qr/were created, 1 more may have been created/, 'still says what may exist');
$api->fault;

done_testing();
