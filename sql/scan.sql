--
-- Reading the list: rows, route and requests
--
\i :setup

-- all rows, whole and in part
SELECT count(*), count(DISTINCT id), sum(id) FROM (SELECT id FROM impilo.orders OFFSET 0) o;
SELECT id, patient_id, site_id, current_status, shipping_option, email_label
FROM impilo.orders WHERE id <= 6 ORDER BY id;
SELECT pg_typeof(id) AS id, pg_typeof(external_order_ids) AS ids, pg_typeof(patient_date_of_birth) AS born,
	pg_typeof(site_active) AS active, pg_typeof(order_items) AS items, pg_typeof(document) AS document
FROM impilo.orders LIMIT 1;
SELECT o IS NOT NULL AS a_row, (o).id, (o.document -> 'id') = to_jsonb(o.id) AS same
FROM impilo.orders o WHERE id + 0 = 7;
SELECT tableoid::regclass, id FROM impilo.orders WHERE tableoid = 'impilo.orders'::regclass AND id < 3;
SELECT count(*) FROM impilo.orders WHERE tableoid = 'impilo.order_items'::regclass;

-- the children
SELECT count(*), sum(count) FROM impilo.order_items;
SELECT order_id, position, item_id, count FROM impilo.order_items WHERE order_id + 0 IN (2, 3) ORDER BY 1, 2;
SELECT name, count(*) FROM impilo.order_events GROUP BY name ORDER BY name LIMIT 3;
SELECT order_id, kit_position, position, device_id FROM impilo.order_packed_kit_devices
WHERE order_id + 0 = 6 ORDER BY 2, 3;

--
-- Requests
--
-- four requests for pages of 250 orders
\! ctl log-reset
SELECT sum(count) FROM impilo.order_items;
\! ctl log sort
-- a small LIMIT is one request
\! ctl log-reset
SELECT count(*) FROM (SELECT id FROM impilo.orders LIMIT 10) o;
SELECT EXISTS (SELECT FROM impilo.orders);
SELECT EXISTS (SELECT FROM impilo.orders WHERE current_status = 'shipped');
\! ctl log
-- a larger LIMIT requests the pages that its rows need, and one ahead
\! ctl log-reset
SELECT count(*) FROM (SELECT id FROM impilo.orders LIMIT 100) o;
\! ctl log sort
-- no request
\! ctl log-reset
SELECT id FROM impilo.orders LIMIT 0;
SELECT id FROM impilo.orders WHERE false;
SELECT id FROM impilo.orders WHERE id IS NULL;
SELECT order_id FROM impilo.order_items WHERE order_id IS NULL;
SELECT id FROM impilo.orders WHERE id = 1 AND id = 2;
SELECT id FROM impilo.orders WHERE NULL;
SELECT count(*) FROM impilo.orders WHERE id IS NULL;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE current_status = 'shipped';
\! ctl log

--
-- count
--
\! ctl log-reset
SELECT count(*) FROM impilo.orders;
SELECT count(1), count(*) + 1 AS more, count('x') FROM impilo.orders;
SELECT count(id) FROM impilo.orders;
SELECT (SELECT count(*) FROM impilo.orders) AS a, (SELECT count(*) FROM impilo.orders) AS b;
SELECT count(*), generate_series(1, 2) FROM impilo.orders ORDER BY 2;
SELECT count(*), row_number() OVER () FROM impilo.orders;
SELECT g, (SELECT count(*) + g FROM impilo.orders) FROM generate_series(1, 3) g;
\! ctl log | uniq -c
-- these counts read the list
\! ctl log-reset
SELECT count(NULL), count(*) FILTER (WHERE id < 11), count(DISTINCT id) FROM impilo.orders;
SELECT count(*) FROM impilo.orders HAVING max(id) IS NULL;
SELECT count(*) FROM impilo.orders WHERE id > 995;
SELECT count(*) FROM impilo.order_kits;
\! ctl count pages

