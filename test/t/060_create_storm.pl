# Thousands of orders through an API that fails in every way, with backends that
# are killed.  Then the list of the sandbox is compared with the results of the
# sessions.  With the defaults no order is lost, created twice or reported
# although it does not exist, and no unknown outcome is guessed.  The same holds
# with unique_external_ids, and over TLS and HTTP/2.
#
#   IMPILO_STORM=N         orders (300; with SLOW 10,000)
#   IMPILO_STORM_FAULT=P   probability of each fault (0.05)
#   IMPILO_STORM_SEED=S    as printed by an earlier run
#   SLOW=1                 longer, and one backend gets SIGKILL

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use POSIX ();
use Time::HiRes qw(sleep time);

my $slow = $ENV{SLOW};
my $orders = $ENV{IMPILO_STORM} // ($slow ? 10_000 : 300);
my $chance = $ENV{IMPILO_STORM_FAULT} // 0.05;
my $seed = $ENV{IMPILO_STORM_SEED} // int(rand(1_000_000));
my $workers = 16;
my $pairs = $workers / 2;
my $late_ms = 400;    # time until a late order appears: below reconcile_timeout

note "IMPILO_STORM=$orders IMPILO_STORM_FAULT=$chance IMPILO_STORM_SEED=$seed";
srand $seed;

my $api = sandbox(orders => 50);
my $node = cluster('main', conf => "restart_after_crash = on\n");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $nginx = nginx($api->url);

# Statements with ON CONFLICT of one server exclude each other, so each pair of
# sessions that runs the same statements has its own server.  A statement that runs
# for the first time uses a random one of these.
my %variants = (
	impilo => {},
	certain => { unique_external_ids => 'true' },
	# with a short timeout
	hasty => { reconcile_timeout => '0s' });
my %address;

if ($nginx)
{
	$variants{modern} = {};
	$address{modern} = "https://localhost:$nginx->{port}/api/v3";
}
note 'variants: ' . join ' ', sort keys %variants;
$node->safe_psql('postgres',
	"CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'");
