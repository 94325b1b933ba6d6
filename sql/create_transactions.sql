-- Orders and transactions: a rollback does not cancel an order.
\i :setup
SELECT impilo_forget_created_orders() >= 0 AS forgotten;

-- the statement creates the order, also if the transaction is rolled back
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t1}', impilo_order_item(1000));
\! ctl count created
COMMIT;
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t2}', impilo_order_item(1000));
ROLLBACK;
BEGIN;
SAVEPOINT s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t3}', impilo_order_item(1000));
ROLLBACK TO s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t4}', impilo_order_item(1000));
SAVEPOINT s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t5}', impilo_order_item(1000));
RELEASE s;
COMMIT;
-- in an exception block
DO $$
BEGIN
    INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t6}', impilo_order_item(1000));
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    RAISE NOTICE 'caught';
END $$;
-- an outer rollback after a released savepoint
BEGIN;
SAVEPOINT a;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t7}', impilo_order_item(1000));
SAVEPOINT b;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t8}', impilo_order_item(1000));
RELEASE b;
ROLLBACK TO a;
COMMIT;
-- more orders than a warning names
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD max_concurrency '1');
BEGIN;
INSERT INTO impilo.orders (patient_id, order_items) SELECT 1, impilo_order_item(1000) FROM generate_series(1, 25);
ROLLBACK;
ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP max_concurrency);

SELECT state, id, external_order_ids, relation, row_number, posted_at <= clock_timestamp() AS past
FROM impilo_created_orders() LIMIT 10;
SELECT state, count(*) FROM impilo_created_orders() GROUP BY 1 ORDER BY 1;

-- only the orders of the current user
CREATE ROLE impilo_other;
SET ROLE impilo_other;
SELECT count(*) FROM impilo_created_orders();
SELECT impilo_forget_created_orders();
RESET ROLE;
DROP ROLE impilo_other;

-- orders are forgotten, except those of the running transaction
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{t9}', impilo_order_item(1000));
SELECT impilo_forget_created_orders() AS forgotten;
SELECT state, external_order_ids FROM impilo_created_orders();
COMMIT;
SELECT state, external_order_ids FROM impilo_created_orders();
SELECT impilo_forget_created_orders() AS forgotten;