--
-- Nodes between the scan and LIMIT: the limit does not restrict the scan
--
SELECT id FROM impilo.orders ORDER BY id DESC LIMIT 2;
SELECT id FROM impilo.orders WHERE current_status = 'shipped' ORDER BY id LIMIT 3;
SELECT id FROM impilo.orders ORDER BY id OFFSET 998;
SELECT DISTINCT current_status FROM impilo.orders ORDER BY 1 LIMIT 3;
SELECT current_status, count(*), min(id) FROM impilo.orders GROUP BY 1 HAVING min(id) < 3 ORDER BY 1;
SELECT count(*) FROM (SELECT id FROM impilo.orders WHERE id < 11 UNION SELECT order_id FROM impilo.order_items WHERE order_id < 21) u;

--
-- Joins with local tables, views
--
CREATE TEMP TABLE patients AS
SELECT g AS mrn, 1 + (g / 2 * 37) % 100000 AS impilo_id FROM generate_series(1, 4) g;
SELECT p.mrn, o.id FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id WHERE o.id < 5 ORDER BY 1, 2;
SELECT p.mrn, o.id FROM patients p LEFT JOIN impilo.orders o ON o.patient_id = p.impilo_id AND o.id = 3 ORDER BY 1, 2;
SELECT o.id, i.item_id FROM impilo.orders o JOIN impilo.order_items i ON i.order_id = o.id
WHERE o.current_status = 'shipped' AND o.id < 12 ORDER BY 1, 2;
CREATE TEMP VIEW shipped WITH (security_barrier) AS
SELECT id, current_status FROM impilo.orders WHERE current_status = 'shipped';
SELECT * FROM shipped WHERE id = 11;
SELECT count(*) FROM shipped;

--
-- EXPLAIN names the route
--
EXPLAIN (COSTS OFF) SELECT * FROM impilo.orders;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = 42;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id IN (1, 2);
EXPLAIN (COSTS OFF) SELECT count(*) FROM impilo.orders;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id IS NULL;
EXPLAIN (COSTS OFF) SELECT item_id FROM impilo.order_items WHERE order_id = 42;
EXPLAIN (COSTS OFF) SELECT p.mrn, o.id FROM patients p LEFT JOIN impilo.orders o ON o.id = p.impilo_id WHERE p.mrn = 1;
-- EXPLAIN ANALYZE shows the requests
CREATE FUNCTION pg_temp.explained_json(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	RETURN QUERY SELECT key || ': ' || CASE key WHEN 'Network Wait' THEN (value::float > 0)::text ELSE value END
	FROM json_each_text(plan -> 0 -> 'Plan')
	WHERE key IN ('Route', 'Pages', 'Requests', 'Retries', 'Orders', 'Response Bytes', 'Network Wait', 'Shared List');
END $$;
SELECT pg_temp.explained('SELECT id FROM impilo.orders WHERE id < 11');
SELECT pg_temp.explained('SELECT id FROM impilo.orders WHERE id IN (4, 5)');
SELECT pg_temp.explained('SELECT id FROM impilo.orders UNION ALL SELECT order_id FROM impilo.order_kits');
SELECT pg_temp.explained_json('SELECT id FROM impilo.orders WHERE id = 4');
SELECT pg_temp.explained_json('SELECT id FROM impilo.orders');
\! ctl fault '{"path":"order/*","times":1,"do":{"status":503}}'
SELECT pg_temp.explained('SELECT id FROM impilo.orders WHERE id = 4');
\! ctl nofault

-- a value that is not used is not converted: a broken one is not an error
\! ctl replace 5 '{"id":5,"patient":{"id":"no number","dateOfBirth":"never"},"currentStatus":"created"}'
SELECT id, current_status FROM impilo.orders WHERE id = 5;
SELECT count(current_status) FROM impilo.orders;
SELECT id, patient_date_of_birth FROM impilo.orders WHERE id = 4 + 1;
