# The API key is seen by nobody but the server that it is for; and whose key
# is used is decided as PostgreSQL decides whose rights count.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

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
CONF
$node->reload;

# everything that psql prints is kept
sub run
{
	my ($sql) = @_;
	my $error = psql_error($node,
		"SET client_min_messages = debug5; SET impilo_fdw.allow_create = on; $sql");

	$everything .= "$sql\n$error->{stdout}\n$error->{stderr}\n";
	return $error;
}

# the line that shows it is told, not all the others
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
	'BEGIN; SELECT 1/0 FROM impilo.orders; ROLLBACK');
my $asked = $api->count('requests');

run($_) foreach @statements;
cmp_ok($api->count('requests'), '>', $asked + 10, 'the statements ask the API');

# a server that repeats whatever it is told
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
hides($everything, 'nor a part of it');
like($everything, qr/key \*+ is unknown/, 'though the rest of a message is shown');
like($everything, qr/DEBUG/, 'debug output was among it');

my $log = log_text($node);
like($log, qr/DEBUG/, 'the log holds debug output');
like($log, qr/PlannedStmt|FOREIGNSCAN|FOREIGN/i, 'and plans');
hides($log, 'the log does not show the key');

# a key in the wrong place is not repeated either
foreach my $sql (
	"CREATE SERVER s FOREIGN DATA WRAPPER impilo_fdw OPTIONS (api_key 'Hush-1')",
	"CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_kee 'Hush-1')",
	"ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'Hush 1')",
	"ALTER SERVER impilo OPTIONS (SET base_url 'https://user:Hush-1\@h/')")
{
	my $error = run($sql);

	isnt($error->{sqlstate}, '00000', "refused: $sql");
	unlike("$error->{message} $error->{detail} $error->{hint}",
		qr/Hush/, 'without showing it')
	  if $sql !~ /base_url/;
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
hides(log_text($node), 'nor does making a mapping quietly');

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
	'nor does who has another one');
is(as('other', 'SELECT umoptions FROM pg_user_mapping')->{sqlstate},
	'42501', 'the catalog itself is not for them');
is( as('guest',
		"CREATE USER MAPPING FOR guest SERVER impilo OPTIONS (api_key 'x')")
	  ->{sqlstate},
	'42501',
	'a mapping asks for the right to use the server');
is(as('guest', 'SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'42501', 'a table asks for its own right');
$node->safe_psql('postgres', 'GRANT SELECT ON impilo.orders TO guest');
is(as('guest', 'SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'42704', 'and for a mapping');
is(as('guest', "SELECT * FROM impilo_fdw_ping('impilo')")->{sqlstate},
	'42501', 'so does ping');

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
cmp_ok($own, '>=', 60, 'the owner sees the account of his key');
is(as('other', 'SELECT count(id) FROM impilo.orders')->{stdout},
	'40', 'another role that of its own');
is(as('guest', 'SELECT count(id) FROM seen')->{stdout},
	$own, 'a view reads with the key of its owner');
is(as('other', 'SELECT count(id) FROM seen')->{stdout},
	$own, 'also for who has a key');
is(as('guest', 'SELECT count(id) FROM invoked')->{sqlstate},
	'42704', 'a security_invoker view does not');
is(as('other', 'SELECT count(id) FROM invoked')->{stdout},
	'40', 'but with the key of who reads it');
is(as('guest', 'SELECT defined()')->{stdout},
	$own, 'SECURITY DEFINER uses the key of the owner');
is(as('other', 'SELECT defined(), plain()')->{stdout},
	"$own|40", 'other functions do not');
is( as( 'other',
		'SELECT (SELECT count(id) FROM seen), (SELECT count(id) FROM impilo.orders),'
		  . ' (SELECT count(*) FROM seen JOIN impilo.orders USING (id))')
	  ->{stdout},
	"$own|40|0",
	'two accounts in one statement stay two');

# one session, several roles, plans kept
is( run("SET plan_cache_mode = force_generic_plan; "
		  . 'PREPARE p AS SELECT count(id) FROM impilo.orders; '
		  . join('', map { "SET ROLE $_; EXECUTE p; " } qw(owner other owner other)))
	  ->{stdout},
	"$own\n40\n$own\n40",
	'a kept plan uses the key of who executes it');

#----------------------------------------------------------------------
# A key in a file
#----------------------------------------------------------------------

my $file = "$scratch/key";

sub write_file
{
	my ($text) = @_;

	open my $out, '>', $file or die $!;
	print $out $text;
	close $out;
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
	'naming a file asks for pg_read_server_files');
foreach my $text ('', "\n", "two words\n", "\x01\x02", "k\xc3\xa4")
{
	my $error;

	write_file($text);
	$error = run('SELECT id FROM impilo.orders WHERE id = 7');
	is($error->{sqlstate}, 'HV024', 'a file without a key');
	unlike("$error->{message} $error->{detail} $error->{hint}",
		qr/two words|second/, 'is not shown');
}
unlink $file;
is(run('SELECT id FROM impilo.orders WHERE id = 7')->{sqlstate},
	'58P01', 'a file that is not there');

# a new key is used by the next statement, also where a file looks the same
write_file("other-key\n");
{
	my $session = session($node);
	my $count = 'SELECT count(id) FROM impilo.orders';
	my $size = length $key;
	my $time = time;

	$session->query('SET client_min_messages = warning');
	is($session->query($count), '40', 'the key of the file');
	write_file("$key\n");
	is($session->query($count), $own, 'then the new key of the file');
	utime $time, $time, $file;
	write_file(('x' x $size) . "\n");
	utime $time, $time, $file;
	$session->query($count);
	is($session->error->{sqlstate}, '28000', 'a key of the same size and time');
	like($session->error->{hint},
		qr/into the file that option api_key_file of the user mapping FOR CURRENT_USER SERVER impilo names/,
		'the hint is about the file');

	# a cursor that was opened before goes on with what it has
	write_file("$key\n");
	$session->query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM impilo.orders; FETCH 1 FROM c");
	write_file("other-key\n");
	is($session->query($count), '40', 'another key while a cursor is open');
	is($session->query('MOVE ALL FROM c; SELECT 1'), '1', 'the cursor goes on');
	is($session->error->{sqlstate}, '00000', 'with its own key');
	$session->query('COMMIT');

	# a key that was taken away is gone
	unlink $file;
	$session->query($count);
	is($session->error->{sqlstate}, '58P01', 'the file was removed');
	$session->quit;
}

hides($everything, 'in the end nothing has shown the key');
hides(log_text($node), 'nor has the log');

done_testing();
