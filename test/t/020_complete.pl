# A scan of the list returns every order once, also if its pages contradict each
# other and while orders are created.  If that is impossible, the scan fails.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;
use JSON::PP ();

my $api = sandbox(orders => 1000);
my $node = cluster();
attach($node, $api);
my $session = session($node);

# Each row must be returned once, in any sequence.
my $scan =
  'SELECT count(*), count(DISTINCT id), sum(id) FROM (SELECT id FROM impilo.orders OFFSET 0) o';
my $all = '1000|1000|9007199255241493';

# lie(SETTINGS): returns the result of a scan under these settings, the error, and
# the number of pages that it requested
sub lie
{
	my (%setting) = @_;

	$api->ctl('reset');
	$api->config(%setting);
	my $rows = $session->query($scan);
	return ($rows, $api->count('pages'), $session->error);
}

sub is_complete
{
	my ($name, $requests, %setting) = @_;
	my ($rows, $pages, $error) = lie(%setting);

	is($rows, $all, $name) or diag($error->{message} . ' ' . $error->{detail});
	is($error->{sqlstate}, '00000', "$name: no error");
	ok(@{ $error->{messages} } == 0, "$name: no message");
	cmp_ok($pages, '<=', $requests, "$name: at most $requests requests");
	return;
}

sub is_refused
{
	my ($name, %setting) = @_;
	my ($rows, undef, $error) = lie(%setting);

	is($rows, '', "$name: no row count");
	is($error->{sqlstate}, 'HV00M', "$name: an error")
	  or diag($error->{message});
	like($error->{message},
		qr/^(could not read the list of orders of server "impilo" completely|list of orders of server "impilo" is shorter than its reported total|unexpected response .*)$/,
		"$name: its message");
	return;
}

# Correct pages.  Fails if more than the four pages are requested.
is_complete('a correct list', 4);

# A member that is wrong or missing.
is_complete('first always true', 4, first => 'always_true');
is_complete('last always true', 4, last => 'always_true');
is_complete("$_ missing", 5, omit => [$_]) foreach qw(page size total first last);
is_complete("$_ null", 5, null => [$_]) foreach qw(page size total first last);
is_complete('only content', 6, omit => [qw(page size total first last)]);
is_complete('total is a word', 5, total => 'many');
is_complete('total 0', 5, total => 0);
is_complete('total too small', 5, total_offset => -5);
is_complete('total too small by a page', 5, total_offset => -300);
is_complete('total too small, last missing', 6, total => 3, omit => ['last']);

# The page past the end, which is requested if `last` is never true.  Fails if its
# error is raised, or if a repeated page is read without end.
foreach my $past_end (qw(empty last_page not_found bad_request))
{
	is_complete("past the end: $past_end", 5, last => 'always_false', past_end => $past_end);
	is_complete("past the end, page missing: $past_end",
		5, last => 'always_false', past_end => $past_end, omit => ['page']);
}

# Without `total`, an error response is not the end: by the page before there
# are more orders.
{
	my ($rows, undef, $error) =
	  lie(last => 'always_false', past_end => 'bad_request', omit => ['total']);

	is($rows, '', 'an error where there should be more, no total: no row count');
	is($error->{sqlstate}, 'HV00L', 'an error where there should be more, no total: that error');
}

# Page sizes.  Fails if page numbers are computed from the requested size.
is_complete('a clamped size', 10, max_size => 100);
is_complete('a clamped size, size missing', 11, max_size => 100, omit => ['size']);
is_complete('size ignored', 67, size_policy => 'ignore');
foreach my $after (1, 2, 3)
{
	my %shrink = (shrink_size_after => $after, shrink_size_to => 100);

	is_complete("pages shrink after $after", 20, %shrink);
	is_complete("pages shrink after $after, no total", 20, %shrink, omit => ['total']);
	is_complete("pages shrink after $after, neither total nor size",
		20, %shrink, omit => [ 'total', 'size' ]);
}

# Orders that change places while `total` stays the same.  Fails if the number of
# ids is not compared with it at the end.
is_complete("moves of $_", 16, move => $_) foreach 1, 10;
# Which orders a larger move hides depends on the order in which pages are
# served, and may be more than three passes find: one page at a time.
$node->safe_psql('postgres',
	"ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD max_concurrency '1')");
