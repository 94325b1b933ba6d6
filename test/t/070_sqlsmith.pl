# Random SQL: no statement crashes the backend or raises an internal error because
# of a foreign table, and the rows are those of plain tables.
#
# sqlsmith only prints the statements (--dry-run); this test executes them, for
# three reasons.  Each statement is executed in a random way: plain, prepared, with
# a scrolling cursor, explained...  An internal error counts only if plain tables
# with the same rows do not raise it.  And rows are compared with those of the
# plain tables twice, the second time with the tables in another order, to exclude
# statements whose result depends on the order or on chance.
#
#   IMPILO_SEED=N      repeats statements (1; with SLOW=1 a new seed in each run,
#                      which prints it)
#   IMPILO_QUERIES=N   number of statements (400; with SLOW=1 5000)

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $seed = $ENV{IMPILO_SEED} // ($ENV{SLOW} ? 1 + int(rand(1_000_000)) : 1);
my $queries = $ENV{IMPILO_QUERIES} // ($ENV{SLOW} ? 5000 : 400);

my ($sqlsmith) = grep { -x } map { "$_/sqlsmith" } split /:/, $ENV{PATH};
plan skip_all => 'sqlsmith is not installed' unless $sqlsmith;

srand($seed);
note "IMPILO_SEED=$seed IMPILO_QUERIES=$queries";

sub any { return $_[ int(rand(@_)) ]; }

sub chance { return rand() < $_[0]; }

#----------------------------------------------------------------------
# Relations of every kind that a foreign table can be part of
#----------------------------------------------------------------------

# sqlsmith does not call functions that return several columns or rows
my $functions = <<'SQL';
CREATE FUNCTION ask_ping(text) RETURNS text LANGUAGE sql AS 'SELECT sqlstate FROM impilo_fdw_ping($1)';
CREATE FUNCTION ask_check(name, integer) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM impilo_check_schema($1, $2)';
CREATE FUNCTION ask_created() RETURNS bigint LANGUAGE sql AS 'SELECT max(id) FROM impilo_created_orders()';
CREATE FUNCTION ask_connections() RETURNS text LANGUAGE sql AS 'SELECT string_agg(c::text, $$ $$) FROM impilo_fdw_get_connections() c';
SQL

# few orders, so that joins without a condition end, but some
# of each kind
my $api = sandbox(orders => 66);
my @few = (1, 2, 3, 5, 7, 11, 22, 25, 50, 66);
my @orders = grep { my ($id) = /"id":(\d+)/; grep { $id == $_ } @few } split /\n/, $api->ctl('dump');

$api->ctl('only', @orders);
my $node = cluster('main', conf => "max_connections = 20\nautovacuum = off\n");

attach($node, $api, server => { reconcile_timeout => '0s' });
$node->safe_psql('postgres', $functions . <<'SQL');
CREATE TABLE impilo.patients (impilo_id bigint PRIMARY KEY, mrn text, ward integer, born date);
INSERT INTO impilo.patients SELECT i * 13 % 40, 'mrn-' || i, i % 3, date '2000-01-01' + i
FROM generate_series(1, 12) i;
CREATE TABLE impilo.wanted (order_id bigint, label text, ids bigint[]);
INSERT INTO impilo.wanted VALUES (1, 'one', '{1,2,2}'), (3, 'three', NULL), (NULL, 'none', '{}'),
	(99, 'missing', '{7,99,NULL}');

-- columns by hand, in an order and with types of our own
CREATE FOREIGN TABLE impilo.by_hand (
	city text OPTIONS (json_pointer '/patient/address/city'),
	first_event jsonb OPTIONS (json_pointer '/orderEvents/0'),
	site_id numeric,
	current_status varchar(100),
	id integer,
	external_order_ids jsonb,
	patient_first_name integer OPTIONS (on_invalid 'null'))
SERVER impilo OPTIONS (relation 'orders', fetch_size '3', max_concurrency '2');

