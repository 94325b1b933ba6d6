# How a create request can end, and what follows: the table in the head of
# src/create/create.c, row by row.  No order is created twice, and each one that
# exists or may exist is reported.

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

# Returns the number of orders of the sandbox with this external id.  Only the
# sandbox knows what was created despite a fault.
sub orders_with
{
	my ($id) = @_;
	my $dump = $api->ctl('dump');

	return scalar grep { /"\Q$id\E"/ } split /\n/, $dump;
}

#----------------------------------------------------------------------
# One request: what the client receives, and how many orders exist
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
	[ 'chunked response cut', { chunked_cut => 20 }, '00000', 1, 1 ],
	[ 'response is not JSON', { raw => '<html>' }, '00000', 1, 1 ],
	[ 'response is not an order', { raw => '{}' }, '00000', 1, 1 ],
	[ 'response with another content type', { content_type => 'text/html' },
		'00000', 1, 1 ],
	[ 'response is empty', { raw => '' }, '00000', 1, 1 ],
	[ 'response is for another patient, created',
		{ replace => [ { pointer => '/patient/id', json => '8' } ] },
		'00000', 1, 1 ],
	[ 'response is for another patient, not created',
		{ status => 201, raw => '{"id":5,"patient":{"id":8}}', processed => \0 },
		'IU001', 0, 1 ],
	[ 'response has other external ids, created',
		{ replace => [ { pointer => '/externalOrderIds', json => '["x","y"]' },
				{ pointer => '/patient', remove => \1 } ] },
		'00000', 1, 1 ],
	[ 'response has other external ids, not created',
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

# members that a response omits or adds do not contradict the row
foreach my $answer (
	'{"id":900,"patient":null,"externalOrderIds":null}',
	'{"id":901}',
	'{"id":902,"patient":{},"externalOrderIds":[]}',
	'{"id":903,"patient":{"id":null},"externalOrderIds":[null]}',
	'{"id":904,"patient":{"id":7,"site":{"id":3}},"site":{"id":3}}',
	'{"id":905,"externalOrderIds":["more","left_out","x"]}',
	# the ids in another form, in a response that names the patient
	'{"id":908,"patient":{"id":7},"externalOrderIds":["LEFT_OUT"]}')
{
	$api->ctl('log-reset');
	$api->fault({ method => 'POST', do => { status => 201, raw => $answer } });
	is(psql_error($node, insert_of('left_out'))->{sqlstate}, '00000',
		"response is accepted: $answer");
	is($api->count('pages'), 0, 'an accepted response needs no search');
}
$api->fault;

# an order for a site; the error states what is wrong, but does not name the site
my $for_site = 'INSERT INTO impilo.orders (site_id, order_items)'
  . ' VALUES (3, impilo_order_item(1000))';

$api->fault({ method => 'POST',
	do => { status => 201, raw => '{"id":906,"patient":{"id":7},"site":{"id":3}}' } });
is(psql_error($node, $for_site)->{sqlstate}, '00000', 'a response for the same site is accepted');
$api->fault({ method => 'POST',
	do => { status => 201, raw => '{"id":907,"site":{"id":445566}}' } });
my $other = psql_error($node, $for_site);
is($other->{sqlstate}, 'IU001', 'for another site');
like($other->{detail}, qr/The response to POST \/order is order 907, which is for another site\./,
	'for another site: the detail states it');
unlike($other->{stderr}, qr/445566/, 'for another site: the error does not show its id');
$api->fault;

# 429 proves that nothing was created, so the request is repeated
$api->ctl('log-reset');
$api->fault({ method => 'POST', times => 2,
	do => { status => 429, retry_after => '0' } });
is(psql_error($node, insert_of('again'))->{sqlstate},
	'00000', '429 twice: the third request creates the order');
is($api->count('posts'), 3, '429 twice: three requests');
is(orders_with('again'), 1, '429 twice: one order');
$api->fault({ method => 'POST', do => { status => 429, retry_after => '0' } });
is(psql_error($node, insert_of('never'))->{sqlstate},
	'53400', '429 to every request: nothing exists, so the error permits a retry');
$api->fault;

# no server at all
$api->stop;
is(psql_error($node, insert_of('down'))->{sqlstate},
	'08001', 'no connection: nothing was sent');
$api->start;

#----------------------------------------------------------------------
# The error of a refusal: SQLSTATE and hint
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

# after a response from base_url the hint does not suggest to change it
$api->fault({ method => 'POST', do => { status => 404 } });
unlike(psql_error($node, 'SELECT id FROM impilo.orders WHERE id = 1; ' . insert_of('proven'))->{hint},
	qr/base_url/, '404 after another response: the hint does not name base_url');
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
# Unknown outcomes: the error states what to do
#----------------------------------------------------------------------

$api->fault({ method => 'POST', do => { status => 500 } });
my $error = psql_error($node, insert_of('lost_1,lost_2'));
is($error->{sqlstate}, 'IU001', 'not found: IU001');
like($error->{detail}, qr/Row 1 \(external ids "lost_1", "lost_2"\): .*500/,
	'the detail names row, ids and reason');
like($error->{hint},
	qr/SELECT \* FROM impilo\.orders WHERE external_order_ids && ARRAY\['lost_1'\]/,
	'the hint contains a query that finds the order');
is($node->safe_psql('postgres',
		"SELECT * FROM impilo.orders WHERE external_order_ids && ARRAY['lost_1']"),
	'', 'the query of the hint runs');
ok(!(grep { $_->{severity} eq 'WARNING' } @{ $error->{messages} }),
	'no warning repeats the error');
like($error->{message}, qr/500|failed to answer/, 'the message contains the reason');
is($error->{messages}[0]{message},
	'searching the list of server "impilo" for 1 order of unknown outcome',
	'a notice reports the search');

# without external ids there is no search
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
is($error->{sqlstate}, '00000', 'an order that appears late is found');
is(orders_with('late'), 1, 'a late order is created once');
server_option('reconcile_timeout', undef);
server_option('reconcile_timeout', '0s');

# the search fails: the outcome of the request stays unknown
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } },
	{ method => 'GET', do => { status => 400 } });
