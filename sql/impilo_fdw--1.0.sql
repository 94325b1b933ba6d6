/* impilo_fdw 1.0 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION impilo_fdw" to load this file. \quit

CREATE FUNCTION impilo_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME', 'impilo_fdw_handler_1_0'
LANGUAGE C STRICT;

CREATE FUNCTION impilo_fdw_validator(text[], oid)
RETURNS void
AS 'MODULE_PATHNAME', 'impilo_fdw_validator_1_0'
LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER impilo_fdw
HANDLER impilo_fdw_handler
VALIDATOR impilo_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER impilo_fdw IS
'orders of an Impilo account as foreign tables';

CREATE FUNCTION impilo_data_dictionary(
    OUT relation text, OUT column_name text, OUT type text,
    OUT json_path text, OUT writable boolean, OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_data_dictionary_1_0'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 350;

COMMENT ON FUNCTION impilo_data_dictionary() IS
'relations and columns of the API; column_name is NULL for the relation itself';

-- Foreign tables of this extension's servers.
CREATE FUNCTION impilo_foreign_tables(
    OUT server name, OUT foreign_table oid, OUT relation text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT s.srvname, c.oid, coalesce(
        (SELECT option_value FROM pg_options_to_table(t.ftoptions)
         WHERE option_name = 'relation'), c.relname)
    FROM pg_foreign_table t
    JOIN pg_class c ON c.oid = t.ftrelid
    JOIN pg_foreign_server s ON s.oid = t.ftserver
    JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
    WHERE w.fdwhandler = '@extschema@.impilo_fdw_handler()'::regprocedure
$function$;

COMMENT ON FUNCTION impilo_foreign_tables() IS
'foreign tables of servers of impilo_fdw, and the relations that they name';

-- Adds the descriptions as comments, except where there is a comment already.
CREATE FUNCTION impilo_comment_tables(schema name)
RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    target record;
    written bigint := 0;
BEGIN
    PERFORM quote_ident(schema)::regnamespace;  -- an error if there is none
    FOR target IN
        SELECT c.oid::regclass AS relation, a.attname AS column_name, d.description
        FROM @extschema@.impilo_foreign_tables() t
        JOIN pg_class c ON c.oid = t.foreign_table
        JOIN @extschema@.impilo_data_dictionary() d ON d.relation = t.relation
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid
            AND a.attname = d.column_name AND NOT a.attisdropped
            AND NOT EXISTS (
                SELECT FROM pg_options_to_table(a.attfdwoptions)
                WHERE option_name = 'json_pointer')
        WHERE c.relnamespace = quote_ident(schema)::regnamespace
            AND (d.column_name IS NULL OR a.attnum IS NOT NULL)
            AND CASE WHEN a.attnum IS NULL THEN obj_description(c.oid, 'pg_class')
                ELSE col_description(c.oid, a.attnum) END IS NULL
        ORDER BY c.relname, a.attnum NULLS FIRST
    LOOP
        IF target.column_name IS NULL THEN
            EXECUTE format('COMMENT ON FOREIGN TABLE %s IS %L',
                           target.relation, target.description);
        ELSE
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', target.relation,
                           target.column_name, target.description);
        END IF;
        written := written + 1;
    END LOOP;
    RETURN written;
END
$function$;

COMMENT ON FUNCTION impilo_comment_tables(name) IS
'adds the descriptions of foreign tables and columns of a schema as comments; returns their number';

/* ---------------------------------------------------------------------
 * Order items and kits
 * ---------------------------------------------------------------------
 */

CREATE FUNCTION impilo_order_item(id bigint, count bigint DEFAULT 1)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'impilo_order_item_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION impilo_order_item(bigint, bigint) IS
'an array with one item, for column order_items; concatenate several with ||';

CREATE FUNCTION impilo_order_kit(id bigint, count bigint DEFAULT 1)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'impilo_order_kit_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION impilo_order_kit(bigint, bigint) IS
'an array with one kit, for column order_kits; concatenate several with ||';

