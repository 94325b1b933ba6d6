--
-- Plans that are kept: prepared statements, PL/pgSQL, cursors, rescans, row marks
--
\i :setup
SELECT count(*) FROM (SELECT id FROM impilo.orders OFFSET 0) o;

-- prepared statements, ten times with each kind of plan
PREPARE one(bigint) AS SELECT id FROM impilo.orders WHERE id = $1;
PREPARE several(bigint[]) AS SELECT sum(id) FROM impilo.orders WHERE id = ANY ($1);
PREPARE status(text) AS SELECT count(id) FROM impilo.orders WHERE current_status = $1;
CREATE TEMP TABLE got (mode text, n int, id numeric);
DO $$
DECLARE mode text; n int; r numeric;
BEGIN
	FOREACH mode IN ARRAY '{force_generic_plan,force_custom_plan,auto}'::text[] LOOP
		PERFORM set_config('plan_cache_mode', mode, false);
		FOR n IN 1..10 LOOP
			EXECUTE format('EXECUTE one(%s)', n) INTO r;
			INSERT INTO got VALUES (mode, n, r);
			EXECUTE format('EXECUTE several(''{%s,%s,NULL}'')', n, n + 1) INTO r;
			INSERT INTO got VALUES (mode, n, r);
		END LOOP;
		EXECUTE 'EXECUTE status(''shipped'')' INTO r;
		INSERT INTO got VALUES (mode, 0, r);
		EXECUTE 'EXECUTE status(''no such'')' INTO r;
		INSERT INTO got VALUES (mode, 0, r);
	END LOOP;
END $$;
SELECT mode, count(*), sum(id) FROM got GROUP BY 1 ORDER BY 1;
RESET plan_cache_mode;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE one(3);
EXECUTE one(NULL);
RESET plan_cache_mode;

-- each call of a function reads again
CREATE FUNCTION pg_temp.status_of(k bigint) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN RETURN (SELECT current_status FROM impilo.orders WHERE id = k); END $$;
SELECT g, pg_temp.status_of(g) FROM generate_series(1, 10) g;
SELECT id, pg_temp.status_of(id) = current_status AS same FROM impilo.orders WHERE id IN (1, 2);

--
-- Cursors
--
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM impilo.orders;
FETCH 2 FROM c;
SAVEPOINT s;
MOVE 300 FROM c;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
MOVE ALL FROM c;
COMMIT;

-- a cursor that spools beyond work_mem, opened in a savepoint that is rolled back
SET work_mem = '64kB';
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT a.id FROM impilo.orders a, impilo.orders b
WHERE a.id + 0 = b.id + 0 AND a.id < 1000 ORDER BY a.id;
DECLARE u CURSOR FOR SELECT id FROM impilo.orders UNION ALL SELECT order_id FROM impilo.order_items;
SAVEPOINT s;
FETCH 2 FROM u;
FETCH 2 FROM s;
SELECT 1 / 0;
ROLLBACK TO s;
MOVE 1500 FROM u;
FETCH 2 FROM s;
FETCH BACKWARD 2 FROM s;
SAVEPOINT t;
MOVE 500 FROM u;
ROLLBACK TO t;
FETCH 1 FROM u;
FETCH LAST FROM s;
MOVE ALL FROM u;
COMMIT;
RESET work_mem;

-- SCROLL and WITH HOLD
\! ctl log-reset
BEGIN;
DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT id FROM impilo.orders WHERE id < 6;
DECLARE f NO SCROLL CURSOR WITH HOLD FOR SELECT id FROM impilo.orders WHERE id < 6;
FETCH 2 FROM h;
FETCH 2 FROM f;
COMMIT;
FETCH 1 FROM h;
FETCH FIRST FROM h;
FETCH ALL FROM f;
CLOSE h;
CLOSE f;

-- cursors left open at the end and closed early
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM impilo.orders;
FETCH 1 FROM c;
ROLLBACK;
SELECT id FROM impilo.orders WHERE id = 1;

-- a loop over a cursor with exceptions in the middle
DO $$
DECLARE r record; n int := 0; failed int := 0;
BEGIN
	FOR r IN SELECT id FROM impilo.orders LOOP
		BEGIN
			n := n + 1;
			IF r.id % 100 = 0 THEN PERFORM 1 / 0; END IF;
		EXCEPTION WHEN division_by_zero THEN failed := failed + 1;
		END;
	END LOOP;
	RAISE NOTICE '% rows, % exceptions', n, failed;
