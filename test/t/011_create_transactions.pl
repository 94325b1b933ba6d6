# Orders and transactions: tests that need two sessions, a signal, or a
# prepared transaction.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 300);
my $node = cluster('main', conf => "max_prepared_transactions = 5\n");
attach($node, $api, server => { reconcile_timeout => '0s' });

my $session = session($node);
my $other = session($node);

sub insert_of
{
	my ($id, $conflict) = @_;

	return 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
	  . " VALUES (7, '{$id}', impilo_order_item(1000))"
	  . ($conflict ? ' ON CONFLICT DO NOTHING' : '');
}

sub warnings_of
{
	my ($error) = @_;

	return join "\n", map { "$_->{message} $_->{detail}" }
	  grep { $_->{severity} eq 'WARNING' } @{ $error->{messages} };
}

#----------------------------------------------------------------------
# PREPARE TRANSACTION
#----------------------------------------------------------------------

$session->query('BEGIN');
$session->query(insert_of('prepared'));
$session->query("PREPARE TRANSACTION 'p'");
is($session->error->{sqlstate}, '0A000',
	'a transaction that created an order is not prepared');
like(warnings_of($session->error), qr/does not cancel 1 order created/, 'it is rolled back with a warning');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	0, 'no prepared transaction exists');
$session->query('BEGIN');
$session->query('SELECT count(*) FROM impilo.orders');
$session->query("PREPARE TRANSACTION 'p'");
is($session->error->{sqlstate}, '00000', 'a transaction that only read is prepared');
$session->query("ROLLBACK PREPARED 'p'");

#----------------------------------------------------------------------
# post_at 'commit'
#----------------------------------------------------------------------

$node->safe_psql('postgres',
	"ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD post_at 'commit', ADD max_concurrency '1')");
$api->ctl('log-reset');
$session->query('BEGIN');
$session->query(insert_of('waiting'));
$session->query("PREPARE TRANSACTION 'p'");
is($session->error->{sqlstate}, '0A000',
	'a transaction with waiting orders is not prepared');
is(warnings_of($session->error), '', 'waiting orders are dropped without a warning');
is($api->count('posts'), 0, 'waiting orders are not sent');

# an error at commit after an order was created
$session->query('BEGIN');
$session->query(insert_of('first'));
$session->query(
	"INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (999999, '{second}', impilo_order_item(1000))"
);
$session->query('COMMIT');
is($session->error->{sqlstate}, 'IU002', 'refused at commit after an order');
like($session->error->{detail}, qr/This transaction has created 1 order: \d+\./, 'the detail names the order');
is(warnings_of($session->error), '', 'refused at commit: no warning repeats the detail');

# refused at commit before any order was created: the API's reason
$session->query('BEGIN');
$session->query(
	"INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (999999, '{only}', impilo_order_item(1000))"
);
$session->query('COMMIT');
is($session->error->{sqlstate}, '23503', 'refused at commit before any order: the SQLSTATE of the refusal');
is(warnings_of($session->error), '', 'no warning');

# an outcome that is unknown at commit
$api->fault({ method => 'POST', do => { status => 500 } });
$session->query('BEGIN');
$session->query(insert_of('unknown'));
$session->query('COMMIT');
is($session->error->{sqlstate}, 'IU001', 'unknown at commit');
is(warnings_of($session->error), '', 'unknown at commit: no warning repeats the error');

# a cancel at commit
$api->fault({ method => 'POST', do => { hang => \1, processed => \1 } });
$api->ctl('log-reset');
$session->query('BEGIN');
$session->query(insert_of('hanging'));
$session->send('COMMIT');
wait_until(sub { $api->count('created') > 0 }, 'the order');
$session->cancel;
$session->wait;
is($session->error->{sqlstate}, '57014', 'cancelled at commit');
like($session->error->{context}, qr/0 were created, 1 more may have been created/, 'cancelled at commit: the context counts the orders that may exist');
is($session->query("SELECT state FROM impilo_created_orders() WHERE external_order_ids = '{hanging}'"),
	'unknown', 'cancelled at commit: the order is listed');
$api->fault;

# the role that inserted is the one whose key is used
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE clerk;
CREATE VIEW impilo.desk AS SELECT patient_id, external_order_ids, order_items FROM impilo.orders;
GRANT USAGE ON SCHEMA impilo TO clerk;
GRANT INSERT ON impilo.desk TO clerk;
SQL
$session->query('BEGIN');
$session->query('SET LOCAL ROLE clerk');
$session->query("INSERT INTO impilo.desk VALUES (7, '{desk}', impilo_order_item(1000))");
is($session->error->{sqlstate}, '00000', "an INSERT through a view waits for the commit");
$session->query('COMMIT');
is($session->error->{sqlstate}, '00000', "the commit creates it");
is($node->safe_psql('postgres',
		"SELECT count(*) FROM impilo.orders WHERE external_order_ids = '{desk}'"),
	1, "the order is in the account of the view's owner");
