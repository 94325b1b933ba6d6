--
-- The mirror: orders in ordinary tables
--
\i :setup
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS mirror CASCADE;
RESET client_min_messages;

-- returns the relations with rows that only the foreign tables or only the mirror have
CREATE FUNCTION pg_temp.differences(mirror text DEFAULT 'mirror', foreign_tables text DEFAULT 'impilo') RETURNS text LANGUAGE plpgsql AS $$
DECLARE relation text; names text; found bigint; result text := '';
BEGIN
	FOR relation, names IN
		SELECT d.relation, string_agg(quote_ident(d.column_name), ', ') FROM impilo_data_dictionary() d
		WHERE d.column_name IS NOT NULL AND EXISTS (SELECT FROM pg_attribute a
			WHERE a.attrelid = to_regclass(format('%I.%I', mirror, d.relation)) AND a.attname = d.column_name)
		GROUP BY d.relation ORDER BY d.relation
	LOOP
		EXECUTE format('SELECT count(*) FROM (
			(SELECT %1$s FROM %2$I.%4$I EXCEPT ALL SELECT %1$s FROM %3$I.%4$I) UNION ALL
			(SELECT %1$s FROM %3$I.%4$I EXCEPT ALL SELECT %1$s FROM %2$I.%4$I)) d',
			names, foreign_tables, mirror, relation) INTO found;
		IF found > 0 THEN
			result := result || format('%s: %s ', relation, found);
		END IF;
	END LOOP;
	RETURN coalesce(nullif(result, ''), 'none');
END $$;
-- the result without columns that depend on the clock
CREATE FUNCTION pg_temp.refresh(OUT complete boolean, OUT kind text, OUT requests bigint, OUT orders_read bigint,
	OUT new_orders bigint, OUT changed_orders bigint, OUT gone_orders bigint) LANGUAGE sql AS
	'SELECT complete, kind, requests, orders_read, new_orders, changed_orders, gone_orders FROM impilo_refresh_mirror(''mirror'')';

--
-- The first refresh reads everything, one request a page
--
SELECT impilo_create_mirror('impilo', 'mirror');
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'mirror'::regnamespace AND relkind <> 'i' ORDER BY relkind, relname COLLATE "C";
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
-- names and types are those of the foreign tables
SELECT count(*), count(*) FILTER (WHERE m.attname IS NULL) AS missing
FROM pg_attribute f JOIN pg_class c ON c.oid = f.attrelid AND c.relnamespace = 'impilo'::regnamespace AND c.relkind = 'f'
LEFT JOIN pg_attribute m ON m.attrelid = format('mirror.%I', c.relname)::regclass AND m.attname = f.attname AND m.atttypid = f.atttypid
WHERE f.attnum > 0;

--
-- A refresh without changes is one request
--
\! ctl log-reset
SELECT * FROM pg_temp.refresh();
\! ctl log
-- new orders, in a first order of events that the mirror has
\! ctl generate 3
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
-- a changed order on the newest page, and one that only a complete refresh sees
\! ctl replace 1002 '{"id":1002,"currentStatus":"shipped","orderEvents":[{"name":"shipped","eventTimestamp":"2024-02-01T00:00:00Z"}]}'
\! ctl replace 7 '{"id":7,"currentStatus":"shipped"}'
SELECT * FROM pg_temp.refresh();
SELECT id, current_status FROM mirror.orders WHERE id IN (7, 1002) ORDER BY id;
SELECT pg_temp.differences();
SELECT complete, kind, changed_orders FROM impilo_refresh_mirror('mirror', complete => true);
SELECT id, current_status FROM mirror.orders WHERE id = 7;
SELECT pg_temp.differences();
-- an order that disappeared: it is kept, but the views do not show it
\! ctl delete 8
SELECT * FROM pg_temp.refresh();
SELECT id, gone_at IS NOT NULL AS gone FROM mirror.order_data WHERE id = 8;
SELECT pg_temp.differences();
-- a deletion and a creation that leave the total unchanged
\! ctl delete 9 10
\! ctl generate 2
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
-- a block is read again when it is due
UPDATE mirror.order_block SET read_at = now() - interval '1 month';
\! ctl replace 300 '{"id":300,"currentStatus":"shipped"}'
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
-- changed orders, for clients that poll
SELECT id, current_status, gone_at IS NOT NULL AS gone FROM mirror.order_data
WHERE change_no > (SELECT change_no FROM mirror.order_data WHERE id = 8) ORDER BY change_no;
SELECT orders, gone_orders, list_order, last_refresh > last_full AS later, blocks, invalid_values FROM impilo_mirror_status('mirror');

