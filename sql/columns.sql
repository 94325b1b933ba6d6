--
-- Columns of foreign tables: the members that they show, and errors
--
\i :setup
\! ctl only '{"id": 1, "externalOrderIds": ["a-1", "a-2"], "patient": {"id": 10, "firstName": "Ada", "dateOfBirth": "1980-01-01", "address": {"city": "Basel", "zipCode": "04001"}}, "currentStatus": "shipped", "orderItems": [{"item": {"id": 1000, "sku": "007"}, "count": 2}, {"item": {"id": 1001}, "count": 3}], "newField": {"a/b": [10, 20.50]}, "big": 123456789012345678901234567890.50}' '{"id": 2, "site": {"id": 20, "name": "Clinic", "active": false}, "currentStatus": "created", "emailLabel": true, "orderItems": []}'

SELECT id, external_order_ids, patient_id, patient_first_name, patient_date_of_birth, patient_address_city, site_name, site_active, email_label, order_items
FROM impilo.orders ORDER BY id;
SELECT count(*) FROM impilo.orders;
SELECT sum(id) FROM impilo.orders;
-- the whole document keeps what no column names, digit by digit
SELECT document->'newField' AS new_field, document->'big' AS big FROM impilo.orders WHERE id = 1;
SELECT tableoid::regclass, id FROM impilo.orders ORDER BY id;

--
-- A hand-written table: any of the columns, in any order, with other types
--
CREATE FOREIGN TABLE mine (
	patient_address_zip_code integer,
	current_status varchar(20),
	patient_id text,
	external_order_ids jsonb,
	id numeric(10,1),
	patient_date_of_birth timestamp,
	site_active text,
	order_items text
) SERVER impilo OPTIONS (relation 'orders');
SELECT * FROM mine ORDER BY id;
SELECT m FROM mine m ORDER BY m.id;

-- by name alone, if the table has the name of a relation
CREATE FOREIGN TABLE order_items (position bigint, item_sku text, order_id smallint) SERVER impilo;
SELECT * FROM order_items ORDER BY 1;

-- columns are added and dropped
ALTER FOREIGN TABLE mine DROP COLUMN current_status, DROP COLUMN patient_date_of_birth, ADD COLUMN site_name text;
SELECT * FROM mine ORDER BY id;
SELECT m FROM mine m ORDER BY m.id;
ALTER FOREIGN TABLE mine RENAME COLUMN site_name TO place_name;
SELECT * FROM mine;
ALTER FOREIGN TABLE mine ALTER COLUMN place_name OPTIONS (ADD json_pointer '/site/name');
SELECT place_name FROM mine ORDER BY id;
DROP FOREIGN TABLE mine, order_items;

--
-- json_pointer reaches every place of the row's document
--
CREATE FOREIGN TABLE pointed (
	nr bigint OPTIONS (json_pointer '/id'),
	city text OPTIONS (json_pointer '/patient/address/city'),
	second_id text OPTIONS (json_pointer '/externalOrderIds/1'),
	second_count integer OPTIONS (json_pointer '/orderItems/1/count'),
	escaped numeric OPTIONS (json_pointer '/newField/a~1b/1'),
	address jsonb OPTIONS (json_pointer '/patient/address'),
	city_again text OPTIONS (json_pointer '/patient/address/city'),
	nowhere text OPTIONS (json_pointer '/no/such/place'),
	beyond text OPTIONS (json_pointer '/externalOrderIds/7'),
	whole jsonb OPTIONS (json_pointer ''),
	site_name text OPTIONS (json_pointer '/currentStatus'),
	big numeric OPTIONS (json_pointer '/big'),
	big_text text OPTIONS (json_pointer '/big')
) SERVER impilo OPTIONS (relation 'orders');
SELECT nr, city, second_id, second_count, escaped, address, city_again, nowhere, beyond FROM pointed ORDER BY nr;
SELECT nr, site_name, big, big_text, whole = (SELECT document FROM impilo.orders o WHERE o.id = nr) AS whole FROM pointed ORDER BY nr;
-- in a relation of an array, places are those of its element
CREATE FOREIGN TABLE order_items (sku text OPTIONS (json_pointer '/item/sku'), count integer, id bigint OPTIONS (json_pointer '/item/id')) SERVER impilo;
SELECT * FROM order_items ORDER BY id;
-- a pointer to the order's id is its id: one look-up
\! ctl log-reset
SELECT city FROM pointed WHERE nr = 1;
\! ctl log
-- a pointer to an item's id is not a look-up
\! ctl log-reset
SELECT sku FROM order_items WHERE id = 1000;
\! ctl log
-- an id that is not of type bigint is not a look-up
ALTER FOREIGN TABLE pointed ALTER COLUMN nr TYPE text;
\! ctl log-reset
SELECT city FROM pointed WHERE nr = '1';
\! ctl log
DROP FOREIGN TABLE pointed, order_items;

