# No response crashes the backend, exceeds the memory limits of the options, or
# keeps a statement running without end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use Time::HiRes qw(time);

my $megabyte = 1024 * 1024;
my $api = sandbox(orders => 40);
my $node = cluster();

attach(
	$node, $api,
	server => {
		max_response_size => '1MB',
		request_timeout => '3s',
		max_retries => 0,
		fetch_size => 10
	});
my $session = session($node);

# Returns the peak memory of the backend since the last call, in bytes, or undef
# if the system does not report it.
sub peak
{
	my $peak;

	return undef if !-r '/proc/' . $session->pid . '/status';
	$peak = memory($session->pid, 'VmHWM');
	if (open my $refs, '>', '/proc/' . $session->pid . '/clear_refs')
	{
		print $refs "5\n";
		close $refs;
	}
	return defined $peak ? $peak * 1024 : undef;
}

my $list = 'SELECT count(document) FROM impilo.orders';
my $order = 'SELECT document FROM impilo.orders WHERE id = 7';
my $create =
  'INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING id';
my %statement = (list => $list, order => $order, create => $create);

# far more than any limit below, to end the test if no limit applies
$session->query("SET statement_timeout = '30s'");
$session->query($_) foreach ($list, $order, $list, $order);
peak();

# Bytes after which the response continues without end.
sub endless
{
	my ($begin, $loop) = @_;

	$begin =~ s/^OK/HTTP\/1.1 200 OK\r\nContent-Type: application\/json\r\n/;
	return { wire => $begin, wire_loop => $loop };
}