$node->safe_psql('postgres',
	'ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP post_at, DROP max_concurrency)');

#----------------------------------------------------------------------
# ON CONFLICT DO NOTHING in two sessions
#----------------------------------------------------------------------

$session->query('BEGIN');
$session->query(insert_of('both', 1));
$other->send(insert_of('both', 1));
wait_until(
	sub {
		$node->safe_psql('postgres',
			'SELECT count(*) FROM pg_locks WHERE NOT granted') > 0;
	},
	'the lock');
pass('the second waits for the first');
is($node->safe_psql('postgres', insert_of('neither')), '', 'a session without ON CONFLICT does not wait');
$session->query('COMMIT');
$other->wait;
is($other->error->{sqlstate}, '00000', 'the second continues after the commit');
is($node->safe_psql('postgres',
		"SELECT count(*) FROM impilo.orders WHERE external_order_ids = '{both}'"),
	1, 'the second skips the order of the first');

# the list that was read before decides an unknown outcome
$api->config(create_events => \0);
$api->fault({ method => 'POST', do => { status => 500, processed => \1 } });
$session->query(insert_of('settled', 1));
is($session->error->{sqlstate}, '00000',
	'an order that was not in the list before is the new one');
$api->config(create_events => undef);
$api->fault;

#----------------------------------------------------------------------
# The session's list
#----------------------------------------------------------------------

$other->query('SELECT impilo_forget_created_orders()');
$other->query("INSERT INTO impilo.orders (patient_id, order_items) SELECT 1, impilo_order_item(1000) FROM generate_series(1, 10050)");
is($other->error->{sqlstate}, '00000', 'ten thousand orders');
is($other->query('SELECT count(*) FROM impilo_created_orders()'), 10000,
	"the session's list is bounded");
is($session->query('SELECT count(*) FROM impilo_created_orders() WHERE external_order_ids = \'{}\''),
	0, 'another session has its own list');

#----------------------------------------------------------------------
# Orders of two accounts that wait for one commit
#----------------------------------------------------------------------

{
	my $two = sandbox(orders => 20);

	attach($node, $two, name => 'account_a', import => 0);
	attach($node, $two, name => 'account_b', import => 0, key => 'other-key');
	$node->safe_psql('postgres', join "\n",
		(map { "CREATE FOREIGN TABLE at_commit_$_ (patient_id bigint, external_order_ids text[], order_items jsonb)"
				. " SERVER account_$_ OPTIONS (relation 'orders', post_at 'commit');" } 'a', 'b'),
		'BEGIN;',
		(map { "INSERT INTO at_commit_$_ VALUES (1, '{waits-$_}', impilo_order_item(1000));" } 'a', 'b'),
		'COMMIT;');
	my %keys = (a => 'sandbox-key', b => 'other-key');
	foreach my $account ('a', 'b')
	{
		local $ENV{IMPILO_KEY} = $keys{$account};
		is_deeply([ $two->ctl('dump') =~ /"(waits-.)"/g ], ["waits-$account"],
			"account $account has its order and no other");
	}
}

# Statements that other extensions execute while the transaction commits: an
# order that would have to wait for this commit is refused, also in a session
# that has created orders before.
{
	my $headers = qx{@{[ $node->installed_command("pg_config") ]} --includedir-server};
	chomp $headers;
	my $library = ImpiloTest::preload('precommit', "-I$headers");

	$node->safe_psql('postgres',
		"CREATE FOREIGN TABLE late (patient_id bigint, order_items jsonb) SERVER impilo OPTIONS (relation 'orders', post_at 'commit')");
	my $insert = 'INSERT INTO late VALUES (1, impilo_order_item(1000))';
	foreach my $first ('SELECT 1', $insert)
	{
		my $late = session($node);
		my $before = $api->count('created');
		$late->query("LOAD '$library'");
		$late->query("LOAD 'impilo_fdw'");
		$late->query("BEGIN; SET LOCAL precommit.statement = '$insert'; $first; COMMIT");
		is($late->error->{sqlstate}, '0A000', "work that arrives after PRE_COMMIT is refused ($first)");
		is($api->count('created') - $before, $first eq $insert ? 1 : 0, '... and creates no order');
		$late->quit;
	}
}

done_testing();
