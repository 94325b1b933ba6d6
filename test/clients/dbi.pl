# perl dbi.pl
use strict;
use warnings;
use DBI;

my $db = DBI->connect('dbi:Pg:', '', '', { RaiseError => 1, PrintError => 0 });
my $insert = 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (?, ?, ?)';
my $items = '[{"item": {"id": 1000}, "count": 2}]';

sub one { return $db->selectrow_array($_[0], undef, @_[ 1 .. $#_ ]); }
sub requests { return one('SELECT coalesce(sum(requests), 0) FROM impilo_fdw_stats()'); }
sub created { return one(q(SELECT count(*) FROM impilo_created_orders() WHERE state = 'created')); }

my $begin = requests();
my @order = one('SELECT id, current_status FROM impilo.orders WHERE id = ?', 3);
printf "read: %s %s %d\n", @order, requests() - $begin;
$begin = requests();
my $lookup = $db->prepare('SELECT id FROM impilo.orders WHERE id = ?');
my $found = grep { $db->selectrow_array($lookup, undef, $_) } 1 .. 10;
printf "prepared: %d %d\n", $found, requests() - $begin;
my $joined = $db->selectall_arrayref(
	'SELECT p.mrn, o.id FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id ORDER BY o.id');
print join(' ', 'join:', map { "@$_" } @$joined), "\n";
my ($rows, %ids) = (0);
$db->begin_work;
$db->do('DECLARE stream CURSOR FOR SELECT id FROM impilo.orders');
while (my @some = @{ $db->selectcol_arrayref('FETCH 100 FROM stream') })
{
	$rows += @some;
	@ids{@some} = ();
}
$db->commit;
printf "stream: %d %d\n", $rows, scalar keys %ids;
print join(' ', 'create:', one("$insert RETURNING id, external_order_ids[1], current_status", 1, ['one'], $items)), "\n";
foreach my $step ([ 'batch', '' ], [ 'repeat', ' ON CONFLICT DO NOTHING' ])
{
	my $batch = $db->prepare($insert . $step->[1]);

	$db->begin_work;
	$batch->execute_array({}, 1, [ map { ["batch-$_"] } 0 .. 2 ], $items);
	$db->commit;
	print "$step->[0]: ", created(), "\n";
}
eval { $db->do($insert, undef, 1000000, ['refused'], $items) };
print join(' ', 'refused:', $db->state, $db->pg_error_field('schema') . '.' . $db->pg_error_field('table'),
	$db->pg_error_field('primary') =~ /patient_does_not_exist/ ? 'True' : 'False'), "\n";
eval { $db->do("$insert, (?, ?, ?)", undef, 1, ['first'], $items, 1000000, ['second'], $items) };
print join(' ', 'partly:', $db->state, map { $db->pg_error_field($_) ? 'True' : 'False' } 'detail', 'hint'), "\n";
