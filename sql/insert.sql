-- INSERT: a row becomes one POST /order; RETURNING returns the API's response.
\i :setup
\! ctl log-reset

-- the guide's two examples
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items, order_kits)
VALUES (1234, '{xyz_123_0,xyz_123_1,xyz_123_2,xyz_123_3}',
        impilo_order_item(1000, 10) || impilo_order_item(1001, 10),
        impilo_order_kit(1000, 10) || impilo_order_kit(1001, 10));
INSERT INTO impilo.orders (site_id, order_items)
VALUES (123, impilo_order_item(1000));
-- all other writable columns; a request contains only those of the row
INSERT INTO impilo.orders (patient_id, order_items, shipping_option, email_label, order_notes,
    return_items, return_devices, return_packed_kits, external_order_ids, order_kits)
VALUES (1, impilo_order_item(1000), 'overnight', true, '[{"note": "Leave at the \"door\" \u00e9"}]',
    '[{"item": {"id": 1001}, "count": 1}]', '[]', NULL, '{}', '[]');
\! ctl log

-- RETURNING: the API's values, for every column
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1234, '{a,b}', impilo_order_item(1000, 10))
RETURNING id, current_status, patient_id, patient_first_name IS NOT NULL AS has_name, site_id, external_order_ids,
    order_items -> 0 -> 'count' AS count, order_items -> 0 -> 'item' ? 'name' AS has_item_name,
    document -> 'id' AS document_id, tableoid::regclass;
INSERT INTO impilo.orders (patient_id, order_items)
VALUES (2, impilo_order_item(1000)) RETURNING (orders).id, id * 2 AS twice, (SELECT count(*) FROM pg_class WHERE false) AS none;

-- the order exists
SELECT id, patient_id, external_order_ids FROM impilo.orders WHERE id = 1004;

--
-- Errors of a row are raised before a request is sent
--
\! ctl log-reset
INSERT INTO impilo.orders (order_items) VALUES (impilo_order_item(1000));
INSERT INTO impilo.orders (patient_id, site_id, order_items) VALUES (1, 2, impilo_order_item(1000));
INSERT INTO impilo.orders (patient_id) VALUES (1);
INSERT INTO impilo.orders (patient_id, order_items, order_kits) VALUES (1, '[]', NULL);
INSERT INTO impilo.orders (patient_id, order_items) VALUES (0, impilo_order_item(1000));
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '{"item": {"id": 1000}, "count": 1}');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '"1000"');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {"id": 1000}}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {"id": 1000}, "count": 0}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {"id": 1000}, "count": 1.5}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {"id": 1000}, "count": "1"}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {"id": "1000"}, "count": 1}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {}, "count": 1}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": 1000, "count": 1}]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[1000]');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"item": {"id": 1000, "name": "Hub"}, "count": 1}]');
INSERT INTO impilo.orders (patient_id, order_kits) VALUES (1, impilo_order_kit(1000) || '[{"kit": {"id": 1000}, "count": 1, "urgent": true}]');
INSERT INTO impilo.orders (patient_id, order_kits) VALUES (1, impilo_order_item(1000));
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{a,NULL}', impilo_order_item(1000));
-- columns that only the API sets
INSERT INTO impilo.orders (id, patient_id, order_items) VALUES (7, 1, impilo_order_item(1000));
INSERT INTO impilo.orders (current_status, patient_id, order_items) VALUES ('shipped', 1, impilo_order_item(1000));
INSERT INTO impilo.orders (document, patient_id, order_items) VALUES ('{}', 1, impilo_order_item(1000));
-- a row of an order that exists is not a new order
INSERT INTO impilo.orders SELECT * FROM impilo.orders WHERE id = 42;
-- one wrong row among many: the error names the row, and no request is sent
INSERT INTO impilo.orders (patient_id, order_items)
SELECT i, CASE WHEN i <> 250 THEN impilo_order_item(1000) END FROM generate_series(1, 300) i;
-- the same for a source that fails
INSERT INTO impilo.orders (patient_id, order_items)
SELECT 1 + 0 * (1 / (250 - i)), impilo_order_item(1000) FROM generate_series(1, 300) i;
\! ctl count posts

