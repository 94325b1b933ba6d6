# The memory, files and connections of a long session that fails in every way do
# not grow.
#
# SLOW=1 makes the session longer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

my $api = sandbox(orders => 60);
my $node = cluster('main');

attach(
	$node, $api,
	server => {
		max_retries => 0,
		request_timeout => '300ms',
		reconcile_timeout => '0s',
		fetch_size => 10,
		max_response_size => '1MB'
	});

#----------------------------------------------------------------------
# One session, thousands of statements
#----------------------------------------------------------------------

my $session = session($node);
my $seen = -r '/proc/' . $session->pid . '/status';

sub resident { return memory($session->pid, 'VmRSS'); }

# sockets, event sets, pipes; not the relations that PostgreSQL has open
sub files
{
	return
	  scalar grep { (readlink($_) // '') =~ /^(socket|anon_inode|pipe):/ }
	  glob '/proc/' . $session->pid . '/fd/*';
}

my @faults = (
	{}, { do => { status => 500 } },
	{ do => { status => 401 } },
	{ do => { reset => 'after' } },
	{ do => { close => \1 } },
	{ do => { cut_body => 50 } },
	{ do => { raw => '{"content":[{' } },
	{ do => { gzip_bomb => 5 } },
	{ do => { endless => \1 } },
	{ do => { wire => 'no' } },
	{ page => 3, do => { status => 503 } },
	{ skip => 2, do => { reset => 'before' } });
my @statements = (
	'SELECT count(document) FROM impilo.orders',
	'SELECT id FROM impilo.orders LIMIT 1',
	'SELECT count(*) FROM impilo.orders',
	'SELECT document FROM impilo.orders WHERE id = 7',
	"SELECT count(document) FROM impilo.orders WHERE id = ANY ('{1,2,3,4,5,6}')",
	'SELECT 1 / 0 FROM impilo.orders WHERE id = 7',
	'SELECT count(*) FROM impilo.orders a JOIN impilo.orders b USING (id)',
	'BEGIN; DECLARE c CURSOR FOR SELECT * FROM impilo.orders; FETCH 2 FROM c; ROLLBACK',
	'DO $$ BEGIN PERFORM id FROM impilo.orders WHERE id = 7; EXCEPTION WHEN OTHERS THEN NULL; END $$',
	'INSERT INTO impilo.orders (site_id, order_items) SELECT 1, impilo_order_item(1000) FROM generate_series(1, 2)',
	'INSERT INTO impilo.orders (site_id) VALUES (1)',
	'SELECT * FROM impilo_forget_created_orders()',
	"SELECT ok FROM impilo_fdw_ping('impilo')",
	'SELECT impilo_fdw_disconnect_all()',
	'SELECT * FROM impilo.nothing');
my $wrong = 0;

sub live
{
	my ($rounds) = @_;

	foreach my $round (1 .. $rounds)
	{
		foreach my $fault (@faults)
		{
			$api->fault(%$fault ? $fault : ());
			$session->query($_) foreach @statements;
			$api->fault;
			$wrong++
			  if $session->query(
				'SELECT id FROM impilo.orders WHERE id = 7') ne '7';
		}
		$api->ctl('reset');
	}
	return $rounds * @faults * (@statements + 1);
}

SKIP:
{
	skip 'the memory of a process cannot be seen here', 3 if !$seen;
	my $n = live(2);
	my ($memory, $files) = (resident(), files());
	my $grown;

	$n += live($ENV{SLOW} ? 100 : 5);
	$grown = resident() - $memory;
	note("$n statements, $grown kB more");
	cmp_ok($grown, '<', 4096, 'memory does not grow');
	is(files(), $files, 'files and sockets do not grow');
	is($wrong, 0, 'statements between the failures returned the right rows');
	$session->query(
		'SELECT impilo_fdw_disconnect_all(); SELECT count(document) FROM impilo.orders');
	cmp_ok(files() - $files, '<', 10, 'closed connections leave few files and sockets');
}

# dropped mappings leave no memory and no connection
SKIP:
{
	skip 'the memory of a process cannot be seen here', 1 if !$seen;
	my $change = join ";\n",
	  "ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'sandbox-key')",
	  'SELECT id FROM impilo.orders WHERE id = 7',
	  "DROP USER MAPPING FOR CURRENT_USER SERVER impilo; "
	  . "CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key')",
	  'SELECT id FROM impilo.orders WHERE id = 8';
	my ($memory, $files, $grown);

	$session->query($change) foreach 1 .. 20;
	($memory, $files) = (resident(), files());
	$session->query($change) foreach 1 .. 100;
	$grown = resident() - $memory;
	note("100 changes, $grown kB more");
	cmp_ok($grown, '<', 4096, 'changed mappings leave no memory');
	is(files(), $files, 'changed mappings leave no connection');
}
$session->quit;

unlike(log_text($node), qr/PANIC|was terminated by signal/, 'nothing crashed');

done_testing();
