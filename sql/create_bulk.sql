-- Many orders: batches, COPY, triggers, partitions, views, and sources that read
-- the same account.
\i :setup

-- batches, with RETURNING in the order of the rows
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD batch_size '7', ADD max_concurrency '3');
WITH created AS (
    INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
    SELECT i, ARRAY['bulk_' || i], impilo_order_item(1000, i) FROM generate_series(1, 50) i
    RETURNING patient_id, external_order_ids, id, (order_items -> 0 ->> 'count')::int AS count)
SELECT count(*), count(DISTINCT id), bool_and(external_order_ids = ARRAY['bulk_' || patient_id]) AS ids,
    bool_and(patient_id = count) AS counts, (SELECT bool_and(patient_id = position) FROM
        (SELECT patient_id, row_number() OVER () AS position FROM created) numbered) AS in_order
FROM created;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)), (2, impilo_order_item(1001)), (3, impilo_order_item(1002))
RETURNING patient_id, order_items -> 0 -> 'item' ->> 'id' AS item_id;
INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 20) i;
-- a CTE that is not read runs to its end
WITH created AS (
    INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 9) i
    RETURNING id)
SELECT 1 AS one;
-- no rows
INSERT INTO impilo.orders (patient_id, order_items) SELECT 1, impilo_order_item(1000) WHERE false RETURNING id;
\! ctl count created

-- COPY: no request is sent before the last row is read and checked
COPY impilo.orders (patient_id, external_order_ids, order_items) FROM stdin;
1	{copy_1}	[{"item": {"id": 1000}, "count": 1}]
2	{copy_2}	[{"item": {"id": 1000}, "count": 2}]
3	{copy_3}	[{"item": {"id": 1000}, "count": 3}]
\.
SELECT count(*) FROM impilo.orders WHERE external_order_ids && '{copy_1,copy_2,copy_3}';
\! ctl log-reset
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
2	[{"item": {"id": 1000}, "count": 0}]
\.
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
2	[{"item"
\.
-- a dump with read-only columns is not sent again
COPY impilo.orders (id, patient_id, order_items) FROM stdin;
1	1	[{"item": {"id": 1000}, "count": 1}]
\.
\! ctl count posts
-- the error names the row of an order that the API refuses
COPY impilo.orders (patient_id, order_items) FROM stdin;
999999	[{"item": {"id": 1000}, "count": 1}]
\.

-- INSERT … SELECT from the same account: the list is read first
\! ctl log-reset
INSERT INTO impilo.orders (site_id, external_order_ids, order_items)
SELECT site_id, ARRAY['again_' || id], impilo_order_item(1000) FROM impilo.orders WHERE site_id IS NOT NULL;
SELECT count(*) AS now, (SELECT count(*) FROM impilo.orders WHERE coalesce(external_order_ids[1], '') NOT LIKE 'again%' AND site_id IS NOT NULL) AS before
FROM impilo.orders WHERE external_order_ids[1] LIKE 'again%';

-- orders repeated from existing ones: items and counts are rebuilt
INSERT INTO impilo.orders (patient_id, order_items)
SELECT patient_id, (SELECT impilo_order_items((e -> 'item' ->> 'id')::bigint, (e ->> 'count')::integer) FROM jsonb_array_elements(order_items) e)
FROM impilo.orders WHERE id = 2
RETURNING patient_id, jsonb_array_length(order_items) AS items;

--
-- With row triggers, orders are created row by row
--
CREATE TABLE impilo.noted (id bigint, patient_id bigint, status text);
CREATE FUNCTION impilo.note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO impilo.noted VALUES (NEW.id, NEW.patient_id, NEW.current_status); RETURN NULL; END $$;
CREATE FUNCTION impilo.rule() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF NEW.patient_id = 13 THEN RAISE EXCEPTION 'not for patient 13'; END IF;
    IF NEW.patient_id = 14 THEN RETURN NULL; END IF;
    NEW.shipping_option := 'overnight';
    RETURN NEW;
END $$;
CREATE TRIGGER note AFTER INSERT ON impilo.orders FOR EACH ROW EXECUTE FUNCTION impilo.note();
EXPLAIN (COSTS OFF) INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING id;
INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 3) i;
COPY impilo.orders (patient_id, order_items) FROM stdin;
4	[{"item": {"id": 1000}, "count": 1}]
\.
SELECT id IS NOT NULL AS has_id, patient_id, status FROM impilo.noted ORDER BY patient_id;
DROP TRIGGER note ON impilo.orders;
CREATE TRIGGER rule BEFORE INSERT ON impilo.orders FOR EACH ROW EXECUTE FUNCTION impilo.rule();
INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(14, 16) i
RETURNING patient_id, shipping_option, id IS NOT NULL AS has_id;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (13, impilo_order_item(1000));
COPY impilo.orders (patient_id, order_items) FROM stdin;
14	[{"item": {"id": 1000}, "count": 1}]
15	[{"item": {"id": 1000}, "count": 1}]
\.
-- a source on the same server would be read while orders are created
INSERT INTO impilo.orders (patient_id, order_items) SELECT patient_id, impilo_order_item(1000) FROM impilo.orders;
DROP TRIGGER rule ON impilo.orders;

--
-- Statement triggers do not hinder batches
--
CREATE FUNCTION impilo.say() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE NOTICE '% %', TG_WHEN, TG_OP; RETURN NULL; END $$;
CREATE TRIGGER say_before BEFORE INSERT ON impilo.orders EXECUTE FUNCTION impilo.say();
CREATE TRIGGER say_after AFTER INSERT ON impilo.orders EXECUTE FUNCTION impilo.say();
INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 2) i RETURNING patient_id;
DROP TRIGGER say_before ON impilo.orders;
DROP TRIGGER say_after ON impilo.orders;