--
-- post_at 'commit'
--
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD post_at 'commit');
\! ctl log-reset
EXPLAIN (COSTS OFF) INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{c1}', impilo_order_item(1000)), (2, '{c2}', impilo_order_item(1000));
SAVEPOINT s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (3, '{c3}', impilo_order_item(1000));
ROLLBACK TO s;
SAVEPOINT s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (4, '{c4}', impilo_order_item(1000)) RETURNING patient_id, external_order_ids;
RELEASE s;
COPY impilo.orders (patient_id, external_order_ids, order_items) FROM stdin;
5	{c5}	[{"item": {"id": 1000}, "count": 1}]
\.
\! ctl count posts
COMMIT;
\! ctl log sort
SELECT state, external_order_ids FROM impilo_created_orders();
SELECT impilo_forget_created_orders() AS forgotten;
-- rows are checked at once
INSERT INTO impilo.orders (patient_id) VALUES (1);
-- a statement outside a transaction block
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (6, '{c6}', impilo_order_item(1000));
-- rolled back: no request was sent
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (7, '{c7}', impilo_order_item(1000));
ROLLBACK;
DO $$
BEGIN
    INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{c8}', impilo_order_item(1000));
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    RAISE NOTICE 'caught';
END $$;
SELECT state, external_order_ids FROM impilo_created_orders();
-- a deferred trigger inserts, and a deferred constraint fails, before anything is sent
CREATE TABLE impilo.source (patient_id bigint UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION impilo.order_for() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (NEW.patient_id, ARRAY['d' || NEW.patient_id], impilo_order_item(1000)); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER order_for AFTER INSERT ON impilo.source DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION impilo.order_for();
\! ctl log-reset
BEGIN;
INSERT INTO impilo.source VALUES (1), (2);
COMMIT;
BEGIN;
INSERT INTO impilo.source VALUES (3), (3);
COMMIT;
\! ctl log sort
-- a refusal at commit leaves the earlier orders, and the error names them (psql may
-- show the error and the warning after it in either order)
SET client_min_messages = error;
SELECT impilo_forget_created_orders() AS forgotten;
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD max_concurrency '1');
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{e1}', impilo_order_item(1000)), (999999, '{e2}', impilo_order_item(1000)), (3, '{e3}', impilo_order_item(1000));
COMMIT;
\echo :LAST_ERROR_SQLSTATE
RESET client_min_messages;
SELECT state, external_order_ids FROM impilo_created_orders();
ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP max_concurrency);
-- address and key are those of the INSERT
BEGIN;
SAVEPOINT s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{k0}', impilo_order_item(1000));
ROLLBACK TO s;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{k1}', impilo_order_item(1000));
ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'wrong');
COMMIT;
ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'sandbox-key');
-- columns that only the API sets cannot be returned
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING id;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING orders;
-- commits that do not end the session's work
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, impilo_order_item(1000));
ROLLBACK;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{x}', impilo_order_item(1000)) ON CONFLICT DO NOTHING;
SELECT impilo_forget_created_orders() > 0 AS forgotten;
-- nested exception blocks: only the waiting orders of a failed block and of the blocks in it are dropped
CREATE FUNCTION impilo.order_in_blocks() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..4 LOOP
        BEGIN
            INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (i, ARRAY['outer-' || i], impilo_order_item(1000));
            BEGIN
                INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (i, ARRAY['inner-' || i], impilo_order_item(1000));
                PERFORM 1 / (i % 2);
            EXCEPTION WHEN division_by_zero THEN
                INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (i, ARRAY['handler-' || i], impilo_order_item(1000));
            END;
            PERFORM 1 / (i % 3);
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
    INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (5, '{after}', impilo_order_item(1000));
END $$;
SELECT impilo.order_in_blocks();
SELECT state, external_order_ids FROM impilo_created_orders();
SELECT impilo_forget_created_orders() AS forgotten;
DROP FUNCTION impilo.order_in_blocks();

--
-- post_at 'never': the dry run
--
ALTER FOREIGN TABLE impilo.orders OPTIONS (SET post_at 'never');
\! ctl log-reset
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{n1}', impilo_order_item(1000)), (2, NULL, impilo_order_item(1001, 2));
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{n1}', impilo_order_item(1000)) RETURNING id;
INSERT INTO impilo.orders (patient_id) VALUES (1);
COPY impilo.orders (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
\.
SET impilo_fdw.allow_create = off;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{n1}', impilo_order_item(1000));
RESET impilo_fdw.allow_create;
\! ctl log
ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP post_at);
SELECT impilo_forget_created_orders() >= 0 AS forgotten;

-- an error that was caught has named the orders: a later rollback still reports them
CREATE PROCEDURE pg_temp.refused() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO impilo.orders (patient_id, order_items) VALUES (999999, impilo_order_item(1000));
EXCEPTION WHEN foreign_key_violation THEN
    RAISE NOTICE 'caught';
END $$;
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{w1}', impilo_order_item(1000));
CALL pg_temp.refused();
ROLLBACK;
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{w2}', impilo_order_item(1000));
SAVEPOINT s;
INSERT INTO impilo.orders (patient_id, order_items) VALUES (999999, impilo_order_item(1000));
ROLLBACK TO s;
ROLLBACK;
SELECT impilo_forget_created_orders() AS forgotten;
-- after an order, the hint of an error does not say to try again
SET client_min_messages = error;
BEGIN;
INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (1, '{h1}', impilo_order_item(1000));
\! ctl fault '{"method":"GET","do":{"status":501}}'
SELECT count(document) FROM impilo.orders;
ROLLBACK;
RESET client_min_messages;
