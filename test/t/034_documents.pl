# Orders and pages of a broken or hostile API, in every statement that reads or
# creates orders.
#
# For each document: the backend does not crash; every error is one of the
# extension's and shows nothing of the document; `document` equals PostgreSQL's
# jsonb, and the columns agree with it; and a following statement returns the
# right rows.
#
# The documents of test/fuzz/corpus/documents (*.order, *.page) come first, then
# generated ones.  A document that fails is shown, and stored in
# tmp_check/log/documents.
#
#   IMPILO_SEED=N        repeats the documents of a run, which prints its seed
#   IMPILO_SECONDS=N     duration (15, or an hour with SLOW=1)
#   IMPILO_DOCUMENT=FILE only this document

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloColumns;
use ImpiloDocuments;
use ImpiloTest;
use MIME::Base64 ();
use Time::HiRes qw(time);

my $seed = $ENV{IMPILO_SEED} // 1 + int(rand(1_000_000));
my $seconds = $ENV{IMPILO_SECONDS} // ($ENV{SLOW} ? 3600 : 15);
my $corpus = "$FindBin::RealBin/../fuzz/corpus/documents";
my $kept = "$PostgreSQL::Test::Utils::log_path/documents";

note "IMPILO_SEED=$seed IMPILO_SECONDS=$seconds";

sub any { return $_[ int(rand(@_)) ]; }

#----------------------------------------------------------------------
# What PostgreSQL makes of the same bytes
#----------------------------------------------------------------------

# Returns a condition that is true if a column has the value of jsonb, or if the
# two may differ: numbers are text as written, and a value that does not fit is
# NULL.
sub agrees
{
	my ($column) = @_;
	my ($name, $path, $type) = @$column;
	my $value = @$path ? "(e.d #> '{" . join(',', @$path) . "}')" : 'e.d';
	my $text = "($value #>> '{}')";
	my %when = (
		text => "WHEN 'string' THEN o.$name = $text WHEN 'boolean' THEN o.$name = $text",
		boolean => "WHEN 'boolean' THEN o.$name = $text\::boolean",
		bigint => "WHEN 'number' THEN $text !~ '^-?\\d{1,18}\$' OR o.$name\::text = $text",
		integer => "WHEN 'number' THEN $text !~ '^-?\\d{1,9}\$' OR o.$name\::text = $text",
		date => "WHEN 'string' THEN o.$name IS NULL OR to_char(o.$name, 'YYYY-MM-DD') = left($text, 10)",
		timestamptz =>
		  "WHEN 'string' THEN $text !~ '^20\\d\\d-01-0\\dT[01]\\d:00:00Z\$' OR o.$name = $text\::timestamptz",
		'text[]' => "WHEN 'array' THEN $value \@? 'strict \$[*] ? (\@.type() != \"string\" && \@.type() != \"null\")'"
		  . " OR o.$name = ARRAY(SELECT jsonb_array_elements_text($value))");

	return "o.$name\::text IS NOT DISTINCT FROM nullif($value, 'null')::text"
	  if $type eq 'jsonb';
	return "coalesce(CASE coalesce(jsonb_typeof($value), 'null') $when{$type}"
	  . " WHEN 'null' THEN o.$name IS NULL ELSE true END, false)";
}

