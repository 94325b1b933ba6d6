# Every fault in every operation: the error is the documented one, no order is sent
# twice, the session continues, and no message contains data of a patient.
#
# The test prints the matrix: rows are faults, columns are operations.

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
log_min_messages = debug5
log_min_error_statement = panic
CONF

my %options = (
	request_timeout => '500ms',
	max_response_size => '1MB',
	reconcile_timeout => '0s',
	fetch_size => 5);

attach($node, $api, server => { %options, max_retries => 0 });
# retries are allowed where orders are created: the test proves that none is made
attach(
	$node, $api,
	name => 'ship',
	server => { %options, max_retries => 2 });
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE ship.later (patient_id bigint, order_items jsonb)
	SERVER ship OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE ship.keyed (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER ship OPTIONS (relation 'orders');
CREATE SCHEMA scratch;
SQL

# Each value of each order is marked: a mark outside a result is a leak.  Values
# that describe a person have other marks.
my $mark = 'Zyxwyn';
my $marks = qr/Zyxwyn|Quxwyn|1911-11-11|\b7770001\d\d\d\b/;
my $personal = qr/Zyxwyn|1911-11-11/;
my $json = JSON::PP->new->canonical;

# Objects as the API documents them, each with an unknown member
sub marked
{
	my ($text, @names) = @_;

	return (
		(map { $_ => "$text $_" } @names),
		"${text}Key" => { "${text}Inner" => [ "$text unknown", { a => $text } ] });
}

sub address
{
	return {
		marked($_[0],
			qw(lineOne lineTwo lineThree city state zipCode country note))
	};
}

sub site
{
	return {
		id => 7,
		active => \1,
		address => address(@_),
		marked($_[0], qw(name phoneNumber))
	};
}

sub patient
{
	my ($id) = @_;

	return {
		id => 7770001000 + $id,
		dateOfBirth => '1911-11-11',
		archived => \0,
		enrolled => \1,
		address => address($mark),
		site => site($mark),
		marked($mark,
			qw(externalIdentifier firstName lastName email phoneNumber sex))
	};
}

sub item
{
	return {
		id => 1000,
		orderable => \1,
		manufacturer => { id => 1, marked('Quxwyn', 'name') },
		marked('Quxwyn', qw(name model sku))
	};
}

sub device
{
	my ($id) = @_;

	return {
		id => 10 + $id,
		item => item(),
		used => \1,
		currentPatient => patient($id),
		site => site('Quxwyn'),
		lastHealthCheck => '2024-01-01T00:00:00Z',
		deviceIdentifiers => [ { marked($mark, qw(type value)) } ],
		deviceEvents => [
			{ marked($mark, 'type'), eventTimestamp => '2024-01-01T00:00:00Z' }
		],
		disabledReadings => \0,
		marked('Quxwyn', qw(currentStatus externalIdentifier))
	};
}

sub order
{
	my ($id) = @_;
	my $kit = {
		id => 5,
		archived => \0,
		kitItems => [ { item => item(), count => 1 } ],
		marked('Quxwyn', 'name')
	};
	my $at = { name => 'orderCreated', eventTimestamp => '2024-01-01T00:00:00Z' };

	return {
		id => $id,
		externalOrderIds => ["Quxwyn-$id"],
		patient => patient($id),
		site => site('Quxwyn'),
		orderItems => [ { item => item(), count => 2 } ],
		orderKits => [ { kit => $kit, count => 1 } ],
		orderEvents => [ $at, { %$at, name => 'Quxwyn event' } ],
		trackingNumbers => [ { marked('Quxwyn', qw(carrier value)) } ],
		devices => [ device($id) ],
		packedKits => [ { kit => $kit, devices => [ device($id) ] } ],
		orderNotes => [
			{
				createdAt => '1911-11-11T11:11:11Z',
				createdBy => {
					id => 7770001999,
					marked($mark, qw(firstName lastName email))
				},
				marked($mark, 'note')
			}
		],
		emailLabel => \0,
		returnDevices => [ device($id) ],
		returnItems => [ { item => item(), count => 1 } ],
		returnPackedKits => [ { kit => $kit, devices => [ device($id) ] } ],
		marked('Quxwyn', qw(currentStatus shippingOption))
	};
}
$api->ctl('only', map { $json->encode(order($_)) } 1 .. $rows);

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
	[ 'ping', 0, "SELECT sqlstate, problem FROM impilo_fdw_ping('impilo')" ],
	[
		'import', 0,
		'BEGIN; IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO scratch; '
		  . 'SELECT count(*) FROM pg_class WHERE relnamespace = $$scratch$$::regnamespace; ROLLBACK'
	],
	[
		'create', 1,
		'INSERT INTO ship.orders (patient_id, order_items) '
		  . 'VALUES (1, impilo_order_item(1000)) RETURNING id'
	],
	[
		'bulk', 3,
		'INSERT INTO ship.orders (patient_id, order_items) '
		  . 'SELECT g, impilo_order_item(1000) FROM generate_series(1, 3) g'
	],
	[
		'commit', 2,
		'BEGIN; INSERT INTO ship.later VALUES (1, impilo_order_item(1000)), '
		  . '(2, impilo_order_item(1000)); COMMIT'
	],
	[
		'conflict', 2,
		q(INSERT INTO ship.keyed VALUES (1, '{k1-NUMBER}', impilo_order_item(1000)),)
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
# a refusal that repeats the order in several forms
my $echo = $json->encode(
	{
		errors => {
			firstName => { rejectedValue => $mark, reason => $mark },
			lastName => [ { rejectedValue => $mark } ],
			"$mark" => { value => $mark }
		},
		data => order(1),
		path => "/order/$mark"
	});
my $half = "{\"content\":[{\"id\":1,\"patient\":{\"firstName\":\"$mark\",";

# name, what happens, SQLSTATE of a read, of a creation: "unknown" is IU001
my $unknown = qr/IU001/;
my @faults = (
	[ 'HTTP 400', { status => 400, body => $gossip }, qr/HV00L/, qr/23514/ ],
	[ 'HTTP 401', { status => 401, body => $gossip }, qr/28000/, qr/28000/ ],
	[ 'HTTP 403', { status => 403, body => $gossip }, qr/42501/, qr/42501/ ],
	[ 'HTTP 404', { status => 404, body => $gossip }, qr/HV00L/, qr/23.../ ],
	[ 'HTTP 408', { status => 408 }, qr/HV00L/, $unknown ],
	[ 'HTTP 409', { status => 409, body => $gossip }, qr/HV00L/, qr/23514/ ],
	[ 'HTTP 418', { status => 418 }, qr/HV00L/, qr/HV00L/ ],
	[ 'HTTP 429', { status => 429 }, qr/53400/, qr/53400|IU00./ ],
	[ 'HTTP 422', { status => 422, body => $echo }, qr/HV00L/, qr/23514/ ],
	[
		'429, later',
		{ status => 429, retry_after => '3600' },
		qr/53400/, qr/53400|IU00./
	],
	[
		'400, cut',
		{ status => 400, body_base64 => MIME::Base64::encode_base64($half, '') },
		qr/HV00L/, qr/23514/
	],
	[ 'HTTP 500', { status => 500, body => $gossip }, qr/HV00L/, $unknown ],
	[ '500, done', { status => 500, processed => \1 }, qr/HV00L/, $unknown ],
	[ 'HTTP 503', { status => 503 }, qr/HV00L/, $unknown ],
	[ 'redirect', { redirect => 'https://elsewhere.test/' }, qr/HV00N/, $unknown ],
	[ 'reset before', { reset => 'before' }, qr/08006/, $unknown ],
	[ 'reset after', { reset => 'after' }, qr/08006/, $unknown ],
	[ 'closed', { close => \1 }, qr/08006/, $unknown ],
	[ 'silence', { hang => \1 }, qr/08006/, $unknown ],
	[ 'slow', { delay_ms => 900 }, qr/08006/, $unknown ],
	[ 'drip', { drip => { bytes => 1, every_ms => 50 } }, qr/08006/, $unknown ],
	[ 'late', { delay_ms => 20 }, qr/00000/, qr/00000/ ],
	[ 'chunks', { chunked => \1 }, qr/00000/, qr/00000/ ],
	[ 'no keep-alive', { connection_close => \1 }, qr/00000/, qr/00000/ ],
	[
		'seen later',
		{ reset => 'after', appear_after_ms => 3_600_000 },
		qr/08006/, $unknown
	],
	[ 'cut', { cut_body => 60 }, qr/08006/, $unknown ],
	[ 'chunks cut', { chunked_cut => 60 }, qr/08006/, $unknown ],
	[ 'broken JSON', { raw => $half }, qr/HV00M/, $unknown ],
	[ 'empty', { raw => '' }, qr/HV00M/, $unknown ],
	[
		'brackets',
		{
			raw => '',
			repeat => { text => '[', count => 500_000 },
			raw_end => "\"$mark\""
		},
		qr/HV00M/, $unknown
	],
	[ 'endless', { endless => \1 }, qr/54000|08006/, $unknown ],
	# faults of pages
	[ 'no content', { omit => ['content'] }, qr/HV00M/, qr/00000/ ],
	[ 'null content', { null => ['content'] }, qr/HV00M/, qr/00000/ ],
	[
		'odd content',
		{ envelope => { content => { id => 7, name => $mark } } },
		qr/HV00M/, qr/00000/
	],
	[
		'odd envelope',
		{
			envelope => {
				page => $mark,
				size => -5,
				total => [$mark],
				first => 7,
				last => $mark
			}
		},
		qr/HV00M|00000/,
		qr/00000/
	],
	[
		'odd id',
		{
			replace => [
				map { { pointer => $_, json => "\"$mark\"" } } '/id',
				'/content/0/id'
			]
		},
		# ping and count(*) accept it
		qr/HV00M|00000/,
		$unknown
	],
	[ 'null', { raw => 'null' }, qr/HV00M/, $unknown ],
	[ 'array', { raw => "[\"$mark\"]" }, qr/HV00M/, $unknown ],
	[ 'no id', { raw => "{\"name\":\"$mark\"}" }, qr/HV00M/, $unknown ],
	[
		'other patient',
		{ replace => [ { pointer => '/patient/id', json => '99999' } ] },
		# a read accepts it, and ping reports no error
		qr/00000/, $unknown
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
		# an order with an id, the same for each request
		qr/HV00M|22021|00000/, qr/00000|IU001/
	],
	[
		'no gzip',
		{ raw => $half, headers => { 'Content-Encoding' => 'gzip' } },
		qr/HV00M/, $unknown
	],
	[
		'slow header',
		{
			wire => "HTTP/1.1 200 OK\r\n",
			wire_loop => "X-$mark: $mark\r\n",
			wire_every_ms => 1
		},
		qr/08006/, $unknown
	],
	[
		'no HTTP 2',
		{ wire_base64 => MIME::Base64::encode_base64("\0\xff$mark\n\n", '') },
		qr/08006/, $unknown
	],
	[ 'no HTTP', { wire => "$mark $mark\r\n\r\n" }, qr/08006/, $unknown ],
	[ 'gzip bomb', { gzip_bomb => 100 }, qr/54000/, $unknown ],
	[ 'header', { header_bytes => 500_000 }, qr/08006|54000/, $unknown ]);

# The matrix contains every fault of the sandbox.
{
	my $source = PostgreSQL::Test::Utils::slurp_file(
		"$ImpiloTest::SANDBOX_DIR/actions.c");
	my %has = map { $_ => 1 } $source =~ /^\t\{"(\w+)", json_type_\w+, parse_/gm;

	delete $has{$_} foreach map { keys %{ $_->[1] } } @faults;
	is(join(' ', sort keys %has), '', 'every fault of the sandbox is in the matrix');
	cmp_ok(scalar @{ [ $source =~ /^\t\{"\w+", json_type_/gm ] },
		'>', 25, 'the sandbox has more than 25 faults');
}

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

		# other ids in each test, as the session remembers the orders that it created
		$number++;
		$sql =~ s/NUMBER/$number/g;

		# the list is not tested while an order is created
		$api->fault({ ($creates ? (method => 'POST') : ()), do => $do });
		$session->query($sql);
		$error = note_output();
		$state = $error->{sqlstate};
		if ($what eq 'ping')
		{
			$printed .= $error->{stdout};
			($state) = $error->{stdout} =~ /^([^|]*)/;
			$state = '00000' if $state eq '';
			# its own connection has not shown that the address is right
			$read = qr/HV00N/ if $name eq 'HTTP 404';
		}
		$after = $api->counts;
		if ($what eq 'import')
		{
			is($error->{stdout}, '10', "$name, import: all relations");
			is($after->{requests}, $before->{requests},
				"$name, import: no request is sent");
			$read = qr/00000/;
		}
		$api->fault;
		$session->query('ROLLBACK') if $what =~ /commit|import/;
		note_output();

		$made = $after->{created} - $before->{created};
		$posts = $after->{posts} - $before->{posts};
		$matrix{$name}{$what} = $state . ($creates ? " $posts/$made" : '');
		$matrix{$name}{$what} .= '+' . ($after->{requests} - $before->{requests} - $posts)
		  if $after->{requests} > $before->{requests} + $posts;
		$expected = $creates ? $create : $read;
		# ANALYZE ends with a warning or an error
		$expected = qr/00000|$read/ if $what eq 'ANALYZE';
		# with external ids a search decides whether the orders exist
		$expected = $made == $creates && !$do->{appear_after_ms} ? qr/00000/ : $create
		  if $what eq 'conflict';
		# the list is requested if an order is not found
		$expected = qr/$read|00000/ if $what eq 'look-up' || $what eq 'array';
		like($state, qr/^($expected)$/, "$name, $what: SQLSTATE")
		  or diag($error->{stderr});
		# except requests that the server has certainly refused
		cmp_ok($posts, '<=', $creates * (($do->{status} // 0) == 429 ? 3 : 1),
			"$name, $what: no order is sent twice");
		cmp_ok($made, '<=', $creates, "$name, $what: no order is created twice");
		if ($creates && $state eq 'IU001')
		{
			like($error->{hint}, qr/./, "$name, $what: the error has a hint");
		}

		# the session continues, after the pause that a response asked for
		$session->query('SELECT impilo_fdw_disconnect_all()') if $do->{retry_after};
		note_output();
		$session->query(
			'SELECT (SELECT count(document) FROM impilo.orders), '
			  . '(SELECT id FROM ship.orders WHERE id = 7)');
		is( $session->error->{sqlstate} . ' ' . $session->error->{stdout},
			'00000 ' . ($rows + ($do->{appear_after_ms} ? 0 : $made)) . '|7',
			"$name, $what: the session continues");
		note_output();
		if ($made > 0)
		{
			my @ids = map { $json->decode($_)->{id} }
			  split /\n/, $api->ctl('dump');
			$api->ctl('delete', @ids[ $rows .. $#ids ]) if @ids > $rows;
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
	[ '/patient/phoneNumber', '1e999999' ],
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

# columns of types that the values do not have; from 16 on regclass tells
# every name that it does not find to the log at debug1
foreach my $type (
	qw(integer bigint numeric boolean date timestamptz interval uuid jsonb inet
	bytea money point xml oid text[] integer[] varchar(3) char(2) bit(3)
	"char" tsvector name int4range),
	$node->safe_psql('postgres', 'SHOW server_version_num') < 160000
	? 'regclass'
	: ())
{
	$session->query(
		"CREATE FOREIGN TABLE scratch.odd (id bigint, patient_first_name $type, "
		  . "patient_date_of_birth $type, document $type) SERVER impilo OPTIONS (relation 'orders')");
	foreach my $column ('patient_first_name', 'patient_date_of_birth', 'document')
	{
		$session->query("SELECT count($column) FROM scratch.odd");
		note_output();
		$session->query("SELECT count($column) FROM scratch.odd WHERE id = 7");
		note_output();
	}
	$session->query('ANALYZE scratch.odd');
	note_output();
	$session->query('DROP FOREIGN TABLE scratch.odd');
}
foreach my $operation (@operations)
{
	my ($what, $creates, $sql) = @$operation;

	next if $sql !~ /^(SELECT|INSERT)/;
	$sql =~ s/NUMBER/explained/g;
	$session->query("EXPLAIN (ANALYZE, VERBOSE, SETTINGS, WAL, BUFFERS) $sql");
	note_output();
	$printed .= $session->error->{stdout};
}
$session->query('EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM impilo.orders');
$printed .= $session->error->{stdout};
$session->query('SELECT * FROM impilo_created_orders()');
$printed .= $session->error->{stdout};
$session->query("SELECT * FROM impilo_check_schema('impilo')");
note_output();
# the rows of the schema report are names of members, not values
$printed .= $session->error->{stdout} =~
  s/zyxwyn_key|zyxwyn_inner|ZyxwynKey|ZyxwynInner|quxwyn_key|quxwyn_inner|QuxwynKey|QuxwynInner//gr;
foreach my $view (
	'pg_stat_activity', 'impilo_fdw_get_connections()', 'impilo_fdw_diag()',
	'pg_foreign_table', 'pg_prepared_statements')
{
	$session->query("SELECT * FROM $view");
	$printed .= $session->error->{stdout};
}

# statistics contain other values, but no patient's name
my @relations = split /\n/,
  $node->safe_psql('postgres',
	q(SELECT relname FROM pg_class WHERE relnamespace = 'impilo'::regnamespace AND relkind = 'f'));
foreach my $relation (@relations)
{
	$session->query("ANALYZE impilo.$relation");
	note_output();
}
my $statistics = $node->safe_psql('postgres',
	"SELECT s::text FROM pg_stats s WHERE schemaname = 'impilo'");
cmp_ok(scalar @relations, '>=', 9, 'all relations were sampled');
like($statistics, qr/Quxwyn name/, 'statistics have values');
like($statistics, qr/patient_first_name/, 'statistics have the columns of persons');
unlike($statistics, $personal, 'statistics have no value that describes a person');

foreach my $where ([ 'printed', $printed ], [ 'in the log', log_text($node) ])
{
	my @lines = grep { /$marks/ } split /\n/, $where->[1];

	ok(!@lines, "no data of a patient is $where->[0]")
	  or diag(join "\n", map { substr $_, 0, 300 } @lines[ 0 .. ($#lines > 9 ? 9 : $#lines) ]);
}
unlike(log_text($node), qr/PANIC|was terminated by signal/, 'nothing crashed');

my $form = '%-13s' . ' %-12s' x @operations;
note('SQLSTATE; of creations: requests sent/orders created; + other requests');
note(sprintf $form, 'fault', map { $_->[0] } @operations);
foreach my $fault (@faults)
{
	note(sprintf $form, $fault->[0],
		map { $matrix{ $fault->[0] }{ $_->[0] } } @operations);
}

done_testing();