is_complete('moves of 100', 16, move => 100);
$node->safe_psql('postgres',
	'ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP max_concurrency)');
is_complete('two moves of a page', 10, move => 250, move_times => 2);

# A total that is too large is an error after two passes with the same orders.
# Fails if the list is read a third time.
{
	my ($rows, $pages, $error) = lie(total_offset => 5);

	is($rows, '', 'total too large: no row count');
	is($error->{message}, 'list of orders of server "impilo" is shorter than its reported total',
		'total too large: an error');
	like($error->{detail}, qr/same 1000 orders.* total is 1005/, 'total too large: the detail has both numbers');
	cmp_ok($pages, '<=', 10, 'total too large: the list is read twice');
}
is_refused('total too large, the last page again', total_offset => 5, past_end => 'last_page');
{
	my ($rows, undef, $error) = lie(total_offset => 5, past_end => 'not_found');

	is($rows, '', 'total too large, 404: no row count');
	is($error->{sqlstate}, 'HV00L', 'total too large, 404: that error');
}
is_refused('total too large, last missing', total_offset => 5, omit => ['last']);
is_refused('first always false', first => 'always_false');
is_refused('pages that count from 0', page_base => 0);

# An error for a page that the list must have is raised with the API's message.
# Fails if it is taken for the end, or if the list is read three times.
foreach my $omit ([], ['total'])
{
	foreach my $page (1, 2, 3, 4)
	{
		foreach my $status (400, 404, 416, 422, 403, 410)
		{
			my $name = "page $page answered $status" . (@$omit ? ', no total' : '');

			$api->ctl('reset');
			$api->config(omit => $omit);
			$api->fault({ path => "page=$page&", do => { status => $status, body => '{"message":"Order 11 cannot be rendered"}' } });
			is($session->query($scan), '', "$name: no row count");
			like($session->error->{detail}, qr/HTTP status $status.*Order 11 cannot be rendered/,
				"$name: the API's error");
			cmp_ok($api->count('pages'), '<=', 5, "$name: one pass");
		}
	}
}
# The same where the first page is empty once.
$api->ctl('reset');
$api->fault({ path => 'page=1&', times => 1, do => { body => '{"content":[],"page":1,"size":250,"total":1000,"first":true,"last":false}' } });
is($session->query($scan), $all, 'a first page that is empty once: the whole list');
is_refused('total huge, the last page repeated without its number',
	total => 9_000_000_000_000_000, past_end => 'last_page', omit => ['page']);

# An incomplete list is always an error.
is_refused('pages that hold less than they say', max_content => 100);
is_refused('page ignored', ignore_page => JSON::PP::true());
is_refused('page ignored and missing', ignore_page => JSON::PP::true(), omit => ['page']);
is_refused('page ignored, no total', ignore_page => JSON::PP::true(), omit => ['total']);

# The last page may state its number of orders as its size.  Fails if the error
# reports this size although the total has fallen.
$api->ctl('reset');
$api->fault({ path => 'order', page => 4, do => { envelope => { size => 240, total => 990 } } });
$session->query($scan);
like($session->error->{detail}, qr/, but the total fell from 1000 to 990\.$/,
	'a total that falls on a short last page');

# Orders that disappear.  Fails if a smaller total does not cause another pass:
# then orders that moved to a page that was already read are missing.
foreach my $vanish ([ 10, 1, 990 ], [ 250, 1, 750 ], [ 300, 2, 700 ])
{
	my ($rows) = lie(vanish => $vanish->[0], vanish_after => $vanish->[1]);
	my $left = $session->query($scan);
	my (undef, undef, $sum_left) = split /\|/, $left;

	my ($count, $distinct, $sum) = split /\|/, $rows;
	is($count, $distinct, "$vanish->[0] disappear: no order is returned twice");
	cmp_ok($count, '>=', $vanish->[2], "$vanish->[0] disappear: all others are returned");
	like($left, qr/^$vanish->[2]\|/, "$vanish->[0] disappear: $vanish->[2] stay");
	cmp_ok($sum, '>=', $sum_left, "$vanish->[0] disappear: the ids returned are those of all others");
}