--
-- Lists in other orders
--
\! ctl reset
\! ctl config '{"order":"newest"}'
SELECT impilo_drop_mirror('mirror');
SELECT impilo_create_mirror('impilo', 'mirror');
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
\! ctl generate 300
SELECT * FROM pg_temp.refresh();
SELECT * FROM pg_temp.refresh();
\! ctl delete 500
\! ctl generate 1
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
-- the end where new orders appear can change
\! ctl reset
\! ctl front '{"id":5001}'
SELECT complete, kind, new_orders, gone_orders FROM impilo_refresh_mirror('mirror', accept_loss => true);
\! ctl front '{"id":5002}'
SELECT complete, kind, new_orders FROM pg_temp.refresh();
SELECT count(*) FROM mirror.orders;

--
-- A webhook causes the order to be read
--
\! ctl replace 42 '{"id":42,"currentStatus":"shipped"}'
\! ctl log-reset
SELECT impilo_apply_webhook('mirror', '{"id":1,"type":"order.status","payload":{"orderId":42,"status":"lost"}}');
\! ctl log
SELECT current_status FROM mirror.orders WHERE id = 42;
SELECT pg_temp.differences();
-- repeated and late webhooks
SELECT impilo_apply_webhook('mirror', '{"id":1,"type":"order.status","payload":{"orderId":42,"status":"lost"}}');
\! ctl put '{"id":6000,"currentStatus":"created"}'
SELECT impilo_apply_webhook('mirror', '{"id":2,"type":"order.statusFull","payload":{"id":6000,"currentStatus":"created"}}');
-- a new order, an unknown one, one that is gone, and one that is back
SELECT impilo_apply_webhook('mirror', '{"id":3,"type":"order.statusFull","payload":{"id":6001,"currentStatus":"created"}}');
\! ctl delete 43
SELECT impilo_apply_webhook('mirror', '{"id":4,"type":"order.status","payload":{"order":{"id":43}}}');
SELECT impilo_apply_webhook('mirror', '{"id":4,"type":"order.status","payload":{"order":{"id":43}}}');
SELECT pg_temp.differences();
\! ctl put '{"id":43,"currentStatus":"created"}'
SELECT impilo_apply_webhook('mirror', '{"id":5,"type":"order.status","payload":{"orderId":43}}');
SELECT pg_temp.differences();
SELECT * FROM pg_temp.refresh();
SELECT pg_temp.differences();
-- other types are ignored, other documents refused
SELECT impilo_apply_webhook('mirror', '{"id":5,"type":"device.status","payload":{"id":42}}');
SELECT impilo_apply_webhook('mirror', '{"id":6,"type":"order.status","payload":{"status":"lost"}}');
SELECT impilo_apply_webhook('mirror', '{"id":6,"type":"order.status","payload":{"orderId":"42; --"}}');
SELECT impilo_apply_webhook('mirror', '{"type":"order.status"}');
SELECT impilo_apply_webhook('mirror', '{"type":1,"payload":{"orderId":42}}');
SELECT impilo_apply_webhook('mirror', '{"type":"order.status","payload":null}');
SELECT impilo_apply_webhook('mirror', '[1]');
SELECT impilo_apply_webhook('mirror', NULL);
SELECT impilo_apply_webhook('mirror', '{"id":7,"type":"order.status","payload":{"orderId":99999999999999999999}}');
SELECT impilo_apply_webhook('nosuch', '{"id":1,"type":"order.status","payload":{"orderId":42}}');

--
-- Invalid values are NULL in the mirror, and counted
--
\! ctl only '{"id":1,"currentStatus":"a","site":{"id":"x"},"patient":{"dateOfBirth":"yesterday"},"orderItems":{"item":1},"orderEvents":[{"name":"n","eventTimestamp":"soon"}]}' '{"id":2,"orderItems":[{"item":{"id":7.0},"count":2.5}]}'
SELECT complete FROM impilo_refresh_mirror('mirror', complete => true, accept_loss => true);
SELECT id, site_id, patient_date_of_birth, current_status FROM mirror.orders ORDER BY id;
SELECT order_id, item_id, count, document FROM mirror.order_items;
SELECT order_id, name, event_timestamp FROM mirror.order_events;
SELECT orders, invalid_values FROM impilo_mirror_status('mirror');
-- an empty account
\! ctl only
SELECT complete, kind, gone_orders FROM impilo_refresh_mirror('mirror', accept_loss => true);
SELECT * FROM pg_temp.refresh();
\! ctl put '{"id":1}'
SELECT * FROM pg_temp.refresh();
\! ctl reset

