-- Every path of the extension, including those that fail, for valgrind.sh, which
-- runs this script twice in one session.  A statement ends with an empty line.
-- A comment before a statement that must fail gives its SQLSTATE.

CREATE EXTENSION impilo_fdw;

CREATE SERVER impilo FOREIGN DATA WRAPPER impilo_fdw
	OPTIONS (base_url '@url@', max_retries '1', fetch_size '10', max_response_size '1MB',
			 reconcile_timeout '1s', unique_external_ids 'true');

CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');

CREATE SCHEMA impilo;

IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO impilo;

-- Refused options

-- fails: HV00D
ALTER SERVER impilo OPTIONS (ADD fetch_sise '10');

-- fails: HV024
ALTER SERVER impilo OPTIONS (ADD request_timeout 'soon');

-- Reading

SELECT count(*), count(document) FROM impilo.orders;

SELECT count(*) FROM impilo.orders;

SELECT * FROM impilo.orders LIMIT 3;

SELECT id, current_status FROM impilo.orders WHERE id = 7;

SELECT id FROM impilo.orders WHERE id = ANY ('{1,2,3,2,999999}');

SELECT count(*) FROM impilo.order_items;

SELECT count(*) FROM impilo.order_packed_kit_devices;

SELECT count(*) FROM (VALUES (3), (5), (3)) AS k (id) JOIN impilo.orders USING (id);

SELECT count(*) FROM impilo.orders a JOIN impilo.orders b USING (patient_id);

SELECT (SELECT current_status FROM impilo.orders o WHERE o.id = k) FROM generate_series(1, 5) k;

BEGIN;

DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM impilo.orders ORDER BY id;

COMMIT;

CLOSE c;

EXPLAIN ANALYZE SELECT id FROM impilo.orders WHERE patient_last_name > 'M';

ANALYZE impilo.orders;

SELECT count(*) FROM impilo_check_schema('impilo');

-- The mirror

SELECT impilo_create_mirror('impilo', 'mirror');

SELECT complete FROM impilo_refresh_mirror('mirror');

SELECT complete FROM impilo_refresh_mirror('mirror', complete => true);

SELECT complete FROM impilo_refresh_mirror('mirror');

SELECT impilo_apply_webhook('mirror', '{"id":1,"type":"order.status","payload":{"orderId":6}}');

SELECT count(*) FROM mirror.order_items;

SELECT impilo_drop_mirror('mirror');

CREATE FOREIGN TABLE impilo.mine (id bigint, city text OPTIONS (json_pointer '/patient/address/city'),
	first_name int OPTIONS (json_pointer '/patient/firstName'))
	SERVER impilo OPTIONS (relation 'orders');

SELECT count(city) FROM impilo.mine;

-- a name is not a number
-- fails: 22P02
SELECT count(first_name) FROM impilo.mine;

CREATE FOREIGN TABLE impilo.broken (id bigint, current_statu text) SERVER impilo OPTIONS (relation 'orders');

-- fails: HV007
SELECT * FROM impilo.broken;

-- Connections
SELECT ok, problem, orders FROM impilo_fdw_ping('impilo');

SELECT count(*) FROM impilo_fdw_get_connections();

SELECT count(*) FROM impilo_fdw_diag();

SELECT impilo_fdw_disconnect('impilo');

SELECT count(document) FROM impilo.orders WHERE id < 3;

SELECT impilo_fdw_disconnect_all();

-- Responses that are errors

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"do":{"status":500}}''';

-- fails: HV00L
SELECT count(document) FROM impilo.orders;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"do":{"status":401}}''';

-- fails: 28000
SELECT id FROM impilo.orders WHERE id = 3;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"do":{"status":404}}''';

-- fails: HV00N
SELECT count(document) FROM impilo.orders;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"page":3,"do":{"cut_body":100}}''';

-- fails: 08006
SELECT count(document) FROM impilo.orders;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"page":2,"times":1,"do":{"reset":"before"}}''';

SELECT count(document) FROM impilo.orders;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"page":2,"do":{"status":200,"body":"{\"content\":[{\"id\":1},{"}}''';

