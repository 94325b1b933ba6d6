--
-- Which orders a statement sees of those that it, or its transaction, creates
--
\i :setup

-- a statement does not see what it creates itself: neither in the list, nor
-- by id, nor in the number of orders
WITH made AS (
	INSERT INTO impilo.orders (patient_id, order_items)
	SELECT k, impilo_order_item(1000) FROM generate_series(1, 3) AS k
	RETURNING id
)
SELECT (SELECT count(*) FROM made) AS made,
	   (SELECT count(*) FROM impilo.orders) AS counted,
	   (SELECT count(*) FROM impilo.orders WHERE id > 0) AS listed,
	   (SELECT count(*) FROM made JOIN impilo.orders USING (id)) AS joined;

-- the next statement sees them
SELECT count(*), count(*) FILTER (WHERE current_status = 'created' AND id > 1000)
FROM impilo.orders;

-- a cursor that was opened before does not see them
BEGIN;
DECLARE before CURSOR FOR SELECT id FROM impilo.orders WHERE id BETWEEN 1000 AND 2000;
FETCH 1 FROM before;
INSERT INTO impilo.orders (site_id, order_kits) VALUES (7, impilo_order_kit(1000));
DECLARE after CURSOR FOR SELECT id FROM impilo.orders WHERE id BETWEEN 1000 AND 2000;
FETCH ALL FROM before;
FETCH ALL FROM after;
COMMIT;

-- an account can be the source of its own new orders
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)
SELECT patient_id, ARRAY['again-' || id], impilo_order_item(1000)
FROM impilo.orders WHERE patient_id IS NOT NULL AND id BETWEEN 1 AND 100;
SELECT count(*) FROM impilo.orders WHERE external_order_ids[1] LIKE 'again-%';

-- the number of orders stays the same within the statement
CREATE FUNCTION create_one() RETURNS bigint LANGUAGE sql VOLATILE AS
'INSERT INTO impilo.orders (site_id, order_kits) VALUES (8, impilo_order_kit(1000)) RETURNING site_id';
SELECT create_one(), (SELECT count(*) + x - x FROM impilo.orders) - (SELECT count(*) FROM impilo.orders) AS same
FROM generate_series(1, 3) AS x;
DROP FUNCTION create_one();

-- a proxy with a password is refused, as every role could read it
ALTER SERVER impilo OPTIONS (ADD proxy 'http://user:secret@127.0.0.1:1');