--
-- Views: WITH CHECK OPTION is checked before the order is created
--
CREATE VIEW impilo.site_5 AS SELECT id, site_id, order_items FROM impilo.orders WHERE site_id = 5 WITH CHECK OPTION;
\! ctl log-reset
INSERT INTO impilo.site_5 (site_id, order_items) VALUES (6, impilo_order_item(1000));
\! ctl count posts
INSERT INTO impilo.site_5 (site_id, order_items) VALUES (5, impilo_order_item(1000)) RETURNING site_id, id IS NOT NULL AS has_id;
EXPLAIN (COSTS OFF) INSERT INTO impilo.site_5 (site_id, order_items) VALUES (5, impilo_order_item(1000));

--
-- Defaults and generated columns
--
CREATE FOREIGN TABLE impilo.generated (
    id bigint, patient_id bigint, order_items jsonb DEFAULT impilo_order_item(1000),
    external_order_ids text[] GENERATED ALWAYS AS (ARRAY['gen_' || patient_id]) STORED)
SERVER impilo OPTIONS (relation 'orders');
INSERT INTO impilo.generated (patient_id) VALUES (5), (6) RETURNING patient_id, external_order_ids, id IS NOT NULL AS has_id;
EXPLAIN (COSTS OFF) INSERT INTO impilo.generated (patient_id) VALUES (5), (6) RETURNING id;
EXPLAIN (COSTS OFF) INSERT INTO impilo.generated (patient_id) VALUES (5), (6);
INSERT INTO impilo.generated (patient_id) SELECT i FROM generate_series(7, 9) i;

--
-- Partitions
--
CREATE TABLE impilo.parted (patient_id bigint, order_items jsonb, id bigint) PARTITION BY RANGE (patient_id);
CREATE TABLE impilo.parted_local PARTITION OF impilo.parted FOR VALUES FROM (1) TO (100);
CREATE FOREIGN TABLE impilo.parted_remote PARTITION OF impilo.parted FOR VALUES FROM (100) TO (200)
SERVER impilo OPTIONS (relation 'orders');
INSERT INTO impilo.parted (patient_id, order_items) VALUES (1, impilo_order_item(1000)), (100, impilo_order_item(1000)), (101, impilo_order_item(1000))
RETURNING tableoid::regclass, patient_id, id IS NOT NULL AS has_id;
INSERT INTO impilo.parted (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(90, 130) i;
COPY impilo.parted (patient_id, order_items) FROM stdin;
2	[]
150	[{"item": {"id": 1000}, "count": 1}]
151	[{"item": {"id": 1000}, "count": 1}]
\.
SELECT count(*) FROM impilo.parted_local;
\! ctl count created

--
-- EXPLAIN ANALYZE creates orders, and shows the requests
--
SELECT pg_temp.explained('INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 3) i RETURNING patient_id');
SELECT pg_temp.explained('INSERT INTO impilo.orders (patient_id, order_items) SELECT i, impilo_order_item(1000) FROM generate_series(1, 3) i');
-- in the other formats as for a scan
DO $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000))' INTO plan;
	plan := plan #> '{0,Plan,Plans,0}';
	RAISE NOTICE 'Requests: %, Retries: %', plan -> 'Requests', plan -> 'Retries';
END $$;