# ANALYZE reads a sample.  Fails if a page that is now past the end is an error,
# or if orders are counted that no longer exist.
foreach my $past_end (qw(empty last_page not_found bad_request))
{
	$api->ctl('reset');
	$api->config(vanish => 700, vanish_after => 1, past_end => $past_end);
	$session->query('ANALYZE impilo.orders');
	is($session->error->{sqlstate}, '00000', "ANALYZE while orders disappear: $past_end")
	  or diag($session->error->{message});
}
$api->ctl('reset');
$session->query('ANALYZE impilo.orders');
is($api->count('pages'), 4, 'ANALYZE of four pages reads four');
is($session->query("SELECT reltuples FROM pg_class WHERE oid = 'impilo.orders'::regclass"),
	1000, 'ANALYZE stores the number of orders');

# Orders that are created between concurrent pages.  Fails if a page whose total
# is below that of the page before is not requested again.  All orders that existed
# at the start must be returned, and none twice.
foreach my $at (qw(front back))
{
	foreach my $every (1, 2, 3)
	{
		$api->ctl('reset');
		$api->config(
			insert_every_n_pages => $every,
			insert_at => $at,
			insert_times => 20,
			latency_ms => 5,
			jitter_ms => 20);
		$session->query(
			"ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD fetch_size '40')");
		my $rows = $session->query(
			'SELECT count(*) - count(DISTINCT id), count(*) FILTER (WHERE id <= 1000 OR id > 9007199254740993) FROM (SELECT id FROM impilo.orders OFFSET 0) o'
		);
		$session->query(
			'ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP fetch_size)');
		is($rows, '0|1000', "insertions at the $at, every $every pages")
		  or diag($session->error->{detail});
	}
}

# count(*) is one request if the members of the page agree; otherwise the list is
# read.
foreach my $case (
	[ 'honest', 1 ],
	[ 'first always true', 1, first => 'always_true' ],
	[ 'last always true', 6, last => 'always_true' ],
	[ 'last always false', 1, last => 'always_false' ],
	[ 'page missing', 1, omit => ['page'] ],
	[ 'size missing', 6, omit => ['size'] ],
	[ 'total missing', 6, omit => ['total'] ],
	[ 'total null', 6, null => ['total'] ],
	[ 'total 0', 6, total => 0 ],
	[ 'clamped', 1, max_size => 100 ])
{
	my ($name, $requests, %setting) = @$case;

	$api->ctl('reset');
	$api->config(%setting);
	is($session->query('SELECT count(*) FROM impilo.orders'), 1000, "count, $name");
	cmp_ok($api->count('pages'), '<=', $requests, "count, $name: requests");
}

# An API that refuses pages of one order.
$api->ctl('reset');
$api->fault({ path => 'size=1$', do => { status => 400 } });
is($session->query('SELECT count(*) FROM impilo.orders'), 1000, 'size 1 refused: count');
$session->query('SELECT impilo_fdw_disconnect_all()');
is($session->query('SELECT count(id) FROM impilo.orders WHERE id = 777777'),
	0, 'size 1 refused: a lookup of an absent order returns no row');
is($session->error->{sqlstate}, '00000', 'size 1 refused: this is not an error');
$api->ctl('reset');

# An empty account, and one of a single order.
$api->ctl('only');
is($session->query($scan), '0|0|', 'no orders');
is($session->query('SELECT count(*) FROM impilo.orders'), 0, 'none counted');
$api->ctl('only', '{"id":7}');
is($session->query($scan), '1|1|7', 'one order');
is($session->query('SELECT count(*) FROM impilo.orders'), 1, 'one counted');

# Long scans report their progress if the setting asks for it.
$api->ctl('reset');
$api->config(latency_ms => 20);
$session->query("SET impilo_fdw.progress_interval = '1ms'");
is($session->query($scan), $all, 'a scan with progress');
like(join("\n", map { $_->{message} } @{ $session->error->{messages} }), qr/^read 1 of 4 pages\n/, 'a scan with progress reports its pages');
$session->query(q(SELECT impilo_create_mirror('impilo', 'mirror'); SELECT impilo_refresh_mirror('mirror')));
like(join("\n", map { $_->{message} } @{ $session->error->{messages} }), qr/^read 2 of 3 pages$/m, 'a refresh with progress reports its pages');
$session->query('RESET impilo_fdw.progress_interval');
is($session->query($scan), $all, 'a scan without progress');
is(scalar @{ $session->error->{messages} }, 0, 'a scan without progress reports nothing');

done_testing();
