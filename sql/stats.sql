--
-- impilo_fdw_stats(): requests and orders of a session on each server
--
\i :setup
\c

SELECT * FROM impilo_fdw_stats();
SELECT count(*) FROM (SELECT id FROM impilo.orders OFFSET 0) o;
SELECT server_name, requests, retries, throttled, bytes > 1000000 AS received, network_wait_ms > 0 AS waited, orders_created
FROM impilo_fdw_stats();

-- retries, and orders that were created; closing the connection changes nothing
\! ctl fault '{"path":"order/*","times":1,"do":{"status":429}}' '{"path":"order/*","times":1,"do":{"status":503}}'
SELECT id FROM impilo.orders WHERE id = 5;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)), (2, impilo_order_item(1000));
SELECT impilo_fdw_disconnect('impilo');
SELECT id FROM impilo.orders WHERE id = 6;
SELECT server_name, requests, retries, throttled, orders_created FROM impilo_fdw_stats();

-- another session has its own numbers
\c
SELECT * FROM impilo_fdw_stats();
