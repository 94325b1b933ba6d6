# Creating orders through a stock nginx that offers HTTP/2: no outcome is
# unknown when a connection reaches keepalive_requests, and after a reload only
# those that the logs leave open.  No order is lost or doubled.
#
# Each row has its own external id, which nginx logs with the body of the request.
# ROUNDS= repeats the reload.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

use JSON::PP;

my $rounds = $ENV{ROUNDS} // ($ENV{SLOW} ? 20 : 2);
my $rows = 3000;
my $json = JSON::PP->new->utf8;

my $api = sandbox(orders => 10);

# keepalive_requests is at its default: 1,000
my $nginx = nginx(
	$api->url, http => <<'CONF');
log_format requests escape=json '{"status":"$status","protocol":"$server_protocol","connection":"$connection",'
  '"number":$connection_requests,"method":"$request_method","complete":"$request_completion","body":"$request_body"}';
access_log access.log requests;
CONF
plan skip_all => 'nginx is not installed' if !$nginx;

# The requests that nginx logged, oldest first.  The logs of a worker that ends
# are complete once it has ended.
sub requests
{
	return map { $json->decode($_) }
	  split /\n/, PostgreSQL::Test::Utils::slurp_file("$nginx->{dir}/access.log");
}

sub external_id
{
	my ($body) = @_;

	return $body =~ /"(row-[0-9-]+)"/ ? $1 : undef;
}

# external id => number of orders
sub created
{
	my %created;

	foreach my $order (map { $json->decode($_) } split /\n/, $api->ctl('dump', 'all'))
	{
		$created{$_}++
		  foreach grep { /^row-/ } @{ $order->{externalOrderIds} // [] };
	}
	return \%created;
}

# external id => what the session reports, of the current statement
sub reported
{
	my ($session) = @_;
	my %reported =
	  map { split /\|/ } split /\n/,
	  $session->query('SELECT external_order_ids[1], state FROM impilo_created_orders()');

	return \%reported;
}

# Whether the statement that was sent has ended.
sub ended
{
	my ($session) = @_;

	$session->{run}->pump_nb;
	return $session->{out} =~ /^done \d+$/m;
}

sub insert_of
{
	my ($round) = @_;

	return 'INSERT INTO nginx.orders (patient_id, external_order_ids, order_items)'
	  . " SELECT g, ARRAY['row-$round-' || g], impilo_order_item(1000)"
	  . " FROM generate_series(1, $rows) AS g";
}

my $node = cluster();
attach(
	$node, undef,
	name => 'nginx',
	url => "https://localhost:$nginx->{port}/api/v3",
	server => { ca_file => $nginx->{certificate}{ca_file}, reconcile_timeout => '2s' });

my $session = session($node);

#----------------------------------------------------------------------
# A connection ends after keepalive_requests
#----------------------------------------------------------------------

# with two requests in flight each connection carries more than 1,000
$node->safe_psql('postgres', "ALTER SERVER nginx OPTIONS (ADD max_concurrency '2')");
$session->query(insert_of(0));
is($session->error->{sqlstate}, '00000', "$rows orders through nginx: no outcome is unknown")
  or diag($session->error->{message}, $session->error->{detail});
{
	my $created = created();
	my @posts = grep { $_->{method} eq 'POST' } requests();

	is(scalar(keys %$created), $rows, 'every order exists');
	is(scalar(grep { $_ != 1 } values %$created), 0, 'once');
	is(scalar(@posts), $rows, 'each row was one request');
	cmp_ok(scalar(grep { $_->{number} >= 1000 } @posts),
		'>', 0, 'a connection reached keepalive_requests');
	is(scalar(grep { $_->{protocol} ne 'HTTP/1.1' } @posts), 0, 'orders are created by HTTP/1.1');
	$session->query('SELECT count(document) FROM nginx.orders');
	is((grep { $_->{method} eq 'GET' } requests())[-1]{protocol},
		'HTTP/2.0', 'reads use HTTP/2');
}

#----------------------------------------------------------------------
# nginx -s reload
#----------------------------------------------------------------------

$node->safe_psql('postgres', "ALTER SERVER nginx OPTIONS (SET max_concurrency '8')");
$api->config(latency_ms => 4);
foreach my $round (1 .. $rounds)
{
	my $posts = $api->count('posts');

	$session->query('SELECT impilo_forget_created_orders()');
	$session->send(insert_of($round));
	foreach my $part (1 .. 3)
	{
		wait_until(
			sub { $api->count('posts') - $posts > $part * $rows / 5 || ended($session) },
			'orders');
		kill 'HUP', $nginx->{pid};
	}
	$session->wait;

	my $error = $session->error;
	my $created = created();
	my $reported = reported($session);
	my @mine = grep { /^row-$round-/ } keys %$created;
	my %answered =
	  map { (external_id($_->{body}) // '') => 1 }
	  grep { $_->{status} =~ /^2/ && $_->{complete} eq 'OK' } requests();
	my @unknown = grep { $reported->{$_} eq 'unknown' } keys %$reported;

	note("round $round: $error->{sqlstate}, " . @mine . ' orders, ' . @unknown . ' unknown');
	like($error->{sqlstate}, qr/^(00000|IU001)$/, "reload, round $round: created, or IU001")
	  or diag("$error->{message}\n$error->{detail}");
	is(scalar(grep { $created->{$_} != 1 } @mine), 0, 'no order is doubled');
	is_deeply([ grep { !$reported->{$_} } @mine ], [], 'no order is lost: each one is reported');
	is_deeply(
		[ grep { $reported->{$_} ne 'unknown' && !$created->{$_} } keys %$reported ],
		[], 'no order is reported that does not exist');
	is(scalar(@mine), $rows, 'without an error every row is an order')
	  if $error->{sqlstate} eq '00000';
	is($error->{sqlstate} eq 'IU001', @unknown > 0, 'IU001 if and only if an outcome is unknown');
	is_deeply([ grep { $answered{$_} } @unknown ],
		[], 'by the log of nginx, no request of unknown outcome was answered');
}

done_testing();