-- a partition and a child among local ones
CREATE TABLE impilo.events (order_id bigint, "position" integer, name text, event_timestamp timestamptz)
PARTITION BY LIST (order_id);
CREATE TABLE impilo.events_local PARTITION OF impilo.events FOR VALUES IN (-1, -2);
CREATE FOREIGN TABLE impilo.events_api PARTITION OF impilo.events DEFAULT
SERVER impilo OPTIONS (relation 'order_events');
INSERT INTO impilo.events VALUES (-1, 1, 'local', '2024-01-01'), (-2, 1, 'local', NULL);
CREATE TABLE impilo.notes (order_id bigint, "position" integer, note text);
INSERT INTO impilo.notes VALUES (2, 100, 'local'), (NULL, NULL, NULL);
CREATE FOREIGN TABLE impilo.notes_api () INHERITS (impilo.notes)
SERVER impilo OPTIONS (relation 'order_notes');

CREATE TABLE impilo.routed (site_id bigint, external_order_ids text[], order_items jsonb, id bigint)
PARTITION BY LIST (site_id);
CREATE TABLE impilo.routed_local PARTITION OF impilo.routed FOR VALUES IN (1, 2, 3);
CREATE FOREIGN TABLE impilo.routed_api PARTITION OF impilo.routed DEFAULT
SERVER impilo OPTIONS (relation 'orders', batch_size '3');

-- ways to create
CREATE FOREIGN TABLE impilo.at_commit (site_id bigint, patient_id bigint, external_order_ids text[], order_items jsonb)
SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE impilo.dry_run (site_id bigint, patient_id bigint, external_order_ids text[], order_items jsonb)
SERVER impilo OPTIONS (relation 'orders', post_at 'never');
CREATE FOREIGN TABLE impilo.created (
	site_id bigint DEFAULT 1, order_items jsonb DEFAULT impilo_order_item(1000, 2), id bigint, current_status text)
SERVER impilo OPTIONS (relation 'orders', max_concurrency '2');
CREATE FUNCTION complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.site_id := 5; NEW.id := NULL; NEW.current_status := NULL;
	NEW.order_items := impilo_order_item(1001); RETURN NEW;
END $$;
CREATE TRIGGER complete BEFORE INSERT ON impilo.created FOR EACH ROW EXECUTE FUNCTION complete();

CREATE VIEW impilo.summary AS
SELECT o.id, o.current_status, count(*) AS items, sum(i.count) AS pieces
FROM impilo.orders o LEFT JOIN impilo.order_items i ON i.order_id = o.id GROUP BY 1, 2;
CREATE VIEW impilo.to_sites WITH (security_barrier) AS
SELECT id, site_id, order_items, external_order_ids FROM impilo.orders WHERE site_id IS NOT NULL WITH CHECK OPTION;
CREATE MATERIALIZED VIEW impilo.kept AS
SELECT id, patient_id, current_status, document FROM impilo.orders;

SQL

#----------------------------------------------------------------------
# Tables with the same rows, in the same order and in others
#----------------------------------------------------------------------

my @relations = split /\n/,
  $node->safe_psql('postgres',
	"SELECT relname FROM pg_class WHERE relnamespace = 'impilo'::regnamespace AND relkind IN ('r', 'p', 'f', 'v', 'm') ORDER BY 1");

my @mixed = map { "mixed_$_" } 1 .. 4;

foreach my $schema ('plain', @mixed)
{
	my $order = $schema eq 'plain' ? '' : 'ORDER BY random()';

	$node->safe_psql('postgres', join ";\n", "CREATE SCHEMA $schema",
		map { "CREATE TABLE $schema.$_ AS TABLE " . ($order ? 'plain' : 'impilo') . ".$_ $order" } @relations);
}

#----------------------------------------------------------------------
# What sqlsmith writes
#----------------------------------------------------------------------