# the rows of a relation that are wrong, and in which columns
sub view_of
{
	my ($relation) = @_;
	my @wrong = map { "CASE WHEN NOT " . agrees($_) . " THEN '$_->[0]' END" }
	  @{ $columns{$relation} }, [ 'document', [], 'jsonb' ];
	my $key = $relation eq 'orders' ? 'id' : 'order_id';
	my $rows = 'SELECT id, 1::bigint AS kp, 1::bigint AS p, d FROM fuzz.good';
	my $array = sub { "jsonb_array_elements(CASE jsonb_typeof($_[0]) WHEN 'array' THEN $_[0] END) WITH ORDINALITY" };
	my $kp = $relation eq 'order_packed_kit_devices' ? 'o.kit_position' : '1';
	my $p = $relation eq 'orders' ? '1' : 'o.position';

	$rows = "SELECT g.id, 1::bigint AS kp, a.p, a.d FROM fuzz.good g, "
	  . $array->("g.d -> '$array{$relation}'") . ' AS a (d, p)'
	  if $array{$relation};
	$rows = "SELECT k.id, k.p AS kp, a.p, a.d FROM ($rows) k, " . $array->("k.d -> 'devices'") . ' AS a (d, p)'
	  if $relation eq 'order_packed_kit_devices';
	return "CREATE VIEW fuzz.wrong_$relation AS\n"
	  . "WITH o AS MATERIALIZED (SELECT * FROM soft.$relation), e AS MATERIALIZED ($rows)\n"
	  . "SELECT o.$key, $p AS position, CASE WHEN o.$key IS NULL THEN 'missing' WHEN e.id IS NULL THEN 'extra'\n"
	  . 'ELSE concat_ws(\' \', ' . join(",\n", @wrong) . ") END AS wrong\n"
	  . "FROM (SELECT * FROM o WHERE $key IN (SELECT id FROM fuzz.good)) o\n"
	  . "FULL JOIN e ON o.$key = e.id AND $kp = e.kp AND $p = e.p";
}

# fuzz.load returns "clean" if only the extension could refuse a document, "odd" if
# PostgreSQL refuses it, too, and "unknown" if PostgreSQL cannot read it
my $schema = <<'SQL';
CREATE SCHEMA fuzz;
CREATE TABLE fuzz.expected (n integer, id bigint, d jsonb);
CREATE VIEW fuzz.good AS
	SELECT * FROM (SELECT DISTINCT ON (id) n, id, d FROM fuzz.expected ORDER BY id, n) x
	WHERE d IS NOT NULL AND id IS NOT NULL;

