--
-- impilo_check_schema: compares the API's orders with the columns that show them
--
\i :setup
\pset null ''

-- documented orders: one undocumented member, no type mismatch
SELECT finding, json_path, kinds FROM impilo_check_schema('impilo');
\! ctl log-reset
SELECT DISTINCT orders_read FROM impilo_check_schema('impilo', 100);
\! ctl log

--
-- Members that no column shows: a column each, an array one of type jsonb
--
\! ctl only '{"id": 1, "priority": 3, "price": 10.5, "promisedAt": "2026-01-01T10:00:00Z", "dueOn": "2026-01-02", "tags": ["a", "b"], "reference": "00012", "rush": true, "patient": {"id": 10, "firstName": "Ada", "nickName": "Countess", "insurer": {"id": 7, "planCode": "X"}}, "orderItems": [{"item": {"id": 1000, "colorCode": "red"}, "count": 1, "lotNumbers": [1, 2]}], "customFields": {}, "legacy": null}' '{"id": 2, "priority": 4, "price": 11, "promisedAt": "2026-01-01T10:00:00.5Z", "dueOn": "2026-01-02T00:00:00Z", "tags": [], "reference": 5, "rush": null, "orderItems": [{"count": 1, "lotNumbers": null}, {"count": 2, "lotNumbers": [3]}], "packedKits": [{"sealed": true, "devices": [{"id": 1, "battery-level": 0.5}]}], "trackingNumbers": [{"carrier": "ups", "url": "u1"}]}'
SELECT json_path, kinds, orders, orders_read, statement
FROM impilo_check_schema('impilo') WHERE finding = 'new member';

-- the report contains no values
SELECT count(*) FROM impilo_check_schema('impilo') c
WHERE c::text ~ 'Ada|Countess|00012|red|u1';

-- after its statements the report is empty
SELECT statement FROM impilo_check_schema('impilo') WHERE finding = 'new member' \gexec
SELECT * FROM impilo_check_schema('impilo');
SELECT id, priority, price, due_on, tags, reference, rush, patient_insurer_plan_code
FROM impilo.orders ORDER BY id;
SELECT order_id, position, item_color_code, lot_numbers FROM impilo.order_items ORDER BY 1, 2;
SELECT battery_level FROM impilo.order_packed_kit_devices;

-- a column for one element, or for JSON around it, makes a member known
\! ctl only '{"id": 1, "trackingNumbers": [{"carrier": "ups", "labelUrl": "u1"}, {"labelUrl": "u2"}], "extra": {"a": {"b": 1}}}'
SELECT json_path FROM impilo_check_schema('impilo') WHERE finding = 'new member';
ALTER FOREIGN TABLE impilo.orders
	ADD COLUMN first_label text OPTIONS (json_pointer '/trackingNumbers/0/labelUrl'),
	ADD COLUMN extra jsonb OPTIONS (json_pointer '/extra');
SELECT json_path FROM impilo_check_schema('impilo') WHERE finding = 'new member';

-- a column with the whole document makes no member known
CREATE FOREIGN TABLE everything (d jsonb OPTIONS (json_pointer '')) SERVER impilo OPTIONS (relation 'orders');
ALTER FOREIGN TABLE impilo.orders DROP COLUMN extra;
SELECT json_path FROM impilo_check_schema('impilo') WHERE finding = 'new member';
DROP FOREIGN TABLE everything;
-- a mirror's own table gets no column, even if its name comes first
SELECT impilo_create_mirror('impilo', 'a_mirror');
SELECT foreign_table, statement FROM impilo_check_schema('impilo') WHERE finding = 'new member';
SELECT impilo_drop_mirror('a_mirror');

-- names that collide, that have to be quoted or escaped, or that are long
\i :setup
\! ctl only '{"id": 1, "patient": {"firstName": "x"}, "patientFirst": {"name": 1}, "order": 1, "a/b~c": 1, "": 1, "Größe": "x", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg": 1}'
SELECT statement FROM impilo_check_schema('impilo') WHERE finding = 'new member';
SELECT statement FROM impilo_check_schema('impilo') WHERE finding = 'new member' \gexec
SELECT count(*) FROM impilo_check_schema('impilo') WHERE finding = 'new member';
SELECT patient_first_name, patient_first_name_2, "order" FROM impilo.orders;

-- an object with very many members is data
\! ctl only "{\"id\": 1, \"byDay\": {$(seq -s, 200 | sed 's/\([0-9]*\)/"d\1": 1/g')}}"
SELECT json_path, kinds, column_type FROM impilo_check_schema('impilo') WHERE finding = 'new member';

--
-- Columns that no order fills
--
\i :setup
\! ctl only '{"id": 1, "patient": {"id": 1, "site": {"name": null}}, "orderItems": [{"count": 1}], "orderNotes": []}' '{"id": 2}'
SELECT foreign_table, column_name, json_path, kinds, orders
FROM impilo_check_schema('impilo', absent => true)
WHERE finding = 'absent' AND json_path ~ '^/(orderItems|orderNotes|patient/site/(id|name)$|packedKits)';
ALTER FOREIGN TABLE impilo.orders ADD COLUMN misspelt text OPTIONS (json_pointer '/pateint/id');
SELECT foreign_table, column_name, json_path FROM impilo_check_schema('impilo', absent => true) WHERE column_name = 'misspelt';
-- they come last, and only on request
SELECT finding, count(*) > 1 AS several FROM impilo_check_schema('impilo', 250, true) GROUP BY finding;
SELECT finding, count(*) FROM impilo_check_schema('impilo') GROUP BY finding;

