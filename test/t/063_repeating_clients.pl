# Clients that repeat a statement by themselves, as drivers, pools and job
# queues do, on an API that fails in many ways: no order is lost or doubled.
#
# They repeat INSERT ... ON CONFLICT DO NOTHING on the same connection after every
# error of the classes 08, 40 and 53 and after a cancel, and a plain INSERT after
# errors of the extension of these classes.  A plain INSERT that
# is repeated after an error that PostgreSQL itself raised after the order was
# created can create it again: this is counted, and documented in docs/errors.md.
#
#   IMPILO_STORM=N        orders (240; with SLOW 10,000)
#   IMPILO_STORM_SEED=S   as printed by an earlier run

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep);

my $orders = $ENV{IMPILO_STORM} // ($ENV{SLOW} ? 10_000 : 240);
my $seed = $ENV{IMPILO_STORM_SEED} // int(rand(1_000_000));
my $workers = 8;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $json = JSON::PP->new->utf8;

note "IMPILO_STORM=$orders IMPILO_STORM_SEED=$seed";

my $api = sandbox(orders => 20);
my $node = cluster('main', conf => "deadlock_timeout = 200ms\n");
attach($node, $api, name => "pair$_", server => { request_timeout => '1s', reconcile_timeout => '2s' })
  foreach 0 .. $workers / 2 - 1;
$node->safe_psql('postgres', 'CREATE TABLE progress (n int); INSERT INTO progress VALUES (0)');

# Every fault with the same probability, with the order created or not.
sub storm
{
	my @do = (
		{ reset => 'before' }, { reset => 'after' }, { reset => 'after', appear_after_ms => 300 },
		{ close => \1 }, { status => 429 }, { status => 500, processed => \1 },
		{ status => 502, processed => \1, appear_after_ms => 300 }, { status => 503 },
		{ hang => \1 }, { hang => \1, processed => \1 }, { cut_body => 20 }, { raw => '<html>' });

	return $api->fault(
		(map { { method => 'POST', probability => 0.04, do => $_ } } @do),
		map { { method => 'GET', probability => 0.04, do => $_ } }
		  { status => 503 }, { reset => 'before' }, { cut_body => 500 });
}

sub insert_of
{
	my ($schema, $id) = @_;

	return "INSERT INTO $schema.orders (patient_id, external_order_ids, order_items) VALUES (1, '{$id}', impilo_order_item(1000))";
}

# A statement_timeout that ends some of the statements.  A longer list takes
# longer.
sub short_time
{
	return 30 + int rand(300 + $orders / 10);
}

# What a client of each kind runs, and after which errors it repeats that.
my %kinds = (
	# the conflict on the counter is found after the order was created
	load => [
		sub { "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT n FROM progress; "
			  . insert_of(@_) . ' ON CONFLICT DO NOTHING; UPDATE progress SET n = n + 1; COMMIT' },
		qr/^(08|40|53|57014)/ ],
	hurried => [
		sub { "SET statement_timeout = " . short_time() . '; '
			  . insert_of(@_) . ' ON CONFLICT DO NOTHING; RESET statement_timeout' },
		qr/^(08|40|53|57014)/ ],
	plain => [ sub { insert_of(@_) }, qr/^(08|40|53)/ ],
	careless => [
		sub { "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = " . short_time() . '; '
			  . insert_of(@_) . '; COMMIT' },
		qr/^(08|40|53|57014)/ ]);

# One worker: prints for each order its kind, the repeats and the last SQLSTATE.
sub work
{
	my ($number, $file) = @_;
	my $session = session($node);

	srand $seed + $number;
	for (my $i = $number; $i < $orders; $i += $workers)
	{
		my $kind = (sort keys %kinds)[ rand keys %kinds ];
		my ($sql, $repeats) = @{ $kinds{$kind} };
		my $id = "$kind-$i";
		my $tries = 0;
		my $state;

		do
		{
			$session->query($sql->("pair" . $number % ($workers / 2), $id));
			$state = $session->error->{sqlstate};
			$session->query('ROLLBACK; RESET statement_timeout') if $state ne '00000';
		} while ($state =~ $repeats && $tries++ < 40);
		print {$file} $json->encode([ $id, $tries, $state ]), "\n";
	}
	$session->quit;
	return;
}

# The orders by external id.
sub orders_now
{
	my %n;

	foreach my $line (split /\n/, $api->ctl('dump'))
	{
		$n{$1}++ while $line =~ /"((?:load|hurried|plain|careless)-\d+)"/g;
	}
	return \%n;
}

$api->config(latency_ms => 5, jitter_ms => 20);
storm();
my @children;
foreach my $number (0 .. $workers - 1)
{
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		open my $file, '>', "$dir/results.$number" or POSIX::_exit(1);
		my $done = eval { work($number, $file); 1 };
		close $file;
		POSIX::_exit($done ? 0 : 1);
	}
	push @children, $pid;
}
my $failed = 0;
foreach my $pid (@children)
{
	waitpid $pid, 0;
	$failed++ if $?;
}
is($failed, 0, 'every client has ended');
$api->fault;
sleep 0.6;

my @results = map { map { $json->decode($_) } split /\n/, PostgreSQL::Test::Utils::slurp_file("$dir/results.$_") } 0 .. $workers - 1;
my $now = orders_now();
my (%sum, @lost, @twice, @left);

foreach (@results)
{
	my ($id, $tries, $state) = @$_;
	my ($kind) = $id =~ /^(\w+)/;
	my $n = $now->{$id} // 0;

	$sum{$kind}{repeated} += $tries;
	$sum{$kind}{$state}++;
	push @lost, "$id $state" if $state eq '00000' && $n == 0;
	push @twice, "$id $state" if $n > 1 && $kind ne 'careless';
	$sum{$kind}{doubled}++ if $n > 1;
	push @left, $id if $state ne '00000' && $kind ne 'careless';
}
foreach my $kind (sort keys %sum)
{
	note "$kind: " . join ', ', map { "$_ $sum{$kind}{$_}" } sort keys %{ $sum{$kind} };
}
is(scalar @results, $orders, 'every order was tried');
is_deeply(\@lost, [], 'no order that was reported is lost');
is_deeply(\@twice, [], 'no order exists twice');
cmp_ok($sum{load}{repeated} + $sum{hurried}{repeated}, '>', 0, 'loads were repeated');

# A new session repeats the uncertain statements without faults.
my $session = session($node);
foreach my $id (@left)
{
	$session->query(insert_of('pair0', $id) . ' ON CONFLICT DO NOTHING');
	is($session->error->{sqlstate}, '00000', "$id is loaded again");
}
$now = orders_now();
is_deeply([ grep { ($now->{$_} // 0) != 1 } map { $_->[0] } grep { $_->[0] !~ /^careless/ } @results ],
	[], 'at the end every order exists once');

done_testing();