$error = psql_error($node, insert_of('blind'));
is($error->{sqlstate}, 'IU001', 'list not readable: IU001, not the error of the list');

# a part of the list proves nothing
$api->config(order => 'newest');
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } },
	{ method => 'GET', page => 2, do => { status => 400 } });
$error = psql_error($node, insert_of('half_blind'));
is($error->{sqlstate}, 'IU001', 'half of the list not readable: IU001');
unlike($error->{detail}, qr/matches/, 'half of the list: the detail names no match');
$api->config(order => undef);
$api->fault;

#----------------------------------------------------------------------
# An older order is not taken for the new one
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
is($error->{sqlstate}, 'IU001', 'an older order with the same ids: IU001');
like($error->{detail}, qr/Order 900000 matches, but may be older/,
	'an older order with the same ids is named');

# the same if the server's clock is wrong
$api->config(date_offset_s => -100_000);
$number++;
$old->('old_clock', 7, '2020-01-01T00:00:00Z');
is(psql_error($node, insert_of('old_clock'))->{sqlstate},
	'IU001', 'an older order, if the clock is slow: IU001');
$api->config(date_offset_s => undef);

# without the header Date, or without events, the order's age is unknown
$api->config(date => \0);
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } });
is(psql_error($node, insert_of('dateless'))->{sqlstate},
	'IU001', 'without Date: IU001');
$api->config(date => undef);
$api->config(create_events => \0);
is(psql_error($node, insert_of('eventless'))->{sqlstate},
	'IU001', 'without events: IU001');

# unless option unique_external_ids promises that ids are unique
server_option('unique_external_ids', 'true');
is(psql_error($node, insert_of('promised'))->{sqlstate},
	'00000', 'without events, with unique_external_ids: the order is found');
$api->config(create_events => undef);

# an order with another recipient, more ids or fewer ids is another one
$api->fault({ method => 'POST', do => { status => 500 } });
$number++;
$old->('other', 8, '2020-01-01T00:00:00Z');
is(psql_error($node, insert_of('other'))->{sqlstate},
	'IU001', 'an order for another patient does not match');
$number++;
$old->('more","x', 7, '2020-01-01T00:00:00Z');
is(psql_error($node, insert_of('more'))->{sqlstate},
	'IU001', 'an order with more ids does not match');
is(psql_error($node, insert_of('more,x,y'))->{sqlstate},
	'IU001', 'an order with fewer ids does not match');
is(psql_error($node, insert_of('x,more'))->{sqlstate},
	'00000', 'an order with the same ids in another sequence matches');

# two matches
$number++;
$old->('twin', 7, '2020-01-01T00:00:00Z');
$number++;
$old->('twin', 7, '2020-01-01T00:00:00Z');
$error = psql_error($node, insert_of('twin'));
is($error->{sqlstate}, 'IU001', 'two matches: IU001');
like($error->{detail}, qr/Two orders match: 900004 and 900005/,
	'two matches: both are named');
server_option('unique_external_ids', undef);

# an order that the transaction created before does not match
$api->fault;
my $session = session($node);
$session->query('BEGIN');
$session->query(insert_of('same'));
$api->fault({ method => 'POST', do => { status => 500 } });
$session->query(insert_of('same'));
is($session->error->{sqlstate}, 'IU001',
	'an order of the previous statement does not match');
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