END $$;

--
-- A statement reads the list once
--
\! ctl log-reset
SELECT count(*) FROM impilo.orders a JOIN impilo.orders b ON a.id + 0 = b.id + 0;
\! ctl count requests
\! ctl log-reset
SELECT count(*) FROM (SELECT id FROM impilo.orders UNION ALL SELECT order_id FROM impilo.order_items) u;
\! ctl count requests
\! ctl log-reset
WITH o AS MATERIALIZED (SELECT id FROM impilo.orders)
SELECT (SELECT count(*) FROM o), (SELECT max(count) FROM impilo.order_items), (SELECT count(*) FROM o WHERE id < 11);
\! ctl count requests
-- nested loops over two children: each keeps its order, independently of the
-- position of the other
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
\! ctl log-reset
SELECT count(*), sum(a.count), sum(b.kit_id) FROM impilo.order_items a, impilo.order_kits b
WHERE a.order_id + 0 = b.order_id + 0 AND a.order_id + 0 < 60;
SELECT count(*) FROM generate_series(1, 3) g, LATERAL (SELECT id FROM impilo.orders WHERE id > 990 + g OFFSET 0) o;
\! ctl count requests
SET work_mem = '64kB';
SELECT count(*), sum(a.count), sum(b.kit_id) FROM impilo.order_items a, impilo.order_kits b
WHERE a.order_id + 0 = b.order_id + 0 AND a.order_id + 0 < 60;
SELECT o.id, (SELECT count(*) FROM impilo.order_items i WHERE i.order_id + 0 = o.id) AS items, o.order_items IS NULL AS none
FROM impilo.orders o WHERE o.id + 0 < 6 ORDER BY 1;
RESET ALL;
-- ids that are read from a list in a file
SET work_mem = '64kB';
\! ctl log-reset
SELECT count(*), sum(i.count) FROM generate_series(1, 2) g,
	LATERAL (SELECT count FROM impilo.order_items WHERE order_id = ANY (ARRAY(SELECT h * 10 + g - g FROM generate_series(1, 100) h))) i;
\! ctl count requests
RESET work_mem;

--
-- Row marks for tables of which other tables are updated
--
CREATE TABLE plans_local (k bigint PRIMARY KEY, status text);
INSERT INTO plans_local SELECT g FROM generate_series(1, 3) g;
UPDATE plans_local l SET status = o.current_status FROM impilo.orders o WHERE o.id = l.k;
SELECT * FROM plans_local ORDER BY k;
UPDATE plans_local l SET status = 'again' FROM impilo.orders o WHERE o.id + 0 = l.k AND o.current_status = 'shipped';
SELECT * FROM plans_local ORDER BY k;
SELECT l.k, o.id FROM plans_local l JOIN impilo.orders o ON o.id = l.k ORDER BY 1 FOR UPDATE OF l;
SELECT l.k, o.current_status FROM plans_local l JOIN impilo.orders o ON o.id = l.k ORDER BY 1 FOR UPDATE;
DELETE FROM plans_local l USING impilo.order_items i WHERE i.order_id = l.k AND i.position = 3;
SELECT k FROM plans_local ORDER BY k;

-- a trigger reads again
CREATE FUNCTION plans_fill() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.status := (SELECT current_status FROM impilo.orders WHERE id = NEW.k); RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE INSERT ON plans_local FOR EACH ROW EXECUTE FUNCTION plans_fill();
INSERT INTO plans_local SELECT id FROM impilo.orders WHERE id IN (11, 12) RETURNING *;
DROP TABLE plans_local;
DROP FUNCTION plans_fill;

