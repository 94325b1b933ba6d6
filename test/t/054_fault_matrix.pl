# Every fault in every operation: what the error is, that nothing is sent
# twice, that the session goes on, and that no patient is named anywhere.
#
# The matrix is printed: rows are faults, columns are operations.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use JSON::PP ();
use MIME::Base64 ();

my $rows = 12;
my $api = sandbox(orders => $rows);
my $node = cluster('main', conf => <<'CONF');
log_min_messages = debug1
log_min_error_statement = panic
CONF

attach(
	$node, $api,
	server => {
		max_retries => 0,
		request_timeout => '500ms',
		max_response_size => '1MB',
		outcome_wait => '0s',
		fetch_size => 5
	});
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE impilo.later (patient_id bigint, order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE impilo.keyed (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders');
SQL

# Every text of every order is marked: found anywhere else than in a result,
# it has leaked.
my $mark = 'Zyxwyn';
my $json = JSON::PP->new->canonical;

sub mark_texts
{
	my ($value) = @_;

	return [ map { mark_texts($_) } @$value ] if ref $value eq 'ARRAY';
	return {
		map {
			$_ => /Timestamp|dateOfBirth|createdAt/
			  ? $value->{$_}
			  : mark_texts($value->{$_})
		} keys %$value
	  }
	  if ref $value eq 'HASH';
	return $value if ref $value || !defined $value;
	return $value if $value =~ /\A-?\d+(\.\d+)?\z/;
	return "$mark-$value";
}

sub plant
{
	my @orders = map { $json->decode($_) } split /\n/, $api->ctl('dump');

	$api->ctl('only', map { $json->encode(mark_texts($_)) } @orders);
	return;
}
plant();

# name, how many rows it creates, statement
my @operations = (
	[ 'list', 0, 'SELECT count(document), max(id) FROM impilo.orders' ],
	[ 'look-up', 0, 'SELECT * FROM impilo.orders WHERE id = 7' ],
	[
		'array', 0,
		"SELECT count(document) FROM impilo.orders WHERE id = ANY ('{1,2,3,4,5}')"
	],
	[ 'count', 0, 'SELECT count(*) FROM impilo.orders' ],
	[ 'ANALYZE', 0, 'ANALYZE impilo.order_items' ],
	[ 'ping', 0, "SELECT sqlstate FROM impilo_fdw_ping('impilo')" ],
	[
		'create', 1,
		'INSERT INTO impilo.orders (patient_id, order_items) '
		  . 'VALUES (1, impilo_order_item(1000)) RETURNING id'
	],
	[
		'bulk', 3,
		'INSERT INTO impilo.orders (patient_id, order_items) '
		  . 'SELECT g, impilo_order_item(1000) FROM generate_series(1, 3) g'
	],
	[
		'commit', 2,
		'BEGIN; INSERT INTO impilo.later VALUES (1, impilo_order_item(1000)), '
		  . '(2, impilo_order_item(1000)); COMMIT'
	],
	[
		'conflict', 2,
		q(INSERT INTO impilo.keyed VALUES (1, '{k1-NUMBER}', impilo_order_item(1000)),)
		  . q( (2, '{k2-NUMBER}', impilo_order_item(1000)) ON CONFLICT DO NOTHING)
	]);

# a body that names a patient, as an error may
my $gossip = $json->encode(
	{
		timestamp => 'now',
		patient => { firstName => $mark },
		errors => [
			{
				field => 'patient.firstName',
				rejectedValue => $mark,
				defaultMessage => 'must not be so'
			},
			{ field => 'patient.lastName', rejectedValue => $mark }
		]
	});
my $half = "{\"content\":[{\"id\":1,\"patient\":{\"firstName\":\"$mark\",";

# name, what happens, SQLSTATE of a read, of a creation: "unknown" is IU001
my $unknown = qr/IU001/;
my @faults = (
	[ 'HTTP 400', { status => 400, body => $gossip }, qr/HV00L/, qr/23514/ ],
	[ 'HTTP 401', { status => 401, body => $gossip }, qr/28000/, qr/28000/ ],
	[ 'HTTP 403', { status => 403, body => $gossip }, qr/42501/, qr/42501/ ],
	[ 'HTTP 404', { status => 404, body => $gossip }, qr/HV00N/, qr/23.../ ],
	[ 'HTTP 408', { status => 408 }, qr/HV00L/, $unknown ],
	[ 'HTTP 409', { status => 409, body => $gossip }, qr/HV00L/, qr/23514/ ],
	[ 'HTTP 418', { status => 418 }, qr/HV00L/, qr/HV00L/ ],
	[ 'HTTP 429', { status => 429 }, qr/53400/, qr/53400|IU00./ ],
	[ 'HTTP 500', { status => 500, body => $gossip }, qr/HV00L/, $unknown ],
	[ '500, done', { status => 500, processed => \1 }, qr/HV00L/, $unknown ],
	[ 'HTTP 503', { status => 503 }, qr/HV00L/, $unknown ],
	[ 'redirect', { redirect => 'https://elsewhere.test/' }, qr/HV00N/, $unknown ],
	[ 'reset before', { reset => 'before' }, qr/08006/, $unknown ],
	[ 'reset after', { reset => 'after' }, qr/08006/, $unknown ],
	[ 'closed', { close => \1 }, qr/08006/, $unknown ],
	[ 'silence', { hang => \1 }, qr/08006/, $unknown ],
	[ 'cut', { cut_body => 60 }, qr/08006/, $unknown ],
	[ 'chunks cut', { chunked_cut => 60 }, qr/08006/, $unknown ],
	[ 'broken JSON', { raw => $half }, qr/HV00M/, $unknown ],
	[ 'empty', { raw => '' }, qr/HV00M/, $unknown ],
	[ 'null', { raw => 'null' }, qr/HV00M/, $unknown ],
	[ 'array', { raw => "[\"$mark\"]" }, qr/HV00M/, $unknown ],
	[ 'no id', { raw => "{\"name\":\"$mark\"}" }, qr/HV00M/, $unknown ],
	[
		'other patient',
		{ replace => [ { pointer => '/patient/id', json => '99999' } ] },
		# a reader believes it, and ping has no error to tell
		qr/00000|/, $unknown
	],
	[
		'HTML',
		{ raw => "<html>$mark</html>", content_type => 'text/html' },
		qr/HV00M/, $unknown
	],
	[
		'bad UTF-8',
		{
			raw_base64 => MIME::Base64::encode_base64(
				"{\"id\":7,\"content\":[{\"id\":\"$mark\xff\xfe\"}]}", '')
		},
		# an order with an id for all that; the same for each, which is odd
		qr/HV00M|22021|/, qr/00000|IU001/
	],
	[
		'no gzip',
		{ raw => $half, headers => { 'Content-Encoding' => 'gzip' } },
		qr/08006/, $unknown
	],
	[ 'no HTTP', { wire => "$mark $mark\r\n\r\n" }, qr/08006/, $unknown ],
	[ 'gzip bomb', { gzip_bomb => 100 }, qr/54000/, $unknown ],
	[ 'header', { header_bytes => 500_000 }, qr/08006|54000/, $unknown ]);

my $session = session($node);
my $printed = '';
my %matrix;
my $number = 0;

sub note_output
{
	my $error = $session->error;

	$printed .= "$error->{stderr}\n";
	return $error;
}

foreach my $fault (@faults)
{
	my ($name, $do, $read, $create) = @$fault;

	foreach my $operation (@operations)
	{
		my ($what, $creates, $sql) = @$operation;
		my $before = $api->counts;
		my ($after, $error, $state, $made, $posts, $expected);

		# ids of their own: the session remembers what it has created
		$number++;
		$sql =~ s/NUMBER/$number/g;

		# what the list answers while an order is created is another matter
		$api->fault({ ($creates ? (method => 'POST') : ()), do => $do });
		$session->query($sql);
		$error = note_output();
		$state = $error->{sqlstate};
		$state = $error->{stdout} if $what eq 'ping';
		$printed .= $error->{stdout} if $what eq 'ping';
		$after = $api->counts;
		$api->fault;
		$session->query('ROLLBACK') if $what eq 'commit';
		note_output();

		$made = $after->{created} - $before->{created};
		$posts = $after->{posts} - $before->{posts};
		$matrix{$name}{$what} = $state . ($creates ? " $posts/$made" : '');
		$expected = $creates ? $create : $read;
		# sampling for statistics gives up with a warning or an error
		$expected = qr/00000|$read/ if $what eq 'ANALYZE';
		# with external ids it is found out whether the orders exist
		$expected = $made == $creates ? qr/00000/ : $create
		  if $what eq 'conflict';
		# the list is asked when an order is not found
		$expected = qr/$read|00000/ if $what eq 'look-up' || $what eq 'array';
		like($state, qr/^($expected)$/, "$name, $what: SQLSTATE")
		  or diag($error->{stderr});
		cmp_ok($posts, '<=', $creates, "$name, $what: nothing is posted twice");
		cmp_ok($made, '<=', $creates, "$name, $what: nothing is created twice");
		if ($creates && $state eq 'IU001')
		{
			like($error->{hint}, qr/./, "$name, $what: a hint how to find out");
		}

		# and the session goes on
		$session->query(
			'SELECT (SELECT count(document) FROM impilo.orders), '
			  . '(SELECT id FROM impilo.orders WHERE id = 7)');
		is( $session->error->{sqlstate} . ' ' . $session->error->{stdout},
			'00000 ' . ($rows + $made) . '|7',
			"$name, $what: then all is well");
		note_output();
		if ($made > 0)
		{
			my @ids = map { $json->decode($_)->{id} }
			  split /\n/, $api->ctl('dump');
			$api->ctl('delete', @ids[ $rows .. $#ids ]);
		}
	}
}

#----------------------------------------------------------------------
# Values that do not fit, and are not shown
#----------------------------------------------------------------------

foreach my $case (
	[ '/patient/dateOfBirth', "\"$mark\"" ],
	[ '/patient/dateOfBirth', "\"$mark-01-01\"" ],
	[ '/patient/archived', "\"$mark\"" ],
	[ '/patient/id', "\"$mark\"" ],
	[ '/patient/firstName', "\"$mark\\u0000\"" ],
	[ '/patient/firstName', "\"$mark\\ud800\"" ],
	[ '/orderItems', "\"$mark\"" ],
	[ '/orderItems', "[\"$mark\"]" ],
	[ '/orderEvents/0/eventTimestamp', "\"$mark\"" ],
	[ '/externalOrderIds', "\"$mark\"" ],
	[ '/site', "\"$mark\"" ],
	[ '/id', "\"$mark\"" ])
{
	my ($pointer, $text) = @$case;

	foreach my $sql (
		'SELECT * FROM impilo.orders WHERE id = 7',
		"SELECT * FROM impilo.orders WHERE patient_date_of_birth > '1900-01-01'",
		'SELECT * FROM impilo.order_items WHERE order_id = 7',
		'SELECT * FROM impilo.order_events WHERE order_id = 7',
		'SELECT document::text::int FROM impilo.orders WHERE false')
	{
		$api->fault(
			{
				path => 'order/*',
				do => { replace => [ { pointer => $pointer, json => $text } ] }
			},
			{
				path => 'order',
				do => {
					replace =>
					  [ { pointer => "/content/1$pointer", json => $text } ]
				}
			});
		$session->query($sql);
		note_output();
	}
	$api->fault;
}
$session->query('EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM impilo.orders');
$printed .= $session->error->{stdout};
$session->query('SELECT * FROM impilo_created_orders()');
$printed .= $session->error->{stdout};
$session->query("SELECT * FROM impilo_check_schema('impilo')");
$printed .= $session->error->{stdout};
$session->query('ANALYZE impilo.orders');
note_output();
$printed .= $node->safe_psql('postgres',
	"SELECT string_agg(s::text, ' ') FROM pg_stats s WHERE schemaname = 'impilo' AND tablename = 'orders' AND attname LIKE 'patient%'"
);

foreach my $where ([ 'printed', $printed ], [ 'in the log', log_text($node) ])
{
	my @lines = grep { /$mark/ } split /\n/, $where->[1];

	ok(!@lines, "no patient is named in what is $where->[0]")
	  or diag(join "\n", map { substr $_, 0, 300 } @lines[ 0 .. ($#lines > 9 ? 9 : $#lines) ]);
}
unlike(log_text($node), qr/PANIC|was terminated by signal/, 'nothing crashed');

my $form = '%-13s' . ' %-11s' x @operations;
note('SQLSTATE; of creations: requests sent/orders created');
note(sprintf $form, 'fault', map { $_->[0] } @operations);
foreach my $fault (@faults)
{
	note(sprintf $form, $fault->[0],
		map { $matrix{ $fault->[0] }{ $_->[0] } } @operations);
}

done_testing();
