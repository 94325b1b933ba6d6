-- ON CONFLICT DO NOTHING: a load that can be repeated.
\i :setup
\! ctl log-reset

CREATE TEMP TABLE load (id int, patient_id bigint);
INSERT INTO load SELECT i, i FROM generate_series(1, 12) i;
PREPARE load AS
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
SELECT patient_id, ARRAY['load_' || id], impilo_order_item(1000) FROM load ORDER BY id
ON CONFLICT DO NOTHING RETURNING patient_id, external_order_ids;
DELETE FROM load WHERE id > 3;
EXECUTE load;
-- repeated: no order is created; with more rows: only these are
EXECUTE load;
INSERT INTO load VALUES (4, 4), (5, 5);
EXECUTE load;
\! ctl count created
-- each statement read the list once, in few pages
\! ctl log-reset
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
SELECT patient_id, ARRAY['load_' || id], impilo_order_item(1000) FROM load
ON CONFLICT DO NOTHING;
\! ctl log sort

-- a repeat within the statement (one request at a time, for predictable ids)
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD max_concurrency '1');
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{r1,r2}', impilo_order_item(1000)), (1, '{r2,r1}', impilo_order_item(1000)), (1, '{r3}', impilo_order_item(1000))
ON CONFLICT DO NOTHING RETURNING external_order_ids;
-- a row with some ids of an order finds the order, if it has all of them
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{r2}', impilo_order_item(1000))
ON CONFLICT DO NOTHING RETURNING external_order_ids;

-- no ids, some of the ids, another recipient: errors, and no request is sent
\! ctl log-reset
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{q1}', impilo_order_item(1000)), (1, NULL, impilo_order_item(1000)) ON CONFLICT DO NOTHING;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{q1}', impilo_order_item(1000)), (1, '{r1,r4}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{q1}', impilo_order_item(1000)), (2, '{r3}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;
INSERT INTO impilo.orders (site_id, external_order_ids, order_items)
VALUES (1, '{r3}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{q1,q2}', impilo_order_item(1000)), (1, '{q2,q3}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;
-- the error has the right number of the row, after many rows and skipped rows
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
SELECT 1, CASE WHEN i < 300 THEN ARRAY['far_' || i / 2] END, impilo_order_item(1000) FROM generate_series(1, 300) i ON CONFLICT DO NOTHING;
\! ctl count posts
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{r3}', impilo_order_item(1000)), (999999, '{far}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;

-- the same row by row
CREATE FUNCTION pg_temp.pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER pass AFTER INSERT ON impilo.orders FOR EACH ROW EXECUTE FUNCTION pg_temp.pass();
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1, '{r3}', impilo_order_item(1000)), (1, '{s1}', impilo_order_item(1000)), (1, '{s1}', impilo_order_item(1000))
ON CONFLICT DO NOTHING RETURNING external_order_ids;
DROP TRIGGER pass ON impilo.orders;

-- the same in PostgreSQL's batches: a partition
CREATE TABLE impilo.parted (patient_id bigint, external_order_ids text[], order_items jsonb) PARTITION BY LIST (patient_id);
CREATE FOREIGN TABLE impilo.parted_remote PARTITION OF impilo.parted DEFAULT SERVER impilo OPTIONS (relation 'orders', batch_size '3');
INSERT INTO impilo.parted SELECT 1, ARRAY['part_' || i], impilo_order_item(1000) FROM generate_series(1, 20, 3) i ON CONFLICT DO NOTHING;
INSERT INTO impilo.parted SELECT 1, ARRAY['part_' || i], impilo_order_item(1000) FROM generate_series(1, 20) i ON CONFLICT DO NOTHING;
SELECT count(*), count(DISTINCT external_order_ids) FROM impilo.orders WHERE external_order_ids[1] LIKE 'part%';

-- EXPLAIN ANALYZE counts them; in PostgreSQL's line if PostgreSQL runs the INSERT
SELECT line FROM pg_temp.explained('INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) SELECT 1, ARRAY[''part_'' || i], impilo_order_item(1000) FROM generate_series(18, 22) i ON CONFLICT DO NOTHING RETURNING patient_id') line WHERE line !~ 'Response Bytes';
SELECT line FROM pg_temp.explained('INSERT INTO impilo.parted SELECT 1, ARRAY[''part_'' || i], impilo_order_item(1000) FROM generate_series(21, 24) i ON CONFLICT DO NOTHING') line WHERE line !~ 'Response Bytes';
SELECT line FROM pg_temp.explained('INSERT INTO impilo.parted_remote SELECT 1, ARRAY[''part_'' || i], impilo_order_item(1000) FROM generate_series(24, 25) i ON CONFLICT DO NOTHING') line WHERE line !~ 'Response Bytes';

-- a conflict target requires a constraint, which a foreign table cannot have
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t1}', impilo_order_item(1000))
ON CONFLICT (external_order_ids) DO NOTHING;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t1}', impilo_order_item(1000))
ON CONFLICT (id) DO UPDATE SET patient_id = 2;
