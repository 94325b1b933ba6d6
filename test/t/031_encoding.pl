# Databases with encodings other than UTF-8: characters of the encoding are
# correct, others are an error or NULL, also in names of members.

use strict;
use warnings;
use Encode;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use JSON::PP ();
use utf8;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $api = sandbox(orders => 300);
my $node = cluster();

# names and cities in the sandbox, by order
my @orders = map { JSON::PP->new->utf8->decode($_) } split /\n/, $api->ctl('dump');
my %city = map { $_->{id} => $_->{patient} && $_->{patient}{address}{city} } @orders;

sub bytes { return encode('UTF-8', $_[0]); }

sub database
{
	my ($encoding) = @_;
	my $name = lc "in_$encoding";

	$node->safe_psql('postgres',
		"CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($name, 'CREATE EXTENSION impilo_fdw');
	attach($node, $api, database => $name);
	return $name;
}

sub query
{
	my ($database, $sql) = @_;

	return decode('UTF-8', $node->safe_psql($database, bytes($sql)));
}

sub error_of
{
	my ($database, $sql) = @_;

	return psql_error($node, bytes($sql), database => $database);
}

my $latin1 = database('LATIN1');
my $japanese = database('EUC_JP');
my $ascii = database('SQL_ASCII');

#----------------------------------------------------------------------
# Every order of the sandbox, whose names are in many scripts
#----------------------------------------------------------------------

foreach my $database ([ $latin1, 'iso-8859-1' ], [ $japanese, undef ])
{
	my ($name, $encoding) = @$database;
	my ($right, $null) = (0, 0);

	query($name, q{ALTER FOREIGN TABLE impilo.orders
		ADD COLUMN city text OPTIONS (json_pointer '/patient/address/city', on_invalid 'null')});
	my %seen = map { split /\|/, $_, 2 } split /\n/,
	  query($name, "SELECT id, coalesce(city, '-') FROM impilo.orders");
	is(scalar keys %seen, scalar @orders, "$name: every order is read");
	foreach my $id (keys %seen)
	{
		my $city = $city{$id} // '-';

		if ($seen{$id} eq $city) { $right++ }
		elsif ($seen{$id} eq '-') { $null++ }
		if ($encoding)
		{
			my $copy = $city;
			my $fits = defined eval { encode($encoding, $copy, Encode::FB_CROAK) };
			is($seen{$id}, $fits ? $city : '-', "$name: the city of order $id")
			  if $seen{$id} ne ($fits ? $city : '-');
		}
	}
	is($right + $null, scalar @orders, "$name: each city is right or NULL");
	cmp_ok($null, '>', 0, "$name: some cities are NULL");
	cmp_ok($right, '>', $null, "$name: most do");
	is(query($name, 'SELECT count(*), sum(count) FROM impilo.order_items'),
		$node->safe_psql($ascii, 'SELECT count(*), sum(count) FROM impilo.order_items'),
		"$name: a column that is not used raises no error");
}
my %seen = map { split /\|/, $_, 2 } split /\n/,
  $node->safe_psql($ascii,
	"SET client_encoding = 'SQL_ASCII'; SELECT id, coalesce(patient_address_city, '-') FROM impilo.orders");
is_deeply({ map { $_ => decode('UTF-8', $seen{$_}) } keys %seen },
	{ map { $_ => $city{$_} // '-' } keys %city },
	'in_sql_ascii: the bytes are those of the API');

#----------------------------------------------------------------------
# Texts, conditions, JSON, errors
#----------------------------------------------------------------------

$api->ctl('only',
	bytes('{"id": 1, "currentStatus": "Zoë", "größe": "ja", "orderItems": [{"item": {"name": "ç"}}], "externalOrderIds": ["é"]}'),
	bytes('{"id": 2, "currentStatus": "東京", "größe": 5, "orderItems": [{"item": {"name": "大阪"}}], "externalOrderIds": ["a", "東"]}'),
	'{"id": 3, "currentStatus": "\u0422\u0435\u0441\u0442", "orderItems": [{"item": {"name": "\ud83d\ude00"}}]}');

is(query($latin1, "SELECT id, length(current_status), octet_length(current_status), order_items #>> '{0,item,name}', external_order_ids FROM impilo.orders WHERE id = 1"),
	'1|3|3|ç|{é}', 'LATIN1: one byte a character');
is(query($latin1, "SELECT current_status FROM impilo.orders WHERE id = 1 AND current_status = 'Zoë'"),
	'Zoë', 'LATIN1: conditions compare in the database\'s encoding');
is(query($japanese, "SELECT id, length(current_status), octet_length(current_status), order_items #>> '{0,item,name}', external_order_ids FROM impilo.orders WHERE id = 2"),
	'2|2|4|大阪|{a,東}', 'EUC_JP: two bytes a character');
is(query($japanese, "SELECT length(current_status) FROM impilo.orders WHERE id = 3"),
	'4', 'EUC_JP has cyrillic letters');

foreach my $column (qw(current_status external_order_ids order_items document))
{
	my $error = error_of($latin1, "SELECT $column FROM impilo.orders WHERE id = 2");

	is($error->{sqlstate}, '22P05', "LATIN1: $column that does not fit is an error");
	is($error->{message},
		qq{order 2 has an invalid value for column "$column" of foreign table "orders"},
		'the message names order and column');
	unlike($error->{stderr}, qr/東|京|大阪|e6 ?9d ?b1/i, 'the error does not show the value');
}
is(error_of($japanese, 'SELECT order_items FROM impilo.orders WHERE id = 3')->{sqlstate},
	'22P05', 'EUC_JP has no such character in JSON either');
is(query($latin1, 'SELECT count(*), max(id) FROM impilo.orders'), '3|3', 'LATIN1: other columns are read');

# a member's name
foreach my $name ($latin1, $ascii)
{
	query($name, q{CREATE FOREIGN TABLE named (id bigint, v text OPTIONS (json_pointer '/größe')) SERVER impilo OPTIONS (relation 'orders')});
	is(query($name, 'SELECT id, v FROM named WHERE id < 3 ORDER BY id'), "1|ja\n2|5",
		"$name: a JSON pointer finds a member by its name");
}
query($latin1, 'ALTER FOREIGN TABLE named ALTER v TYPE integer');
my $error = error_of($latin1, 'SELECT v FROM named WHERE id = 1');
is(decode('UTF-8', $error->{detail}),
	'The response to GET /order/1 has a string at "/größe", which cannot be read as type integer.',
	'an error shows the name in the encoding');

# the schema report leaves out, with a warning, an order that the encoding
# cannot represent
query($latin1, 'DROP FOREIGN TABLE named');
$api->ctl('put', bytes('{"id": 4, "京": 1}'));
my $report = "SELECT json_path, statement FROM impilo_check_schema('impilo') WHERE finding = 'new member'";
is(query($latin1, $report),
	"/größe|ALTER FOREIGN TABLE impilo.orders ADD COLUMN \"größe\" text OPTIONS (json_pointer '/größe')",
	'LATIN1: the schema report');
query($latin1, query($latin1, "SELECT statement || ';' FROM impilo_check_schema('impilo') WHERE statement IS NOT NULL"));
is(query($latin1, 'SELECT "größe" FROM impilo.orders WHERE id = 1'), 'ja', 'its statement adds the column');

#----------------------------------------------------------------------
# Creating
#----------------------------------------------------------------------

foreach my $name ($latin1, $japanese, $ascii)
{
	my $text = $name eq $japanese ? '東京' : 'Zoë';

	is(query($name, "INSERT INTO impilo.orders (patient_id, external_order_ids, order_items, order_notes) "
			  . "VALUES (5, ARRAY['$name-$text'], impilo_order_item(1000), '[{\"note\": \"$text\"}]') RETURNING external_order_ids[1]"),
		"$name-$text", "$name: an order is created");
	like(decode('UTF-8', $api->ctl('dump')), qr/"$name-$text"/, 'the API receives UTF-8');

	# a cut of the name at any byte would not be valid in the client's encoding
	foreach my $shift (38 .. 40)
	{
		$error = error_of($name,
			"INSERT INTO impilo.orders (patient_id, order_items) VALUES (5, jsonb_build_array(jsonb_build_object(repeat('x', $shift) || repeat('$text', 9), 1)))");
		is($error->{sqlstate}, '23514',
			"$name: an unexpected member's name of $shift letters and more is shown in the database's encoding");
	}
}
$error = psql_error($node,
	q{INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (5, ARRAY[E'\\xe9'], impilo_order_item(1000))},
	database => $ascii);
is($error->{sqlstate}, '22021', 'SQL_ASCII: bytes that are not UTF-8 are not sent');

done_testing();
