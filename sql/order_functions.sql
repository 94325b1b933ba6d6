-- Functions that build the items and kits of an order.
\i :setup

-- one element each, joined with ||
SELECT impilo_order_item(1000, 10) || impilo_order_item(1001) AS order_items;
SELECT impilo_order_kit(1000, 2) || impilo_order_kit(1001) AS order_kits;

-- NULL, and counts and ids below 1, are errors: never a shorter shipment
SELECT impilo_order_item(NULL);
SELECT impilo_order_item(1000, NULL);
SELECT impilo_order_item(1000, 0);
SELECT impilo_order_item(0);
SELECT impilo_order_kit(NULL, 1);
SELECT impilo_order_kit(1000, -1);

-- counts of the types that aggregates return are accepted; too large ones are errors
SELECT impilo_order_item(1000, count(*)) || impilo_order_kit(1001, sum(n)) AS parts FROM generate_series(1, 3) n;
SELECT impilo_order_item(1000, 2147483647) = '[{"item": {"id": 1000}, "count": 2147483647}]' AS largest;
SELECT impilo_order_item(1000, 2147483648);
SELECT impilo_order_kits(id, count) FROM (SELECT id, count(*) + 2147483646 FROM (VALUES (1000), (1000)) v(id) GROUP BY id) v(id, count);

-- aggregates: one element a row, in the rows' order, repeated ids kept
SELECT impilo_order_items(id, count ORDER BY id, count)
FROM (VALUES (1001, 2), (1000, 10), (1001, 3)) v(id, count);
SELECT g, impilo_order_kits(id, 1)
FROM (VALUES (1, 1000), (1, 1001), (2, 1002)) v(g, id) GROUP BY g ORDER BY g;

-- no rows give NULL, and a NULL or a count below 1 is an error here, too
SELECT impilo_order_items(1, 1) IS NULL AS is_null WHERE false;
SELECT impilo_order_items(id, count) FROM (VALUES (1, 1), (NULL, 2)) v(id, count);
SELECT impilo_order_items(id, count) FROM (VALUES (1, 1), (2, NULL)) v(id, count);
SELECT impilo_order_kits(id, count) FROM (VALUES (1, 1), (2, 0)) v(id, count);

-- with a moving frame the state is used after a result
SELECT impilo_order_items(id, 1) OVER (ORDER BY id) AS so_far
FROM generate_series(1000, 1002) id;
-- the time is proportional to the number of rows
SET statement_timeout = '20s';
SELECT jsonb_array_length(impilo_order_items(id, 1)) FROM generate_series(1, 200000) id;
RESET statement_timeout;
