# A logical replication worker repeats a failed transaction every few seconds,
# without end.  A trigger in this transaction creates no order twice.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $api = sandbox(orders => 3);
my $publisher = cluster('publisher', conf => "wal_level = logical\nmax_wal_senders = 5\nmax_replication_slots = 5\n");
my $subscriber = cluster('subscriber', conf => "wal_retrieve_retry_interval = 200ms\nmax_replication_slots = 5\n");
attach($subscriber, $api);

$_->safe_psql('postgres', 'CREATE TABLE visit (id int PRIMARY KEY, note text)')
  foreach $publisher, $subscriber;
$subscriber->safe_psql('postgres', <<'SQL');
CREATE FUNCTION plain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
		VALUES (1, ARRAY['visit-' || NEW.id], impilo.item());
	RETURN NULL;
END $$;
CREATE FUNCTION impilo.item() RETURNS jsonb LANGUAGE sql SET search_path = public AS
	'SELECT impilo_order_item(1000)';
CREATE FUNCTION careful() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
		VALUES (1, ARRAY['visit-' || NEW.id], impilo.item())
		ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;
CREATE FUNCTION fail_later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1 / (CASE WHEN NEW.note = 'fail' AND NOT EXISTS (SELECT FROM public.passed) THEN 0 ELSE 1 END);
	RETURN NULL;
END $$;
CREATE TABLE passed ();
CREATE TRIGGER a AFTER INSERT ON visit FOR EACH ROW EXECUTE FUNCTION plain();
ALTER TABLE visit ENABLE ALWAYS TRIGGER a;
SQL
$publisher->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE visit');
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION s CONNECTION '$connection' PUBLICATION p");
$subscriber->wait_for_subscription_sync($publisher, 's')
  if $subscriber->can('wait_for_subscription_sync');

#----------------------------------------------------------------------
# A plain INSERT is refused
#----------------------------------------------------------------------

my $mark = log_mark($subscriber);
$publisher->safe_psql('postgres', "INSERT INTO visit VALUES (1, 'fail')");
wait_until(sub { log_text($subscriber, $mark) =~ /in a logical replication worker/ },
	'the log of the worker has the error');
is($api->count('posts'), 0, 'a plain INSERT in the worker sends nothing');
like(log_text($subscriber, $mark), qr/ON CONFLICT DO NOTHING/, 'the hint names ON CONFLICT DO NOTHING');

#----------------------------------------------------------------------
# ON CONFLICT DO NOTHING is accepted, and a repeat creates nothing
#----------------------------------------------------------------------

$subscriber->safe_psql('postgres', <<'SQL');
CREATE TRIGGER b AFTER INSERT ON visit FOR EACH ROW EXECUTE FUNCTION careful();
CREATE TRIGGER c AFTER INSERT ON visit FOR EACH ROW EXECUTE FUNCTION fail_later();
ALTER TABLE visit ENABLE ALWAYS TRIGGER b;
ALTER TABLE visit ENABLE ALWAYS TRIGGER c;
DROP TRIGGER a ON visit;
SQL
wait_until(sub { (() = log_text($subscriber, $mark) =~ /division by zero/g) > 2 },
	'the worker fails several times after the order');
is($api->count('created'), 1, 'the order is created once');
$subscriber->safe_psql('postgres', 'INSERT INTO passed DEFAULT VALUES');
wait_until(sub { $subscriber->safe_psql('postgres', 'SELECT count(*) FROM visit') == 1 },
	'the transaction is applied when its cause of failure is removed');
is($api->count('created'), 1, 'after the transaction was applied the order exists once');

#----------------------------------------------------------------------
# A partition that the worker itself inserts into
#----------------------------------------------------------------------

$publisher->safe_psql('postgres', <<'SQL');
CREATE TABLE routed (patient_id bigint, order_items jsonb);
CREATE PUBLICATION p_routed FOR TABLE routed;
SQL
$subscriber->safe_psql('postgres', <<'SQL');
CREATE TABLE routed (patient_id bigint, order_items jsonb) PARTITION BY LIST (patient_id);
CREATE FOREIGN TABLE routed_order PARTITION OF routed FOR VALUES IN (1) SERVER impilo OPTIONS (relation 'orders');
SQL
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION s_routed CONNECTION '$connection' PUBLICATION p_routed WITH (copy_data = false)");
$mark = log_mark($subscriber);
$publisher->safe_psql('postgres', q(INSERT INTO routed VALUES (1, '[{"item": {"id": 1000}, "count": 1}]')));
wait_until(sub { log_text($subscriber, $mark) =~ /cannot insert into foreign table "routed_order"/ },
	'a row for a foreign partition is refused in the worker');
is($api->count('created'), 1, '... and creates no order');

done_testing();
