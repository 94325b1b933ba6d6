--
-- Forms of conditions on the id that become lookups, and what they request
--
\i :setup
-- the session knows the number of pages: 4
SELECT count(*) FROM (SELECT id FROM impilo.orders OFFSET 0) o;

CREATE FUNCTION pg_temp.read(statement text, OUT ids text, OUT route text, OUT requests int)
LANGUAGE plpgsql AS $$
DECLARE plan jsonb; row record;
BEGIN
	FOR row IN EXECUTE statement LOOP
		ids := concat_ws(' ', ids, row.id);
	END LOOP;
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO plan;
	plan := plan -> 0 -> 'Plan';
	route := concat_ws(', ', plan ->> 'Route', 'then ' || (plan ->> 'Read Instead'));
	requests := plan -> 'Requests';
END $$;
CREATE FUNCTION pg_temp.where(condition text, OUT ids text, OUT route text, OUT requests int)
LANGUAGE sql AS $$ SELECT * FROM pg_temp.read('SELECT id FROM impilo.orders WHERE ' || condition) $$;

-- returns the scans of orders in a plan
CREATE FUNCTION pg_temp.plan_nodes(statement text, OUT route text, OUT read_instead text, OUT pages text, OUT requests text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO plan;
	RETURN QUERY SELECT n ->> 'Route', n ->> 'Read Instead', n ->> 'Pages', n ->> 'Requests'
	FROM jsonb_path_query(plan, 'strict $.** ? (@.Route like_regex ".")') n;
END $$;

-- each form requests the orders that it names, and no others
SELECT c.condition, w.* FROM (VALUES
	('id = 1 OR id = 2'),
	('id = 1 OR 2 = id OR id IN (3, 1) OR id = ANY (''{4,NULL}'')'),
	('id = 1 OR (id = 2 AND current_status <> '''') OR (id = 3 AND current_status = ''no such'')'),
	('(id, patient_id) IN ((1, 1), (2, 38), (3, 0))'),
	('id IN (5, 6) AND (id = 6 OR id = 7)'),
	('(id = 1 OR id = 2) AND (id = 2 OR id = 3 OR id = 4)'),
	('(id = 1 OR (current_status <> '''' AND (id = 2 OR id = 3)))'),
	('id = 1 OR id = NULL'),
	('id BETWEEN 1 AND 3'),
	('id >= 1 AND id < 4'),
	('id > 1 AND 4 > id'),
	('id > 7 AND id > 998 AND id <= 2000 AND id < 1001'),
	('id BETWEEN 3 AND 1'),
	('id BETWEEN SYMMETRIC 3 AND 1'),
	('id BETWEEN 1 AND 2 OR id BETWEEN 5 AND 6'),
	('id = ANY (''{1,2,3,4,5}'') AND id > 3'),
	('id = 4 AND id > 7'),
	('id >= 9223372036854775807 AND id <= 9223372036854775807'),
	('id > 9223372036854775807 AND id < 9223372036854775807'),
	('id IS NOT DISTINCT FROM 5'),
	('5::smallint IS NOT DISTINCT FROM id'),
	('id IS NOT DISTINCT FROM NULL::bigint'),
	('id = 5::numeric'),
	('id = 5.5'),
	('5.0 = id'),
	('id IN (5.0, 6.5, 7)'),
	('id = 1e30 OR id = ''NaN''::numeric OR id = ''-Infinity''::numeric'),
	('id = 5::float8'),
	('id = 5::real OR id = 5.5::float8 OR id = ''NaN''::float8 OR id = ANY (''{6,7.5}''::float8[])')) c (condition),
	pg_temp.where(c.condition) w;

-- long ranges, other operators and values not known before the scan: the list
SELECT c.condition, w.route, w.requests FROM (VALUES
	('id BETWEEN 1 AND 101'),
	('id > 998'),
	('id < 3'),
	('id = 1 OR id > 998'),
	('id = 1 OR current_status = ''no such'''),
	('id = 1 OR id = patient_id'),
	('id = 1 OR NOT id = 2'),
	('id IS DISTINCT FROM 5'),
	('NOT (id = 1 OR id = 2)'),
	('id > 1.5 AND id < 3.5'),
	('id = 9007199254740992::float8'),
	('id = 9223372036854775807.4 OR id = 9223372036854775808'),
	('id = (random() * 0)::bigint + 1 OR id = 2')) c (condition),
	pg_temp.where(c.condition) w;

-- a range of more ids than the list has pages
SELECT c.condition, w.route, w.requests FROM (VALUES
	('id BETWEEN 1 AND 8'), ('id BETWEEN 1 AND 9'), ('id BETWEEN 1 AND 100')) c (condition),
	pg_temp.where(c.condition) w;

-- parameters, also in generic plans
SET plan_cache_mode = force_generic_plan;
PREPARE either(bigint, bigint[]) AS SELECT id FROM impilo.orders WHERE id = $1 OR id = ANY ($2) ORDER BY id;
PREPARE range(bigint, int) AS SELECT id FROM impilo.orders WHERE id BETWEEN $1 AND $2;
PREPARE exact(numeric) AS SELECT id FROM impilo.orders WHERE id = $1;
PREPARE rough(float8) AS SELECT id FROM impilo.orders WHERE id = $1;
PREPARE same(bigint) AS SELECT id FROM impilo.orders WHERE id IS NOT DISTINCT FROM $1;
PREPARE rows(bigint, bigint) AS SELECT id FROM impilo.orders WHERE (id, patient_id) IN (($1, 1), ($2, 38));
SELECT c.statement, r.* FROM (VALUES
	('range(1, 3)'), ('range(3, 1)'), ('range(NULL, 3)'), ('range(998, 1098)'), ('range(-9223372036854775808, 2)'),
	('range(998, 1005)'),
	('exact(7)'), ('exact(7.5)'), ('exact(NULL)'), ('exact(''NaN'')'), ('exact(1e100)'),
	('rough(7)'), ('rough(7.5)'), ('rough(''Infinity'')'), ('rough(9007199254740993)'),
	('same(7)'), ('same(NULL)'),
	('rows(1, 2)'), ('rows(1, NULL)')) c (statement),
	pg_temp.read('EXECUTE ' || c.statement) r;
\! ctl log-reset
EXECUTE either(1, '{3,1,NULL,2}');
EXECUTE either(NULL, '{}');
EXECUTE either(2, NULL);
\! ctl log sort
EXPLAIN (COSTS OFF) EXECUTE range(1, 3);
EXPLAIN (COSTS OFF) EXECUTE exact(7);
DEALLOCATE ALL;
RESET plan_cache_mode;

-- a rescan with other values, once by id and once from the list
\! ctl log-reset
SELECT g, o.n FROM (VALUES (1, 2), (1, 900), (5, 6), (3, 2), (NULL, 1)) g (low, high),
	LATERAL (SELECT count(*) AS n FROM (SELECT id FROM impilo.orders WHERE id BETWEEN g.low AND g.high OFFSET 0) x) o;
\! ctl count requests
-- ... EXPLAIN shows both
SELECT pg_temp.plan_nodes('SELECT o.n FROM (VALUES (1, ''{1}''::bigint[]), (2, ARRAY(SELECT generate_series(1, 900))), (3, ''{2}'')) g (n, ids),
	LATERAL (SELECT count(*) AS n FROM (SELECT id FROM impilo.orders WHERE id = ANY (g.ids) OFFSET 0) x) o');

-- children
CREATE FUNCTION pg_temp.items(condition text, OUT ids text, OUT route text, OUT requests int)
LANGUAGE sql AS $$ SELECT * FROM pg_temp.read('SELECT order_id AS id FROM impilo.order_items WHERE ' || condition) $$;
SELECT c.condition, i.* FROM (VALUES
	('order_id = 7 OR order_id = 8'),
	('order_id BETWEEN 7 AND 8'),
	('order_id IS NOT DISTINCT FROM 7'),
	('order_id = 7.0'),
	('(order_id, position) IN ((7, 1), (8, 1))')) c (condition),
	pg_temp.items(c.condition) i;

-- EXPLAIN shows the id of a single key
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = 5.0;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = 1 OR id = 2;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id BETWEEN 1 AND 3;

--
-- Forms of count(*)
--
CREATE FUNCTION pg_temp.count(statement text, OUT n text, OUT route text, OUT requests int)
LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'SELECT string_agg(x::text, '' '') FROM (' || statement || ') x' INTO n;
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO plan;
	plan := plan -> 0 -> 'Plan';
	route := plan ->> 'Route';
	requests := plan -> 'Requests';
END $$;
SELECT c.statement, n.* FROM (VALUES
	('SELECT count(*) FROM impilo.orders'),
	('SELECT count(1) FROM impilo.orders'),
	('SELECT count(id) FROM impilo.orders'),
	('SELECT count(DISTINCT id) FROM impilo.orders'),
	('SELECT count(*) FILTER (WHERE true) FROM impilo.orders'),
	('SELECT count(*), count(*) + 1, count(id) FILTER (WHERE 1 = 1) FROM impilo.orders'),
	('SELECT count(*) FROM impilo.orders GROUP BY ()'),
	('SELECT count(*) FROM impilo.orders HAVING count(*) > 999'),
	('SELECT 1 FROM impilo.orders HAVING count(*) > 999'),
	('SELECT count(*) FROM impilo.orders HAVING count(*) > 1000'),
	('SELECT count(*) FROM impilo.orders HAVING count(id) > (SELECT 5)')) c (statement),
	pg_temp.count(c.statement) n;
-- these counts read the list
EXPLAIN (COSTS OFF) SELECT count(*), max(1) FROM impilo.orders;
EXPLAIN (COSTS OFF) SELECT count(*) FROM impilo.orders GROUP BY GROUPING SETS ((), ());
EXPLAIN (COSTS OFF) SELECT count(*) FILTER (WHERE id > 1) FROM impilo.orders;
EXPLAIN (COSTS OFF) SELECT count(*) FROM impilo.orders HAVING max(id) > 1;

--
-- Joins of the same orders: LIMIT reads the pages that it needs, and nothing
-- is requested twice
--
\! ctl log-reset
SELECT count(*) FROM (SELECT o.id, i.position FROM impilo.orders o JOIN impilo.order_items i ON i.order_id = o.id LIMIT 10) x;
SELECT count(*) FROM (SELECT o.id, i.position FROM impilo.order_items i LEFT JOIN impilo.orders o ON o.id = i.order_id LIMIT 10) x;
SELECT count(*) FROM (SELECT o.id FROM impilo.orders o WHERE EXISTS (SELECT FROM impilo.order_items i WHERE i.order_id = o.id) LIMIT 10) x;
SELECT count(*) FROM (SELECT o.id FROM impilo.orders o JOIN impilo.order_items i ON i.order_id = o.id
	LEFT JOIN impilo.order_kits k ON k.order_id = o.id LIMIT 30) x;
\! ctl log sort | uniq -c
\! ctl log-reset
SELECT o.id, i.position FROM impilo.orders o JOIN impilo.order_items i ON i.order_id = o.id ORDER BY o.id, i.position LIMIT 3;
\! ctl count requests