# It reads a sketch of the database, which contains a table for each relation, and
# only the types and functions that apply to our columns: otherwise most of a
# statement would be about NULLs of geometric types.
# It names pg_proc without a schema.
$node->safe_psql('postgres', 'CREATE DATABASE sketch TEMPLATE template0');
$node->safe_psql('postgres', 'ALTER DATABASE sketch SET search_path = information_schema, pg_catalog, public');
my $definitions = $node->safe_psql('postgres', <<'SQL');
SELECT format('CREATE TABLE impilo.%I (%s);', relname, string_agg(format('%I %s', attname,
	format_type(atttypid, NULL)), ', ' ORDER BY attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE relnamespace = 'plain'::regnamespace GROUP BY relname ORDER BY 1
SQL
$node->safe_psql('sketch', <<"SQL");
CREATE EXTENSION impilo_fdw SCHEMA public;
$functions
CREATE SCHEMA impilo;
$definitions
CREATE FUNCTION information_schema.ours(VARIADIC oid[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS
\$\$ SELECT \$1 <@ '{bool,int2,int4,int8,numeric,float8,text,varchar,name,date,timestamptz,interval,jsonb,
text[],int8[],anyarray,anyelement,anynonarray,anycompatible,anycompatiblearray,"\\"any\\""}'::regtype[]::oid[] \$\$;
CREATE TABLE information_schema.pg_proc AS SELECT * FROM pg_catalog.pg_proc
WHERE information_schema.ours(prorettype) AND information_schema.ours(VARIADIC proargtypes::oid[])
	AND (pronamespace = 'public'::regnamespace
		OR pronamespace = 'pg_catalog'::regnamespace AND (provolatile = 'i' OR prokind = 'a'));
CREATE INDEX ON information_schema.pg_proc (oid);
SET allow_system_table_mods = on;
DELETE FROM pg_operator WHERE NOT information_schema.ours(oprleft, oprright, oprresult)
	AND 'oid'::regtype NOT IN (oprleft, oprright) AND '"char"'::regtype NOT IN (oprleft, oprright);
SQL

sub write_statements
{
	my ($number) = @_;
	my ($written, $complaint) = ('', '');

	IPC::Run::run(
		[
			$sqlsmith, '--dry-run', '--exclude-catalog', "--seed=$seed",
			"--max-queries=$number", '--target=' . $node->connstr('sketch')
		],
		'<', \undef, '>', \$written, '2>', \$complaint)
	  or die("sqlsmith: $complaint");
	return split /;\n/, $written;
}

# Most of ten times as many only read: those that change something come first.
my @all = write_statements($queries * 10);

$node->safe_psql('postgres', 'DROP DATABASE sketch');
my @inserting = grep { /^insert/i } @all;
my @changing = grep { /^(update|delete|merge)/i } @all;
my @reading = grep { /^(select|with)/i } @all;

is(scalar @all, $queries * 10, 'sqlsmith wrote as many statements as requested');
splice @inserting, $queries / 8 if @inserting > $queries / 8;
splice @changing, $queries / 16 if @changing > $queries / 16;
my @statements = (@inserting, @changing, @reading);
splice @statements, $queries;

# Its conditions are seldom true.  So most of its NULLs become values that occur.
# A LIMIT without an order gets an order, or is removed.
my %value = (
	int2 => [ 0, 1, 7 ],
	int4 => [ -1, 0, 1, 2, 3, 100, 2147483647 ],
	int8 => [ 0, 1, 2, 3, 5, 7, 1000, 1001, '9223372036854775807' ],
	numeric => [ 0, 1, 1.5, 1000 ],
	float8 => [ 0, 1, 2.5, "'NaN'" ],
	bool => [ 'true', 'false' ],
	text => [ "''", "'one'", "'ext-1-0'", "'impilo'", "'%a%'", "'shipped'" ],
	varchar => [ "'one'", "'shipped'" ],
	name => [ "'impilo'", "'public'" ],
	oid => [ 0, 1 ],
	char => [ "'a'" ],
	bpchar => [ "'one'" ],
	timestamp => [ "'2024-01-01 00:00'" ],
	_text => [ "'{}'", "'{ext-1-0,one}'" ],
	_int8 => [ "'{}'", "'{1,2,3,NULL}'" ],
	date => [ "'2024-01-01'", "'infinity'" ],
	timestamptz => [ "'2024-01-01 00:00Z'", "'-infinity'" ],
	interval => [ "'1 day'", "'1 month'" ],
	jsonb => [ "'{}'", "'[]'", "'[{\"item\": {\"id\": 1000}, \"count\": 2}]'", "'null'", '1' ]);

sub lively
{
	my ($sql) = @_;

	$sql =~ s/ tablesample (?:system|bernoulli) \([0-9.]+\)//g;
	$sql =~ s/cast\(null as ("?(\w+)"?)\)/$value{$2} && chance(0.9) ? 'cast(' . any(@{ $value{$2} }) . " as $1)" : $&/ge;
	$sql =~ s/^(\s+)and \(/$1 . any('and', 'or', 'or') . ' ('/gme;
	$sql =~ s/ = (?=\w)/chance(0.6) ? ' <> ' : $&/ge if $sql !~ /^(update|merge)/i;
	$sql =~ s/ is NULL\b/ is not NULL/g if chance(0.7);
	$sql =~ s/\bfalse\b/true/g if chance(0.7);
	$sql =~ s/ offset (\d+)/' offset ' . $1 % 5/ge;
	$sql =~ s/(\(select \w+ from [\w.]+) (limit 1)/$1 order by 1 $2/g;
	$sql =~ s/\blimit \d+(?! offset)//g if chance(0.6);
	return $sql;
}

#----------------------------------------------------------------------
# Running one
#----------------------------------------------------------------------

my ($foreign, $local);

sub connect_anew
{
	$_ && $_->quit foreach ($foreign, $local);
	($foreign, $local) = map { session($node) } 1, 2;
	$_->query("SET statement_timeout = '3s'; SET timezone = 'UTC'") foreach ($foreign, $local);
}

sub switches
{
	return join '; ',
	  (map { "SET enable_$_ = " . (chance(0.7) ? 'on' : 'off') } qw(nestloop hashjoin mergejoin memoize material hashagg sort)),
	  'SET work_mem = ' . any("'64kB'", "'4MB'"), 'SET plan_cache_mode = ' . any('auto', 'force_generic_plan');
}

# Each way prints the statement's own rows.
my %way = (
	plain => sub { "BEGIN;\n$_[0];\nROLLBACK" },
	committed => sub { "BEGIN;\n$_[0];\nCOMMIT" },
	prepared => sub { "PREPARE q AS $_[0];\nBEGIN;\nEXECUTE q \\g /dev/null\nEXECUTE q;\nROLLBACK;\nDEALLOCATE q" },
	explained => sub { "BEGIN;\nEXPLAIN (ANALYZE, VERBOSE) $_[0] \\g /dev/null\n$_[0];\nROLLBACK" },
	cursor => sub {
		"BEGIN;\nDECLARE c SCROLL CURSOR FOR $_[0];\nMOVE 2 IN c; MOVE BACKWARD ALL IN c;\nFETCH ALL FROM c;\nROLLBACK";
	},
	held => sub { "BEGIN;\nDECLARE c CURSOR WITH HOLD FOR $_[0];\nCOMMIT;\nFETCH ALL FROM c;\nCLOSE c" });

sub rows { return join "\n", sort split /\n/, $_[0]; }

sub ask
{
	my ($session, $sql, $how) = @_;
	my $out = $session->query($way{$how}->($sql));
	my %answer = (rows => rows($out), state => $session->error->{sqlstate}, message => $session->error->{message});

	# the server does not restart after a crash
	if ($session->error->{stderr} =~ /server closed the connection|connection to server was lost/)
	{
		fail('the backend lives');
		diag("$how: $sql");
		done_testing();
		exit 1;
	}
	$session->query('ROLLBACK; DEALLOCATE ALL; CLOSE ALL') if $answer{state} ne '00000';
	return \%answer;
}

sub ask_local
{
	my ($sql, $schema) = @_;

	$local->query(switches());
	return ask($local, $sql =~ s/\bimpilo\.(?=[a-z])/$schema./gr, 'plain');
}

sub is_internal
{
	my ($answer) = @_;

	return $answer->{state} =~ /^XX/
	  || $answer->{message} =~ /internal error|unexpected|cache lookup failed|could not find|not found in subplan/;
}

# Returns whether a result depends on the order of rows or on the plan.
sub has_one_answer
{
	my ($sql, $answer) = @_;

	foreach my $schema (@mixed)
	{
		my $other = ask_local($sql, $schema);
		return 0 if $other->{state} ne '00000' || $other->{rows} ne $answer->{rows};
	}
	return 1;
}

my (%count, %states);

# Returns what is wrong, or undef.
sub problem
{
	my ($sql, $how, $answer) = @_;

	if (is_internal($answer))
	{
		foreach my $schema ('plain', @mixed)
		{
			next if ask_local($sql, $schema)->{message} ne $answer->{message};
			$count{'internal errors of PostgreSQL'}++;
			return;
		}
		return "$answer->{state}: $answer->{message}";
	}
	# the sandbox has no fault
	return "$answer->{state}: $answer->{message}"
	  if $answer->{state} =~ /^(08|28|53|58|HV|IU)/ || $answer->{message} =~ /invalid value for column/;
	return if $answer->{state} ne '00000' || $sql !~ /^(select|with)/i || $sql =~ /\blimit \d+(?! offset)/;
	# their results depend on the connections of the session
	return if $sql =~ /impilo_fdw_(disconnect|get_connections|stats)/;

	my $plain = ask_local($sql, 'plain');
	return if $plain->{state} ne '00000';
	$count{ $plain->{rows} eq '' ? 'compared, no row' : 'compared' }++;
	return if $answer->{rows} eq $plain->{rows} || !has_one_answer($sql, $plain);
	return "rows:\n" . substr($answer->{rows}, 0, 2000) . "\nof plain tables:\n" . substr($plain->{rows}, 0, 2000);
}

connect_anew();
my $problems = 0;

for my $number (0 .. $#statements)
{
	my $sql = lively($statements[$number]);
	my $changes = $sql =~ /^(insert|update|delete|merge)/i;
	my $how = any($changes ? qw(plain prepared explained committed) : qw(plain prepared cursor held explained));

	# a commit would change local tables
	$how = 'plain' if $how eq 'committed' && $sql !~ /^insert into impilo\.(at_commit|created|orders|dry_run)\b/;
	$foreign->query(switches());
	my $answer = ask($foreign, $sql, $how);
	my $problem = problem($sql, $how, $answer);

	$count{$how}++;
	$states{ $changes ? 'changing' : 'reading' }{ $answer->{state} }++;
	if (defined $problem)
	{
		fail("statement $number");
		diag("$how: $sql\n$problem");
		last if ++$problems > 5;
	}
	connect_anew() if $number % 100 == 99;
	$api->ctl('only', @orders) if $changes && $answer->{state} eq '00000';
}
is($problems, 0, "$queries statements did what plain tables do (seed $seed)");
note join ', ', map { "$_ $count{$_}" } sort keys %count;
foreach my $kind (sort keys %states)
{
	note "$kind: ", join ', ', map { "$_ $states{$kind}{$_}" } sort keys %{ $states{$kind} };
}
cmp_ok($states{reading}{'00000'}, '>', $queries / 5, 'many succeeded');
cmp_ok($count{compared}, '>', $queries / 50, 'enough statements returned rows to compare');

#----------------------------------------------------------------------
# The extension's functions, with random arguments
#----------------------------------------------------------------------

my %argument = (
	'bigint' => [ 0, 1, 1000, '-9223372036854775808', '9223372036854775807' ],
	'integer' => [ 0, 1, 250, '-2147483648', 2147483647 ],
	'oid' => [ 0, 1, 1249, 1417, 1418, 2328, 3118, 4294967295 ],
	'name' => [ "''", "'impilo'", "'public'", "'nobody'" ],
	'text' => [ "''", "'impilo'", "'nobody'", "repeat('x', 100000)", "E'\\x01\\n'" ],
	'text[]' => [
		"'{}'", "'{NULL}'", "'{{a,b},{c,d}}'", "'{=,a,a=,=b,base_url}'", "'{api_key=k,fetch_size=-1}'",
		"'{base_url=https://[::1,relation=orders,json_pointer=/~2}'" ]);

my @functions = map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT p.oid::regproc, p.prokind, array_to_string(p.proargtypes::regtype[], ',')
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'impilo_fdw'
WHERE 'internal'::regtype <> ALL (p.proargtypes) -- which PostgreSQL does not allow to call
ORDER BY p.oid
SQL
my $called = 0;

foreach my $function (map { ($_) x 14 } @functions)
{
	my ($name, $kind, $types) = @$function;
	my @arguments = map { 'CAST(' . any('NULL', @{ $argument{$_} }, @{ $argument{$_} }) . " AS $_)" } split /,/, $types;
	my $call = "$name(" . join(', ', @arguments) . ')';
	my $answer = ask($foreign, $kind eq 'a' ? "SELECT $call FROM plain.wanted" : "SELECT * FROM $call", 'plain');

	$called++;
	fail("$call: $answer->{state} $answer->{message}") if is_internal($answer);
}
cmp_ok($called, '>', 200, "$called calls of functions with random arguments");
is($foreign->query('SELECT count(*) FROM impilo.orders'), scalar @orders, 'the session continues');
unlike(log_text($node), qr/PANIC|TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
