-- Every path of the extension once, the failing ones too, for valgrind.sh.
-- A statement ends with an empty line; one that must fail says how before it.

CREATE EXTENSION impilo_fdw;

CREATE SERVER impilo FOREIGN DATA WRAPPER impilo_fdw
	OPTIONS (base_url '@url@', max_retries '1', fetch_size '10');

CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');

CREATE SCHEMA impilo;

IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO impilo;

-- Options that are refused
-- fails: HV00D
ALTER SERVER impilo OPTIONS (ADD fetch_sise '10');

-- fails: 22023
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

DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM impilo.orders ORDER BY id;

CLOSE c;

EXPLAIN ANALYZE SELECT id FROM impilo.orders WHERE patient_last_name > 'M';

ANALYZE impilo.orders;

-- Answers that are errors
COPY (SELECT) TO PROGRAM 'ctl fault ''{"do":{"status":500}}''';

-- fails: 08000
SELECT count(document) FROM impilo.orders;

COPY (SELECT) TO PROGRAM 'ctl fault ''{"page":3,"do":{"cut":100}}''';

-- fails: 08000
SELECT count(document) FROM impilo.orders;

COPY (SELECT) TO PROGRAM 'ctl fault ''{"page":2,"do":{"status":200,"body":"{\"content\":[{\"id\":1},{"}}''';

-- fails: HV00L
SELECT count(document) FROM impilo.orders;

COPY (SELECT) TO PROGRAM 'ctl fault ''{"do":{"endless":true}}''';

-- fails: HV00L
SELECT count(document) FROM impilo.orders;

COPY (SELECT) TO PROGRAM 'ctl fault ''{"do":{"hang":true}}''';

SET statement_timeout = '500ms';

-- fails: 57014
SELECT count(document) FROM impilo.orders;

-- fails: 57014
SELECT count(document) FROM impilo.orders WHERE id = ANY ('{1,2,3}');

RESET statement_timeout;

COPY (SELECT) TO PROGRAM 'ctl nofault';

DROP EXTENSION impilo_fdw CASCADE;