# one search for all unknown outcomes of a batch; the rows keep their sequence
$api->ctl('log-reset');
$api->fault({ method => 'POST', body => 'bulk_[3-6]_',
	do => { status => 500, processed => \1 } });
is($node->safe_psql('postgres',
		"WITH n AS (" . $bulk->('bulk', 100) . " RETURNING patient_id) "
		  . "SELECT string_agg(patient_id::text, ',') = string_agg(i::text, ',') FROM "
		  . "(SELECT patient_id, row_number() OVER () AS i FROM n) x"),
	't', 'all rows are returned in their sequence');
is(orders_with('bulk_3_') + orders_with('bulk_100_'), 2, 'unknown outcomes of a batch: each order is created once');
is($api->count('created'), 100, '100 orders');
cmp_ok($api->count('pages'), '<=', 4, 'unknown outcomes of a batch: the list is read once');

# one order cannot be the result of two rows
$api->fault(
	{ method => 'POST', times => 1, do => { status => 500, processed => \1 } },
	{ method => 'POST', do => { status => 500 } });
$error = psql_error($node,
	'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES'
	  . join(',', (" (7, '{shared}', impilo_order_item(1000))") x 2));
is($error->{sqlstate}, 'IU001', 'one order for two rows: IU001');
like($error->{detail}, qr/Order \d+ matches more than one row/, 'one order for two rows: it is named');
$api->fault;

# A refusal stops the rest.  With some latency, requests sent together are
# answered before the next ones are sent.
$api->ctl('log-reset');
$api->config(latency_ms => 50);
$api->fault({ method => 'POST', body => 'stop_5_', do => { status => 400 } });
$error = psql_error($node, $bulk->('stop', 500));
is($error->{sqlstate}, 'IU002', 'one refused: IU002');
like($error->{message}, qr/^row 5 \(external ids "stop_5_"\) was refused: /, 'the message names the row');
like($error->{detail}, qr/This transaction has created \d+ orders: \d+, /,
	'the detail names the orders that exist');
like($error->{detail}, qr/Rows \d+ to 500 were not sent\./, 'the detail names the rows that were not sent');
cmp_ok($api->count('posts'), '<', 20, 'the other rows were not sent');
$api->config(latency_ms => undef);
my $created = $api->count('created');
like($error->{detail}, qr/has created $created orders/, 'the detail counts the orders');

# a server that fails does not receive all rows
$api->ctl('log-reset');
$api->fault({ method => 'POST', do => { status => 502 } });
$error = psql_error($node, $bulk->('dead', 500));
is($error->{sqlstate}, 'IU001', 'all unknown: IU001');
cmp_ok($api->count('posts'), '<=', 16, 'stopped after the requests in flight');

# the server dies in between: the error names what exists and what may exist
$api->fault({ method => 'POST', skip => 20, do => { reset => 'before' } });
$error = psql_error($node, $bulk->('dying', 100));
is($error->{sqlstate}, 'IU001', 'dying server: IU001');
like($error->{detail}, qr/This transaction has created \d+ orders: /, 'dying server: the detail names the orders that exist');
$api->fault;

# concurrency
$api->ctl('log-reset');
$api->config(latency_ms => 50);
$node->safe_psql('postgres', $bulk->('wide', 40));
cmp_ok($api->count('most_posts_in_flight'), '>', 1, 'several requests are in flight together');
cmp_ok($api->count('most_posts_in_flight'), '<=', 8, 'no more requests are in flight than max_concurrency');
$api->config(latency_ms => undef);

#----------------------------------------------------------------------
# After an order was created, no error invites a retry
#----------------------------------------------------------------------

# Without keep-alive: a request over a kept connection whose end has not been
# noticed yet has an unknown outcome.
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
is($error->{sqlstate}, '57014', "cancel: PostgreSQL's SQLSTATE");
like($error->{message}, qr/canceling statement due to user request/,
	"cancel: PostgreSQL's message");
like($error->{context}, qr/were created, 3 more may have been created/, 'cancel: the context counts the orders that may exist');
is($session->query("SELECT count(*) FROM impilo_created_orders() WHERE state = 'unknown' "
		  . "AND external_order_ids::text LIKE '{cancelled%'"),
	3, 'cancel: impilo_created_orders() lists them');
$api->fault;

# while it searches the list
server_option('reconcile_timeout', undef);
$api->fault({ method => 'POST', do => { status => 500 } });
$session->send(insert_of('sought_for'));
wait_until(sub { $api->log =~ /sought_for/ }, 'the request');
$session->cancel;
$session->wait;
is($session->error->{sqlstate}, '57014', 'cancel during the search');
like($session->error->{context}, qr/were created, 1 more may have been created/, 'cancel during the search: the context counts the orders that may exist');
$api->fault;

done_testing();
