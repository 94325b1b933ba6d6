--
-- INSERT through columns of other types than the default ones: the request has the
-- API's form and the exact value, or no request is sent
--
\i :setup
SET client_min_messages = error;
CREATE TYPE option AS ENUM ('standard', 'overnight');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN tag AS varchar(20);
CREATE DOMAIN tags AS text[];
CREATE DOMAIN padded AS char(5);

-- Insert a row with a value in a column of this type, and the other columns
-- that an order needs.  The count of the item or kit names the case.
CREATE FUNCTION try(nr integer, col text, type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	other text := CASE col WHEN 'order_items' THEN 'order_kits' ELSE 'order_items' END;
	recipient boolean := col IN ('patient_id', 'site_id');
	outcome text := 'sent';
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE t (%I %s, %I jsonb %s) SERVER impilo OPTIONS (relation ''orders'')',
		col, type, other, CASE WHEN NOT recipient THEN ', patient_id bigint' END);
	BEGIN
		EXECUTE format('INSERT INTO t VALUES (%s, impilo_%s(1000, %s) %s)',
			value, rtrim(other, 's'), nr, CASE WHEN NOT recipient THEN ', 1' END);
	EXCEPTION WHEN OTHERS THEN
		outcome := CASE WHEN SQLERRM LIKE '%server "impilo" refused%' THEN 'sent, and refused by the API'
			ELSE format('%s %s', SQLSTATE, SQLERRM) END;
	END;
	DROP FOREIGN TABLE t;
	RETURN outcome;
END $$;

CREATE TEMPORARY TABLE cases (nr integer GENERATED ALWAYS AS IDENTITY, col text, type text, value text);

--
-- Ids: integers, in any notation
--
\! ctl log-reset
INSERT INTO cases (col, type, value) VALUES
	('patient_id', 'smallint', '12'), ('patient_id', 'integer', '1234'), ('patient_id', 'numeric', '1234.0'),
	('patient_id', 'numeric(10,2)', '1234.00'), ('patient_id', 'numeric', '1234.5'), ('patient_id', 'positive', '1234'),
	('patient_id', 'numeric', '9223372036854775808'), ('patient_id', 'numeric', $$'NaN'$$), ('patient_id', 'numeric', '-1'),
	('patient_id', 'real', '1234'), ('patient_id', 'double precision', '1e15'), ('patient_id', 'double precision', '1234.5'),
	('patient_id', 'text', $$'1234'$$), ('patient_id', 'text', $$'1234.5'$$), ('patient_id', 'text', $$'x'$$), ('patient_id', 'text', $$''$$),
	('patient_id', 'varchar(8)', $$'1234'$$), ('patient_id', 'char(8)', $$'1234'$$), ('patient_id', 'tag', $$'1234'$$),
	('patient_id', 'jsonb', $$'1234'$$), ('patient_id', 'jsonb', $$'1234.0'$$), ('patient_id', 'json', $$'1.234e3'$$),
	('patient_id', 'jsonb', $$'{"id": 1234}'$$), ('patient_id', 'boolean', 'true'), ('patient_id', 'date', $$'2024-01-01'$$),
	('patient_id', 'integer[]', $$'{1234}'$$), ('patient_id', 'pair', $$'(1,2)'$$), ('patient_id', 'bytea', $$'1234'$$),
	('site_id', 'numeric', '7.0'), ('site_id', 'text', $$'7'$$), ('site_id', 'numeric', '7.1');
SELECT c.*, try(nr, col, type, value) FROM cases c ORDER BY nr;
\! ctl log
TRUNCATE cases;

