-- Statements that are refused before a request, because an order cannot be taken
-- back, or that work as with an ordinary table.
\i :setup
ALTER SERVER impilo OPTIONS (ADD max_concurrency '1');
\set one '(1, impilo_order_item(1000))'
--
-- System columns have the values that postgres_fdw gives; ORMs return them
--
\! ctl log-reset
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one
	RETURNING id IS NOT NULL AS id, (xmax = 0) AS inserted, xmin, cmin, cmax, ctid, tableoid::regclass;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{sys}', impilo_order_item(1000))
	ON CONFLICT DO NOTHING RETURNING external_order_ids, (xmax = 0) AS inserted;
CREATE VIEW impilo.v AS SELECT * FROM impilo.orders WHERE patient_id < 10 WITH CHECK OPTION;
INSERT INTO impilo.v (patient_id, order_items) VALUES :one RETURNING patient_id;
CREATE FUNCTION impilo.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER row BEFORE INSERT ON impilo.orders FOR EACH ROW EXECUTE FUNCTION impilo.nothing();
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one RETURNING (xmax = 0) AS inserted, tableoid::regclass;
DROP TRIGGER row ON impilo.orders;
SELECT xmin, xmax, cmin, cmax, ctid, tableoid::regclass FROM impilo.orders WHERE id = 1 AND xmax = 0;
SELECT id, current_status IS NOT NULL AS status FROM impilo.orders WHERE id = 1 AND xmin = 0;
SELECT o.id, o.xmin FROM impilo.orders o WHERE o.id = 2 FOR UPDATE;
\! ctl count posts
--
-- Isolation levels in which clients repeat a transaction
--
\! ctl log-reset
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
\.
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one RETURNING id;
ROLLBACK;
\! ctl count posts
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (1, '{serializable}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL impilo_fdw.post_at = 'never';
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one;
COMMIT;
-- consent: the option set for the table itself, in REPEATABLE READ only
ALTER SERVER impilo OPTIONS (ADD post_at 'statement');
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one;
ROLLBACK;
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD post_at 'statement');
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one;
ROLLBACK;
\! ctl count posts
ALTER FOREIGN TABLE impilo.orders OPTIONS (SET post_at 'commit');
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO impilo.orders (patient_id, order_items) VALUES :one;
COMMIT;
\! ctl count posts
ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP post_at);
--
-- More rows than announced: an error while they are returned
--
\! ctl log-reset
DO $$
DECLARE x bigint;
BEGIN
	INSERT INTO impilo.orders (patient_id, order_items)
		SELECT i, impilo_order_item(1000) FROM generate_series(1, 3) i RETURNING patient_id INTO x;
EXCEPTION WHEN too_many_rows THEN
	RAISE NOTICE 'refused: %', sqlerrm;
END $$;
DO $$
DECLARE x bigint; n bigint;
BEGIN
	INSERT INTO impilo.orders (patient_id, order_items) VALUES (5, impilo_order_item(1000)) RETURNING patient_id INTO STRICT x;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE NOTICE 'patient %, % row', x, n;
	FOR x IN INSERT INTO impilo.orders (patient_id, order_items)
		SELECT i, impilo_order_item(1000) FROM generate_series(1, 3) i RETURNING patient_id
	LOOP
		RAISE NOTICE 'patient %', x;
	END LOOP;
	INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 3) i;
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE NOTICE '% rows', n;
END $$;
\! ctl count created
--
-- WITH CHECK OPTION through views: the error names the orders that exist
--
\! ctl log-reset
CREATE VIEW impilo.vv AS SELECT * FROM impilo.v WHERE patient_id > 1 WITH CASCADED CHECK OPTION;
BEGIN;
SET LOCAL client_min_messages = error;
INSERT INTO impilo.vv (patient_id, order_items) VALUES (2, impilo_order_item(1000)), (1, impilo_order_item(1000)), (3, impilo_order_item(1000));
ROLLBACK;
\! ctl count created
--
-- A partition: policies of the parent are checked before a row is sent, and an
-- UPDATE does not move a row into it
--
\! ctl log-reset
CREATE TABLE impilo.parted (patient_id bigint, order_items jsonb) PARTITION BY LIST (patient_id);
CREATE FOREIGN TABLE impilo.part PARTITION OF impilo.parted FOR VALUES IN (1, 2) SERVER impilo OPTIONS (relation 'orders');
CREATE TABLE impilo.part_local PARTITION OF impilo.parted FOR VALUES IN (3);
CREATE ROLE regress_impilo_rls;
GRANT USAGE ON SCHEMA impilo TO regress_impilo_rls;
GRANT ALL ON impilo.parted TO regress_impilo_rls;
CREATE USER MAPPING FOR regress_impilo_rls SERVER impilo OPTIONS (api_key 'sandbox-key');
ALTER TABLE impilo.parted ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON impilo.parted TO regress_impilo_rls USING (true) WITH CHECK (patient_id <> 1);
SET ROLE regress_impilo_rls;
INSERT INTO impilo.parted VALUES (1, impilo_order_item(1000));
INSERT INTO impilo.parted VALUES (2, impilo_order_item(1000));
RESET ROLE;
INSERT INTO impilo.parted VALUES (3, impilo_order_item(1000));
UPDATE impilo.parted SET patient_id = 2 WHERE patient_id = 3;
INSERT INTO impilo.parted VALUES (2, impilo_order_item(1000)) RETURNING xmin;
-- a trigger that collects the rows: PostgreSQL would refuse only after they were sent
CREATE FUNCTION impilo.collect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% rows', (SELECT count(*) FROM new_rows);
	RETURN NULL;
