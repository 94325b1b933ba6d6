# Fifty sessions read and create at once while everything around them changes:
# keys and addresses are altered, mappings dropped, the API stops and starts
# again, a standby is promoted.  No session gets a row of another account, a stale
# key, or an order twice.
#
#   IMPILO_SECONDS=N       minimum duration (20; with SLOW=1 600)
#   IMPILO_MANY_SEED=S     as printed by an earlier run
#
# There are four accounts, distinguished by the ids of their orders: A and B at
# one sandbox, C and D at another.  Role r1 moves between A, B and C, role r2
# between B and D.  The times before each move and after its commit are recorded.
# A statement that begins after the commit may use only the new account, a
# running one either account, but all its rows belong to the same one.
#
# Statements are distinguished in the sandboxes' logs, too: a lookup also requests
# an id that no order has, and each created order has its own external id.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{IMPILO_SECONDS} || ($ENV{SLOW} ? 600 : 20);
my $seed = $ENV{IMPILO_MANY_SEED} // int(rand(1_000_000));
my $at_primary = 44;
my $at_standby = 6;
my $one_writes = $seconds > 100 ? 10 : 2;    # of so many statements, so that the lists stay short
my $items = 100;    # statements of one session
my $mark_base = 900_000_000_000_000;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $over = "$dir/over";

note "IMPILO_SECONDS=$seconds IMPILO_MANY_SEED=$seed";
srand $seed;

#----------------------------------------------------------------------
# Accounts, server, roles
#----------------------------------------------------------------------

my %first = (A => 1, B => 5000000001, C => 7000000001, D => 8000000001);
my %least = (A => 60, B => 40, C => 30, D => 20);