CREATE FUNCTION fuzz.as_jsonb(bytes bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN convert_from(bytes, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
	RETURN NULL;
END $$;

-- the first one, where there are two
CREATE FUNCTION fuzz.id_of(bytes bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	value json;
BEGIN
	IF fuzz.as_jsonb(bytes) IS NULL THEN
		RETURN (regexp_match(encode(bytes, 'escape'), '"id":\s*(-?\d+)'))[1]::bigint;
	END IF;
	SELECT e.value INTO value FROM json_each(convert_from(bytes, 'UTF8')::json) e WHERE e.key = 'id' LIMIT 1;
	RETURN CASE WHEN value::text ~ '^-?\d+$' THEN value::text::bigint END;
EXCEPTION WHEN OTHERS THEN
	RETURN NULL;
END $$;

CREATE FUNCTION fuzz.load(orders bytea[]) RETURNS text LANGUAGE sql AS $$
	DELETE FROM fuzz.expected;
	INSERT INTO fuzz.expected
		SELECT n, fuzz.id_of(o), fuzz.as_jsonb(o) FROM unnest(orders) WITH ORDINALITY u (o, n);
	SELECT CASE WHEN count(DISTINCT id) = count(*) AND count(d) = count(*) THEN 'clean' ELSE 'odd' END
		FROM fuzz.expected;
$$;

CREATE FUNCTION fuzz.load_page(page bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	content json;
BEGIN
	DELETE FROM fuzz.expected;
	content := convert_from(page, 'UTF8')::json -> 'content';
	IF json_typeof(content) = 'array' THEN
		PERFORM fuzz.load(ARRAY(SELECT convert_to(e::text, 'UTF8') FROM json_array_elements(content) e));
		RETURN 'odd';
	END IF;
	RETURN 'unknown';
EXCEPTION WHEN OTHERS THEN
	RETURN 'unknown';
END $$;

CREATE VIEW fuzz.wrong_documents AS
	WITH o AS MATERIALIZED (SELECT id, document FROM impilo.orders)
	SELECT o.id, 'document' AS wrong FROM o
	WHERE NOT EXISTS (SELECT FROM fuzz.good g WHERE g.id = o.id AND g.d::text = o.document::text);
CREATE VIEW fuzz.missing_documents AS
	WITH o AS MATERIALIZED (SELECT id FROM impilo.orders WHERE document IS NOT NULL)
	SELECT g.id, 'missing' AS wrong FROM fuzz.good g WHERE g.id NOT IN (SELECT id FROM o);

CREATE DOMAIN fuzz.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN fuzz.given AS text NOT NULL;
CREATE TYPE fuzz.mood AS ENUM ('happy', 'sad');
CREATE TYPE fuzz.pair AS (a integer, b text);
SQL

#----------------------------------------------------------------------
# The servers
#----------------------------------------------------------------------

my $api = sandbox(orders => 12);
my $node = cluster();

# Every type that a value might be converted to, at any place
my @types = (
	qw(smallint integer bigint real float8 numeric numeric(5,2) text varchar varchar(3)
	  char(4) name bytea boolean date timestamp timestamptz(0) time timetz interval uuid
	  inet macaddr json jsonb xml text[] bigint[] jsonb[] date[] numeric(9,3)[] money
	  point bit(3) int4range oid regclass tsvector tsquery pg_lsn fuzz.positive
	  fuzz.given fuzz.mood fuzz.pair fuzz.positive[] "char" jsonpath xid tid aclitem));
my @pointers = (
	'', qw(/patient /patient/firstName /patient/dateOfBirth /patient/archived /patient/id
	  /patient/address /patient/address/city /currentStatus /externalOrderIds
	  /externalOrderIds/0 /orderItems /orderItems/0 /orderItems/0/count
	  /orderItems/1/item/id /orderEvents/0/eventTimestamp /packedKits/0/devices/0
	  /devices/0/deviceEvents /emailLabel /orderNotes/0/createdBy / /a/b /id));
my @soft = qw(smallint bigint real numeric text varchar(3) date timestamptz uuid jsonb text[] bigint[] boolean);

sub odd_table
{
	my ($number) = @_;
	my @columns = map {
		my $null = any(0, 0, 1);
		my $type = $null ? any(@soft) : any(@types);

		"c$_ $type OPTIONS (json_pointer '" . any(@pointers) . "'" . ($null ? ", on_invalid 'null'" : '') . ')'
	} 0 .. 9;

	return "CREATE FOREIGN TABLE fuzz.odd$number (" . join(', ', @columns)
	  . ') SERVER impilo OPTIONS (relation \'' . any('orders', 'orders', @children) . "');\n";
}

sub prepare
{
	my ($database) = @_;

	attach(
		$node, $api,
		database => $database,
		server => {
			max_retries => 0,
			request_timeout => '10s',
			reconcile_timeout => '0s'
		});
	$node->safe_psql($database,
		$schema . <<'SQL' . join('', map { odd_table($_) } 0 .. 19) . join('', map { view_of($_) . ";\n" } 'orders', @children));
CREATE SCHEMA soft;
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO soft;
CREATE SCHEMA good;
IMPORT FOREIGN SCHEMA v3 LIMIT TO (orders) FROM SERVER impilo INTO good;
ALTER FOREIGN TABLE good.orders OPTIONS (ADD fetch_size '9');
DO $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT attrelid::regclass AS t, attname FROM pg_attribute
		WHERE attnum > 0 AND attrelid IN (SELECT ftrelid FROM pg_foreign_table
			WHERE ftrelid::regclass::text LIKE 'soft.%') LOOP
		EXECUTE format('ALTER FOREIGN TABLE %s ALTER %I OPTIONS (ADD on_invalid ''null'')', c.t, c.attname);
	END LOOP;
END $$;
SQL
	return session($node, database => $database);
}

$node->safe_psql('postgres',
	"CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
$node->safe_psql('latin', 'CREATE EXTENSION impilo_fdw');
# the same tables in each run
srand(1);
my %session = map { $_ => prepare($_) } qw(postgres latin);
my %pid = map { $_ => $session{$_}->pid } keys %session;

# Requests that a document answers: all except those of the good statement
sub serve
{
	my ($page, $order) = @_;
	my %page = (raw_base64 => MIME::Base64::encode_base64($page, ''));
	my %order = (raw_base64 => MIME::Base64::encode_base64($order, ''));

	return $api->fault(
		{ method => 'POST', do => { %order, processed => \0 } },
		{ path => 'order[?].*size=([0-8]|[1-9][0-9]+)$', do => \%page },
		{ path => 'order/([2-9]|[1-9][0-9]+)$', do => \%order });
}

my $good = "SELECT string_agg(id || ' ' || current_status, ',' ORDER BY id) || (SELECT id FROM impilo.orders WHERE id = 1), "
  . 'pg_backend_pid() FROM good.orders';
my ($good_rows) = $session{postgres}->query($good) =~ /(.*)\|/;
like($good_rows, qr/^1 .*,12 \w+1$/, 'the good statement');

#----------------------------------------------------------------------
# One document
#----------------------------------------------------------------------

# errors that a document may raise
my @allowed = (
	qr/^(22\w{3}|23\w{3}|54\w{3}) order -?\d+ has an invalid value for column/,
	qr/^HV004 order -?\d+ cannot be read for foreign table/,
	# of the schema report, as a warning
	qr/^22\w{3} order -?\d+ cannot be converted to type jsonb/,
	qr/^HV00M /, qr/^HV00L /, qr/^HV00N /, qr/^IU00[12] /, qr/^54000 /,
	# an order that the session created before for another recipient
	qr/^23505 order \d+ has an external id of row 1, but another recipient/,
	# of ANALYZE and the report
	qr/^22\w{3} order -?\d+ cannot be converted to type jsonb/,
	qr/^0A000 option "on_invalid"/, qr/^0A000 foreign table fuzz\.odd\d+ cannot be read/,
	qr/^00000 /, qr/^01000 /);

my $rows = PostgreSQL::Test::Utils::tempdir() . '/rows';
PostgreSQL::Test::Utils::append_to_file($rows, qq(1\t[{"item":{"id":1000},"count":1}]\n) x 3);

my %tally;
my $failures = 0;

sub insert
{
	return any(
		'INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING *',
		"INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{k1}', impilo_order_item(1000)) RETURNING id, document",
		'INSERT INTO soft.orders (patient_id, order_items) SELECT g, impilo_order_item(1000) FROM generate_series(1, 3) g RETURNING patient_first_name, order_notes',
		'INSERT INTO impilo.orders (patient_id, order_items) SELECT g, impilo_order_item(1000) FROM generate_series(1, 3) g',
		"INSERT INTO impilo.orders (site_id, external_order_ids, order_items) VALUES (1, '{k1,k2}', impilo_order_item(1000)) ON CONFLICT DO NOTHING");
}

# name => SQL; a statement that must print nothing has a name in lower case
sub statements
{
	my ($load) = @_;
	my @relations = ('orders', @children);
	my $odd = 'fuzz.odd' . any(0 .. 19);

	return (
		[ LOAD => $load ],
		[ documents => 'SELECT * FROM fuzz.wrong_documents' ],
		[ missing => 'SELECT * FROM fuzz.missing_documents' ],
		[ lookup =>
			  "SELECT 'document' FROM impilo.orders o JOIN fuzz.good g ON g.id = 7 WHERE o.id = 7 AND o.document::text <> g.d::text" ],
		(map { [ columns => "SELECT * FROM fuzz.wrong_$_ WHERE wrong <> ''" ] } 'orders', any(@children), any(@children)),
		[ TEXT => 'SELECT count(t::text) FROM impilo.' . any(@relations) . ' t' ],
		[ KEY => 'SELECT t::text FROM impilo.' . any(@children) . ' t WHERE order_id = 7' ],
		[ KEYS => 'SELECT t FROM soft.orders t WHERE id = ANY (' . any("'{7,8,9}'", "'{7,7,1}'") . ')' ],
		[ COUNT => 'SELECT count(*) FROM impilo.' . any(@relations) ],
		(map { [ ODD => "SELECT $_ FROM $odd" ] } '*', 'c' . any(0 .. 9), 'c' . any(0 .. 9), 'c' . any(0 .. 9)),
		[ INSERT => insert() ],
		[ OTHER => any(
				'ANALYZE impilo.' . any(@relations), "SELECT * FROM impilo_check_schema('impilo')",
				"SELECT sqlstate FROM impilo_fdw_ping('impilo')",
				'EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM impilo.order_items',
				'SELECT * FROM impilo.orders a JOIN impilo.order_devices b ON b.order_id = a.id',
				"SELECT max(patient_date_of_birth) FROM impilo.orders WHERE patient_first_name > 'a' AND order_items \@> '[]'",
				"COPY impilo.orders (patient_id, order_items) FROM '$rows'") ],
		[ GOOD => $good ]);
}

sub run
{
	my ($session, @statements) = @_;
	my @results;

	$session->query(join "\n",
		map { "$statements[$_][1];\n\\echo at $_\n\\warn at $_" } 0 .. $#statements);
	my %part;
	foreach my $stream (qw(stdout stderr))
	{
		my $text = $session->error->{$stream};

		foreach my $n (0 .. $#statements)
		{
			$text =~ s/\A(.*?)(?:^|\n)at $n(?:\n|\z)//s;
			$part{$stream}[$n] = $1 // "(nothing)";
		}
		$part{$stream}[-1] .= $text if $text =~ /\S/;
	}
	return map {
		{
			name => $statements[$_][0],
			sql => $statements[$_][1],
			stdout => $part{stdout}[$_],
			stderr => $part{stderr}[$_],
			messages => [ ImpiloTest::parse_messages($part{stderr}[$_]) ]
		}
	} 0 .. $#statements;
}

# Returns what a statement did wrong.
sub faults
{
	my ($result, $database, $clean, $comparable, $is_seven) = @_;
	my $name = $result->{name};
	my @wrong;
	my $raised = 0;

	foreach my $message (@{ $result->{messages} })
	{
		my $reported = "$message->{sqlstate} $message->{message}";

		$tally{"$message->{sqlstate} $name"}++;
		$raised = 1 if $message->{severity} ne 'WARNING' && $message->{severity} ne 'NOTICE';
		push @wrong, "unexpected: $reported" if !grep { $reported =~ $_ } @allowed;
	}
	# the server's messages about the statement do not come from the document
	(my $shown = $result->{stderr}) =~ s/^(STATEMENT|LOCATION):.*//mg;
	push @wrong, 'a value is shown' if $shown =~ /$MARK/;
	push @wrong, "lost: $result->{stderr}"
	  if $result->{stderr} =~ /server closed|connection to server|terminating/;
	if ($name eq 'GOOD')
	{
		push @wrong, "the good statement: $result->{stdout} $result->{stderr}"
		  if $result->{stdout} ne "$good_rows|$pid{$database}";
	}
	elsif ($name =~ /^(documents|missing|lookup)$/)
	{
		push @wrong, "refused: $result->{stderr}"
		  if $clean && $raised && ($name ne 'lookup' || $is_seven);
		push @wrong, $result->{stdout}
		  if $result->{stdout} ne '' && ($name eq 'documents' ? $comparable : $clean);
	}
	elsif ($name eq 'columns')
	{
		push @wrong, $result->{stdout} if $comparable > 1 && $result->{stdout} ne '';
	}
	return @wrong;
}

sub keep
{
	my ($name, $page, $order) = @_;

	mkdir $kept;
	foreach my $part ([ page => $page ], [ order => $order ])
	{
		open my $file, '>:raw', "$kept/$name.$part->[0]" or die "$kept: $!";
		print $file $part->[1];
		close $file;
	}
	diag("kept: $kept/$name.page, $name.order"
		  . ($name =~ /^seed(\d+)$/ ? "; again: IMPILO_SEED=$1 IMPILO_SECONDS=0" : ''));
	return;
}

# The document as a page of the list or as a single order.  `orders` are those of a
# correct page, or undefined.
sub try_document
{
	my ($name, $database, $page, $order, $orders) = @_;
	my $hex = sub { "'\\x" . unpack('H*', $_[0]) . "'::bytea" };
	my $load = $orders ? 'SELECT fuzz.load(ARRAY[' . join(', ', map { $hex->($_) } @$orders) . '])'
	  : 'SELECT fuzz.load_page(' . $hex->($page) . ')';
	my ($depth, $repeated) = shape_of($page);
	my ($clean, $comparable);
	my @wrong;

	serve($page, $order);
	foreach my $result (run($session{$database}, statements($load)))
	{
		if ($result->{name} eq 'LOAD')
		{
			$tally{"$database: $result->{stdout}"}++;
			$clean = $result->{stdout} eq 'clean' && $depth <= 64 && !$repeated;
			$comparable = $result->{stdout} eq 'unknown' ? 0 : $repeated ? 1 : 2;
			$tally{"$database: and must be read"}++ if $clean;
			push @wrong, $result->{stderr} if $result->{stderr} ne '';
			next;
		}
		push @wrong, map { "$result->{sql}\n$_" } faults($result, $database, $clean, $comparable, $order =~ /^{"id":7,/);
	}
	return if !@wrong;
	$failures++;
	fail("$name, in database $database");
	diag(join "\n", map { substr $_, 0, 1500 } @wrong);
	keep($name, $page, $order);
	return;
}

#----------------------------------------------------------------------
# All documents
#----------------------------------------------------------------------

my $other = '{"id":8,"currentStatus":"shipped","patient":{"id":1}}';

sub replay
{
	my ($file) = @_;
	my $bytes = PostgreSQL::Test::Utils::slurp_file($file);
	my ($name, $kind) = $file =~ m{([^/]+)\.(order|page)$} or return;

	foreach my $database (sort keys %session)
	{
		try_document($name, $database,
			$kind eq 'page' ? ($bytes, $bytes) : (page_of($bytes, $other), $bytes, [ $bytes, $other ]));
	}
	return;
}

sub generate
{
	my ($name) = @_;
	my $database = any('postgres', 'postgres', 'postgres', 'latin');
	my @orders = map { hostile_order($_) } 7 .. any(7, 7, 8, 9);
	my $dice = rand();

	return try_document($name, $database, page_of(@orders), $orders[0], \@orders)
	  if $dice < 0.65;
	return try_document($name, $database, hostile_page(@orders), $orders[0])
	  if $dice < 0.8;
	return try_document($name, $database, mutated(page_of(@orders), $orders[0]), mutated($orders[0], $orders[-1]));
}

srand($seed);
my @files = $ENV{IMPILO_DOCUMENT} // (glob "$corpus/*.order $corpus/*.page");
replay($_) foreach @files;
is($failures, 0, 'documents of the corpus: ' . @files);

my $number = 0;
my $end = time + $seconds;
while (!$ENV{IMPILO_DOCUMENT} && ($number == 0 || time < $end) && $failures < 5)
{
	# each with its own seed, so that one can be repeated without the others
	srand($seed + $number);
	generate('seed' . ($seed + $number++));
}
is($failures, 0, "generated documents: $number");
note join ', ', map { "$_: $tally{$_}" } sort keys %tally;

my $log = log_text($node);
unlike($log, qr/PANIC|TRAP:|was terminated by signal|XX000/, 'nothing crashed, nothing internal');
my @shown = grep { /$MARK/ } split /\n/, $log;
ok(!@shown, 'the log does not show values of a document') or diag(join "\n", map { substr $_, 0, 300 } @shown[ 0 .. ($#shown > 5 ? 5 : $#shown) ]);

done_testing();
