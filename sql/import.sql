--
-- IMPORT FOREIGN SCHEMA, and the data dictionary
--
\i :setup
-- all columns that :setup imported, with types
SELECT c.relname AS relation, count(*) AS columns, (SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = c.oid) AS options
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'impilo'::regnamespace AND c.relkind = 'f'
GROUP BY c.oid, c.relname ORDER BY c.relname COLLATE "C";
SELECT attname AS column, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'impilo.orders'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname AS column, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'impilo.order_packed_kit_devices'::regclass AND attnum > 0 ORDER BY attnum;

-- the data dictionary has the same columns
SELECT count(*) AS columns, count(*) FILTER (WHERE a.attname IS NULL OR d.column_name IS NULL) AS unmatched
FROM (SELECT * FROM impilo_data_dictionary() WHERE column_name IS NOT NULL) d
FULL JOIN (SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	WHERE c.relnamespace = 'impilo'::regnamespace AND c.relkind = 'f') a
ON a.relname = d.relation AND a.attname = d.column_name AND a.type = d.type;
SELECT relation, column_name, type, json_path, writable, description FROM impilo_data_dictionary() WHERE writable OR relation = 'order_notes';
SELECT relation, description FROM impilo_data_dictionary() WHERE column_name IS NULL;

--
-- Some of the tables
--
CREATE SCHEMA parts;
IMPORT FOREIGN SCHEMA v3 LIMIT TO (orders, order_items) FROM SERVER impilo INTO parts;
SELECT relname FROM pg_class WHERE relnamespace = 'parts'::regnamespace ORDER BY relname;
IMPORT FOREIGN SCHEMA v3 EXCEPT (orders, order_items, order_devices, order_packed_kit_devices) FROM SERVER impilo INTO parts OPTIONS (import_document 'false');
SELECT relname FROM pg_class WHERE relnamespace = 'parts'::regnamespace ORDER BY relname COLLATE "C";
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'parts'::regnamespace) AND attname = 'document' ORDER BY 1;
SELECT * FROM parts.order_events ORDER BY order_id, position LIMIT 1;
-- an unknown name imports nothing
IMPORT FOREIGN SCHEMA v3 LIMIT TO (order_itmes, patients) FROM SERVER impilo INTO parts;
-- a table that exists is an error
IMPORT FOREIGN SCHEMA v3 LIMIT TO (orders) FROM SERVER impilo INTO parts;
SET client_min_messages = warning;
DROP SCHEMA parts CASCADE;
RESET client_min_messages;

--
-- Errors
--
CREATE SCHEMA parts;
IMPORT FOREIGN SCHEMA v2 FROM SERVER impilo INTO parts;
\echo :LAST_ERROR_SQLSTATE
IMPORT FOREIGN SCHEMA public FROM SERVER impilo INTO parts;
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO parts OPTIONS (import_documents 'false');
\echo :LAST_ERROR_SQLSTATE
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO parts OPTIONS (import_document 'perhaps');
SELECT count(*) FROM pg_class WHERE relnamespace = 'parts'::regnamespace;

--
-- Names that need quotes
--
CREATE SERVER "my ""server""" FOREIGN DATA WRAPPER impilo_fdw;
CREATE SCHEMA "Some Schema";
IMPORT FOREIGN SCHEMA v3 LIMIT TO (order_notes) FROM SERVER "my ""server""" INTO "Some Schema";
SELECT ftrelid::regclass, ftoptions FROM pg_foreign_table t JOIN pg_foreign_server s ON s.oid = ftserver WHERE srvname = 'my "server"';
SET client_min_messages = warning;
DROP SERVER "my ""server""" CASCADE;
DROP SCHEMA "Some Schema";
RESET client_min_messages;

--
-- Comments from the data dictionary; those that exist are kept
--
IMPORT FOREIGN SCHEMA v3 LIMIT TO (order_notes) FROM SERVER impilo INTO parts;
CREATE FOREIGN TABLE parts."Mine" (
	id bigint,
	site_id bigint,
	site_name text OPTIONS (json_pointer '/currentStatus'),
	"Odd" text OPTIONS (json_pointer '/odd')
) SERVER impilo OPTIONS (relation 'orders');
CREATE TABLE parts.orders (id bigint);
COMMENT ON COLUMN parts."Mine".site_id IS 'my own words';
SELECT impilo_comment_tables('parts');
SELECT c.relname, a.attname, col_description(c.oid, coalesce(a.attnum, 0)) AS comment
FROM pg_class c, LATERAL (SELECT NULL AS attname, 0 AS attnum UNION ALL SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) a
WHERE c.relnamespace = 'parts'::regnamespace ORDER BY c.relname COLLATE "C", a.attnum;
SELECT impilo_comment_tables('parts');
SELECT impilo_comment_tables('no_such_schema');
SET client_min_messages = warning;
DROP SCHEMA parts CASCADE;