--
-- Types that do not fit
--
\i :setup
\! ctl only '{"id": 1, "emailLabel": "perhaps", "currentStatus": 7, "patient": {"id": "p-1", "dateOfBirth": "unknown"}, "orderItems": [{"count": 1.5}, {"count": 2}]}' '{"id": 2, "emailLabel": false, "patient": {"id": 5, "dateOfBirth": "1980-01-01"}, "orderItems": [{"count": 99999999999}], "orderEvents": [{"name": "n", "eventTimestamp": 1700000000}]}'
SELECT foreign_table, column_name, column_type, json_path, kinds, invalid_values, orders, statement
FROM impilo_check_schema('impilo') WHERE finding = 'type mismatch';
SELECT statement FROM impilo_check_schema('impilo') WHERE finding = 'type mismatch' \gexec
SELECT * FROM impilo_check_schema('impilo');
SELECT id, email_label, patient_id, patient_date_of_birth FROM impilo.orders ORDER BY id;

-- limits and constraints beyond the type
CREATE DOMAIN short AS text CHECK (length(VALUE) < 3);
CREATE FOREIGN TABLE tight (id smallint, current_status varchar(4), shipping_option short) SERVER impilo OPTIONS (relation 'orders');
\! ctl only '{"id": 40000, "currentStatus": "shipped", "shippingOption": "overnight"}'
SELECT column_name, column_type, invalid_values, statement FROM impilo_check_schema('impilo')
WHERE finding = 'type mismatch' AND foreign_table = 'public.tight' AND column_type <> 'short';
DROP FOREIGN TABLE tight;
DROP DOMAIN short;

-- what should be an array or an object
\! ctl only '{"id": 1, "orderItems": {"item": 1}, "packedKits": [{"devices": 5}], "patient": "Ada"}'
SELECT foreign_table, json_path, kinds, invalid_values, statement FROM impilo_check_schema('impilo') WHERE finding = 'type mismatch';
SELECT json_path FROM impilo_check_schema('impilo') WHERE finding = 'new member';

--
-- A server without foreign tables, or with some, is checked against the schema
--
\! ctl only '{"id": "x"}'
SELECT * FROM impilo_check_schema('impilo');
\! ctl only '{"id": 1, "patient": {"id": "p-1"}, "colour": "red"}'
DROP SCHEMA impilo CASCADE;
SELECT finding, foreign_table, column_name, statement FROM impilo_check_schema('impilo');
CREATE FOREIGN TABLE mine (id bigint, colour text OPTIONS (json_pointer '/colour')) SERVER impilo OPTIONS (relation 'orders');
SELECT finding, foreign_table, column_name FROM impilo_check_schema('impilo');

-- tables that cannot be read are findings, and the others are checked
ALTER FOREIGN TABLE mine ADD COLUMN color text;
CREATE FOREIGN TABLE another (id bigint, list_page bigint, colour text OPTIONS (json_pointer '/colour')) SERVER impilo OPTIONS (relation 'orders');
CREATE FOREIGN TABLE of_nothing (id bigint) SERVER impilo;
SELECT finding, foreign_table, column_name, json_path, orders, orders_read, statement
FROM impilo_check_schema('impilo');
\! ctl only
SELECT finding, foreign_table, orders_read FROM impilo_check_schema('impilo');
DROP FOREIGN TABLE another, of_nothing;
DROP FOREIGN TABLE mine;

--
-- Privileges
--
\! ctl only
SELECT * FROM impilo_check_schema('impilo');
SELECT * FROM impilo_check_schema('impilo', 0);
SELECT * FROM impilo_check_schema(NULL);
SELECT * FROM impilo_check_schema('nowhere');
CREATE FOREIGN DATA WRAPPER another;
CREATE SERVER theirs FOREIGN DATA WRAPPER another;
SELECT * FROM impilo_check_schema('theirs');
DROP FOREIGN DATA WRAPPER another CASCADE;
CREATE ROLE impilo_check_user;
SET ROLE impilo_check_user;
SELECT * FROM impilo_check_schema('impilo');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER impilo TO impilo_check_user;
SET ROLE impilo_check_user;
SELECT * FROM impilo_check_schema('impilo');
RESET ROLE;
DROP OWNED BY impilo_check_user;
-- reading a sample requires the privilege, too
SET ROLE impilo_check_user;
SELECT * FROM impilo_sample_orders('impilo');
RESET ROLE;
DROP ROLE impilo_check_user;

-- the search_path of the session has no effect
\! ctl only '{"id": 1, "colour": "red"}' '{"id": 2, "note": "a\u0000b"}' '{"id": 3}'
CREATE SCHEMA trap;
CREATE FUNCTION trap.impilo_sample_orders(name, integer) RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
CREATE FUNCTION trap.quote_ident(text) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
SET search_path = trap, pg_catalog, public;
SELECT json_path, orders, orders_read FROM public.impilo_check_schema('impilo');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA trap CASCADE;
RESET client_min_messages;
SELECT document FROM impilo_sample_orders('impilo', 2) document;
SELECT count(*) FROM impilo_sample_orders('impilo', 100000);