--
-- A column that neither the schema nor an option explains is an error of the
-- statements that use it, when they are planned; others are not affected
--
CREATE FOREIGN TABLE wrong (id bigint, patient_firstname text) SERVER impilo OPTIONS (relation 'orders');
SELECT patient_firstname FROM wrong;
\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
EXPLAIN (COSTS OFF) SELECT * FROM wrong;
SELECT id FROM wrong WHERE patient_firstname IS NULL;
SELECT w FROM wrong w;
SELECT o.id FROM impilo.orders o JOIN wrong w ON w.patient_firstname = o.patient_first_name;
SELECT id FROM wrong ORDER BY id;
SELECT id FROM wrong WHERE id = 2;
SELECT count(*) FROM wrong;
ANALYZE wrong;
-- COPY and INSERT that do not write it create the order; others create none
CREATE FOREIGN TABLE wrong_order (patient_id bigint, order_items jsonb, patient_firstname text) SERVER impilo OPTIONS (relation 'orders');
\! ctl log-reset
COPY wrong_order (patient_id, order_items) FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]
\.
COPY wrong_order FROM stdin;
1	[{"item": {"id": 1000}, "count": 1}]	Jane
\.
CREATE FUNCTION pg_temp.pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER before_row BEFORE INSERT ON wrong_order FOR EACH ROW EXECUTE FUNCTION pg_temp.pass();
INSERT INTO wrong_order (patient_id, order_items) VALUES (1, impilo_order_item(1000));
INSERT INTO wrong_order (patient_id, order_items) VALUES (1, impilo_order_item(1000)) RETURNING patient_firstname;
\! ctl count created
CREATE TRIGGER after_row AFTER INSERT ON wrong_order FOR EACH ROW EXECUTE FUNCTION pg_temp.pass();
INSERT INTO wrong_order (patient_id, order_items) VALUES (1, impilo_order_item(1000));
\! ctl count created
\! ctl delete 1001 1002
DROP FOREIGN TABLE wrong_order;
-- the error names the column in its fields, too
DO $$
DECLARE
	s text; t text; c text;
BEGIN
	PERFORM patient_firstname FROM wrong;
EXCEPTION WHEN fdw_invalid_column_name THEN
	GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME, c = COLUMN_NAME;
	RAISE NOTICE '%.%.%', s, t, c;
END $$;
ALTER FOREIGN TABLE wrong RENAME COLUMN patient_firstname TO city;
SELECT city FROM wrong;
ALTER FOREIGN TABLE wrong RENAME COLUMN city TO something_else_altogether;
SELECT * FROM wrong;
-- a column of another relation
ALTER FOREIGN TABLE wrong RENAME COLUMN something_else_altogether TO item_id;
SELECT item_id FROM wrong;
-- names are case-sensitive: the API's columns are in lower case
ALTER FOREIGN TABLE wrong RENAME COLUMN item_id TO "Current_Status";
SELECT "Current_Status" FROM wrong;
DROP FOREIGN TABLE wrong;

CREATE FOREIGN TABLE ordrs (id bigint) SERVER impilo;
SELECT * FROM ordrs;
\echo :LAST_ERROR_SQLSTATE
ALTER FOREIGN TABLE ordrs OPTIONS (relation 'orders');
SELECT * FROM ordrs ORDER BY id;
DROP FOREIGN TABLE ordrs;
CREATE FOREIGN TABLE things (id bigint) SERVER impilo;
SELECT * FROM things;
DROP FOREIGN TABLE things;
CREATE FOREIGN TABLE things (id bigint) SERVER impilo OPTIONS (relation 'order_item');
-- no columns at all
CREATE FOREIGN TABLE nothing () SERVER impilo OPTIONS (relation 'order_items');
SELECT count(*) FROM nothing;
DROP FOREIGN TABLE nothing;

--
-- A value that does not convert is an error only if its column is used
--
\! ctl only '{"id": 1, "currentStatus": "shipped", "emailLabel": "certainly not"}' '{"id": 2, "currentStatus": "created", "emailLabel": false}'
SELECT id, email_label FROM impilo.orders;
\echo :LAST_ERROR_SQLSTATE
SELECT id, email_label FROM impilo.orders WHERE id = 1;
SELECT id, current_status FROM impilo.orders ORDER BY id;
SELECT count(*) FROM impilo.orders;
-- other columns of a row that the filter drops are not converted
SELECT id, email_label FROM impilo.orders WHERE current_status = 'created';
SELECT id FROM impilo.orders WHERE email_label;
ALTER FOREIGN TABLE impilo.orders ALTER COLUMN email_label OPTIONS (on_invalid 'null');
SELECT id, email_label FROM impilo.orders ORDER BY id;
SELECT id FROM impilo.orders WHERE email_label IS NULL;
ALTER FOREIGN TABLE impilo.orders ALTER COLUMN email_label OPTIONS (SET on_invalid 'error');
SELECT id FROM impilo.orders WHERE email_label IS NULL;

-- two values for one member are an error where the member is read
\! ctl only '{"id": 1, "currentStatus": "shipped", "currentStatus": "created", "emailLabel": true}'
SELECT id, current_status, email_label FROM impilo.orders;
\echo :LAST_ERROR_SQLSTATE

--
-- Inheritance: the columns of the child are in another order
--
\! ctl only '{"id": 1, "currentStatus": "shipped", "patient": {"id": 10}}'
CREATE TABLE parent (current_status text, patient_id bigint, id bigint);
CREATE FOREIGN TABLE child (id bigint, current_status text, patient_id bigint) SERVER impilo OPTIONS (relation 'orders');
ALTER FOREIGN TABLE child INHERIT parent;
INSERT INTO parent VALUES ('local', 1, 0);
SELECT * FROM parent ORDER BY id;
SELECT patient_id FROM parent WHERE id = 1;
DROP TABLE parent CASCADE;
