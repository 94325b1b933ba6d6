--
-- Orders by id: one request for each, and only for those in the condition
--
\i :setup

-- constants, expressions, other widths
\! ctl log-reset
SELECT id FROM impilo.orders WHERE id = 42;
SELECT id FROM impilo.orders WHERE 43 = id;
SELECT id FROM impilo.orders WHERE id = 40 + 4;
SELECT id FROM impilo.orders WHERE id = 45::smallint;
SELECT id FROM impilo.orders WHERE id = 46::bigint AND current_status <> '';
SELECT id FROM impilo.orders WHERE id = (SELECT 47);
SELECT id FROM impilo.orders WHERE id = abs(-48);
SELECT id FROM impilo.orders WHERE id = NULL::bigint;
SELECT id FROM impilo.orders WHERE id = 49 AND current_status = 'no such';
SELECT id FROM impilo.orders WHERE id = 9007199254741993;
\! ctl log

-- conditions without ids: the list
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id <> 42;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = (random() * 10)::int;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = patient_id;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id <> ALL ('{1,2}');

-- arrays: each key once; NULL and absent orders return no row
\! ctl log-reset
SELECT id FROM impilo.orders WHERE id IN (3, 1, 2, 3) ORDER BY id;
SELECT id FROM impilo.orders WHERE id = ANY ('{5,NULL,4,5,777777}') ORDER BY id;
SELECT id FROM impilo.orders WHERE id = ANY ('{}'::bigint[]);
SELECT id FROM impilo.orders WHERE id = ANY (NULL::bigint[]);
SELECT id FROM impilo.orders WHERE id = ANY ('{6,7}'::int[]) AND id = 7;
SELECT id FROM impilo.orders WHERE id = ANY ('{8,9}'::smallint[]) ORDER BY id;
SELECT id FROM impilo.orders WHERE id = ANY (ARRAY(SELECT g FROM generate_series(10, 12) g)) ORDER BY id;
SELECT id FROM impilo.orders WHERE id = ANY ('{{13,14},{15,13}}'::bigint[]) ORDER BY id;
\! ctl log sort

-- children
\! ctl log-reset
SELECT order_id, position, count FROM impilo.order_items WHERE order_id = 7 ORDER BY 2;
SELECT order_id, position FROM impilo.order_items WHERE order_id IN (2, 4, 6) ORDER BY 1, 2;
SELECT o.id, i.position, k.kit_id FROM impilo.orders o
LEFT JOIN impilo.order_items i ON i.order_id = o.id
LEFT JOIN impilo.order_kits k ON k.order_id = o.id
WHERE o.id = 11 ORDER BY 1, 2;
\! ctl log sort

-- an absent order: the error depends on earlier responses of the server
\! ctl reset
\c
\! ctl log-reset
SELECT id FROM impilo.orders WHERE id = 999999;
SELECT id FROM impilo.orders WHERE id = 999998;
\! ctl log

-- ids that no order can have are requested, too; if refused, they return no row
\! ctl fault '{"path":"/order/(-1|0|5)$","do":{"status":400}}'
\! ctl put '{"id": -3}'
SELECT id FROM impilo.orders WHERE id = ANY ('{-3,-1,0,4}') ORDER BY id;
SELECT id FROM impilo.orders WHERE id = 5;
\! ctl reset

--
-- Joins: the keys come from the other side, few of them
--
CREATE TEMP TABLE wanted (k bigint, note text);
INSERT INTO wanted VALUES (1, 'a'), (2, 'b'), (2, 'c'), (NULL, 'd'), (888888, 'e');
ANALYZE wanted;
SELECT count(*) > 0 AS read_once FROM (SELECT id FROM impilo.orders OFFSET 0) o;
EXPLAIN (COSTS OFF) SELECT w.note, o.id FROM wanted w LEFT JOIN impilo.orders o ON o.id = w.k;
\! ctl log-reset
SELECT w.note, o.id FROM wanted w JOIN impilo.orders o ON o.id = w.k ORDER BY 1;
SELECT w.note, o.id FROM wanted w LEFT JOIN impilo.orders o ON o.id = w.k ORDER BY 1;
SELECT w.note, i.position FROM wanted w JOIN impilo.order_items i ON i.order_id = w.k ORDER BY 1, 2;
SELECT w.note FROM wanted w WHERE EXISTS (SELECT FROM impilo.orders o WHERE o.id = w.k) ORDER BY 1;
SELECT id FROM impilo.orders WHERE id IN (SELECT k FROM wanted) ORDER BY 1;
SELECT w.note, l.id FROM wanted w, LATERAL (SELECT id FROM impilo.orders o WHERE o.id = w.k OFFSET 0) l ORDER BY 1;
SELECT w.note, (SELECT current_status FROM impilo.orders o WHERE o.id = w.k) FROM wanted w ORDER BY 1;
SELECT w.note, (SELECT count(*) FROM impilo.order_items i WHERE i.order_id = w.k) FROM wanted w ORDER BY 1;
-- one request for each key of each statement
\! ctl log sort | uniq -c

-- many keys: the list, which has four pages
INSERT INTO wanted SELECT g, 'many' FROM generate_series(1, 2000) g;
ANALYZE wanted;
EXPLAIN (COSTS OFF) SELECT w.note, o.id FROM wanted w JOIN impilo.orders o ON o.id = w.k;
\! ctl log-reset
SELECT count(*) FROM wanted w JOIN impilo.orders o ON o.id = w.k;
\! ctl log sort
-- the same for an array of more ids than the list has pages
\! ctl log-reset
SELECT count(*) FROM impilo.orders WHERE id = ANY (ARRAY(SELECT k FROM wanted WHERE k % 33 = 0 AND k < 1000));
\! ctl count requests

-- ... and for a subquery, which gets its ids one after the other
\! ctl log-reset
SELECT count((SELECT current_status FROM impilo.orders o WHERE o.id = w.k)) FROM wanted w;
\! ctl count singles
\! ctl count pages

-- several tables: one request for each id
\! ctl log-reset
SELECT a.id, b.id, i.position FROM impilo.orders a, impilo.orders b, impilo.order_items i
WHERE a.id = 3 AND b.id = 3 AND i.order_id = 3 ORDER BY 3;
\! ctl log

-- a response with the id of another order is an error
\! ctl fault '{"path":"order/*","do":{"replace":[{"pointer":"/id","json":"6"}]}}'
SELECT id FROM impilo.orders WHERE id = 5;
\! ctl nofault
