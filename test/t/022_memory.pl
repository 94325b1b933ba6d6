# Stored orders use temporary files beyond work_mem, which are removed.  A scan
# of a list of any length uses little memory.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 5000);
my $node = cluster('main', conf => "log_temp_files = 0\n");
attach($node, $api);
my $s = session($node);

sub temporary_files
{
	my @files = glob $node->data_dir . '/base/pgsql_tmp/*';

	return scalar @files;
}

# kB of private memory of a backend
sub resident { return memory($_[0], 'RssAnon'); }

$s->query("SET work_mem = '64kB'");
my $mark = log_mark($node);
is($s->query('SELECT count(*), sum(a.id - b.id) FROM impilo.orders a JOIN impilo.orders b ON a.id + 0 = b.id + 0'),
	'5000|0', 'a list joined with itself');
is($api->count('pages'), 20, 'a list joined with itself is read once');
is(temporary_files(), 0, "the statement's files are removed");
my @sizes = log_text($node, $mark) =~ /temporary file: .*size (\d+)/g;
ok((grep { $_ > 5_000_000 } @sizes), 'one file had all orders');

# files are removed after an error, and when a cursor is closed early
$s->query('BEGIN');
$s->query('DECLARE c CURSOR FOR SELECT a.id FROM impilo.orders a, impilo.orders b WHERE a.id + 0 = b.id + 0');
$s->query('FETCH 1 FROM c');
cmp_ok(temporary_files(), '>', 0, 'a cursor has files');
$s->query('SAVEPOINT p; SELECT 1 / 0');
$s->query('ROLLBACK TO p');
is($s->query('FETCH 1 FROM c') =~ /^\d+$/, 1, 'they outlive a subtransaction');
$s->query('CLOSE c; COMMIT');
is(temporary_files(), 0, "the cursor's files are removed with it");
$s->query('SELECT 1 / (a.id - 4001) FROM impilo.orders a, impilo.orders b WHERE a.id + 0 = b.id + 0');
is($s->error->{sqlstate}, '22012', 'an error in the middle');
is(temporary_files(), 0, 'an error leaves no file');
is($s->query('SELECT count(*) FROM impilo.orders'), 5000, 'after an error the session reads the list');

# ids found in the list, which has fewer pages
$api->ctl('log-reset');
is($s->query('SELECT count(*) FROM generate_series(1, 2) g, LATERAL (SELECT id FROM impilo.orders WHERE id = ANY (ARRAY(SELECT h * 16 + g - g FROM generate_series(1, 300) h))) o'),
	596, 'orders by id, twice');
is($api->count('requests'), 20, 'read once');
is(temporary_files(), 0, "a lookup's file is removed");
$s->quit;

# 100,000 orders of 200 MB: only the ids are kept in memory
$api->stop;
$api->{orders} = 100_000;
$api->start;
$s = session($node);
$s->query('SELECT count(*) FROM (SELECT id FROM impilo.orders LIMIT 1) o');
my $before = resident($s->pid);
is($s->query('SELECT count(*), count(DISTINCT current_status) FROM impilo.orders WHERE id > 0'),
	'100000|8', 'a long list');
my $after = resident($s->pid);
cmp_ok($after - $before, '<', 60_000, 'a long list needs less than 60 MB');
diag(sprintf 'grew by %.1f MB', ($after - $before) / 1024);
$s->query('SELECT count(*) FROM impilo.order_items WHERE order_id > 0');
cmp_ok(resident($s->pid) - $after, '<', 10_000, 'a second scan needs no more memory');

done_testing();