# name, what the sandbox does, SQLSTATE of reading
my @floods = (
	[ 'a gzip bomb', { gzip_bomb => 300 }, '54000' ],
	[ 'an endless body', { endless => \1 }, '54000' ],
	[
		'a body that is announced too large',
		{ raw => '', repeat => { text => 'x', count => 50_000_000 } },
		'54000'
	],
	[
		'a long string in chunks',
		{
			raw => '{"id":7,"patient":{"firstName":"',
			repeat => { text => 'abcdefghij', count => 1_000_000 },
			raw_end => '"}}',
			chunked => \1
		},
		'54000'
	],
	# libcurl has its own limit for a line
	[ 'a huge header', { header_bytes => 20_000_000 }, qr/^(54000|08006)$/ ],
	[
		'an endless body of a stated length',
		endless("OKContent-Length: 9000000000000000\r\n\r\n", ' '),
		'54000'
	],
	[
		'an endless body of no length',
		endless("OKConnection: close\r\n\r\n", ' '),
		'54000'
	],
	[
		'endless chunks of one byte',
		endless("OKTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
		'54000'
	],
	[
		'an endless chunk extension',
		endless("OKTransfer-Encoding: chunked\r\n\r\n1;", 'x'),
		qr/^(54000|08006)$/
	],
	[
		'endless trailers',
		endless("OKTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-A: b\r\n"),
		qr/^(54000|08006)$/
	],
	# from 8.6 on libcurl limits their number
	[ 'endless headers', endless('OK', "X-A: b\r\n"), qr/^(54000|08006)$/ ],
	[ 'an endless header', endless('OKX-A: ', 'x'), qr/^(54000|08006)$/ ],
	[ 'an endless status line', endless('HTTP/1.1 200 ', 'x'), qr/^(54000|08006)$/ ],
	[
		'endless interim answers',
		endless('', "HTTP/1.1 103 Early Hints\r\n\r\n"),
		'54000'
	],
	[
		'endless leave to continue',
		endless('', "HTTP/1.1 100 Continue\r\n\r\n"),
		'54000'
	],
	[
		'a million open brackets',
		{ raw => '', repeat => { text => '[', count => 1_000_000 } },
		'HV00M'
	],
	[
		'objects half a megabyte deep',
		{
			raw => '{"id":7,"content":',
			repeat => { text => '{"a":', count => 100_000 }
		},
		'HV00M'
	],
	[
		'a number of a million digits',
		{
			raw => '{"id":',
			repeat => { text => '9', count => 1_000_000 },
			raw_end => '}'
		},
		'HV00M'
	],
	[
		'a million members',
		{
			raw => '{"id":7,"content":[],"total":0',
			repeat => { text => ',"a":1', count => 170_000 },
			raw_end => '}'
		},
		undef
	]);

foreach my $flood (@floods)
{
	my ($name, $do, $sqlstate) = @$flood;

	foreach my $what (sort keys %statement)
	{
		my ($before, $after, $time);

		next if !defined $sqlstate && $what eq 'create';
		$before = peak();
		$api->fault({ do => $do });
		$time = elapsed(sub { $session->query($statement{$what}) });
		$api->fault;
		if ($what eq 'create')
		{
			is($session->error->{sqlstate}, 'IU001',
				"$name, $what: the outcome is unknown");
		}
		elsif (defined $sqlstate)
		{
			like($session->error->{sqlstate},
				qr/^$sqlstate$/, "$name, $what: refused");
		}
		else
		{
			like($session->error->{sqlstate},
				qr/^(00000|HV00M)$/, "$name, $what: ends");
		}
		cmp_ok($time, '<', 10, "$name, $what: soon");
		cmp_ok(length $session->error->{stderr},
			'<', 4000, "$name, $what: the message is short");
		$after = peak();
	  SKIP:
		{
			skip 'the memory of a process cannot be seen here', 1
			  if !defined $before || !defined $after;
			cmp_ok($after - $before, '<', 24 * $megabyte,
				"$name, $what: memory stays small");
			note(sprintf '%s, %s: %.1f MB more, %.2f s', $name, $what,
				($after - $before) / $megabyte, $time);
		}
		is($session->query('SELECT id FROM impilo.orders WHERE id = 7'),
			'7', "$name, $what: the session continues");
	}
}
$api->ctl('reset');

#----------------------------------------------------------------------
# Impossible totals
#----------------------------------------------------------------------

foreach my $total (
	'1000000000000000000', '9223372036854775807',
	'9223372036854775808', '1e300',
	'-1', '"40"', 'null', '4.5', '0')
{
	my $time;

	$api->ctl('config', "{\"total\":$total}");
	foreach my $sql ($list, 'SELECT count(*) FROM impilo.orders',
		'SELECT count(*) FROM impilo.orders WHERE id > 0')
	{
		# a total that nothing contradicts is the result of count(*)
		my $count = $sql =~ /WHERE|document/ ? 40 : $total;

		$time = elapsed(sub { $session->query("SET statement_timeout = '20s'; $sql") });
		like(
			$session->error->{sqlstate} . ' ' . $session->error->{stdout},
			qr/^(00000 40$|HV0.. $|00000 $count$)/,
			"total $total: all rows, or an error ($sql)");
		cmp_ok($time, '<', 15, 'soon');
	}

	# estimates accept any total, with as few requests as usual
	$api->ctl('log-reset');
	foreach my $sql (
		'ANALYZE impilo.orders',
		'EXPLAIN SELECT o.id FROM impilo.orders o JOIN impilo.order_items i ON i.order_id = o.id',
		'ALTER SERVER impilo OPTIONS (ADD use_remote_estimate \'true\'); EXPLAIN SELECT * FROM impilo.orders; ALTER SERVER impilo OPTIONS (DROP use_remote_estimate)')
	{
		$session->query($sql);
		is($session->error->{sqlstate}, '00000', "total $total: $sql")
		  or diag($session->error->{message});
	}
	cmp_ok($api->count('pages'), '<=', 42, "total $total: at most a sample of pages");
}
foreach my $past_end (qw(empty last_page not_found bad_request))
{
	$api->config(total => 1_000_000_000_000_000_000, past_end => $past_end);
	$session->query('ANALYZE impilo.orders');
	is($session->error->{sqlstate}, '00000', "ANALYZE of pages that are not there: $past_end");
}
$api->ctl('reset');
$session->query('RESET statement_timeout; ANALYZE impilo.orders');

#----------------------------------------------------------------------
# Lists that do not end
#----------------------------------------------------------------------

# the same page for ever
$api->config(
	past_end => 'last_page',
	last => 'always_false',
	omit => ['total']);
$session->query("SET statement_timeout = '10s'; $list");
like(
	$session->error->{sqlstate} . ' ' . $session->error->{stdout},
	qr/^(00000 40|HV0)/,
	'a list that never ends');
$api->ctl('reset');

# Orders that appear faster than they are read: max_pages ends any statement that
# reads the list.
sub server_options
{
	my ($options) = @_;

	$node->safe_psql('postgres', "ALTER SERVER impilo OPTIONS ($options)");
	return;
}

# grow(): restarts a list of 40 orders that never ends
sub grow
{
	$api->ctl('reset');
	$api->config(
		insert_every_n_pages => 1,
		insert_orders => 20,
		omit => ['last']);
	return;
}

server_options("ADD max_pages '50'");
foreach my $sql (
	$list,
	'SELECT count(*) FROM impilo.orders WHERE id > 0',
	'SELECT o.id FROM impilo.orders o JOIN impilo.order_items i ON i.order_id = o.id + 0',
	'SELECT (SELECT count(document) FROM impilo.orders o WHERE o.id <> n) FROM generate_series(1, 2) n',
	'SELECT count(*) FROM impilo.orders -- without total')
{
	grow();
	$api->config(omit => [ 'last', 'total' ]) if $sql =~ /without total/;
	peak();
	my $before = peak();
	$session->query($sql);
	my $after = peak();
	is($session->error->{sqlstate}, '54000', "a list that grows under the reader: $sql");
	is( $session->error->{message},
		'list of orders of server "impilo" is too long',
		'the message states that the list is too long');
	like($session->error->{detail},
		qr/^Read \d+ orders on 50 pages\.$/, 'the detail has the number of pages');
	is( $session->error->{hint},
		'Option max_pages of server "impilo" sets the limit.',
		'the hint names the option');
	# pages that were overtaken are requested twice, and one request reads the total
	cmp_ok($api->count('pages'), '<=', 101, 'at most twice as many requests');
  SKIP:
	{
		skip 'the memory of a process cannot be seen here', 1
		  if !defined $before || !defined $after;
		cmp_ok($after - $before, '<', 24 * $megabyte, 'the list needs little memory');
	}
}

# statements that need few pages are not affected
grow();
is($session->query('SELECT count(*) FROM (SELECT id FROM impilo.orders LIMIT 25) o'),
	25, 'a LIMIT within max_pages');
grow();
$session->query('ANALYZE impilo.orders');
is($session->error->{sqlstate}, '00000', 'ANALYZE of a list that grows');

# ON CONFLICT creates no order then; the search for an order ends
grow();
$session->query(
	q{INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (1, '{grow_1}', impilo_order_item(1000)) ON CONFLICT DO NOTHING});
is($session->error->{sqlstate}, '54000', 'ON CONFLICT of a list that grows');
is($api->count('posts'), 0, 'posts nothing');
server_options("ADD reconcile_timeout '0', ADD unique_external_ids 'true'");
grow();
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } });
$session->query(
	q{INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (1, '{grow_2}', impilo_order_item(1000))});