CREATE FUNCTION impilo_order_items_step(internal, id bigint, count bigint)
RETURNS internal
AS 'MODULE_PATHNAME', 'impilo_order_items_step_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION impilo_order_kits_step(internal, id bigint, count bigint)
RETURNS internal
AS 'MODULE_PATHNAME', 'impilo_order_kits_step_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION impilo_order_parts_final(internal)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'impilo_order_parts_final_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE impilo_order_items(id bigint, count bigint) (
    SFUNC = impilo_order_items_step,
    STYPE = internal,
    FINALFUNC = impilo_order_parts_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE impilo_order_items(bigint, bigint) IS
'an array with one item for each row, for column order_items; NULL for no rows';

CREATE AGGREGATE impilo_order_kits(id bigint, count bigint) (
    SFUNC = impilo_order_kits_step,
    STYPE = internal,
    FINALFUNC = impilo_order_parts_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE impilo_order_kits(bigint, bigint) IS
'an array with one kit for each row, for column order_kits; NULL for no rows';

/* ---------------------------------------------------------------------
 * What this session has created
 * ---------------------------------------------------------------------
 */

CREATE FUNCTION impilo_created_orders(
	OUT state text,
	OUT id bigint,
	OUT external_order_ids text[],
	OUT relation text,
	OUT row_number bigint,
	OUT posted_at timestamp with time zone)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_created_orders_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_created_orders() IS
'orders that this session created for the current user: state is created, unknown or rolled back';

CREATE FUNCTION impilo_forget_created_orders()
RETURNS bigint
AS 'MODULE_PATHNAME', 'impilo_forget_created_orders_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_forget_created_orders() IS
'empty the list of impilo_created_orders(), except for the running transaction; returns how many were forgotten';

/* ---------------------------------------------------------------------
 * Schema report
 * ---------------------------------------------------------------------
 */

CREATE FUNCTION impilo_sample_orders(server name, size integer DEFAULT 250)
RETURNS SETOF jsonb
AS 'MODULE_PATHNAME', 'impilo_sample_orders_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100000 ROWS 250;
COMMENT ON FUNCTION impilo_sample_orders(name, integer) IS
'orders of the first page of the list, at most 250; requires USAGE on the server';

-- Compares one page of orders with the columns of the server's foreign tables,
-- or with those of IMPORT FOREIGN SCHEMA for relations without a table.  A
-- path is a JSON pointer from the order, with * for each element of an array.
CREATE FUNCTION impilo_check_schema(
    server name, size integer DEFAULT 250, absent boolean DEFAULT false,
    OUT finding text, OUT foreign_table text, OUT column_name text,
    OUT column_type text, OUT json_path text, OUT kinds text,
    OUT invalid_values bigint, OUT orders bigint, OUT orders_read bigint,
    OUT statement text)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
WITH RECURSIVE documents AS MATERIALIZED (
    SELECT * FROM @extschema@.impilo_sample_orders($1, $2) WITH ORDINALITY d (document, number)
), walk AS (
    SELECT number, NULL AS parent, '' AS path, document AS value FROM documents
    UNION ALL
    SELECT number, w.path, w.path || '/' || m.name, m.value
    FROM walk w CROSS JOIN LATERAL (
        SELECT replace(replace(key, '~', '~0'), '/', '~1'), e.value
        FROM jsonb_each(CASE jsonb_typeof(w.value) WHEN 'object' THEN w.value END) e
        UNION ALL
        SELECT '*', e
        FROM jsonb_array_elements(CASE jsonb_typeof(w.value) WHEN 'array' THEN w.value END) e
    ) m (name, value)
), met AS MATERIALIZED (        -- values with their kinds
    SELECT number, parent, path, value #>> '{}' AS content, CASE jsonb_typeof(value)
        WHEN 'number' THEN CASE WHEN value::numeric % 1 = 0 AND
            value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
            THEN 'integer' ELSE 'number' END
        WHEN 'string' THEN CASE WHEN value #>> '{}' ~ '^\d{4}-[01]\d-[0-3]\d$' THEN 'date'
            WHEN value #>> '{}' ~ '^\d{4}-[01]\d-[0-3]\d[Tt ][0-2]\d:?[0-5]\d' THEN 'timestamp'
            ELSE 'string' END
        WHEN 'array' THEN CASE WHEN value = '[]' THEN 'empty array'
            WHEN value @? 'strict $[*] ? (@.type() != "string")' THEN 'array'
            ELSE 'array of strings' END
        ELSE jsonb_typeof(value) END AS kind
    FROM walk
), counted AS (
    SELECT path, string_agg(format('%s: %s', kind, n), ', ' ORDER BY kind) AS kinds
    FROM (SELECT path, kind, count(*) AS n FROM met GROUP BY path, kind) k GROUP BY path
), places AS MATERIALIZED (     -- paths with what they have and a type for it
    SELECT path, parent, kinds, count(DISTINCT number) FILTER (WHERE kind <> 'null') AS orders,
        coalesce(every(kind = 'object') FILTER (WHERE kind <> 'null'), false) AS is_object, CASE
            WHEN every(kind = 'boolean') FILTER (WHERE kind <> 'null') THEN 'boolean'
            WHEN every(kind = 'integer') FILTER (WHERE kind <> 'null') THEN 'bigint'
            WHEN every(kind IN ('integer', 'number')) FILTER (WHERE kind <> 'null') THEN 'numeric'
            WHEN every(kind = 'date') FILTER (WHERE kind <> 'null') THEN 'date'
            WHEN every(kind IN ('date', 'timestamp')) FILTER (WHERE kind <> 'null') THEN 'timestamp with time zone'
            WHEN every(kind <> 'object' AND kind NOT LIKE '%array%') FILTER (WHERE kind <> 'null') THEN 'text'
            WHEN every(kind IN ('empty array', 'array of strings')) FILTER (WHERE kind <> 'null')
                AND bool_or(kind = 'array of strings') THEN 'text[]'
            ELSE 'jsonb' END AS type
    FROM met JOIN counted USING (path) GROUP BY path, parent, kinds
), relations AS (               -- with the path of their rows, and a table
    SELECT d.relation, d.json_path AS base, coalesce(min(t.name), quote_ident(d.relation)) AS name
    FROM @extschema@.impilo_data_dictionary() d LEFT JOIN (
        SELECT relation, foreign_table::regclass::text AS name
        FROM @extschema@.impilo_foreign_tables() t WHERE t.server = $1) t USING (relation)
    WHERE d.column_name = 'document' GROUP BY d.relation, base
), tables AS (
    SELECT t.foreign_table AS oid, t.foreign_table::regclass::text AS name, t.relation, r.base
    FROM @extschema@.impilo_foreign_tables() t LEFT JOIN relations r USING (relation)
    WHERE t.server = $1
), attributes AS (              -- columns of tables; path is NULL if unknown
    SELECT t.name, t.relation, a.attname::text AS column_name, a.atttypmod,
        format_type(a.atttypid, a.atttypmod) AS type, d.column_name IS NOT NULL OR p.pointer IS NOT NULL OR
            t.relation = 'orders' AND a.attname IN ('list_page', 'list_place', 'list_total', 'list_size') AS known,
        CASE WHEN p.pointer IS NULL THEN d.json_path ELSE t.base || p.pointer END AS path
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN LATERAL (SELECT option_value AS pointer FROM pg_options_to_table(a.attfdwoptions)
        WHERE option_name = 'json_pointer') p ON true
    LEFT JOIN @extschema@.impilo_data_dictionary() d
        ON d.relation = t.relation AND d.column_name = a.attname
    WHERE t.base IS NOT NULL
), columns AS MATERIALIZED (    -- an index in a pointer stands for each element
    SELECT a.name, a.relation, column_name, type, atttypmod, p.path, true AS checked FROM attributes a
    CROSS JOIN LATERAL (SELECT path UNION SELECT regexp_replace(path, '/\d+(?=/|$)', '/*', 'g')) p
    UNION ALL
    SELECT quote_ident(d.relation), d.relation, d.column_name, d.type, -1, d.json_path,
        d.relation NOT IN (SELECT relation FROM tables)
    FROM @extschema@.impilo_data_dictionary() d WHERE d.column_name IS NOT NULL
), shown AS MATERIALIZED (SELECT DISTINCT path FROM columns WHERE path IS NOT NULL
), unknown AS MATERIALIZED (    -- paths that no column shows
    SELECT p.*, r.relation, r.name, substr(p.path, length(r.base) + 1) AS pointer,
        NOT p.is_object OR (SELECT count(*) FROM places c WHERE c.parent = p.path) NOT BETWEEN 1 AND 100 AS whole
    FROM places p CROSS JOIN LATERAL (SELECT * FROM relations
        WHERE p.path = base OR starts_with(p.path, base || '/') ORDER BY length(base) DESC LIMIT 1) r
    WHERE p.path <> r.base AND NOT EXISTS (SELECT FROM shown s
        WHERE (p.path = s.path OR starts_with(p.path, s.path || '/')) AND length(s.path) > length(r.base)
            OR starts_with(s.path, p.path || '/'))
), named AS (
    SELECT u.*, left(coalesce(nullif(trim('_' FROM lower(regexp_replace(regexp_replace(regexp_replace(pointer,
        '~[01]', '_', 'g'), '([a-z])([A-Z])', '\1_\2', 'g'), '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+', '_', 'g'))),
        ''), 'value'), 59) AS base_name
    FROM unknown u WHERE whole AND NOT EXISTS (SELECT FROM unknown a
        WHERE a.whole AND starts_with(u.path, a.path || '/'))
), numbered AS (
    SELECT n.*, base_name || CASE WHEN t.used + nth > 1 THEN '_' || t.used + nth ELSE '' END AS new_name
    FROM (SELECT *, row_number() OVER (PARTITION BY relation, base_name ORDER BY path COLLATE "C") AS nth FROM named) n
    CROSS JOIN LATERAL (SELECT count(DISTINCT column_name) FROM columns c WHERE c.relation = n.relation
        AND regexp_replace(c.column_name, '_\d+$', '') = n.base_name) t (used)
), findings AS (
    SELECT 1 AS part, 'new member' AS finding, name, CASE WHEN pointer !~ '/\*' THEN new_name END AS column_name,
        type, path, NULL::bigint AS invalid, CASE WHEN pointer !~ '/\*' THEN format(
            'ALTER FOREIGN TABLE %s ADD COLUMN %I %s OPTIONS (json_pointer %L)', name, new_name, type, pointer) END AS statement
    FROM numbered
    UNION ALL
    SELECT 2, 'type mismatch', name, column_name, c.type, path, i.n, format('ALTER FOREIGN TABLE %s ALTER COLUMN %I TYPE %s',
        name, column_name, CASE WHEN p.type <> c.type THEN p.type WHEN c.type = 'text' THEN 'jsonb' ELSE 'text' END)
    FROM columns c JOIN places p USING (path) CROSS JOIN LATERAL (
        SELECT count(*) FROM met m CROSS JOIN LATERAL (SELECT CASE WHEN kind IN ('integer', 'number', 'string')
            AND content ~ '^-?\d{1,255}(\.\d{1,255})?$' THEN content::numeric END) v (number)
        WHERE m.path = c.path AND kind <> 'null' AND NOT CASE
            WHEN c.type = 'smallint' THEN coalesce(v.number % 1 = 0 AND v.number BETWEEN -32768 AND 32767, false)
            WHEN c.type = 'integer' THEN coalesce(v.number % 1 = 0 AND v.number BETWEEN -2147483648 AND 2147483647, false)
            WHEN c.type = 'bigint' THEN coalesce(v.number % 1 = 0 AND
                v.number BETWEEN -9223372036854775808 AND 9223372036854775807, false)
            WHEN c.type ~ '^(numeric|real|double precision)' THEN v.number IS NOT NULL
            WHEN c.type = 'boolean' THEN kind = 'boolean' OR kind = 'string' AND content IN ('true', 'false')
            WHEN c.type ~ '^(date|timestamp)' THEN kind IN ('date', 'timestamp')
            WHEN c.type LIKE 'character varying(%' THEN length(content) <= c.atttypmod - 4
            WHEN c.type LIKE '%[]' THEN kind LIKE '%array%'
            ELSE true END) i (n)
    WHERE c.checked AND i.n > 0
    UNION ALL                   -- a column needs an object or array there
    SELECT 2, 'type mismatch', c.name, NULL, NULL, p.path, i.n, NULL
    FROM places p CROSS JOIN LATERAL (
        SELECT min(name), substr(path, length(p.path) + 1) ~ '^/\*(/|$)' FROM columns
        WHERE checked AND starts_with(path, p.path || '/') GROUP BY 2) c (name, in_array)
    CROSS JOIN LATERAL (SELECT count(*) FROM met m WHERE m.path = p.path AND kind <> 'null'
        AND CASE WHEN in_array THEN kind NOT LIKE '%array%' ELSE kind <> 'object' END) i (n)
    WHERE i.n > 0
    UNION ALL
    SELECT 3, 'unusable table', name, NULL, NULL, NULL, NULL, NULL FROM tables WHERE base IS NULL
    UNION ALL
    SELECT 3, 'unknown column', name, column_name, type, NULL, NULL, NULL FROM attributes WHERE NOT known
    UNION ALL
    SELECT DISTINCT 4, 'absent', c.name, CASE WHEN b.path IS NOT NULL THEN c.column_name END,
        CASE WHEN b.path IS NOT NULL THEN c.type END, CASE WHEN b.path IS NOT NULL THEN c.path ELSE r.base END, NULL::bigint, NULL
    FROM columns c JOIN relations r USING (relation) LEFT JOIN places b ON b.path = r.base
    WHERE $3 AND c.checked AND NOT EXISTS (SELECT FROM columns o JOIN places p USING (path)
        WHERE o.name = c.name AND o.column_name = c.column_name AND p.orders > 0)
        AND c.path IS NOT NULL AND EXISTS (SELECT FROM documents)
)
SELECT f.finding, f.name, f.column_name, f.type, f.path, p.kinds, f.invalid,
    CASE WHEN f.path IS NOT NULL THEN coalesce(p.orders, 0) END,
    (SELECT count(*) FROM documents), f.statement
FROM findings f LEFT JOIN places p USING (path)
ORDER BY f.part, f.path COLLATE "C", f.name COLLATE "C", f.column_name COLLATE "C"
$function$;
COMMENT ON FUNCTION impilo_check_schema(name, integer, boolean) IS
'reads one page of orders and reports new members, values that do not fit their columns, and, if requested, columns without values';

/* ---------------------------------------------------------------------
 * Connections, ping, versions
 * ---------------------------------------------------------------------
 */

CREATE FUNCTION impilo_fdw_get_connections(
	OUT server_name text,
	OUT user_name text,
	OUT valid boolean,
	OUT in_use boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_fdw_get_connections_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_get_connections() IS
'cached connections, one per user mapping; an invalid connection is closed when its last statement ends';

CREATE FUNCTION impilo_fdw_disconnect(server_name text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'impilo_fdw_disconnect_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_disconnect(text) IS
'closes the cached connections to a server that no statement uses; returns whether there was one';

CREATE FUNCTION impilo_fdw_disconnect_all()
RETURNS boolean
AS 'MODULE_PATHNAME', 'impilo_fdw_disconnect_all_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_disconnect_all() IS
'closes all cached connections that no statement uses; returns whether there was one';

CREATE FUNCTION impilo_fdw_ping(
	server_name text,
	OUT ok boolean,
	OUT http_status integer,
	OUT sqlstate text,
	OUT problem text,
	OUT http_version text,
	OUT orders bigint,
	OUT lookup_ms double precision,
	OUT connect_ms double precision,
	OUT tls_ms double precision,
	OUT first_byte_ms double precision,
	OUT total_ms double precision)
RETURNS record
AS 'MODULE_PATHNAME', 'impilo_fdw_ping_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_ping(text) IS
'tests the current user''s key over a new connection and measures each phase';

CREATE FUNCTION impilo_fdw_library_versions(OUT name text, OUT value text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_fdw_library_versions_1_0'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION impilo_fdw_library_versions() IS
'versions of the loaded library and of the libraries that it uses';

CREATE FUNCTION impilo_fdw_diag(OUT name text, OUT value text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT * FROM @extschema@.impilo_fdw_library_versions()
    UNION ALL
    SELECT 'impilo_fdw extension', extversion FROM pg_extension
    WHERE extname = 'impilo_fdw'
    UNION ALL
    SELECT setting, current_setting(setting, true)
    FROM unnest(ARRAY['server_version', 'server_encoding', 'client_encoding',
        'impilo_fdw.allow_create', 'work_mem', 'statement_timeout',
        'max_files_per_process']) AS setting
$function$;
COMMENT ON FUNCTION impilo_fdw_diag() IS
'versions and settings for bug reports; contains no key, address or order';
