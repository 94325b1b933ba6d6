# The extension, a sandbox and the test library work together.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 40);
my $node = cluster();

attach($node, $api);
is($node->safe_psql('postgres', 'SELECT count(*), min(id), max(id) FROM impilo.orders'),
	'40|1|40', 'every order is read');
is($node->safe_psql('postgres', 'SELECT id FROM impilo.orders WHERE id = 7'),
	'7', 'one order is read');

my $error = psql_error($node, 'SELECT 1/0');
is($error->{sqlstate}, '22012', 'an error comes with its SQLSTATE');
is($error->{message}, 'division by zero', 'an error comes with its message');

my $session = session($node);
$session->send('SELECT pg_sleep(60)');
wait_until(
	sub {
		$node->safe_psql('postgres',
			'SELECT count(*) FROM pg_stat_activity WHERE wait_event = '
			  . "'PgSleep' AND pid = "
			  . $session->pid) == 1;
	},
	'a sleeping session');
$session->cancel;
$session->wait;
is($session->error->{sqlstate}, '57014', 'a session can be cancelled');
is($session->query('SELECT 2'), '2', 'a cancelled session continues');

unlike(log_text($node), qr/sandbox-key/, 'the key is not in the log');

done_testing();