is($session->error->{sqlstate}, 'IU001',
	'a search in a list that grows: the outcome is unknown');
server_options('DROP reconcile_timeout, DROP unique_external_ids');

# exactly as many
$api->ctl('reset');
server_options("SET max_pages '4'");
is($session->query($list), 40, 'a list of four pages within max_pages 4');
server_options("SET max_pages '3'");
is($session->query($list), '', 'a list of four pages with max_pages 3: no rows');
is($session->error->{sqlstate}, '54000', 'a list of four pages with max_pages 3 is an error');
is($session->error->{detail}, 'Read 30 orders on 3 pages.', 'the detail has the numbers of orders and pages read');
is($api->count('pages'), 7, 'no page beyond max_pages was requested');

# max_pages makes the sample of ANALYZE smaller
foreach my $setting ({}, { omit => ['total'] })
{
	foreach my $pages (1, 3)
	{
		my ($name) = (%$setting, 'honest');

		$api->ctl('reset');
		$api->config(%$setting);
		server_options("SET max_pages '$pages'");
		$session->query('ANALYZE impilo.orders');
		is($session->error->{sqlstate}, '00000', "ANALYZE within $pages pages, $name");
		is($api->count('pages'), $pages, "ANALYZE within $pages pages, $name: the number of pages");
	}
}
$api->ctl('reset');
server_options("SET max_pages '3'");

# larger pages than requested count by their orders
server_options("SET max_response_size '8MB'");
$api->ctl('generate', 800);
$api->config(size_policy => 'ignore', default_size => 800, max_size => 800);
$session->query($list);
is($session->error->{sqlstate}, '54000', 'a page of 800 orders is more than three');
is($session->error->{detail}, 'Read 751 orders on 1 pages.', 'the detail has the orders read');
$session->query('ANALYZE impilo.orders');
is($session->error->{detail}, 'Read 751 orders on 1 pages.', 'the same error in a sample');
server_options("SET max_pages '4'");
is($session->query($list), 840, 'a page of 800 orders is not more than four');
server_options("DROP max_pages, SET max_response_size '1MB'");
$api->ctl('reset');

#----------------------------------------------------------------------
# Depth: an order is an object of 62 levels at most, its own included
#----------------------------------------------------------------------

my $page = '{"page":1,"size":10,"total":1,"first":true,"last":true,"content":[';
foreach my $case (
	[ 'order', '', '', 'SELECT (document IS NOT NULL)::int FROM impilo.orders WHERE id = 7' ],
	[ 'list', $page, ']}', 'SELECT count(document) FROM impilo.orders' ])
{
	my ($name, $begin, $end, $sql) = @$case;

	foreach my $depth (61, 62, 600_000)
	{
		$api->fault(
			{
				do => {
					raw => $begin . '{"id":7,"x":',
					repeat => { text => '[', count => $depth },
					raw_end => $depth < 1000 ? (']' x $depth) . '}' . $end : ''
				}
			});
		my $answer = $session->query($sql);

		if ($depth == 61)
		{
			is($answer, '1', "$name: $depth nested arrays are read");
			next;
		}
		is($session->error->{sqlstate}, 'HV00M', "$name: $depth nested arrays are refused");
		like($session->error->{detail}, qr/nested too deeply/, 'as such')
		  if $depth == 62;
	}
	$api->fault;
	is($session->query('SELECT id FROM impilo.orders WHERE id = 7'),
		'7', "$name: the session continues");
}