--
-- External ids: the strings of the row, unchanged
--
\! ctl log-reset
INSERT INTO cases (col, type, value) VALUES
	('external_order_ids', 'varchar(10)[]', $$'{a,"b c"}'$$), ('external_order_ids', 'char(5)[]', $$'{a,"b c","  d"}'$$),
	('external_order_ids', 'name[]', $$'{a}'$$), ('external_order_ids', 'tags', $$'{a}'$$), ('external_order_ids', 'tag[]', $$'{a}'$$),
	('external_order_ids', 'option[]', $$'{overnight}'$$), ('external_order_ids', 'integer[]', $$'{7,8}'$$), ('external_order_ids', 'numeric[]', $$'{1.50}'$$),
	('external_order_ids', 'double precision[]', $$'{0.1,100000000000000000000}'$$), ('external_order_ids', 'uuid[]', $$'{00000000-0000-0000-0000-00000000000A}'$$),
	('external_order_ids', 'date[]', $$'{2024-02-01}'$$), ('external_order_ids', 'timestamptz[]', $$'{2024-02-01 12:00:00+02}'$$), ('external_order_ids', 'interval[]', $$'{-1 day 02:00}'$$),
	('external_order_ids', 'jsonb', $$'["a", "\u00e9", 7]'$$), ('external_order_ids', 'json', $$'["a"]'$$), ('external_order_ids', 'text[]', $$'{"",a}'$$),
	('external_order_ids', 'jsonb[]', $$ARRAY['"a"'::jsonb, '7']$$), ('external_order_ids', 'jsonb[]', $$ARRAY['["a"]'::jsonb]$$),
	('external_order_ids', 'jsonb', $$'[["a"]]'$$), ('external_order_ids', 'jsonb', $$'[{}]'$$), ('external_order_ids', 'jsonb', $$'[null]'$$), ('external_order_ids', 'jsonb', $$'"a"'$$),
	('external_order_ids', 'json', $$'["\u0000"]'$$), ('external_order_ids', 'text', $$'{a}'$$), ('external_order_ids', 'text[]', $$'{{a,b}}'$$), ('external_order_ids', 'text[]', $$'{a,NULL}'$$);
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'sql_standard';
SET timezone = 'Asia/Tokyo';
SET extra_float_digits = -10;
SELECT c.*, try(nr, col, type, value) FROM cases c ORDER BY nr;
\! ctl log
RESET datestyle;
RESET intervalstyle;
RESET timezone;
RESET extra_float_digits;
TRUNCATE cases;

--
-- Items and kits: rebuilt from ids and counts
--
\! ctl log-reset
INSERT INTO cases (col, type, value) VALUES
	('order_items', 'json', $$'[{"count":1, "item":{"id":1000}}]'$$), ('order_items', 'jsonb', $$'[{"item": {"id": 1000.0}, "count": 1.0}]'$$),
	('order_items', 'json', $$'[{"item": {"id": 1e3}, "count": 2147483647}]'$$), ('order_items', 'text', $$'[{"item": {"id": 1000}, "count": 1}]'$$),
	('order_items', 'char(60)', $$'[{"item": {"id": 1000}, "count": 1}]'$$), ('order_items', 'jsonb[]', $$ARRAY['{"item": {"id": 1000}, "count": 1}'::jsonb]$$),
	('order_items', 'jsonb', $$'[{"item": {"id": 1000}, "count": 2147483648}]'$$), ('order_items', 'jsonb', $$'[{"item": {"id": 1000}, "count": 0}]'$$),
	('order_items', 'jsonb', $$'[{"item": {"id": 1000}, "count": null}]'$$), ('order_items', 'jsonb', $$'[{"item": {"id": 1000}}]'$$), ('order_items', 'jsonb', $$'[{"count": 1}]'$$),
	('order_items', 'jsonb', $$'[{"item": {"id": 1000}, "count": 1.5}]'$$), ('order_items', 'json', $$'[{"item": {"id": 1000}, "count": 1, "count": 2}]'$$),
	('order_items', 'json', $$'[{"item": {"id": 1000, "\u0069d": 1}, "count": 1}]'$$), ('order_items', 'text', $$'1000'$$), ('order_items', 'text', $$'[{'$$), ('order_items', 'integer', '1000'),
	('order_items', 'text[]', $$'{1000}'$$), ('order_items', 'jsonb', $$'[null]'$$);
SELECT c.*, try(nr, col, type, value) FROM cases c ORDER BY nr;
\! ctl log
TRUNCATE cases;

--
-- Other columns
--
\! ctl log-reset
INSERT INTO cases (col, type, value) VALUES
	('shipping_option', 'char(12)', $$'overnight'$$), ('shipping_option', 'option', $$'overnight'$$), ('shipping_option', 'tag', $$'overnight'$$), ('shipping_option', 'name', $$'overnight'$$),
	('shipping_option', 'jsonb', $$'"overnight"'$$), ('shipping_option', 'json', $$'"over\u006eight"'$$), ('shipping_option', 'jsonb', $$'["overnight"]'$$), ('shipping_option', 'text[]', $$'{overnight}'$$), ('shipping_option', 'jsonb', $$'null'$$),
	('email_label', 'text', $$'yes'$$), ('email_label', 'char(5)', $$'false'$$), ('email_label', 'jsonb', $$'true'$$), ('email_label', 'integer', '1'), ('email_label', 'integer', '2'), ('email_label', 'text', $$'maybe'$$), ('email_label', 'jsonb', $$'{}'$$),
	('order_notes', 'json', $$'[ {"note" : "x"} ]'$$), ('order_notes', 'text', $$'[{"note": "x"}]'$$), ('order_notes', 'text', $$'Leave it'$$), ('order_notes', 'json', $$'[{"note": "x", "note": "y"}]'$$),
	('order_notes', 'json', $$'[{"note": "\u0000"}]'$$), ('order_notes', 'json', $$'[{"note": "a:b", "n": [1.50, 1e2]}]'$$), ('order_notes', 'text[]', $$'{a,b}'$$), ('order_notes', 'jsonb[]', $$ARRAY['{"note": "x"}'::jsonb]$$),
	('return_items', 'json', $$'[{"item": {"id": 1000}, "count": 1}]'$$), ('return_items', 'text', $$'{"item": {"id": 1000}}'$$), ('return_devices', 'integer[]', $$'{5}'$$);