--
-- Partitions and inheritance
--
CREATE TABLE plans_all (id bigint, current_status text, account text) PARTITION BY LIST (account);
CREATE TABLE plans_here PARTITION OF plans_all FOR VALUES IN ('here');
INSERT INTO plans_here VALUES (1, 'local', 'here');
CREATE FOREIGN TABLE plans_there (id bigint, current_status text, account text OPTIONS (json_pointer '/account'))
SERVER impilo OPTIONS (relation 'orders');
ALTER TABLE plans_all ATTACH PARTITION plans_there FOR VALUES IN ('there');
SELECT tableoid::regclass, id, current_status FROM plans_all WHERE id = 1 ORDER BY 1;
SELECT count(*) FROM plans_all;
SELECT w.k, a.current_status FROM (VALUES (1::bigint), (2)) w (k) JOIN plans_all a ON a.id = w.k ORDER BY 1, 2;
DROP TABLE plans_all;
-- a join of partitions looks up the keys of the partition
CREATE TABLE plans_keys (k bigint) PARTITION BY RANGE (k);
CREATE TABLE plans_keys_1 PARTITION OF plans_keys FOR VALUES FROM (0) TO (500);
CREATE TABLE plans_keys_2 PARTITION OF plans_keys FOR VALUES FROM (500) TO (1000);
INSERT INTO plans_keys VALUES (5), (7), (600);
ANALYZE plans_keys;
CREATE TABLE plans_ranges (id bigint, current_status text) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE plans_ranges_1 PARTITION OF plans_ranges FOR VALUES FROM (0) TO (500)
SERVER impilo OPTIONS (relation 'orders');
CREATE FOREIGN TABLE plans_ranges_2 PARTITION OF plans_ranges FOR VALUES FROM (500) TO (1000)
SERVER impilo OPTIONS (relation 'orders');
SET enable_partitionwise_join = on;
\! ctl log-reset
SELECT k, id, current_status FROM plans_keys LEFT JOIN plans_ranges ON id = k ORDER BY 1;
\! ctl log sort | grep order/
RESET enable_partitionwise_join;
DROP TABLE plans_keys, plans_ranges;
CREATE TABLE plans_parent (id bigint, current_status text);
INSERT INTO plans_parent VALUES (7, 'local');
CREATE FOREIGN TABLE plans_child () INHERITS (plans_parent) SERVER impilo OPTIONS (relation 'orders');
SELECT tableoid::regclass, id, current_status FROM plans_parent WHERE id = 7 ORDER BY 1;
SELECT count(*) FROM plans_parent;
SELECT count(*) FROM plans_child;
DROP TABLE plans_parent CASCADE;

-- an order that the list has brought is kept, whatever its lookup finds later
CREATE TEMP TABLE plans_ahead AS SELECT * FROM (VALUES (1, 1::bigint), (2, 3), (3, 4), (4, 900), (5, 901)) v (n, k);
ANALYZE plans_ahead;
ALTER SERVER impilo OPTIONS (ADD max_retries '0');
\! ctl fault '{"path":"order/3$","do":{"status":500}}' '{"path":"order/4$","do":{"status":404}}'
SELECT a.k, o.current_status, (SELECT l.id FROM impilo.orders l WHERE l.id > a.n LIMIT 1 OFFSET 10)
FROM plans_ahead a JOIN impilo.orders o ON o.id = a.k;
SET work_mem = '64kB';
SELECT a.k, o.current_status, (SELECT l.id FROM impilo.orders l WHERE l.id > a.n LIMIT 1 OFFSET 100)
FROM plans_ahead a JOIN impilo.orders o ON o.id = a.k;
RESET work_mem;
SELECT o.id, o.current_status, (SELECT l.id FROM impilo.orders l WHERE l.id > o.id LIMIT 1 OFFSET 10)
FROM impilo.orders o WHERE o.id IN (1, 4, 900);
\! ctl nofault
ALTER SERVER impilo OPTIONS (DROP max_retries);
DROP TABLE plans_ahead;

-- once a statement has read the list, its lookups send nothing
ALTER SERVER impilo OPTIONS (ADD fetch_size '20', ADD max_concurrency '2');
SELECT count(*) FROM impilo.orders;
\! ctl log-reset
SELECT o.id, (SELECT max(l.id) FROM impilo.orders l WHERE l.id < o.id * 90)
FROM impilo.orders o WHERE o.id IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1);
\! ctl log sort | grep -c page=
\! ctl log sort | grep order/
ALTER SERVER impilo OPTIONS (DROP fetch_size, DROP max_concurrency);

-- the session continues after errors in the middle
\! ctl fault '{"path":"order","page":3,"do":{"status":403}}'
SELECT count(*) FROM impilo.orders a JOIN impilo.orders b ON a.id + 0 = b.id + 0;
\! ctl nofault
SELECT count(*) FROM impilo.orders a JOIN impilo.orders b ON a.id + 0 = b.id + 0;
