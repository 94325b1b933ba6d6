# The settings that prevent orders, allow_create and post_at: an invalid or
# unauthorised value that a client, a role, a database or a configuration file
# supplies before the library is loaded has the safe meaning.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 3);
my $node = cluster();
attach($node, $api);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE plain LOGIN;
CREATE USER MAPPING FOR plain SERVER impilo OPTIONS (api_key 'sandbox-key');
GRANT USAGE ON SCHEMA impilo TO plain;
GRANT ALL ON ALL TABLES IN SCHEMA impilo TO plain;
SQL

my $insert =
  "INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));";

# what loads the library, as any role
my $load = 'SELECT impilo_created_orders();';

# run(SQL, user => ROLE, options => PGOPTIONS): returns the SQLSTATE of the first
# error and the number of requests that create orders
sub run
{
	my ($sql, %option) = @_;
	my $before = $api->count('posts');
	local $ENV{PGOPTIONS} = $option{options} // '';
	local $ENV{PGUSER} = $option{user} if $option{user};
	my $error = psql_error($node, $sql);

	return $error->{sqlstate} . ' ' . ($api->count('posts') - $before);
}

sub configure
{
	my ($line) = @_;

	$node->safe_psql('postgres', "LOAD 'impilo_fdw'; ALTER SYSTEM RESET ALL");
	$node->append_conf('postgresql.auto.conf', "$line\n") if $line;
	$node->reload;
	sleep 1;
}

#----------------------------------------------------------------------
# Without any configuration
#----------------------------------------------------------------------

is(run($insert), '00000 1', 'a superuser creates orders');
is(run($insert, user => 'plain'), '00000 1', 'any role creates orders');
is(run("SET impilo_fdw.allow_create = off; $insert", user => 'plain'),
	'42501 0', 'a role can switch it off for itself');
is(run("$load SET impilo_fdw.allow_create = off; $insert", user => 'plain'),
	'42501 0', 'a role can switch it off after the library was loaded');
is(run("$load SET impilo_fdw.allow_create = off; SET impilo_fdw.allow_create = on; $insert", user => 'plain'),
	'42501 0', 'a role cannot switch it on again by SET');
is(run($insert, user => 'plain', options => '-c impilo_fdw.allow_create=off'),
	'42501 0', 'a client can switch it off');
is(run($insert, user => 'plain', options => '-c impilo_fdw.allow_create=maybe'),
	'42501 0', 'an invalid value from a client means off');
is(run($insert, options => '-c impilo_fdw.allow_create=on'),
	'00000 1', 'a superuser can switch it on as a client');

#----------------------------------------------------------------------
# Off in the configuration file
#----------------------------------------------------------------------

configure('impilo_fdw.allow_create = off');
for my $user ('postgres', 'plain')
{
	is(run($insert, user => $user), '42501 0', "off in the configuration: $user creates nothing");
}
for my $value (qw(on off true 1 maybe))
{
	is(run($insert, user => 'plain', options => "-c impilo_fdw.allow_create=$value"),
		'42501 0', "off in the configuration, $value from a client: no order");
	is(run("SELECT 1 FROM impilo.orders; RESET impilo_fdw.allow_create; $insert",
			user => 'plain', options => "-c impilo_fdw.allow_create=$value"),
		'42501 0', "RESET does not switch it on ($value)");
	is(run("SELECT 1 FROM impilo.orders; DISCARD ALL; $insert",
			user => 'plain', options => "-c impilo_fdw.allow_create=$value"),
		'42501 0', "DISCARD ALL does not switch it on ($value)");
}
is(run("SET impilo_fdw.allow_create = on; $insert", user => 'plain'),
	'42501 0', 'SET before the library is loaded does not switch it on');
is(run("SET impilo_fdw.allow_create = on; SELECT 1 FROM impilo.orders; RESET ALL; $insert", user => 'plain'),
	'42501 0', 'SET and RESET ALL do not switch it on');
is(run("$load BEGIN; SET LOCAL impilo_fdw.allow_create = on; $insert", user => 'plain'),
	'42501 0', 'SET LOCAL does not switch it on');
is(run("CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE plpgsql SET impilo_fdw.allow_create = on AS \$\$ BEGIN $insert END \$\$; SELECT pg_temp.f()", user => 'plain'),
	'42501 0', 'the SET clause of a function does not switch it on');
is(run("ALTER ROLE plain SET impilo_fdw.allow_create = on", user => 'plain'),
	'42501 0', 'a role cannot store on for itself');
is(run("$load ALTER ROLE plain SET impilo_fdw.allow_create = on", user => 'plain'),
	'42501 0', 'a role cannot store on after the library was loaded');
is(run("LOAD 'impilo_fdw'; SET impilo_fdw.allow_create = on; $insert"),
	'00000 1', 'only a superuser can switch it on');
is(run("SET impilo_fdw.allow_create = on; SET SESSION AUTHORIZATION plain; $insert"),
	'42501 0', 'the role that loads the library decides whether an earlier SET is valid');

my $session = session($node, user => 'plain');
{
	local $ENV{PGOPTIONS} = '-c impilo_fdw.allow_create=on';
	$session = session($node, user => 'plain');
}
$session->query('SELECT 1 FROM impilo.orders');
configure('impilo_fdw.allow_create = on');
$session->query($insert);
is($session->error->{sqlstate}, '42501', 'a reload of the configuration does not switch it on');
is(run($insert, user => 'plain'), '00000 1', 'a new connection reads the new value');