foreach my $name ((sort keys %variants), map { "pair$_" } 0 .. $pairs - 1)
{
	attach($node, $api, name => $name, url => $address{$name},
		server => {
			request_timeout => '1s', reconcile_timeout => '1s',
			($address{$name} ? (ca_file => $nginx->{certificate}{ca_file}) : ()),
			%{ $variants{$name} // {} }
		});
	$node->safe_psql('postgres', <<"SQL") if $variants{$name};
SET search_path = $name, public;
CREATE FOREIGN TABLE at_commit (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER $name OPTIONS (relation 'orders', post_at 'commit');
CREATE FOREIGN TABLE row_by_row (id bigint, patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER $name OPTIONS (relation 'orders');
CREATE TRIGGER pass AFTER INSERT ON row_by_row FOR EACH ROW EXECUTE FUNCTION pass();
SQL
}

sub shuffled
{
	my @list = @_;

	for (my $i = @list; $i-- > 1;)
	{
		my $j = int rand($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

# Every fault with the same probability, in a random order.
sub storm
{
	my (%option) = @_;
	my $late = $option{late} ? $late_ms : 0;
	my @do = (
		{ reset => 'before' },
		{ reset => 'after' },
		{ reset => 'after', appear_after_ms => $late },
		{ close => \1 },
		{ status => 429 },
		{ status => 429, retry_after => '0' },
		{ status => 500, processed => \1 },
		{ status => 502, processed => \1, appear_after_ms => $late },
		{ status => 503 },
		{ status => 503, retry_after => '1' },
		{ hang => \1 },
		{ hang => \1, processed => \1 },
		{ cut_body => 20 },
		{ chunked_cut => 20 },
		{ raw => '<html>' },
		{ raw => '{"message":"created"}' },
		{ status => 400 });

	return $api->fault(
		(map { { method => 'POST', probability => $chance, do => $_ } } shuffled(@do)),
		map { { method => 'GET', probability => $chance, do => $_ } }
		  { status => 503 }, { reset => 'before' }, { cut_body => 500 });
}

#----------------------------------------------------------------------
# Statements
#----------------------------------------------------------------------

# A statement: {kind, variant, ids, done}; each row has its own external id.
my @statements;
my @kinds = qw(single batch returning copy commit rows block);

sub make_statements
{
	my ($first, $last) = @_;

	@statements = ();
	while ($first <= $last)
	{
		my $kind = $kinds[ rand @kinds ];
		my $rows = $kind eq 'single' ? 1 : 2 + int rand 5;

		$rows = $last - $first + 1 if $rows > $last - $first + 1;
		push @statements,
		  {
			number => scalar @statements,
			kind => $kind,
			variant => (sort keys %variants)[ rand keys %variants ],
			ids => [ map { "storm-$_" } $first .. $first + $rows - 1 ]
		  };
		$first += $rows;
	}
	return;
}

sub statement_sql
{
	my ($statement, $again) = @_;    # a schema, with ON CONFLICT DO NOTHING
	my $kind = $again ? 'again' : $statement->{kind};
	my @ids = @{ $statement->{ids} };
	my $into = '(patient_id, external_order_ids, order_items)';
	my $values = "$into VALUES " . join(', ',
		map { "(1, '{$_}', impilo_order_item(1000))" } @ids);
	my $returning = 'RETURNING external_order_ids[1], id';
	my $schema = $statement->{variant};

	return "INSERT INTO $again.orders $values ON CONFLICT DO NOTHING;"
	  if $again;
	return "INSERT INTO $schema.orders $values;" if $kind eq 'batch';
	return "INSERT INTO $schema.orders $values $returning;"
	  if $kind eq 'single' || $kind eq 'returning';
	return "INSERT INTO $schema.row_by_row $values $returning;" if $kind eq 'rows';
	return "BEGIN;\nINSERT INTO $schema.at_commit $values;\nCOMMIT;"
	  if $kind eq 'commit';
	return "DO \$\$ BEGIN BEGIN INSERT INTO $schema.orders $values;"
	  . " EXCEPTION WHEN division_by_zero THEN NULL; END; END \$\$;"
	  if $kind eq 'block';
	return join "\n", "COPY $schema.orders $into FROM stdin;",
	  (map { qq(1\t{$_}\t[{"item":{"id":1000},"count":1}]) } @ids), '\\.';
}

# Runs statements in psql, one after another, and returns the result of each:
# {tag, returned, sqlstate, journal}.  A lost connection ends the list.
sub run_psql
{
	my ($again, @list) = @_;
	my ($out, $err) = ('', '');
	my $sql = join "\n", map {
		(   "\\echo === $_->{number}", "\\warn === $_->{number}",
			statement_sql($_, $again), 'ROLLBACK;',
			"SELECT 'journal', state, coalesce(id, 0), external_order_ids[1] FROM impilo_created_orders();",
			"SELECT 'reported', impilo_forget_created_orders();")
	} @list;

	IPC::Run::run(
		[
			$node->installed_command('psql'), '-XAt', '-F', '|',
			'-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres')
		],
		'<', \$sql, '>', \$out, '2>', \$err);

	my %out = $out =~ /^=== (\d+)\n(.*?)(?=^=== |\z)/msg;
	my %err = $err =~ /^=== (\d+)\n(.*?)(?=^=== |\z)/msg;
	my @results;

	foreach my $statement (@list)
	{
		my $number = $statement->{number};
		my $text = $out{$number} // last;
		my $complaints = $err{$number} // '';
		my %result = (number => $number, journal => {}, returned => {});

		$result{complete} = $text =~ /^reported\|/m;
		($result{sqlstate}) =
		  $complaints =~ /(?:ERROR|FATAL|PANIC):  (?!25P01)([0-9A-Z]{5}):/;
		$result{error} = $complaints;
		($result{tag}) = $text =~ /^(?:INSERT 0|COPY) (\d+)$/m;
		my $end = $statement->{kind} eq 'commit' && !$again
		  ? qr/^COMMIT$/m
		  : qr/^(?:INSERT 0 \d+|COPY \d+|DO)$/m;

		$result{done} = $text =~ $end && !defined $result{sqlstate};
		$result{returned}{$1} = $2 while $text =~ /^(storm-\d+)\|(\d+)$/mg;
		$result{journal}{$3} = { state => $1, id => $2 }
		  while $text =~ /^journal\|([^|]*)\|(\d+)\|(storm-\d+)$/mg;
		push @results, \%result;
		last unless $result{complete};
	}
	return @results;
}

# The orders of the sandbox: external id => [id, ...].
sub orders_now
{
	my %orders;

	foreach my $line (split /\n/, $api->ctl('dump'))
	{
		my ($id) = $line =~ /^\{\s*"id"\s*:\s*(\d+)/;

		push @{ $orders{$1} }, $id while $line =~ /"(storm-\d+)"/g;
	}
	return \%orders;
}

# Runs the statements in several processes at once, while $option{kill} backends
# are ended.  Returns the results by statement; several processes may run the same
# statement.
sub run_all
{
	my ($lists, %option) = @_;
	my %children;
	my $schema = $option{again} ? 'pair' : '';
	my $name = "$dir/results-" . time;

	foreach my $i (0 .. $#$lists)
	{
		my $pid = fork // die "fork: $!";

		if ($pid == 0)
		{
			my @left = @{ $lists->[$i] };
			my $json = JSON::PP->new->utf8;
			my $vain = 0;

			$schema .= $i % $pairs if $option{again};

			open my $file, '>', "$name.$i" or POSIX::_exit(1);
			while (@left && $vain < 200)
			{
				my @results = eval { run_psql($schema, @left > 50 ? @left[ 0 .. 49 ] : @left) };

				# ignore an attempt in which no statement began
				$vain = @results ? 0 : $vain + 1;
				sleep 0.1 unless @results;
				print {$file} $json->encode($_), "\n" foreach @results;
				splice @left, 0, scalar @results;
			}
			close $file;
			POSIX::_exit(@left ? 1 : 0);
		}
		$children{$pid} = $i;
	}

	my $kills = $option{kill} // 0;
	my $hard = $option{kill_hard} // 0;
	my $failed = 0;

	while (%children)
	{
		my $pid = waitpid -1, POSIX::WNOHANG();

		if ($pid > 0 && exists $children{$pid})
		{
			$failed++ if $?;
			delete $children{$pid};
			next;
		}
		sleep 0.15;
		next unless $kills > 0 && rand() < 0.3;

		# a backend that waits for a response, so that an order is in flight
		my $victim = eval {
			$node->safe_psql('postgres',
				"SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Extension'"
				  . ' ORDER BY random() LIMIT 1');
		} // '';
		next if $victim eq '';
		$kills--;
		if ($hard-- > 0)
		{
			kill 'KILL', $victim;
			next;
		}
		eval { $node->safe_psql('postgres', "SELECT pg_terminate_backend($victim)") };
	}
	is($failed, 0, 'all statements were run');

	my @results;

	foreach my $i (0 .. $#$lists)
	{
		my $text = PostgreSQL::Test::Utils::slurp_file("$name.$i");

		push @results, map { JSON::PP->new->utf8->decode($_) } split /\n/, $text;
	}
	return @results;
}

#----------------------------------------------------------------------
# The results, compared with the orders that exist
#----------------------------------------------------------------------

my %sum = map { $_ => 0 } qw(created unknown refused killed doubled lost claimed unreported misnamed);
my @wrong;

sub wrong
{
	my ($what, $id, $result) = @_;

	$sum{$what}++;
	push @wrong, "$what: $id ($statements[$result->{number}]{variant} $statements[$result->{number}]{kind}, "
	  . ($result->{sqlstate} // 'no error') . ')';
	return;
}

sub compare
{
	my ($result, $now, $again) = @_;
	my $statement = $statements[ $result->{number} ];
	my @ids = @{ $statement->{ids} };
	my @states = map { $_->{state} } values %{ $result->{journal} };
	my $state = $result->{sqlstate} // '';

	if ($result->{done})
	{
		$statement->{done} = 1;
		wrong('lost', $_, $result)
		  foreach grep { !$now->{$_} } @ids;
		wrong('misnamed', 'tag', $result)
		  if defined $result->{tag} && !$again && $result->{tag} != @ids;
		wrong('misnamed', 'tag', $result)
		  if defined $result->{tag} && $again
		  && $result->{tag} != grep { $_ eq 'created' } @states;
		wrong('misnamed', 'rows', $result)
		  if $statement->{kind} =~ /^(single|returning|rows)$/ && !$again
		  && keys %{ $result->{returned} } != @ids;
	}
	elsif (!$result->{complete} && (!$state || $state =~ /^57P0/ || !@states))
	{
		# also one that had failed already, whose journal was not read
		$sum{killed}++;
	}
	elsif (grep { $_ eq 'unknown' } @states)
	{
		$sum{unknown}++;
		wrong('misnamed', 'error of an unknown outcome', $result)
		  unless $state eq 'IU001';
	}
	else
	{
		$sum{refused}++;
		wrong('misnamed', 'error after orders', $result)
		  if @states && $state ne 'IU002';
		wrong('misnamed', 'error', $result)
		  unless $state =~ /^(IU002|53400|08001|23514|08006|HV00L)$/;
	}

	# a reported id is that of the order
	foreach my $id (@ids)
	{
		my $entry = $result->{journal}{$id};
		my @claims = grep { defined }
		  $result->{returned}{$id},
		  $entry && $entry->{state} ne 'unknown' ? $entry->{id} : undef;

		foreach my $claim (@claims)
		{
			wrong('claimed', $id, $result)
			  unless grep { $_ == $claim } @{ $now->{$id} // [] };
		}
		# an order that was not reported must not exist
		wrong('unreported', $id, $result)
		  if $now->{$id} && !$entry && $result->{complete} && !$result->{done}
		  && !$again;
	}
	return;
}

# Returns how many external ids have too many orders, and adds it to the sum.
my %doubled;

sub doubled
{
	my ($now) = @_;
	my @twice = grep { @{ $now->{$_} } > 1 } keys %$now;

	$doubled{$_} = 1 foreach @twice;
	$sum{doubled} = keys %doubled;
	return scalar @twice;
}

sub spread
{
	my ($n, @list) = @_;
	my @lists = map { [] } 1 .. $n;

	push @{ $lists[ $_ % $n ] }, $list[$_] foreach 0 .. $#list;
	return \@lists;
}

# Waits until late orders have appeared and no request is in flight.
sub calm
{
	$api->fault;    # ends requests that hang
	sleep $late_ms / 1000 + 0.2;
	return;
}

my $start = time;

sub summary
{
	my ($what) = @_;

	note sprintf '%s, after %.0f s: %s', $what, time - $start,
	  join ', ', map { "$_ $sum{$_}" } sort keys %sum;
	return;
}

# Each search reads the list, so it is kept short: a part of the orders at a time,
# with an empty account at the start.
sub wave
{
	my ($first, $last) = @_;

	$api->ctl('only');
	make_statements($first, $last);
	@wrong = ();
	storm(late => 1);
	my @results = run_all(spread($workers, @statements),
		kill => 3 + ($last - $first) / 100,
		kill_hard => $slow && $first == 1 ? 1 : 0);
	calm();
	my $now = orders_now();
	compare($_, $now, 0) foreach @results;
	is_deeply(\@wrong, [], "from $first: the results match the orders that exist");
	is(doubled($now), 0, "from $first: no order exists twice");
	summary("$first to $last, " . @results . ' statements');

	# repeat failed statements until all orders exist; the last time without faults
	foreach my $round (1 .. 8)
	{
		my @left = grep { !$_->{done} } @statements or last;

		@wrong = ();
		storm() unless $round == 8;

		# each statement by two sessions at about the same time
		my $lists = spread($pairs, @left);
		@results = run_all([ @$lists, @$lists ],
			again => 1, kill => $round == 8 ? 0 : 2 + @left / 50);
		calm();
		$now = orders_now();
		compare($_, $now, 1) foreach @results;
		is_deeply(\@wrong, [], "from $first, repetition $round: the results match the orders that exist");
		is(doubled($now), 0, "from $first, repetition $round: no order exists twice");
		summary("again $round, " . @left . ' statements by two sessions');
	}

	my @missing = grep { !$now->{"storm-$_"} } $first .. $last;

	$sum{lost} += @missing;
	is(scalar @missing, 0, "from $first: at the end every order exists");
	is(scalar keys %$now, $last - $first + 1, "from $first: at the end no other order exists");
	$sum{created} += keys %$now;
	return;
}

for (my $first = 1; $first <= $orders; $first += 1000)
{
	my $last = $first + 999;

	wave($first, $last < $orders ? $last : $orders);
}
summary('storm');
cmp_ok($sum{unknown}, '>', 0, 'some outcomes were unknown');
cmp_ok($sum{killed}, '>', 0, 'some backends were ended');

#----------------------------------------------------------------------
# The same file loaded by two sessions at once
#----------------------------------------------------------------------

sub load
{
	my ($round, $n) = @_;

	return 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
	  . " SELECT i, ARRAY['load-$round-' || i], impilo_order_item(1000)"
	  . " FROM generate_series(1, $n) i ON CONFLICT DO NOTHING";
}

$api->ctl('only');
$api->config(latency_ms => 2, jitter_ms => 5);
my $rounds = $slow ? 60 : 8;
my @two = map { session($node) } 1 .. 2;

foreach my $round (1 .. $rounds)
{
	my $killed = $round % 4 == 0;

	$_->send(load($round, 40)) foreach shuffled(@two);
	if ($killed)
	{
		wait_until(sub { $api->ctl('dump') =~ /"load-$round-/ }, 'a first order');
		$node->safe_psql('postgres',
			"SELECT pg_terminate_backend(" . $two[0]->pid . ")");
	}
	$_->wait foreach @two;
	$two[0] = session($node) if $killed;
	is($two[1]->error->{sqlstate}, '00000', "round $round: loaded");

	my %n;
	my $dump = $api->ctl('dump');

	$n{$1}++ while $dump =~ /"load-$round-(\d+)"/g;
	is_deeply(\%n, { map { ($_ => 1) } 1 .. 40 }, "round $round: each once");
}

done_testing();