SELECT c.*, try(nr, col, type, value) FROM cases c ORDER BY nr;
\! ctl log
TRUNCATE cases;

--
-- A pointer to a place that INSERT writes is writable, under any name
--
CREATE FOREIGN TABLE pointed (
	nr bigint OPTIONS (json_pointer '/id'),
	pid bigint OPTIONS (json_pointer '/patient/id'),
	ids text[] OPTIONS (json_pointer '/externalOrderIds'),
	items jsonb OPTIONS (json_pointer '/orderItems'),
	how text OPTIONS (json_pointer '/shippingOption'),
	city text OPTIONS (json_pointer '/patient/address/city'),
	first_id text OPTIONS (json_pointer '/externalOrderIds/0'),
	external_order_ids varchar(10)[],
	other text
) SERVER impilo OPTIONS (relation 'orders');
\! ctl log-reset
INSERT INTO pointed (pid, ids, items, how) VALUES (1234, '{p1}', impilo_order_item(1000), 'overnight') RETURNING pid, ids, external_order_ids, how, first_id;
INSERT INTO pointed (pid, external_order_ids, ids, items) VALUES (1234, '{p2}', '{}', impilo_order_item(1000));
\! ctl log
-- two columns for one place, and read-only places, are refused
INSERT INTO pointed (pid, external_order_ids, ids, items) VALUES (1234, '{p3}', '{p3}', impilo_order_item(1000));
INSERT INTO pointed (pid, first_id, items) VALUES (1234, 'p3', impilo_order_item(1000));
INSERT INTO pointed (pid, city, items) VALUES (1234, 'Basel', impilo_order_item(1000));
INSERT INTO pointed (nr, pid, items) VALUES (1, 1234, impilo_order_item(1000));
EXPLAIN INSERT INTO pointed (pid, other, items) VALUES (1234, 'x', impilo_order_item(1000));
INSERT INTO pointed (pid, other, items) SELECT 1234, (SELECT NULL::text), impilo_order_item(1000);
INSERT INTO pointed (pid, items) VALUES (1234, impilo_order_item(1000)) RETURNING other;
\! ctl count created

--
-- ON CONFLICT compares the external ids as sent
--
CREATE FUNCTION twice(type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n integer;
	total integer := 0;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE t (patient_id bigint, external_order_ids %s, order_items jsonb) SERVER impilo OPTIONS (relation ''orders'')', type);
	FOR i IN 1..2 LOOP
		EXECUTE format('INSERT INTO t VALUES (1, %s, impilo_order_item(1000)) ON CONFLICT DO NOTHING', value);
		GET DIAGNOSTICS n = ROW_COUNT;
		total := total + n;
		SET LOCAL datestyle = 'SQL, DMY';
		SET LOCAL extra_float_digits = -10;
	END LOOP;
	DROP FOREIGN TABLE t;
	RETURN total;
END $$;
SELECT type, twice(type, value) AS created FROM (VALUES
	('varchar(10)[]', $$'{t1}'$$), ('char(10)[]', $$'{t2}'$$), ('padded[]', $$'{t9}'$$), ('name[]', $$'{t3}'$$), ('option[]', $$'{standard}'$$),
	('integer[]', $$'{104}'$$), ('numeric[]', $$'{105.0}'$$), ('double precision[]', $$'{0.3}'$$), ('date[]', $$'{2024-02-03}'$$),
	('jsonb', $$'["t6", 9]'$$), ('json', $$'["t\u0037"]'$$), ('text[]', $$'{" t8 "}'$$)) v (type, value);
-- spaces that character(n) adds are not sent, also in a domain
\! ctl dump | grep -oE '"t[29] *"'

--
-- The name of an unexpected member is shown as text, up to a whole character
--
INSERT INTO impilo.orders (patient_id, order_items) SELECT 1, jsonb_build_array(jsonb_build_object(repeat('x', 39) || repeat('é', 9), 1));
INSERT INTO impilo.orders (patient_id, order_items) VALUES (1, '[{"a\nb\"c\\": 1}]');

DROP TABLE cases;
DROP FOREIGN TABLE pointed;
DROP FUNCTION try, twice;
DROP TYPE option, pair;
DROP DOMAIN positive, tag, tags, padded;