--
-- Refusals
--
INSERT INTO mirror.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
UPDATE mirror.orders SET current_status = 'x';
DELETE FROM mirror.order_data;
TRUNCATE mirror.order_data;
-- most orders are missing, or another address
SELECT impilo_drop_mirror('mirror');
SELECT impilo_create_mirror('impilo', 'mirror', freshness => 0.1);
SELECT complete, new_orders FROM pg_temp.refresh();
ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'other-key');
SELECT * FROM pg_temp.refresh();
ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'sandbox-key');
UPDATE mirror.mirror_state SET base_url = 'http://127.0.0.1:1/api/v3';
SELECT * FROM pg_temp.refresh();
SELECT complete, changed_orders FROM impilo_refresh_mirror('mirror', accept_loss => true);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT impilo_refresh_mirror('mirror');
ROLLBACK;
SELECT impilo_refresh_mirror('impilo');
SELECT impilo_create_mirror('nosuch', 'mirror2');
SELECT impilo_create_mirror('impilo', 'mirror');
SELECT impilo_create_mirror('impilo', 'impilo');
SELECT impilo_create_mirror('impilo', 'mirror2', freshness => 2);
-- a schema in which others can create functions
CREATE ROLE regress_mirror;
GRANT CREATE ON SCHEMA mirror TO regress_mirror;
SELECT * FROM pg_temp.refresh();
REVOKE CREATE ON SCHEMA mirror FROM regress_mirror;
-- others may not refresh, but read what they are granted
GRANT USAGE ON SCHEMA mirror TO regress_mirror;
GRANT SELECT ON mirror.order_items TO regress_mirror;
SET ROLE regress_mirror;
SELECT impilo_refresh_mirror('mirror');
SELECT impilo_create_mirror('impilo', 'mirror2');
SELECT count(*) FROM mirror.order_items;
SELECT count(*) FROM mirror.orders;
RESET ROLE;

--
-- Without documents, and without patient data
--
SELECT impilo_create_mirror('impilo', 'small', document => false, patient_data => false);
SELECT complete, new_orders FROM impilo_refresh_mirror('small');
SELECT pg_temp.differences('small');
SELECT count(*) FROM pg_attribute WHERE attrelid = 'small.order_data'::regclass AND attname ~ 'patient|device|note|document';
SELECT relname FROM pg_class WHERE relnamespace = 'small'::regnamespace AND relkind = 'v' ORDER BY relname COLLATE "C";
-- statistics hold no patient data
ANALYZE mirror.order_data;
SELECT attname FROM pg_stats WHERE schemaname = 'mirror' AND tablename = 'order_data' AND attname ~ 'patient|device|note|document|packed';

--
-- Upgrades add columns and views; dropping leaves other objects
--
ALTER TABLE small.order_data DROP COLUMN current_status CASCADE;
SELECT impilo_upgrade_mirror('small');
SELECT kind, changed_orders FROM impilo_refresh_mirror('small');
SELECT pg_temp.differences('small');
CREATE VIEW small.report AS SELECT count(*) FROM small.order_items;
SELECT impilo_drop_mirror('small');
CREATE TABLE small.mine ();
DROP VIEW small.report;
SELECT impilo_drop_mirror('small');
SELECT impilo_drop_mirror('small');
SELECT relname FROM pg_class WHERE relnamespace = 'small'::regnamespace;
DROP SCHEMA small CASCADE;
-- a publication of all tables of a mirror does not stop its refreshes
SET client_min_messages = error;        -- about wal_level
CREATE PUBLICATION regress_mirror FOR TABLES IN SCHEMA mirror;
SELECT complete FROM impilo_refresh_mirror('mirror', complete => true);
DROP PUBLICATION regress_mirror;
RESET client_min_messages;
SELECT impilo_drop_mirror('mirror');
DROP ROLE regress_mirror;