-- fails: HV00M
SELECT count(document) FROM impilo.orders;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"do":{"endless":true}}''';

-- fails: 54000
SELECT count(document) FROM impilo.orders;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"do":{"hang":true}}''';

SET statement_timeout = '500ms';

-- fails: 57014
SELECT count(document) FROM impilo.orders;

-- fails: 57014
SELECT count(document) FROM impilo.orders WHERE id = ANY ('{1,2,3}');

RESET statement_timeout;

COPY (SELECT WHERE false) TO PROGRAM 'ctl nofault';

-- Creating

INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (1, '{leak-1}', impilo_order_item(1000)) RETURNING id, document;

INSERT INTO impilo.orders (patient_id, order_items)
	SELECT k, impilo_order_item(1000 + k) FROM generate_series(1, 30) k;

INSERT INTO impilo.orders (site_id, order_kits)
	SELECT 7, impilo_order_kits(k, 2) FROM generate_series(1000, 1003) k;

COPY impilo.orders (patient_id, order_items) FROM PROGRAM 'echo ''3,"[{""item"":{""id"":1001},""count"":2}]"''' (FORMAT csv);

INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	VALUES (1, '{leak-1}', impilo_order_item(1000)), (1, '{leak-2}', impilo_order_item(1000))
	ON CONFLICT DO NOTHING;

EXPLAIN (VERBOSE) INSERT INTO impilo.orders (patient_id, order_items) SELECT 1, impilo_order_item(1000);

SELECT count(*) FROM impilo_created_orders();

-- Orders that are refused before a request, and by the API

-- fails: 23514
INSERT INTO impilo.orders (patient_id, site_id, order_items) VALUES (1, 1, impilo_order_item(1000));

-- fails: 22023
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000, 0));

-- fails: 23503
INSERT INTO impilo.orders (patient_id, order_items) VALUES (99999999, impilo_order_item(1000));

-- a part of a batch
-- fails: IU002
INSERT INTO impilo.orders (patient_id, order_items)
	SELECT CASE k WHEN 15 THEN 99999999 ELSE k END, impilo_order_item(1000) FROM generate_series(1, 20) k;

-- The outcome is unknown: found, and not found

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"method":"POST","times":1,"do":{"status":500,"processed":true}}''';

INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	SELECT 1, ARRAY['leak-found-' || pg_current_xact_id()], impilo_order_item(1000)
	RETURNING id;

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"method":"POST","times":1,"do":{"reset":"before"}}''';

-- fails: IU001
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
	SELECT 1, ARRAY['leak-lost-' || pg_current_xact_id()], impilo_order_item(1000);

COPY (SELECT WHERE false) TO PROGRAM 'ctl fault ''{"method":"POST","do":{"hang":true}}''';

SET statement_timeout = '500ms';

-- fails: 57014
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));

RESET statement_timeout;

COPY (SELECT WHERE false) TO PROGRAM 'ctl nofault';

-- Orders at commit, and rolled back

ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD post_at 'commit');

BEGIN;

INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));

SAVEPOINT s;

INSERT INTO impilo.orders (patient_id, order_items) VALUES (2, impilo_order_item(1000));

ROLLBACK TO s;

COMMIT;

BEGIN;

INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));

ROLLBACK;

ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP post_at);

BEGIN;

INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));

ROLLBACK;

SELECT impilo_forget_created_orders();

-- A name that must be looked up, in a thread of libcurl's

ALTER SERVER impilo OPTIONS (SET base_url 'http://localhost:@port@/api/v3');

SELECT count(*) FROM impilo.orders;

-- A server that does not listen
-- (nothing listens on port 9)

ALTER SERVER impilo OPTIONS (SET base_url 'http://127.0.0.1:9/api/v3');

-- fails: 08001
SELECT count(*) FROM impilo.orders;

-- Connections that are not kept

ALTER SERVER impilo OPTIONS (SET base_url '@url@', ADD keep_connections 'false');

SELECT count(document) FROM impilo.orders;

DROP SCHEMA impilo CASCADE;

DROP EXTENSION impilo_fdw CASCADE;