--
-- The error of a refusal contains the API's message
--
INSERT INTO impilo.orders (patient_id, order_items) VALUES (999999, impilo_order_item(1000));
\echo :LAST_ERROR_SQLSTATE
INSERT INTO impilo.orders (site_id, order_items) VALUES (999999, impilo_order_item(1000));
\echo :LAST_ERROR_SQLSTATE
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1800));
\echo :LAST_ERROR_SQLSTATE

--
-- Statements that the API cannot execute
--
UPDATE impilo.orders SET shipping_option = 'overnight' WHERE id = 1;
DELETE FROM impilo.orders WHERE id = 1;
INSERT INTO impilo.order_items (order_id, item_id, count) VALUES (1, 1000, 1);
INSERT INTO impilo.order_external_ids (order_id, external_order_id) VALUES (1, 'a');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000))
ON CONFLICT (id) DO NOTHING;
TRUNCATE impilo.orders;
-- the information schema, although one of the tables is invalid
CREATE FOREIGN TABLE impilo.wrong (id bigint, no_such_column text) SERVER impilo OPTIONS (relation 'orders');
CREATE FOREIGN TABLE impilo.nothing_known (id bigint) SERVER impilo;
SELECT table_name, is_insertable_into FROM information_schema.tables
WHERE table_schema = 'impilo' AND table_name IN ('orders', 'order_items', 'wrong', 'nothing_known') ORDER BY 1;
INSERT INTO impilo.wrong (id) VALUES (1);
DROP FOREIGN TABLE impilo.wrong, impilo.nothing_known;

-- not updatable, not allowed, read only, explained only
ALTER FOREIGN TABLE impilo.orders OPTIONS (updatable 'false');
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
\.
ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP updatable);
SET impilo_fdw.allow_create = off;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
\.
RESET impilo_fdw.allow_create;
BEGIN READ ONLY;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
ROLLBACK;
EXPLAIN (COSTS OFF) INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING id;
EXPLAIN (COSTS OFF) INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
\! ctl count created

--
-- Privileges: the owner of the view creates, the caller may not
--
CREATE ROLE impilo_clerk;
GRANT USAGE ON SCHEMA impilo TO impilo_clerk;
CREATE VIEW impilo.ordering AS SELECT id, patient_id, order_items FROM impilo.orders;
GRANT INSERT, SELECT ON impilo.ordering TO impilo_clerk;
SET ROLE impilo_clerk;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
INSERT INTO impilo.ordering (patient_id, order_items) VALUES (77, impilo_order_item(1000)) RETURNING patient_id;
RESET ROLE;
GRANT INSERT, SELECT ON impilo.orders TO impilo_clerk;
SET ROLE impilo_clerk;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
RESET ROLE;
DROP OWNED BY impilo_clerk;
DROP ROLE impilo_clerk;

--
-- Prepared statements: parameters are read each time
--
PREPARE ordering(bigint, text) AS
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES ($1, ARRAY[$2], impilo_order_item(1000)) RETURNING patient_id, external_order_ids;
SET plan_cache_mode = force_generic_plan;
EXECUTE ordering(11, 'p11');
EXECUTE ordering(12, 'p12');
SET plan_cache_mode = force_custom_plan;
EXECUTE ordering(13, 'p13');
RESET plan_cache_mode;

--
-- A hand-written table: other type names, another order, fewer columns
--
CREATE FOREIGN TABLE impilo.few (
    order_items json, external_order_ids varchar(20)[], patient_id integer, id numeric, email_label text,
    city text OPTIONS (json_pointer '/patient/address/city'))
SERVER impilo OPTIONS (relation 'orders');
INSERT INTO impilo.few (patient_id, order_items, external_order_ids)
VALUES (5, '[{"count":1, "item":{"id":1000}}]', '{few_1}') RETURNING patient_id, external_order_ids, id > 1000 AS new, city IS NOT NULL AS has_city;
INSERT INTO impilo.few (patient_id, order_items) VALUES (5, '[{"count":1, "count":2, "item":{"id":1000}}]');
INSERT INTO impilo.few (patient_id, order_items, city) VALUES (5, impilo_order_item(1000)::json, 'Paris');
DROP FOREIGN TABLE impilo.few;
