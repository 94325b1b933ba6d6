--
-- Pages of the list by number: the columns list_page, list_place, list_total
-- and list_size
--
\i :setup
CREATE FOREIGN TABLE impilo.order_list (
	list_page bigint, list_place bigint, list_total bigint, list_size bigint,
	id bigint, current_status text
) SERVER impilo OPTIONS (relation 'orders');
ALTER SERVER impilo OPTIONS (ADD fetch_size '100');

-- only the pages in the condition are read, each once
\! ctl log-reset
SELECT list_page, min(list_place), max(list_place), min(id), max(id), max(list_total) AS total, max(list_size) AS size
FROM impilo.order_list WHERE list_page = ANY ('{3,1,3,0,-1,NULL}') AND id < 1000000 GROUP BY list_page ORDER BY list_page;
\! ctl log sort
-- a constant, a parameter, other integer types; other conditions are filters
SELECT * FROM impilo.order_list WHERE list_page = 2 AND current_status = 'delivered' AND list_place < 120;
PREPARE page(int) AS SELECT count(*), max(list_page) FROM impilo.order_list WHERE list_page = $1;
EXECUTE page(10);
SET plan_cache_mode = force_generic_plan;
EXECUTE page(9);
EXECUTE page(NULL);
RESET plan_cache_mode;
SELECT count(*) FROM impilo.order_list WHERE list_page = ANY (ARRAY(SELECT generate_series(1, 4)));
SELECT * FROM pg_temp.explained('SELECT id FROM impilo.order_list WHERE list_page = ANY (''{1,2,12}'')') e WHERE e ~ 'Scan|Route|Remote|Pages';
-- EXPLAIN counts every page, also one that is read again by a rescan
SELECT * FROM pg_temp.explained('SELECT o.n FROM (VALUES (ARRAY[1, 2]), (ARRAY[2])) g (pages),
	LATERAL (SELECT count(*) AS n FROM (SELECT id FROM impilo.order_list WHERE list_page = ANY (g.pages) OFFSET 0) x) o') e WHERE e ~ 'Route|Pages';
-- a page without orders is one row, which has the total; also one that does not exist
SELECT * FROM impilo.order_list WHERE list_page = 11;
SELECT * FROM impilo.order_list WHERE list_page = ANY ('{10,11}') AND id IS NULL;
\! ctl config '{"past_end":"not_found"}'
SELECT * FROM impilo.order_list WHERE list_page = 11;
\! ctl config '{"past_end":"last_page"}'
SELECT * FROM impilo.order_list WHERE list_page = 11;
\! ctl config '{"past_end":null,"omit":["total","size"]}'
SELECT * FROM impilo.order_list WHERE list_page = 10 AND id = 901;
\! ctl config '{"omit":null}'
-- the scan repairs nothing: an order that moved is returned twice
ALTER SERVER impilo OPTIONS (ADD max_concurrency '1');
\! ctl config '{"insert_every_n_pages":1,"insert_at":"front"}'
SELECT id, list_page, list_place, list_total FROM impilo.order_list WHERE list_page = ANY ('{1,2}') AND id = 100;
\! ctl reset
-- errors of the API for pages that exist
\! ctl fault '{"path":"order","page":2,"do":{"status":403,"body":"{\"message\":\"no\"}"}}'
SELECT count(*) FROM impilo.order_list WHERE list_page = ANY ('{1,2}');
\! ctl nofault

-- the columns need a condition on list_page that is known when the scan starts
SELECT list_total FROM impilo.order_list LIMIT 1;
SELECT count(*) FROM impilo.order_list WHERE list_page > 1;
SELECT count(*) FROM impilo.order_list o JOIN generate_series(1, 2) g ON o.list_page = g;
-- without the columns the table returns the whole list
SELECT count(*), max(id) FROM impilo.order_list WHERE current_status = 'delivered';
SELECT id FROM impilo.order_list WHERE id = 42;
-- the columns are neither imported nor written
SELECT count(*) FROM impilo_data_dictionary() WHERE column_name LIKE 'list%';
INSERT INTO impilo.order_list (list_page) VALUES (1);
