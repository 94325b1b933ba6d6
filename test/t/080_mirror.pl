# The mirror: the result of a refresh is correct, its cost is bounded, and a refresh
# that fails does not change the mirror.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $node = cluster();

# The refresh against a model of the list: six refreshes a run.
{
	my ($runs, $wrong, $complete) = (0, 0, 0);
	my $wanted = $ENV{SLOW} ? 10_000 : 30;

	$node->safe_psql('postgres', 'CREATE DATABASE model');
	$node->command_ok(
		[
			'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('model'),
			'-f', "$FindBin::RealBin/../model/mirror.sql"
		],
		'the model is installed');
	while ($runs < $wanted)
	{
		my ($done, $proven, $bad) = split /\|/, $node->safe_psql('model',
			'SELECT runs_done, complete, missing + stale + old_status FROM sim_run(30)');

		$runs += $done;
		$complete += $proven;
		$wrong += $bad;
	}
	is($wrong, 0, "no refresh of $runs accounts that says it is complete is wrong");
	cmp_ok($complete, '>', $runs * 5, 'nearly all refreshes are complete');
}

sub refresh
{
	my ($options) = @_;

	return $node->safe_psql('postgres',
		'SELECT complete, kind, new_orders, changed_orders, gone_orders FROM impilo_refresh_mirror('
		  . join(', ', "'mirror'", $options // ()) . ')');
}

# rows that only the foreign tables, or only the views of the mirror, have
sub differences
{
	my ($database) = @_;

	return $node->safe_psql($database // 'postgres', <<'SQL');
CREATE FUNCTION pg_temp.differences() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE relation text; names text; found bigint; result bigint := 0;
BEGIN
	FOR relation, names IN SELECT d.relation, string_agg(quote_ident(column_name), ', ')
		FROM impilo_data_dictionary() d WHERE column_name IS NOT NULL GROUP BY d.relation
	LOOP
		EXECUTE format('SELECT count(*) FROM (
			(SELECT %1$s FROM impilo.%2$I EXCEPT ALL SELECT %1$s FROM mirror.%2$I) UNION ALL
			(SELECT %1$s FROM mirror.%2$I EXCEPT ALL SELECT %1$s FROM impilo.%2$I)) d', names, relation) INTO found;
		result := result + found;
	END LOOP;
	RETURN result;
END $$;
SELECT pg_temp.differences();
SQL
}

# The number of requests, counted by the sandbox.
{
	my $api = sandbox(orders => $ENV{SLOW} ? 100_000 : 20_000);
	my $pages = $ENV{SLOW} ? 400 : 80;
	my $requests = sub {
		$api->ctl('log-reset');
		refresh(@_);
		return scalar(() = $api->log =~ /^GET/gm);
	};

	attach($node, $api, name => 'large');
	$node->safe_psql('postgres', q(SELECT impilo_create_mirror('large', 'mirror')));
	cmp_ok($requests->(), '<=', $pages + 3, 'the first refresh reads each page once');
	cmp_ok($requests->(), '<=', 2, 'a refresh without changes is at most two requests');
	$api->ctl('generate', 300);
	cmp_ok($requests->(), '<=', 6, 'new orders cost the pages they are on, twice');

	my $seconds = elapsed(sub { is(refresh('complete => true'), 't|complete|0|0|0', 'a complete refresh finds nothing'); });
	my ($wal) = $node->safe_psql('postgres',
		q(EXPLAIN (ANALYZE, WAL, COSTS OFF) SELECT * FROM impilo_refresh_mirror('mirror', complete => true))) =~ /WAL: .*bytes=(\d+)/;
	cmp_ok($wal // 0, '<', 1_000_000, "a complete refresh without changes writes little: @{[ $wal // 0 ]} bytes of WAL");
	note sprintf('complete refresh of %d unchanged pages: %.1f s', $pages, $seconds);
	$node->safe_psql('postgres', q(SELECT impilo_drop_mirror('mirror'); DROP SERVER large CASCADE; DROP SCHEMA large CASCADE));
}

my $api = sandbox(orders => 1000);
attach($node, $api, server => { fetch_size => 100, max_retries => 1, request_timeout => '1s' });
$node->safe_psql('postgres', q(SELECT impilo_create_mirror('impilo', 'mirror')));
is(refresh(), 't|complete|1000|0|0', 'the first refresh');
is(differences(), 0, 'the mirror has the rows of the foreign tables');

# A refresh that fails leaves the mirror as it was.
my $checksum = q(SELECT hashtext(string_agg(t::text, E'\n' ORDER BY t::text)) FROM (
	SELECT d::text FROM mirror.order_data d UNION ALL SELECT s::text FROM mirror.mirror_state s
	UNION ALL SELECT r::text FROM mirror.order_rank r UNION ALL SELECT b::text FROM mirror.order_block b) t);
my $sum = $node->safe_psql('postgres', $checksum);

$api->ctl('generate', 150);
$api->ctl('replace', 5, '{"id":5,"currentStatus":"changed"}');
foreach my $case (
	[ 'a page that fails', [ { path => 'order', page => 11, do => { status => 503 } } ], {}, '' ],
	[ 'a page that never arrives', [ { path => 'order', page => 11, do => { hang => \1 } } ], {}, '' ],
	[ 'a truncated page', [ { path => 'order', page => 11, do => { cut_body => 500 } } ], {}, '' ],
	[ 'a page that is refused', [ { path => 'order', page => 11, do => { status => 403 } } ], {}, '' ],
	[ 'a total that is too large', [], { total_offset => 5 }, 'complete => true' ],
	[ 'pages that repeat themselves', [], { ignore_page => \1 }, 'complete => true' ])
{
	my ($name, $faults, $config, $options) = @$case;

	$api->fault(@$faults);
	$api->config(%$config);
	my $error = psql_error($node, "SELECT impilo_refresh_mirror('mirror'" . ($options ? ", $options" : '') . ')');
	like($error->{sqlstate}, qr/^(?!00000)/, "$name is an error: $error->{sqlstate}");
	$api->fault();
	$api->config(map { $_ => undef } keys %$config);
	is($node->safe_psql('postgres', $checksum), $sum, 'it does not change the mirror');
}
{
	my $session = session($node);

	$api->config(latency_ms => 300);
	$session->send(q(SELECT impilo_refresh_mirror('mirror', complete => true)));
	wait_until(sub { $api->count('in_flight') > 0 }, 'a request');
	$session->cancel;
	$session->wait;
	is($session->error->{sqlstate}, '57014', 'a refresh can be canceled');
	is($node->safe_psql('postgres', $checksum), $sum, 'it does not change the mirror');

	# Two refreshes at once: one waits, or does nothing.
	$session->send(q(SELECT kind FROM impilo_refresh_mirror('mirror')));
	wait_until(sub { $node->safe_psql('postgres', q(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')) > 0 },
		'the lock of the refresh');
	is(refresh('wait => false'), 'f|busy|0|0|0', 'a second refresh with wait => false returns at once');
	is(refresh(), 't|incremental|0|0|0', 'a second refresh waits and finds no change');
	is($session->wait, 'incremental', 'the first refresh ends normally');

	# A webhook during a refresh: the later reading wins.
	$api->ctl('log-reset');
	$session->send(q(SELECT changed_orders FROM impilo_refresh_mirror('mirror', complete => true)));
	wait_until(sub { $api->log =~ /page=2&/ }, 'the request for the second page');
	$api->ctl('replace', 6, '{"id":6,"currentStatus":"later"}');
	is($node->safe_psql('postgres', q(SELECT impilo_apply_webhook('mirror', '{"id":1,"type":"order.status","payload":{"orderId":6}}'))),
		'changed', 'a webhook is applied while a refresh runs');
	$session->wait;
	is($node->safe_psql('postgres', 'SELECT current_status FROM mirror.orders WHERE id = 6'),
		'later', 'the refresh does not undo it');
	$api->config(latency_ms => 0);
}
refresh('complete => true');
is(differences(), 0, 'the mirror has the rows of the foreign tables after all that');

# Dump and restore.
{
	my $dump = "$PostgreSQL::Test::Utils::tmp_check/mirror.sql";

	$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
	is(differences('restored'), 0, 'a restored mirror has the same rows');
	$api->ctl('generate', 2);
	is($node->safe_psql('restored', q(SELECT complete, kind, new_orders FROM impilo_refresh_mirror('mirror'))),
		't|incremental|2', 'a restored mirror continues where it was');
	like(psql_error($node, 'INSERT INTO mirror.orders (id) VALUES (1)', database => 'restored')->{message},
		qr/cannot write to mirror/, 'a restored mirror refuses writes');
}

done_testing();