#----------------------------------------------------------------------
# Time
#----------------------------------------------------------------------

$node->safe_psql('postgres',
	"ALTER SERVER impilo OPTIONS (SET request_timeout '500ms')");
foreach my $slow (
	[ 'a silent server', { hang => \1 } ],
	[ 'a dripping body', { drip => { bytes => 1, every_ms => 20 } } ],
	[ 'a dripping header', { %{ endless('OKX-A: ', 'x') }, wire_every_ms => 20 } ],
	[
		'dripping interim answers',
		{
			%{ endless('', "HTTP/1.1 100 Continue\r\n\r\n") },
			wire_every_ms => 20
		}
	])
{
	$api->fault({ do => $slow->[1] });
	my $time = elapsed(sub { $session->query($list) });
	is($session->error->{sqlstate}, '08006', "$slow->[0]: request_timeout ends it");
	cmp_ok($time, '<', 5, 'in time');
	$api->fault;
}

# scan_timeout limits the time waited for all pages of a list together.
server_options("ADD scan_timeout '500ms', SET request_timeout '60s', ADD max_concurrency '1'");
$api->config(latency_ms => 200);
$session->query($list);
is($session->error->{sqlstate}, '08006', 'a list of slow pages: scan_timeout ends it');
is( $session->error->{message},
	'timeout while reading the list of orders of server "impilo"',
	'the message of scan_timeout');
like($session->error->{detail}, qr/^Read (10|20) orders on [12] pages\.$/,
	'the detail states how far the scan came');
is( $session->error->{hint},
	'Option scan_timeout of server "impilo" sets the limit.',
	'the hint names the option');
is($session->query('SELECT sum(id) FROM impilo.orders WHERE id = ANY (ARRAY[1,2,3,4])'),
	10, 'look-ups read no list');
$session->query(
	q{INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (1, '{slow_1}', impilo_order_item(1000)) ON CONFLICT DO NOTHING});
is($session->error->{sqlstate}, '08006', 'ON CONFLICT of a slow list');
is($api->count('posts'), 0, 'posts nothing');
server_options("SET scan_timeout '0'");
is($session->query($list), 40, 'without scan_timeout the list is read');
server_options("SET scan_timeout '3s'");
$api->config(latency_ms => 0);
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; MOVE 5 FROM c; SELECT pg_sleep(3.2)');
is($session->query('FETCH ALL FROM c') =~ tr/\n//, 34, 'the time between fetches does not count');
$session->query('COMMIT');
server_options("SET scan_timeout '500ms'");
$api->fault({ path => 'order', page => 2, do => { hang => \1 } });
{
	my $time = elapsed(sub { $session->query($list) });

	like($session->error->{hint}, qr/scan_timeout/, 'a missing page: the hint names scan_timeout');
	cmp_ok($time, '<', 30, 'a missing page is not waited for beyond scan_timeout');
}
$api->config(omit => ['total']);
server_options("SET scan_timeout '1500ms'");
$api->fault({ path => 'order', page => 1, do => { delay_ms => 1000 } });
$session->query('ANALYZE impilo.orders');
like($session->error->{hint}, qr/scan_timeout/, 'a sample that has to read the list has no more time');
$api->ctl('reset');
server_options("DROP scan_timeout, DROP max_concurrency, SET request_timeout '500ms'");

# retries end in time, although many are allowed
$node->safe_psql('postgres',
	"ALTER SERVER impilo OPTIONS (SET max_retries '100')");
$api->fault({ do => { status => 503 } });
{
	my $time = elapsed(sub { $session->query($list) });

	is($session->error->{sqlstate}, 'HV00L', 'a server that always fails is an error');
	cmp_ok($time, '<', 8, 'it is not retried longer than request_timeout');
}
$api->fault;
$api->fault({ do => { status => 429, retry_after => '86400' } });
{
	my $time = elapsed(sub { $session->query($list) });

	is($session->error->{sqlstate}, '53400', 'Retry-After of a day is an error');
	cmp_ok($time, '<', 5, 'Retry-After of a day is not waited for');
}
$api->fault;
$session->query('SELECT id FROM impilo.orders WHERE id = 7');
is($session->error->{sqlstate}, '53400', 'Retry-After holds back the next statement');
$session->query('SELECT impilo_fdw_disconnect_all()');
is($session->query('SELECT id FROM impilo.orders WHERE id = 7'),
	'7', 'Retry-After ends when the session disconnects');
unlike(log_text($node), qr/PANIC|was terminated by signal/, 'nothing crashed');

done_testing();
