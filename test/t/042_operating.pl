# docs/operating.md: the steps after IU001 lead to one order, and the logging
# recipe finds the errors that a person has to check.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

my $page = PostgreSQL::Test::Utils::slurp_file("$FindBin::RealBin/../../docs/operating.md");
my ($conf, $watch) = $page =~ /^### A logging recipe.*?```conf\n(.*?)```.*?orders to check\ngrep -E '([^']+)'/ms;
my $api = sandbox(orders => 50);
my $node = cluster('main', conf => $conf);
attach($node, $api, server => { request_timeout => '2s', reconcile_timeout => '200ms' });
my $session = session($node);
my $insert = q(INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (7, '{%s}', impilo_order_item(1000)));

# Runs the query of a hint and returns the number of its rows.
sub rows_of_hint
{
	my ($hint) = @_;
	my ($query) = $hint =~ /: (SELECT .*)\.$/;

	return $session->query("SELECT count(*) FROM ($query) AS found");
}

# The order exists, and is listed late.
$api->fault({ method => 'POST', do => { reset => 'after', appear_after_ms => 600_000 } });
$session->query(sprintf $insert, 'late');
my $error = $session->error;
is($error->{sqlstate}, 'IU001', 'the response is lost: IU001');
like($error->{detail}, qr/\(external ids "late"\)/, 'the detail names the row');
$api->fault;
is(rows_of_hint($error->{hint}), 0, 'the query of the hint finds nothing yet');
$session->query(sprintf("$insert ON CONFLICT DO NOTHING", 'late'));
is($session->error->{sqlstate}, 'IU001', 'a repetition with ON CONFLICT DO NOTHING is IU001 again');
my ($order) = grep { /"late"/ } split /\n/, $api->ctl('dump', 'all');
$api->ctl('put', $order);
is(rows_of_hint($error->{hint}), 1, 'when the order is listed, the query finds it');
$session->query(sprintf("$insert ON CONFLICT DO NOTHING", 'late'));
is($session->error->{sqlstate}, '00000', 'then a repetition skips the row');
is($api->count('posts'), 1, 'one request was sent');

# The order does not exist.
$api->fault({ method => 'POST', do => { reset => 'before' } });
$session->query(sprintf $insert, 'lost');
is($session->error->{sqlstate}, 'IU001', 'the request is lost: IU001');
$api->fault;
$session->query(sprintf("$insert ON CONFLICT DO NOTHING", 'lost'));
is($session->error->{sqlstate}, 'IU001', 'a repetition is IU001 again');
$session->query('SELECT impilo_forget_created_orders()');
$session->query(sprintf $insert, 'lost');
is($session->error->{sqlstate}, '00000', 'after impilo_forget_created_orders() the row is inserted');
is(scalar(grep { /"lost"/ } split /\n/, $api->ctl('dump', 'all')), 1, 'there is one order');

# The log: unknown outcomes, a transaction that fails later, and one that is
# rolled back
$session->query('BEGIN');
$session->query(sprintf $insert, 'first');
$session->query(sprintf $insert =~ s/VALUES \(7/VALUES (1000000/r, 'second');
is($session->error->{sqlstate}, '23503', 'a transaction fails after it has created an order');
$session->query('ROLLBACK');
$session->query('BEGIN');
$session->query(sprintf $insert, 'third');
$session->query('ROLLBACK');
my $log = log_text($node);
my @lines = grep { /$watch/ } split /\n/, $log;
is(scalar(grep { /ERROR:  IU001: it is not known/ } @lines), 2, 'the recipe finds unknown outcomes');
is(scalar(grep { /DETAIL: .* This transaction has created 1 order/ } @lines), 1, 'the recipe finds orders of a failed transaction');
is(scalar(grep { /WARNING:  01000: rollback does not cancel 1 order/ } @lines), 1, 'the recipe finds orders that were rolled back');
unlike($log, qr/sandbox-key/, 'the log does not contain the key');

done_testing();