#----------------------------------------------------------------------
# Values that are invalid, roles and databases, a preloaded library
#----------------------------------------------------------------------

for my $value (qw(disabled never 2))
{
	configure("impilo_fdw.allow_create = $value");
	is(run($insert), '42501 0', "\"$value\" in the configuration means off");
	is(run("SELECT 1 FROM impilo.orders; RESET ALL; $insert"), '42501 0', 'RESET ALL does not switch it on');
}
# a valid value of the session hides it only until RESET
configure('impilo_fdw.allow_create = disabled');
is(run("SET impilo_fdw.allow_create = off; $load RESET impilo_fdw.allow_create; $insert", user => 'plain'),
	'42501 0', 'an invalid value below a SET means off after RESET');
is(run("BEGIN; SET LOCAL impilo_fdw.allow_create = off; $load COMMIT; $insert", user => 'plain'),
	'42501 0', 'an invalid value below a SET LOCAL means off after it');
configure('impilo_fdw.allow_create = off');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION loads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN PERFORM impilo_created_orders(); END $$;
SQL
is(run("SET impilo_fdw.allow_create = on; SELECT loads(); $insert", user => 'plain'),
	'42501 0', "a superuser's function that loads the library authorises nothing");
configure("impilo_fdw.post_at = 'nevr'");
is(run("SET impilo_fdw.post_at = ''; $load RESET impilo_fdw.post_at; $insert", user => 'plain'),
	'00000 0', 'an invalid post_at below a SET means never after RESET');
configure('');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET impilo_fdw.allow_create = off');
is(run($insert, user => 'plain'), '42501 0', 'off for the database: no order');
is(run($insert, user => 'plain', options => '-c impilo_fdw.allow_create=on'),
	'42501 0', 'off for the database, on from a client: no order');
$node->safe_psql('postgres', 'ALTER ROLE plain SET impilo_fdw.allow_create = on');
is(run($insert, user => 'plain'), '00000 1', 'a superuser can switch it on for a role');
$node->safe_psql('postgres', <<'SQL');
ALTER ROLE plain RESET ALL;
ALTER DATABASE postgres RESET ALL;
SQL
my $parallel = $node->safe_psql('postgres', <<'SQL');
SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')
SQL
is(run("SET $parallel = on; $load SET impilo_fdw.allow_create = on; SELECT count(*) FROM pg_class"),
	'00000 0', 'a parallel worker starts with the value of its leader');

configure('impilo_fdw.allow_create = off');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'impilo_fdw'\n");
$node->restart;
is(run($insert, user => 'plain'), '42501 0', 'a preloaded library: off in the configuration');
is(run($insert, user => 'plain', options => '-c impilo_fdw.allow_create=off'),
	'42501 0', 'a preloaded library: off from a client');
for my $value (qw(on maybe))
{
	is(run($insert, user => 'plain', options => "-c impilo_fdw.allow_create=$value"),
		' 0', "a preloaded library: $value from a client is refused at connection start");
}
is($node->safe_psql('postgres', 'SHOW impilo_fdw.allow_create'), 'off', 'a preloaded library: SHOW returns the value without LOAD');
configure('');
is(run($insert, user => 'plain'), '00000 1', 'on again in the configuration: orders are created');

#----------------------------------------------------------------------
# post_at
#----------------------------------------------------------------------

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
is(run("BEGIN; SET LOCAL impilo_fdw.post_at = 'never'; $insert COMMIT; $insert", user => 'plain'),
	'00000 1', 'SET LOCAL post_at: a dry run of one transaction');
is(run("SET impilo_fdw.post_at = 'Statement'; $insert", user => 'plain'),
	'00000 1', 'a valid value before the library is loaded has its meaning');
is(run("PREPARE i AS INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING id;"
		  . ' SET plan_cache_mode = force_generic_plan; EXECUTE i;'
		  . " SET impilo_fdw.post_at = 'commit'; EXECUTE i"),
	'0A000 1', 'a cached plan does not return columns that are unknown before the commit');
is(run("SET impilo_fdw.post_at = 'nevr'; $insert", user => 'plain'),
	'00000 0', 'an invalid value before the library is loaded means never');
is(run("SET impilo_fdw.post_at = 'nevr'; SELECT 1 FROM impilo.orders; RESET impilo_fdw.post_at; $insert", user => 'plain'),
	'00000 0', 'an invalid value means never after RESET, too');
is(run($insert, options => '-c impilo_fdw.post_at=no'), '00000 0', 'an invalid value from a client means never');
is(run("LOAD 'impilo_fdw'; SET impilo_fdw.post_at = 'nevr'; $insert"),
	'22023 1', 'an invalid value is refused after the library is loaded');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD post_at 'never')");
is(run("SET impilo_fdw.post_at = 'statement'; $insert"), '00000 0', "the setting does not override post_at 'never' of a table");
$node->safe_psql('postgres', "ALTER FOREIGN TABLE impilo.orders OPTIONS (SET post_at 'statement')");
is(run("SET impilo_fdw.post_at = 'commit'; BEGIN; $insert ROLLBACK; BEGIN; $insert COMMIT"),
	'00000 1', 'commit takes the place of statement');

done_testing();
