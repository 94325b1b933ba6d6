-- An account of Impilo as foreign tables. The sandbox has 1000 orders; with
-- the real API, leave base_url out and give your own key.

CREATE EXTENSION impilo_fdw;
CREATE SERVER impilo FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url :'base_url');
CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');
CREATE SCHEMA impilo;
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO impilo;
SELECT foreign_table_name FROM information_schema.foreign_tables ORDER BY 1;

-- One order is one request: GET /order/42.
SELECT id, current_status, patient_last_name FROM impilo.orders WHERE id = 42;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = 42;

-- Several are fetched at once, and a number of all is one small request.
SELECT id, current_status FROM impilo.orders WHERE id IN (7, 8, 9) ORDER BY id;
SELECT count(*) FROM impilo.orders;

-- Everything else reads the list, many pages in flight.
SELECT current_status, count(*) FROM impilo.orders GROUP BY 1 ORDER BY 2 DESC, 1;
SELECT item_id, sum(count) FROM impilo.order_items GROUP BY item_id ORDER BY 2 DESC, 1 LIMIT 5;

-- Joined with a table of our own.
CREATE TABLE patients (mrn text PRIMARY KEY, impilo_id bigint);
INSERT INTO patients VALUES ('A-17', 38), ('A-18', 75);
SELECT p.mrn, o.id, o.current_status
FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id ORDER BY o.id;

-- What no column names is in the document, which is the order as it was sent.
SELECT document #>> '{patient,address,city}' AS city FROM impilo.orders WHERE id = 3;

-- An INSERT creates an order: POST /order.
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1234, '{xyz_123_0}', impilo_order_item(1000, 10) || impilo_order_item(1001, 10))
RETURNING id, current_status;

-- Run again, it creates nothing: this order exists.
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
VALUES (1234, '{xyz_123_0}', impilo_order_item(1000, 10) || impilo_order_item(1001, 10))
ON CONFLICT DO NOTHING;

-- What cannot be right is not sent.
\set ON_ERROR_STOP off
INSERT INTO impilo.orders (patient_id, site_id, order_items)
VALUES (1234, 1, impilo_order_item(1000));
\set ON_ERROR_STOP on

-- What this session has created.
SELECT state, id, external_order_ids FROM impilo_created_orders();
