# Only the server of its mapping receives the API key, and PostgreSQL's rules for
# permissions decide whose key is used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use POSIX ();
use Time::HiRes qw(sleep time);

my $key = 'Vq7/secret+KEY==9f86d081';
my $scratch = PostgreSQL::Test::Utils::tempdir();
my $api = sandbox(orders => 60, args => [ '--key', $key ]);
my $node = cluster();
my $everything = '';

# quiet while the key is written in a statement
attach($node, $api, key => $key, server => { max_retries => 1, fetch_size => 20 });
$node->safe_psql('postgres', "ALTER SERVER impilo OPTIONS (ADD request_timeout '1s')");
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = all
log_min_messages = debug5
log_min_error_statement = debug5
log_min_duration_statement = 0
log_parser_stats = on
debug_print_plan = on
debug_print_rewritten = on
log_connections = on
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
CONF
my $library = $node->config_data('--pkglibdir') . '/auto_explain.so';
$node->append_conf('postgresql.conf', <<'CONF') if -e $library;
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_verbose = on
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
CONF
$node->reload;
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE impilo.dry (patient_id bigint, order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'never');
CREATE FOREIGN TABLE impilo.later (patient_id bigint, order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE impilo.keyed (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders');
SQL

# everything that psql prints
sub run
{
	my ($sql) = @_;
	my $error = psql_error($node,
		"SET client_min_messages = debug5; LOAD 'impilo_fdw'; SET impilo_fdw.allow_create = on; $sql");

	$everything .= "$sql\n$error->{stdout}\n$error->{stderr}\n";
	return $error;
}

# Tests that a text does not show the key; reports only the lines that do.
sub hides
{
	my ($text, $name) = @_;
	my @lines = grep { /Vq7|f86d081/ } split /\n/, $text;

	ok(!@lines, $name) or diag(join "\n", map { substr $_, 0, 400 } @lines[ 0 .. ($#lines > 9 ? 9 : $#lines) ]);
	return;
}

my @statements = (
	'SELECT * FROM impilo.orders WHERE id = 7',
	'SELECT count(document) FROM impilo.orders',
	'SELECT count(*) FROM impilo.orders',
	'EXPLAIN (VERBOSE, SETTINGS) SELECT * FROM impilo.orders',
	'EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT * FROM impilo.orders WHERE id = 7',
	'ANALYZE VERBOSE impilo.orders',
	'INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING id',
	"INSERT INTO impilo.orders (patient_id, order_items) SELECT g, impilo_order_item(1000) FROM generate_series(1, 3) g",
	'EXPLAIN (ANALYZE, VERBOSE) INSERT INTO impilo.orders (patient_id, order_items) VALUES (2, impilo_order_item(1000))',
	'SELECT * FROM impilo_fdw_ping(\'impilo\')',
	'SELECT 1 FROM impilo.orders WHERE id = 7; SELECT * FROM impilo_fdw_get_connections()',
	'SELECT * FROM impilo_fdw_diag()',
	"SELECT * FROM impilo_check_schema('impilo')",
	'BEGIN; SELECT 1/0 FROM impilo.orders; ROLLBACK',
	'PREPARE p AS SELECT count(id) FROM impilo.orders WHERE id = $1; EXECUTE p(7); EXPLAIN (VERBOSE, ANALYZE) EXECUTE p(8)',
	'PREPARE p AS SELECT 1 / ($1::bigint - id) FROM impilo.orders WHERE id = $1; EXECUTE p(7)',
	'INSERT INTO impilo.dry VALUES (1, impilo_order_item(1000)); EXPLAIN (VERBOSE, ANALYZE) INSERT INTO impilo.dry VALUES (1, impilo_order_item(1000))',
	'BEGIN; INSERT INTO impilo.later VALUES (1, impilo_order_item(1000)); COMMIT',
	q(INSERT INTO impilo.keyed VALUES (1, '{a}', impilo_order_item(1000)) ON CONFLICT DO NOTHING),
	'BEGIN; INSERT INTO impilo.keyed (patient_id, order_items) VALUES (1, impilo_order_item(1000)); ROLLBACK; SELECT * FROM impilo_created_orders()',
	'COPY impilo.keyed FROM PROGRAM $$printf "1\t{b}\tnull\n"$$',
	'DO $$ BEGIN PERFORM 1 / 0 FROM impilo.orders; END $$',
	'CREATE TEMP TABLE t AS SELECT id, document FROM impilo.orders WHERE id < 3; ANALYZE t',
	'SELECT * FROM pg_stats WHERE schemaname = $$impilo$$',
	'SELECT * FROM pg_stat_activity',
	'SELECT * FROM pg_prepared_statements',
	'IMPORT FOREIGN SCHEMA v4 FROM SERVER impilo INTO impilo');
my $asked = $api->count('requests');

run($_) foreach @statements;
cmp_ok($api->count('requests'), '>', $asked + 10, 'the statements send requests');

# a server that repeats the key
my $long = 'x' x 480;
foreach my $do (
	{ status => 401, body => "{\"message\":\"key $key is unknown\"}" },
	{ status => 401, body => '{"message":"' . ($key =~ s{/}{\\/}r) . '"}' },
	{ status => 400, body => "{\"errors\":{\"key\":\"$long $key\"}}" },
	{ status => 403, body => "your key: $key", content_type => 'text/plain' },
	{ status => 500, body => "\"$key\"" },
	{ status => 200, content_type => "text/$key", body => $key },
	{ status => 200, body => "{\"$key\":\"$key\"" },
	{ redirect => "https://elsewhere.test/$key?key=$key" },
	{ redirect => "https://user:9f86d081\@elsewhere.test/" },
	{ status => 429, retry_after => $key },
	{ wire => "HTTP/1.1 200 $key\r\nX-Key: $key\r\nContent-Length: 99\r\n\r\n$key" },
	{ wire => "$key\r\n\r\n" },
	{ reset => 'after' },
	{ hang => \1 })
{
	$api->fault({ do => $do });
	run($_) foreach @statements[ 0, 1, 6, 9 ];
	$api->fault;
}
unlike($everything, qr/\Q$key/, 'nothing that is printed shows the key');
hides($everything, 'nothing that is printed shows a part of the key');
like($everything, qr/key \*+ is unknown/, 'the rest of such a message is shown');
like($everything, qr/DEBUG/, 'the output contains debug messages');

my $log = log_text($node);
like($log, qr/DEBUG/, 'the log contains debug messages');
like($log, qr/PlannedStmt|FOREIGNSCAN|FOREIGN/i, 'the log contains plans');
like($log, qr/duration: .* plan:/, 'the log contains plans of auto_explain')
  if -e $library;
hides($log, 'the log does not show the key');

# pg_stat_activity does not show the key while it is in use
{
	my $session = session($node);
	my $seen;

	$api->fault({ do => { hang => \1 } });
	$session->send('SELECT count(document) FROM impilo.orders');
	wait_until(
		sub {
			$seen = run('SELECT * FROM pg_stat_activity')->{stdout};
			$seen =~ /Extension/;
		},
		'a wait');
	hides($seen, 'pg_stat_activity does not show the key');
	$session->cancel;
	$session->wait;
	$session->quit;
	$api->fault;
}

# no error, also none of PostgreSQL, repeats a key in the wrong place
foreach my $sql (
	"CREATE FOREIGN DATA WRAPPER w HANDLER impilo_fdw_handler VALIDATOR impilo_fdw_validator OPTIONS (api_key 'Hush-1')",
	"ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD api_key 'Hush-1')",
	"ALTER FOREIGN TABLE impilo.orders ALTER id OPTIONS (ADD api_key 'Hush-1')",
	"ALTER SERVER impilo OPTIONS (ADD api_key 'Hush-1')",
	"ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (ADD api_key 'Hush-1')",
	"ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_kee 'Hush-1')",
	"ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (ADD api_key_file 'Hush-1')",
	"CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'Hush-1')",
	"CREATE USER MAPPING FOR pg_monitor SERVER impilo OPTIONS (api_key 'Hush-1', api_key 'Hush-2')",
	"CREATE USER MAPPING FOR pg_monitor SERVER impilo OPTIONS (api_key 'Hush-1', api_key_file '/x')",
	"CREATE USER MAPPING FOR nobody SERVER impilo OPTIONS (api_key 'Hush-1')",
	"CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere OPTIONS (api_key 'Hush-1')",
	"CREATE SERVER s FOREIGN DATA WRAPPER impilo_fdw OPTIONS (api_key 'Hush-1')",
	"CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_kee 'Hush-1')",
	"ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'Hush 1')",
	"ALTER SERVER impilo OPTIONS (SET base_url 'https://user:Hush-1\@h/')")
{
	my $error = run($sql);

	isnt($error->{sqlstate}, '00000', "refused: $sql");
	unlike("$error->{message} $error->{detail} $error->{hint} $error->{context}",
		qr/Hush/, 'the error does not show the key')
	  if $sql !~ /base_url|key_file 'Hush/;
}

#----------------------------------------------------------------------
# Other users
#----------------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE owner LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE guest LOGIN;
GRANT USAGE ON FOREIGN SERVER impilo TO owner, other;
GRANT USAGE ON SCHEMA impilo TO PUBLIC;
GRANT SELECT ON impilo.orders TO owner, other;
GRANT CREATE ON SCHEMA public TO owner, other;
GRANT CREATE ON DATABASE postgres TO owner;
SQL
my $quiet = "SET log_min_error_statement = panic; SET log_statement = none; SET log_min_duration_statement = -1; "
  . "SET log_min_messages = error; SET debug_print_plan = off; "
  . "SET debug_print_rewritten = off; ";
$node->safe_psql('postgres', $quiet
	  . "CREATE USER MAPPING FOR owner SERVER impilo OPTIONS (api_key '$key');"
	  . "CREATE USER MAPPING FOR other SERVER impilo OPTIONS (api_key 'other-key')");
hides(log_text($node), 'the log does not show the key of a new mapping');

sub as
{
	my ($role, $sql) = @_;

	return run("SET SESSION AUTHORIZATION $role; $sql");
}

is( as('guest',
		"SELECT string_agg(umoptions::text, ',') FROM pg_user_mappings")
	  ->{stdout},
	'',
	'a guest does not see options of mappings');
is( as( 'other',
		"SELECT string_agg(umoptions::text, ',') FROM pg_user_mappings"
		  . " WHERE usename <> 'other'")->{stdout},
	'',
	'a role with another mapping does not see them');
is(as('other', 'SELECT umoptions FROM pg_user_mapping')->{sqlstate},
	'42501', 'a role may not read the catalog');
is( as('guest',
		"CREATE USER MAPPING FOR guest SERVER impilo OPTIONS (api_key 'x')")
	  ->{sqlstate},
	'42501',
	'a mapping requires the privilege to use the server');
is(as('guest', 'SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'42501', 'a table requires its own privilege');
$node->safe_psql('postgres', 'GRANT SELECT ON impilo.orders TO guest');
is(as('guest', 'SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'42704', 'a table requires a mapping');
is(as('guest', "SELECT * FROM impilo_fdw_ping('impilo')")->{sqlstate},
	'42501', 'ping requires the privilege to use the server');

# views and functions
as('owner', <<'SQL');
CREATE VIEW public.seen AS SELECT id FROM impilo.orders;
CREATE VIEW public.invoked WITH (security_invoker) AS SELECT id FROM impilo.orders;
CREATE FUNCTION public.defined() RETURNS bigint SECURITY DEFINER
	LANGUAGE sql AS 'SELECT count(id) FROM impilo.orders';
CREATE FUNCTION public.plain() RETURNS bigint
	LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(id) FROM impilo.orders); END';
GRANT SELECT ON public.seen, public.invoked TO PUBLIC;
SQL
my $own = as('owner', 'SELECT count(id) FROM impilo.orders')->{stdout};
cmp_ok($own, '>=', 60, 'the owner reads the account of its key');
is(as('other', 'SELECT count(id) FROM impilo.orders')->{stdout},
	'40', 'another role reads the account of its key');
is(as('guest', 'SELECT count(id) FROM seen')->{stdout},
	$own, 'a view reads with the key of its owner');
is(as('other', 'SELECT count(id) FROM seen')->{stdout},
	$own, 'a view reads with the key of its owner for a role with a key');
is(as('guest', 'SELECT count(id) FROM invoked')->{sqlstate},
	'42704', 'a security_invoker view requires a key of the reader');
is(as('other', 'SELECT count(id) FROM invoked')->{stdout},
	'40', 'a security_invoker view reads with the key of the reader');
is(as('guest', 'SELECT defined()')->{stdout},
	$own, 'SECURITY DEFINER uses the key of the owner');
is(as('other', 'SELECT defined(), plain()')->{stdout},
	"$own|40", 'other functions use the key of the caller');
is( as( 'other',
		'SELECT (SELECT count(id) FROM seen), (SELECT count(id) FROM impilo.orders),'
		  . ' (SELECT count(*) FROM seen JOIN impilo.orders USING (id))')
	  ->{stdout},
	"$own|40|0",
	'a statement with two accounts reads both');

# one session, several roles, plans kept
is( run("SET plan_cache_mode = force_generic_plan; "
		  . 'PREPARE p AS SELECT count(id) FROM impilo.orders; '
		  . join('', map { "SET ROLE $_; EXECUTE p; " } qw(owner other owner other)))
	  ->{stdout},
	"$own\n40\n$own\n40",
	'a cached plan uses the key of the role that executes it');

# the same for INSERT and for plans that PL/pgSQL caches; ids from 5000000001 on
# belong to the second account
$node->safe_psql('postgres', <<'SQL');
GRANT INSERT ON impilo.orders, impilo.later TO owner, other;
CREATE FUNCTION public.kept(n bigint) RETURNS bigint LANGUAGE plpgsql
	AS 'BEGIN RETURN (SELECT count(id) FROM impilo.orders WHERE id > n); END';
CREATE FUNCTION public.make() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
	INSERT INTO impilo.orders (patient_id, order_items)
	VALUES (1, impilo_order_item(1000)) RETURNING id INTO made;
	RETURN made > 5000000000;
END $$;
CREATE TABLE public.rows_of (role name, n bigint);
INSERT INTO rows_of VALUES ('owner', 1), ('other', 2);
ALTER TABLE rows_of ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows_of USING (role = current_user);
GRANT SELECT ON rows_of TO PUBLIC;
SQL
{
	my $session = session($node);
	my @seen;
	my $count = $session->query(
		'SET client_min_messages = warning; SET ROLE owner; SELECT count(id) FROM impilo.orders');

	foreach my $mode ('force_generic_plan', 'force_custom_plan')
	{
		$session->query("SET plan_cache_mode = $mode");
		foreach my $role (('owner', 'other') x 6)
		{
			$session->query("SET ROLE $role");
			push @seen, $session->query('SELECT kept(0), make()');
		}
	}
	my ($own_made, $other_made) = (0, 0);
	is( join("\n", @seen),
		join("\n",
			map { $_ % 2 ? (40 + $other_made++) . '|t' : ($count + $own_made++) . '|f' }
			  0 .. 23),
		'functions read and write with the key of the caller, with a cached plan or not');

	$session->query('SET ROLE owner; PREPARE r AS SELECT n, count(id) FROM rows_of, impilo.orders '
		  . 'WHERE role <> $$$$ GROUP BY n');
	is( join(' ', map { $session->query("SET ROLE $_; EXECUTE r") } qw(owner other owner)),
		join(' ', '1|' . ($count + 12), '2|52', '1|' . ($count + 12)),
		'plans with row-level security use the key of the role that executes them');

	# the role that opens a cursor or inserts counts, not the one that continues
	$session->query('SET ROLE other; BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders');
	cmp_ok($session->query('SET ROLE owner; FETCH 1 FROM c'),
		'>', 5000000000, 'a cursor keeps the key of the role that opened it');
	$session->query('SET ROLE other; INSERT INTO impilo.later VALUES (1, impilo_order_item(1000))');
	$session->query('SET ROLE owner; COMMIT');
	is($session->query('SET ROLE other; SELECT count(id) FROM impilo.orders'),
		'53', 'an order that waits for the commit goes to the account of the role that inserted it');
	$session->quit;
}

# an INSERT through a view uses the key of its owner, row by row and in batches
$node->safe_psql('postgres', <<'SQL');
SET ROLE owner;
CREATE VIEW public.making AS SELECT id, patient_id, order_items FROM impilo.orders;
CREATE VIEW public.making_invoked WITH (security_invoker) AS SELECT * FROM making;
CREATE VIEW public.made_invoked WITH (security_invoker)
	AS SELECT id, patient_id, order_items FROM impilo.orders;
GRANT SELECT, INSERT ON making, making_invoked, made_invoked TO PUBLIC;
SQL
{
	my $into = '(patient_id, order_items) VALUES (1, impilo_order_item(1000))';
	my $posts = $api->count('posts');

	is(as('other', "INSERT INTO making $into RETURNING id > 5000000000")->{stdout},
		'f', 'a view creates with the key of its owner');
	is( as('other', "INSERT INTO making_invoked $into RETURNING id > 5000000000")
		  ->{stdout},
		'f',
		'a view below a security_invoker view creates with the key of its owner');
	is(as('other', "INSERT INTO made_invoked $into RETURNING id > 5000000000")->{stdout},
		't', 'a security_invoker view creates with the key of the caller');
	is(as('guest', "INSERT INTO making $into")->{sqlstate},
		'00000', 'a role without a key creates through a view');
	is(as('guest', "INSERT INTO made_invoked $into")->{sqlstate},
		'42501', 'a role without a key does not create directly');
	is($api->count('posts') - $posts, 4, 'the other statements created no order');
}
$own = as('owner', 'SELECT count(id) FROM impilo.orders')->{stdout};

#----------------------------------------------------------------------
# A key in a file
#----------------------------------------------------------------------

our $file = "$scratch/key";

sub write_file
{
	my ($text) = @_;

	open my $out, '>', $file or die $!;
	print $out $text;
	close $out;
	return;
}

# a writer for the pipe, in case the backend wrongly waits for one
sub waits_for_no_pipe
{
	my ($pipe, $sql, $name) = @_;
	my $pid = fork() // die $!;

	if ($pid == 0)
	{
		sleep 20;
		PostgreSQL::Test::Utils::append_to_file("$pipe.released", '');
		sysopen my $out, $pipe, POSIX::O_WRONLY() | POSIX::O_NONBLOCK();
		POSIX::_exit(0);
	}
	is(run($sql)->{sqlstate}, '42809', $name);
	ok(!-e "$pipe.released", "$name: the backend does not wait for the pipe");
	kill 'KILL', $pid;
	waitpid $pid, 0;
	unlink "$pipe.released";
	return;
}

write_file("$key\r\nsecond line\n");
is( run("ALTER USER MAPPING FOR CURRENT_USER SERVER impilo "
		  . "OPTIONS (DROP api_key, ADD api_key_file '$file'); "
		  . 'SELECT id FROM impilo.orders WHERE id = 7')->{stdout},
	'7',
	'a key is read from the first line of a file');
is( as('other',
		"ALTER USER MAPPING FOR other SERVER impilo OPTIONS (ADD api_key_file '$file')"
	)->{sqlstate},
	'42501',
	'option api_key_file requires pg_read_server_files');
foreach my $text ($key, "$key\n", "$key\r", "$key\r\n", "$key\n" . ('x' x 1_000_000))
{
	write_file($text);
	is( run('SELECT id FROM impilo.orders WHERE id = 7')->{stdout},
		'7', 'a key with and without a line end, and in a huge file');
}
foreach my $text (
	'', "\n", "two words\n", "\x01\x02", "k\xc3\xa4", "\n$key\n",
	"$key\0", "$key\0\n", "\0$key\n", "$key ", "$key\t\n", "$key\rsecond\n", "\xef\xbb\xbf$key\n",
	$key x 1000)
{
	my $error;

	write_file($text);
	$error = run('SELECT id FROM impilo.orders WHERE id = 7');
	is($error->{sqlstate}, 'HV024', 'a file without a key');
	unlike("$error->{message} $error->{detail} $error->{hint}",
		qr/two words|second|Vq7/, 'the error does not show the content of the file');
}
unlink $file;
symlink "$file.linked", $file or die $!;
{
	local $file = "$file.linked";
	write_file($key);
}
is(run('SELECT id FROM impilo.orders WHERE id = 7')->{stdout},
	'7', 'a symbolic link to a key file is read');
chmod 0, "$file.linked" or die $!;
is(run('SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'42501', 'a key file that the server may not read is an error');
unlink $file;
mkdir $file or die $!;
is(run('SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'42809', 'a folder');
rmdir $file;
POSIX::mkfifo($file, 0600) or die $!;
waits_for_no_pipe($file, 'SELECT id FROM impilo.orders WHERE id = 7',
	'a pipe is not a key file');
$node->safe_psql('postgres',
	"CREATE SERVER piped FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url 'https://localhost:1', ca_file '$file');"
	  . "CREATE USER MAPPING FOR CURRENT_USER SERVER piped OPTIONS (api_key 'x')");
waits_for_no_pipe(
	$file,
	"SELECT impilo_fdw_ping('piped')",
	'a pipe is not a ca_file');
unlink $file;
is(run("SELECT impilo_fdw_ping('piped')")->{sqlstate},
	'58P01', 'a missing ca_file is an error');
is(run('SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'58P01', 'a missing key file is an error');

# the next statement uses a new key, also if the file has the same size and time
write_file("other-key\n");
{
	my $session = session($node);
	my $count = 'SELECT count(id) FROM impilo.orders';
	my $size = length $key;
	my $time = time;

	$session->query('SET client_min_messages = warning');
	is($session->query($count), '54', 'the key of the file');
	write_file("$key\n");
	is($session->query($count), $own, 'the new key of the file is used');
	utime $time, $time, $file;
	write_file(('x' x $size) . "\n");
	utime $time, $time, $file;
	$session->query($count);
	is($session->error->{sqlstate}, '28000', 'a key of the same size and time');
	like($session->error->{hint},
		qr/in the file named by option "api_key_file" of the user mapping FOR CURRENT_USER SERVER impilo/,
		'the hint names the file');

	# a cursor that was opened before continues with its key
	write_file("$key\n");
	$session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; FETCH 1 FROM c");
	write_file("other-key\n");
	is($session->query($count), '54', 'another statement uses the new key while a cursor is open');
	is($session->query('MOVE ALL FROM c; SELECT 1'), '1', 'the cursor continues');
	is($session->error->{sqlstate}, '00000', 'the cursor uses the key with which it was opened');
	$session->query('COMMIT');

	# a key whose file was removed is not used again
	unlink $file;
	$session->query($count);
	is($session->error->{sqlstate}, '58P01', 'after the file was removed a statement is an error');
	$session->quit;
}

hides($everything, 'nothing that psql printed shows the key');
hides(log_text($node), 'the log does not show the key at the end');

done_testing();