sub raw_orders
{
	my ($number, $account) = @_;
	my $text = '';

	foreach my $id ($first{$account} .. $first{$account} + $least{$account} - 1)
	{
		my $order = qq({"id":$id,"externalOrderIds":["base-$id"],)
		  . '"patient":{"id":1},"currentStatus":"created",'
		  . '"orderItems":[{"item":{"id":1000},"count":1}],'
		  . '"orderEvents":[{"name":"orderCreated","eventTimestamp":"2024-01-01T00:00:00Z"}]}';

		$text .= "order $id " . length($order) . "\n$order\n";
	}
	return "account $number next " . ($first{$account} + 10_000) . "\n$text";
}

PostgreSQL::Test::Utils::append_to_file("$dir/there",
	raw_orders(0, 'C') . raw_orders(1, 'D'));

my $here = sandbox(orders => $least{A}, args => [ '--state', "$dir/here" ]);
my $there = sandbox(
	orders => 1,
	args => [ '--state', "$dir/there", '--key', 'third-key' ]);

# slow, so that many requests are in flight when something changes
my %slowness = (latency_ms => 2, jitter_ms => 20);

$_->config(%slowness) foreach $here, $there;

# an account in a sandbox: the hash of its key in the log
sub hash_of
{
	my ($key) = @_;
	my $hash = 2166136261;

	$hash = (($hash ^ ord) * 16777619) & 0xffffffff foreach split //, $key;
	return sprintf '%08x', $hash;
}

my %asked_as = (
	here => { hash_of('sandbox-key') => 'A', hash_of('other-key') => 'B' },
	there => { hash_of('third-key') => 'C', hash_of('other-key') => 'D' });

$asked_as{$_}{ hash_of('revoked-key') } = 'revoked' foreach keys %asked_as;

my $node = PostgreSQL::Test::Cluster->new('primary');

# The postmaster loads the library.  It must not initialize libcurl there, which
# would not survive the fork.
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'impilo_fdw'
max_connections = 80
log_error_verbosity = verbose
log_min_error_statement = panic
jit = off
max_standby_streaming_delay = -1
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION impilo_fdw');
attach($node, $here, server => { request_timeout => '10s', reconcile_timeout => '2s' });
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE impilo.at_commit (patient_id bigint, external_order_ids text[], order_items jsonb)
	SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
CREATE FUNCTION account(id bigint) RETURNS text LANGUAGE sql IMMUTABLE
	RETURN CASE WHEN id < 5000000000 THEN 'A' WHEN id < 6000000000 THEN 'B'
		WHEN id < 8000000000 THEN 'C' ELSE 'D' END;
CREATE FUNCTION least_of(account text) RETURNS bigint LANGUAGE sql IMMUTABLE
	RETURN CASE account WHEN 'A' THEN 60 WHEN 'B' THEN 40 WHEN 'C' THEN 30 ELSE 20 END;
CREATE ROLE r1;
CREATE ROLE r2;
GRANT USAGE ON SCHEMA impilo TO r1, r2;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA impilo TO r1, r2;
DROP USER MAPPING FOR CURRENT_USER SERVER impilo;
CREATE USER MAPPING FOR r1 SERVER impilo OPTIONS (api_key 'sandbox-key');
CREATE USER MAPPING FOR r2 SERVER impilo OPTIONS (api_key 'other-key');
SQL

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');

#----------------------------------------------------------------------
# What the sessions do
#----------------------------------------------------------------------

# kind => weight
my %reads = (list => 3, look => 6, prepared => 5, join => 2, union => 3, count => 3, cursor => 4, twice => 4);
my %writes = (values => 4, bulk => 2, select => 1, conflict => 2, commit => 3, rollback => 2);

sub pick
{
	my (%weight) = @_;
	my @all = map { ($_) x $weight{$_} } sort keys %weight;

	return $all[ rand @all ];
}

my $now = 'extract(epoch FROM statement_timestamp())';

# R: a row with the role, the time, the accounts, the number of orders, and whether
# these are right
sub row
{
	my ($n, $id, $count, $right) = @_;

	return "'R', $n, current_user, $now, string_agg(DISTINCT account($id), ''), $count, $right";
}

sub ids
{
	my ($mark) = @_;

	return "'{" . join(',', (map { $_ + 4 } values %first), $mark) . "}'";
}

# all of these at once are one statement
sub read_sql
{
	my ($kind, $n, $mark) = @_;
	my $one = 'count(*) = 1';

	return 'SELECT ' . row($n, 'id', 'count(*)', 'count(*) = count(DISTINCT id) AND count(*) >= least_of(min(account(id)))')
	  . ' FROM impilo.orders;'
	  if $kind eq 'list';
	return 'SELECT ' . row($n, 'id', 'count(*)', $one) . ' FROM impilo.orders WHERE id = ANY (' . ids($mark) . ');'
	  if $kind eq 'look';
	return "EXECUTE look($n, " . ids($mark) . ');' if $kind eq 'prepared';
	return 'SELECT ' . row($n, 'o.id', 'count(DISTINCT o.id)', 'bool_and(o.id IS NOT NULL AND e.order_id IS NOT NULL)')
	  . ' FROM impilo.orders o FULL JOIN impilo.order_events e ON e.order_id = o.id;'
	  if $kind eq 'join';
	return 'SELECT ' . row($n, 'id', 'count(*)', 'true') . ' FROM (' . join(' UNION ALL ',
		map { ("SELECT id FROM impilo.orders WHERE id = ANY (" . ids($mark) . ')', 'SELECT order_id FROM impilo.order_events') } 1 .. 6)
	  . ') s;'
	  if $kind eq 'union';
	return 'SELECT ' . row($n, 'id', 'count(*)', "$one AND (SELECT count(*) FROM impilo.orders) >= least_of(min(account(id)))")
	  . ' FROM impilo.orders WHERE id = ANY (' . ids($mark) . ');'
	  if $kind eq 'count';
	die $kind;
}

sub time_of
{
	my ($n) = @_;

	return "SELECT 'T', $n, $now;";
}

sub item_sql
{
	my ($kind, $worker, $n, $mark, $role) = @_;
	my $other = $role eq 'r1' ? 'r2' : 'r1';
	my $into = '(patient_id, external_order_ids, order_items)';
	my $value = "(1, '{$mark}', impilo_order_item(1000))";
	my $more = "SELECT 1, ARRAY['$mark-' || i], impilo_order_item(1000) FROM generate_series(1, 6) i";
	my $returning = "RETURNING 'I', $n, id, external_order_ids[1]";
	my $sleep = sprintf "DO 'BEGIN PERFORM pg_sleep(%.3f); END';", rand(0.3);
	my ($from, $to) = (time_of($n), time_of($n));

	return "BEGIN; $from DECLARE c CURSOR FOR SELECT 'C', $n, account(id) FROM impilo.orders;"
	  . " $to FETCH 3 FROM c; $sleep FETCH 20 FROM c; SET LOCAL ROLE $other; "
	  . read_sql('look', $n, $mark)
	  . " FETCH 1 FROM c; $sleep FETCH ALL FROM c; COMMIT;"
	  if $kind eq 'cursor';
	return 'BEGIN; ' . read_sql('look', $n, $mark) . " $sleep "
	  . read_sql('prepared', $n, $mark) . " $sleep "
	  . read_sql('list', $n, $mark) . ' COMMIT;'
	  if $kind eq 'twice';
	return "$from INSERT INTO impilo.orders $into VALUES $value $returning; $to" if $kind eq 'values';
	return "$from INSERT INTO impilo.orders $into $more; $to" if $kind eq 'bulk';
	return "$from INSERT INTO impilo.orders $into $more $returning; $to" if $kind eq 'select';
	return "$from INSERT INTO impilo.orders $into VALUES (1, '{shared-"
	  . int(rand(50)) . "}', impilo_order_item(1000)), $value ON CONFLICT DO NOTHING; $to"
	  if $kind eq 'conflict';
	return "BEGIN; $from INSERT INTO impilo.at_commit $into VALUES $value; $to $sleep COMMIT;"
	  if $kind eq 'commit';
	return "BEGIN; $from INSERT INTO impilo.orders $into $more; $to ROLLBACK;" if $kind eq 'rollback';
	return read_sql($kind, $n, $mark);
}

my $journal = <<'SQL';
SELECT 'J', state, coalesce(id, 0), external_order_ids[1] FROM impilo_created_orders();
SELECT 'forgotten', impilo_forget_created_orders();
SQL

# Returns the script of a session.  The mark of an item contains its number.
sub script
{
	my ($worker, $pass) = @_;
	my $tick = "SELECT extract(epoch FROM clock_timestamp()) AS now,"
	  . " (pg_stat_file('$over', true)).size IS NOT NULL AS over \\gset\n";
	my $text = "SET plan_cache_mode = force_generic_plan;\n"
	  . 'PREPARE look(int, bigint[]) AS SELECT '
	  . row('$1', 'id', 'count(*)', 'count(*) = 1')
	  . " FROM impilo.orders WHERE id = ANY (\$2);\n$tick";

	foreach my $i (1 .. $items)
	{
		my $n = $worker * 1_000_000 + $pass * $items + $i;
		my $mark = $mark_base + $n;
		my $role = rand() < 0.6 ? 'r1' : 'r2';
		my $kind = $worker > $at_primary && rand() < 0.3 ? 'values'
		  : $worker % $one_writes ? pick(%reads) : pick(%reads, %writes);
		my $sql = item_sql($kind, $worker, $n, $mark, $role);

		$sql =~ s/; (?=\S)/;\n/g;
		$text .= "\\if :over\n\\q\n\\endif\n"
		  . "\\echo === $n $kind $role :now\n\\warn === $n\nSET ROLE $role;\n$sql\n"
		  . ($kind =~ /^(cursor|twice|commit|rollback)$/ ? "ROLLBACK;\n" : '')
		  . ($writes{$kind} ? $journal : '')
		  . "RESET ROLE;\n$tick\\echo end $n :now\n";
	}
	return $text;
}

# A worker: one session after another, until the file exists.
sub work
{
	my ($worker) = @_;
	my $of = $worker > $at_primary ? $standby : $node;

	srand $seed * 100 + $worker;
	for (my $pass = 0; !-e $over; $pass++)
	{
		my $name = "$dir/$worker.$pass";

		PostgreSQL::Test::Utils::append_to_file("$name.sql",
			script($worker, $pass));
		my $pid = fork // return 1;

		if ($pid == 0)
		{
			open STDIN, '<', '/dev/null';
			open STDOUT, '>', "$name.out";
			open STDERR, '>', "$name.err";
			exec $of->installed_command('psql'), '-XAtq', '-v', 'VERBOSITY=verbose',
			  '-f', "$name.sql", '-d', $of->connstr('postgres')
			  or POSIX::_exit(127);
		}
		waitpid $pid, 0;
		return 1 if $?;
	}
	return 0;
}

#----------------------------------------------------------------------
# What changes meanwhile
#----------------------------------------------------------------------

# role => [ [from, until, account], ... ]: a change that began at `from` and
# had committed at `until`
my %moves = (r1 => [ [ 0, 0, 'A' ] ], r2 => [ [ 0, 0, 'B' ] ]);
my $ddl = session($node);
my $place = 'here';
my %changed;

sub change
{
	my ($sql, %account) = @_;
	my $from = time;

	$ddl->query($sql);
	die "$sql: " . $ddl->error->{message} unless $ddl->error->{sqlstate} eq '00000';
	push @{ $moves{$_} }, [ $from, time, $account{$_} ] foreach keys %account;
	return;
}

sub key
{
	my ($role, $key) = @_;

	return "ALTER USER MAPPING FOR $role SERVER impilo OPTIONS (SET api_key '$key');\n";
}

sub server
{
	my (%option) = @_;

	# set, whether it is there or not
	return join '', map {
		"DO \$\$BEGIN EXECUTE 'ALTER SERVER impilo OPTIONS (SET $_ ''$option{$_}'')';"
		  . " EXCEPTION WHEN undefined_object THEN"
		  . " EXECUTE 'ALTER SERVER impilo OPTIONS (ADD $_ ''$option{$_}'')'; END\$\$;\n"
	} sort keys %option;
}

my %asked;    # mark => { account => times }
my %misled;   # keys that were sent to the wrong server

# One line for each request, parsed without a JSON library, as there are many.
sub read_log
{
	my ($name, $api) = @_;

	foreach my $request (split /\n/, $api->steer('GET', 'log'))
	{
		my ($key) = $request =~ /"key_hash":"(\w+)"/ or next;
		my $account = $asked_as{$name}{$key};
		my ($mark) = $request =~ m{^\{"method":"GET","target":"[^"]*/order/(9\d{14})"}
		  ? $1
		  : $request =~ /^\{"method":"POST".*?externalOrderIds\\":\s*\[\s*\\"(9\d{14})/;

		$misled{"$name $key"}++ unless $account;
		$asked{$mark}{ $account // '?' }++ if $mark;
	}
	return;
}

# Returns how often the sessions have received this message until now.
sub times_received
{
	my ($what) = @_;
	my $times = 0;

	$times += () = PostgreSQL::Test::Utils::slurp_file($_) =~ /$what/g
	  foreach glob "$dir/*.{out,err}";
	return $times;
}

sub until_received
{
	my ($what, $code) = @_;
	my $before = times_received($what);

	$code->() if $code;
	return wait_until(sub { times_received($what) > $before }, $what);
}

my %step = (
	key => sub {
		my $to = $moves{r1}[-1][2] eq 'A' ? 'B' : 'A';

		return if $place ne 'here';
		change(key('r1', $to eq 'A' ? 'sandbox-key' : 'other-key'), r1 => $to);
	},
	move => sub {
		my ($api, $key, @to) = $place eq 'here' ? ($there, 'third-key', 'C', 'D') : ($here, 'sandbox-key', 'A', 'B');

		$place = $place eq 'here' ? 'there' : 'here';
		change("BEGIN;\n" . server(base_url => $api->url . '/api/v3') . key('r1', $key) . 'COMMIT;',
			r1 => $to[0], r2 => $to[1]);
	},
	revoke => sub {
		my $was = $moves{r2}[-1][2];

		until_received(qr/ERROR:  28000/, sub { change(key('r2', 'revoked-key'), r2 => 'revoked') });
		change(key('r2', 'other-key'), r2 => $was);
	},
	drop => sub {
		my $was = $moves{r2}[-1][2];

		until_received(qr/ERROR:  42704/,
			sub { change('DROP USER MAPPING FOR r2 SERVER impilo', r2 => 'none') });
		change("CREATE USER MAPPING FOR r2 SERVER impilo OPTIONS (api_key 'other-key')", r2 => $was);
	},
	options => sub {
		my @set = (
			fetch_size => 10 + int rand 240,
			max_concurrency => 1 + int rand 8,
			keep_connections => rand() < 0.5 ? 'true' : 'false',
			requests_per_second => rand() < 0.7 ? 0 : 100);
		my $i = 2 * int rand(@set / 2);

		change(server($set[$i] => $set[ $i + 1 ]));
	},
	restart => sub {
		my ($name, $api) = rand() < 0.7 ? (here => $here) : (there => $there);

		read_log($name, $api);
		$api->stop;
		sleep 0.2;
		$api->start;
		$api->config(%slowness);
	});

my %weights = (key => 6, move => 3, revoke => 1, drop => 1, options => 3, restart => 1);

my $start = time;
my %children;

foreach my $worker (1 .. $at_primary + $at_standby)
{
	my $pid = fork // die "fork: $!";

	POSIX::_exit(work($worker)) if $pid == 0;
	$children{$pid} = $worker;
}

# every step at least once, then at random
my @todo = sort keys %step;
my @promoted;

while (@todo || !@promoted || time < $start + $seconds)
{
	my $step = shift @todo // pick(%weights);

	$step{$step}->();
	$changed{$step}++;
	if (!@promoted && !@todo && time > $start + $seconds / 2)
	{
		wait_until(sub { times_received(qr/ERROR:  25006/) }, 'a refusal of the standby');
		push @promoted, time;
		$standby->promote;
		push @promoted, time;
	}
	sleep rand(0.3);
}
PostgreSQL::Test::Utils::append_to_file($over, '');

my $failed = 0;

while (%children)
{
	my $pid = waitpid -1, 0;

	last if $pid < 0;
	$failed++ if delete $children{$pid} && $?;
}
is($failed, 0, 'no session was lost');
note join ', ', map { "$_ $changed{$_}" } sort keys %changed;
read_log(here => $here);
read_log(there => $there);

#----------------------------------------------------------------------
# The results, compared with the changes and with the orders that exist
#----------------------------------------------------------------------

my %sum;
my %wrong;

sub wrong
{
	my ($what, $item, $detail) = @_;

	$sum{"wrong: $what"}++;
	push @{ $wrong{$what} }, "$item->{n} $item->{kind} $item->{role}: $detail";
	return;
}

# Returns the accounts that a statement with this begin and end may have used.
sub allowed
{
	my ($item, $role, $from, $until) = @_;
	my @moves = @{ $moves{$role} };
	my $last = 0;

	# when a standby replays a change is not recorded
	return map { $_->[2] } @moves if $item->{worker} > $at_primary;
	foreach my $i (0 .. $#moves)
	{
		$last = $i if $moves[$i][1] < $from;
	}
	return map { $_->[2] } grep { $_->[0] <= $until } @moves[ $last .. $#moves ];
}

sub check_account
{
	my ($what, $item, $account, $role, $from, $until) = @_;

	wrong($what, $item, sprintf('%s at %.3f, while it is %s', $account, $from - $start,
			join ' ', allowed($item, $role, $from, $until)))
	  unless grep { $_ eq $account } allowed($item, $role, $from, $until);
	return;
}

sub read_items
{
	my ($worker, $name) = @_;
	my $out = PostgreSQL::Test::Utils::slurp_file("$name.out");
	my $err = PostgreSQL::Test::Utils::slurp_file("$name.err");
	my (%err, @list);

	$err{$1} = $2 while $err =~ /^=== (\d+)\n(.*?)(?=^=== |\z)/msg;
	while ($out =~ /^=== (\d+) (\w+) (r\d) ([\d.]+)\n(.*?)(?=^=== |\z)/msg)
	{
		my %item = (worker => $worker, n => $1, kind => $2, role => $3, from => $4, out => $5);

		$item{mark} = $mark_base + $item{n};
		($item{until}) = $item{out} =~ /^end \d+ ([\d.]+)$/m;
		$item{states} = [ grep { $_ ne '25P02' } ($err{ $item{n} } // '') =~ /(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5}):/g ];
		$item{err} = $err{ $item{n} } // '';
		push @list, \%item;
	}
	return @list;
}

# the orders that exist: external id => [ "account id", ... ]
my %orders;

foreach (
	[ A => $here, 'sandbox-key' ],
	[ B => $here, 'other-key' ],
	[ C => $there, 'third-key' ],
	[ D => $there, 'other-key' ])
{
	my ($account, $api, $key) = @$_;
	my %seen;

	foreach my $line (split /\n/, $api->steer('GET', "dump?key=$key"))
	{
		my ($id) = $line =~ /^\{\s*"id"\s*:\s*(\d+)/;

		while ($line =~ /"(9\d{14}(?:-\d+)?|shared-\d+)"/g)
		{
			push @{ $orders{$1} }, "$account $id";
			$seen{$1}++;
		}
	}
	is(join(' ', grep { $seen{$_} > 1 } sort keys %seen),
		'', "account $account: no order exists twice");
}

sub check_reading
{
	my ($item) = @_;

	foreach ($item->{out} =~ /^(R\|.*)$/mg)
	{
		my (undef, undef, $role, $from, $accounts, $count, $right) = split /\|/;

		wrong('rows of several accounts', $item, $accounts) if length $accounts != 1;
		wrong('rows that are missing or there twice', $item, $_) if $right ne 't';
		check_account('stale', $item, $accounts, $role, $from, $item->{until})
		  if length $accounts == 1;
		$sum{"read $accounts"}++;
	}
	return if $item->{kind} ne 'cursor';

	my %accounts;
	my @times = $item->{out} =~ /^T\|\d+\|([\d.]+)$/mg;

	$accounts{$_}++ foreach $item->{out} =~ /^C\|\d+\|(\w)$/mg;
	wrong('a cursor of several accounts', $item, join ' ', %accounts) if keys %accounts > 1;
	foreach my $account (keys %accounts)
	{
		check_account('stale cursor', $item, $account, $item->{role}, $times[0], $times[1] // $item->{until});
		wrong('a cursor that ended early', $item, $accounts{$account})
		  if !@{ $item->{states} } && $accounts{$account} < $least{$account};
		$sum{'cursor'}++;
	}
	return;
}

# Expected errors, and when they are.
sub check_errors
{
	my ($item) = @_;
	my %may = map { $_ => 1 } allowed($item, 'r1', $item->{from}, $item->{until}),
	  allowed($item, 'r2', $item->{from}, $item->{until});
	my $standby = $item->{worker} > $at_primary;

	foreach my $state (@{ $item->{states} })
	{
		$sum{$state}++;
		next if $state =~ /^(08...|IU001|IU002)$/;
		next if $state eq '28000' && $may{revoked};
		next if $state eq '42704' && $may{none};
		next if $state eq '25006' && $standby && $writes{ $item->{kind} } && $item->{from} < $promoted[1];
		wrong('an error', $item, $item->{err});
	}
	wrong('a standby that creates', $item, $item->{out})
	  if $standby && $writes{ $item->{kind} } && $item->{until} < $promoted[0]
	  && !grep { $_ eq '25006' } @{ $item->{states} };
	return;
}

sub check_creating
{
	my ($item) = @_;
	my @ids = $item->{kind} =~ /^(bulk|select|rollback)$/ ? map { "$item->{mark}-$_" } 1 .. 6 : $item->{mark};
	my @times = $item->{out} =~ /^T\|\d+\|([\d.]+)$/mg;
	my (%journal, %accounts, %claims);

	$claims{$2} = $1 while $item->{out} =~ /^I\|\d+\|(\d+)\|(.*)$/mg;
	$journal{$3} = [ $1, $2 ] while $item->{out} =~ /^J\|([a-z ]+)\|(\d+)\|(.*)$/mg;
	foreach my $id (keys %journal)
	{
		$claims{$id} //= $journal{$id}[1] if $journal{$id}[0] ne 'unknown';
		$sum{"order $journal{$id}[0]"}++;
		$sum{'order of the promoted'}++ if $item->{worker} > $at_primary;
	}
	foreach my $id (keys %claims)
	{
		wrong('an order that was claimed', $item, "$id $claims{$id}")
		  unless grep { / $claims{$id}$/ } @{ $orders{$id} // [] };
	}
	foreach my $id (@ids)
	{
		my @there = @{ $orders{$id} // [] };

		wrong('an order twice', $item, "$id: @there") if @there > 1;
		wrong('an order that was not reported', $item, "$id: @there") if @there && !$journal{$id};
		wrong('an order that is lost', $item, $id) if !@there && !@{ $item->{states} };
		$accounts{ substr $_, 0, 1 }++ foreach @there;
	}
	wrong('orders in several accounts', $item, join ' ', %accounts) if keys %accounts > 1;
	check_account('an order in a stale account', $item, $_, $item->{role}, $times[0] // $item->{from}, $times[1] // $item->{until})
	  foreach keys %accounts;
	wrong('a rollback without a warning', $item, $item->{err})
	  if $item->{kind} eq 'rollback' && !@{ $item->{states} } && $item->{err} !~ /WARNING:  01000: rollback does not cancel 6 orders created/;
	return;
}

my $done = 0;

foreach my $worker (1 .. $at_primary + $at_standby)
{
	for (my $pass = 0; -e "$dir/$worker.$pass.out"; $pass++)
	{
		foreach my $item (read_items($worker, "$dir/$worker.$pass"))
		{
			if (!defined $item->{until})
			{
				wrong('a session that ended', $item, $item->{err});
				next;
			}
			$done++;
			$sum{$_} += 0 foreach '28000', '42704', '25006';
			check_reading($item);
			check_errors($item);
			check_creating($item) if $writes{ $item->{kind} };

			$sum{"asked by $item->{kind}"}++ if $asked{ $item->{mark} };

			# with which keys its requests were sent
			check_account('asked with a stale key', $item, $_,
				$item->{role}, $item->{from}, $item->{until})
			  foreach $item->{kind} eq 'cursor' ? () : keys %{ $asked{ $item->{mark} } // {} };
			wrong('asked with several keys', $item, join ' ', %{ $asked{ $item->{mark} } })
			  if $item->{kind} !~ /^(cursor|twice)$/ && keys %{ $asked{ $item->{mark} } // {} } > 1;
		}
	}
}
note "$done items: " . join ', ', map { "$_ $sum{$_}" } sort keys %sum;
foreach my $what (sort keys %wrong)
{
	my @list = @{ $wrong{$what} };

	fail("$what: " . scalar @list);
	diag join "\n", @list > 5 ? @list[ 0 .. 4 ] : @list;
}
ok(!%wrong, 'no session got a wrong row, a stale key or an order twice');
is(join(', ', %misled), '', 'no key was sent to the wrong server');

# the run contained every case
cmp_ok($sum{"read $_"} // 0, '>', 0, "account $_ was read") foreach sort keys %first;
cmp_ok($sum{$_} // 0, '>', 0, "the run contained: $_")
  foreach 'cursor', 'order created', 'order rolled back', '25006', '28000', '42704';
cmp_ok($sum{"asked by $_"} // 0, '>', 0, "the sandboxes logged requests of: $_")
  foreach qw(look prepared values bulk commit);
cmp_ok($changed{$_} // 0, '>', 0, "the run contained: $_") foreach sort keys %step;

#----------------------------------------------------------------------
# The end
#----------------------------------------------------------------------

# connections of backends, from the kernel
sub sockets
{
	my $ports = join '|', map { sprintf '%04X', $_->port } $here, $there;
	my $table = PostgreSQL::Test::Utils::slurp_file('/proc/net/tcp');

	# 01: established; the remote address is the sandbox's
	return scalar(() = $table =~ /^\s*\d+: [0-9A-F]+:[0-9A-F]+ 0100007F:(?:$ports) 01 /mg);
}

SKIP:
{
	skip 'connections cannot be seen here', 1 if !-r '/proc/net/tcp';
	ok(wait_until(sub { sockets() == 0 }, 'the last connection'),
		'no connection is left when the sessions have ended');
}
$ddl->quit;
foreach ($node, $standby)
{
	unlike(log_text($_), qr/PANIC|was terminated by signal|TRAP:/, $_->name . ': no backend died');
	$_->stop;
}

done_testing();