END $$;
CREATE TRIGGER collect AFTER INSERT ON impilo.parted REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION impilo.collect();
INSERT INTO impilo.parted VALUES (3, impilo_order_item(1000));
INSERT INTO impilo.parted VALUES (3, impilo_order_item(1000)), (2, impilo_order_item(1000));
COPY impilo.parted FROM stdin;
3	[{"item": {"id": 1000}, "count": 1}]
2	[{"item": {"id": 1000}, "count": 1}]
\.
DROP TRIGGER collect ON impilo.parted;
CREATE TRIGGER collect AFTER UPDATE ON impilo.parted REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION impilo.collect();
UPDATE impilo.parted SET patient_id = 2 WHERE patient_id = 3;
\! ctl count posts
DROP TABLE impilo.parted;
DROP USER MAPPING FOR regress_impilo_rls SERVER impilo;
REVOKE ALL ON SCHEMA impilo FROM regress_impilo_rls;
DROP ROLE regress_impilo_rls;
--
-- COPY: an AFTER statement trigger sees the orders
--
CREATE FUNCTION impilo.audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% orders', (SELECT count(*) FROM impilo_created_orders());
	RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT ON impilo.orders FOR EACH STATEMENT EXECUTE FUNCTION impilo.audit();
SELECT impilo_forget_created_orders() > 0 AS forgotten;
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
2	[{"item": {"id": 1000}, "count": 1}]
\.
DROP TRIGGER audit ON impilo.orders;
-- also one of the partitioned table that COPY names
CREATE TABLE impilo.parted (patient_id bigint, order_items jsonb) PARTITION BY LIST (patient_id);
CREATE FOREIGN TABLE impilo.part PARTITION OF impilo.parted FOR VALUES IN (1, 2) SERVER impilo OPTIONS (relation 'orders');
CREATE TRIGGER audit AFTER INSERT ON impilo.parted FOR EACH STATEMENT EXECUTE FUNCTION impilo.audit();
SELECT impilo_forget_created_orders() > 0 AS forgotten;
COPY impilo.parted FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
2	[{"item": {"id": 1000}, "count": 1}]
\.
DROP TABLE impilo.parted;

-- error fields name the table, and the column of a wrong value
CREATE FUNCTION fields_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; t text; c text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME, c = COLUMN_NAME;
	RETURN concat_ws(' ', SQLSTATE, s, t, c);
END $$;
SELECT fields_of('INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, ''[{"count":1}]'')');
SELECT fields_of('INSERT INTO impilo.orders (patient_id, order_items) VALUES (999999, impilo_order_item(1000))');
SELECT fields_of('INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) ON CONFLICT DO NOTHING');
SELECT fields_of('INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, ''{f1}'', impilo_order_item(1000)), (1, ''{f1,f2}'', impilo_order_item(1000)) ON CONFLICT DO NOTHING');
SELECT fields_of('INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, ''{f1}'', impilo_order_item(1000)), (2, ''{f1}'', impilo_order_item(1000)) ON CONFLICT DO NOTHING');
DROP FUNCTION fields_of(text);
