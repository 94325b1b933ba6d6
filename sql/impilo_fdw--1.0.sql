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
AS 'MODULE_PATHNAME', 'impilo_order_item_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION impilo_order_kits_step(internal, id bigint, count bigint)
RETURNS internal
AS 'MODULE_PATHNAME', 'impilo_order_kit_1_0'
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
        FROM @extschema@.impilo_foreign_tables() t JOIN pg_class c ON c.oid = t.foreign_table
        WHERE t.server = $1 AND NOT (c.relname = 'order_list' AND EXISTS (  -- a mirror's own table
            SELECT FROM pg_class s WHERE s.relname = 'mirror_state' AND s.relnamespace = c.relnamespace))
        ) t USING (relation)
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

CREATE FUNCTION impilo_fdw_stats(
	OUT server_name text,
	OUT requests bigint,
	OUT retries bigint,
	OUT throttled bigint,
	OUT bytes bigint,
	OUT network_wait_ms double precision,
	OUT orders_created bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_fdw_stats_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_stats() IS
'what this session has done on each server; throttled counts responses with status 429';

CREATE FUNCTION impilo_fdw_disconnect(server_name text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'impilo_fdw_disconnect_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_disconnect(text) IS
'closes the cached connections to a server that no statement uses; returns whether there was one';

CREATE FUNCTION impilo_fdw_disconnect_all()
RETURNS boolean
AS 'MODULE_PATHNAME', 'impilo_fdw_disconnect_1_0'
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

/* ---------------------------------------------------------------------
 * The mirror: orders in ordinary tables
 *
 * A mirror is a schema.  impilo_refresh_mirror() reads the list of orders
 * through the foreign table order_list, collects the responses in
 * order_stage, and writes order_data at the end, in the same transaction.
 *
 * The rank of an order is its place in the list, counted from the oldest:
 * the place itself, or total - place + 1 if the newest come first.
 * order_rank holds the ids in this order, in blocks of one page; order_block
 * holds when each block was read.
 *
 * An incremental refresh reads the end of the list where new orders appear, in
 * passes from the same page on, until a pass brings nothing unknown and each
 * of its totals is the number of known ids.  Why this is enough:
 *
 * 1. Nothing in the last pass was unknown, so each id had been seen in a
 *    response that was complete before that pass.  If no order disappears,
 *    all of them exist when the total is counted, so there are at most as
 *    many ids as the total says.  Equality makes them the whole set, wherever
 *    in the list new orders appear.
 * 2. If orders are added at one end only, a deletion moves every order behind
 *    it.  Known orders at unchanged ranks with nothing unknown behind them
 *    exclude a deletion, even one that a creation makes up for.
 *
 * Anything else makes the refresh read the whole list.  Only the next such
 * refresh sees a deletion together with as many insertions in the middle, and
 * a deletion together with a creation while the list is first read.
 *
 * The functions between here and impilo_create_mirror() are internal.
 * ---------------------------------------------------------------------
 */

-- The rows of a document in a relation.  Values that do not fit are NULL.
CREATE FUNCTION impilo_order_rows(relation text, id bigint, document text)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'impilo_order_rows_1_0'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20 ROWS 3;

-- The number of values of a document that do not fit, over all relations.
CREATE FUNCTION impilo_invalid_values(document text)
RETURNS bigint AS 'MODULE_PATHNAME', 'impilo_invalid_values_1_0'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;

CREATE FUNCTION impilo_mirror_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF current_setting('impilo_mirror.writer', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'cannot write to mirror "%"', tg_table_schema
            USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'A mirror is a copy. Only impilo_refresh_mirror() and impilo_apply_webhook() write to it.',
            HINT = 'To create orders, insert into the foreign table.';
    END IF;
    RETURN NULL;
END
$function$;

-- Makes names refer to a mirror, until the calling function ends, which must
-- set search_path itself.  Returns the mirror's server.
CREATE FUNCTION impilo_mirror_enter(mirror name, writing boolean, OUT server name, OUT base_url text)
LANGUAGE plpgsql AS $function$
DECLARE
    data regclass := to_regclass(format('%I.order_data', mirror));
BEGIN
    IF data IS NULL OR to_regclass(format('%I.mirror_state', mirror)) IS NULL THEN
        RAISE EXCEPTION 'schema "%" is not a mirror', mirror
            USING ERRCODE = 'undefined_table', HINT = 'Create it with impilo_create_mirror().';
    ELSIF writing AND pg_is_in_recovery() THEN
        RAISE EXCEPTION 'cannot write to a mirror on a standby server'
            USING ERRCODE = 'read_only_sql_transaction', HINT = 'Refresh it on the primary server.';
    ELSIF writing AND current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a mirror is written in READ COMMITTED transactions only'
            USING ERRCODE = 'active_sql_transaction', HINT = 'Use isolation level READ COMMITTED.';
    ELSIF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a    -- their functions would run as this role
        WHERE n.nspname = mirror AND a.privilege_type = 'CREATE'
            AND a.grantee NOT IN (n.nspowner, (SELECT relowner FROM pg_class WHERE oid = data))) THEN
        RAISE EXCEPTION 'other roles can create objects in schema "%"', mirror
            USING ERRCODE = 'insufficient_privilege', HINT = 'Revoke CREATE on the schema from them.';
    END IF;
    PERFORM set_config('search_path', format('pg_catalog, %I, pg_temp', mirror), true);
    SELECT s.srvname, coalesce((SELECT option_value FROM pg_options_to_table(s.srvoptions)
        WHERE option_name = 'base_url'), 'default') INTO server, base_url
    FROM pg_foreign_table t JOIN pg_foreign_server s ON s.oid = t.ftserver WHERE t.ftrelid = to_regclass('order_list');
END
$function$;

-- Creates or replaces the views: orders, and one for each relation whose
-- array is in order_data.  Columns of an existing view keep their places.
CREATE FUNCTION impilo_mirror_views(mirror name) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    data regclass := format('%I.order_data', mirror);
    target record;
BEGIN
    FOR target IN
        SELECT d.relation, b.member, s.column_name AS source,
            string_agg(quote_ident(d.column_name), ', ' ORDER BY a.attnum NULLS LAST, d.nth) AS names,
            string_agg(format('%I %s', d.column_name, d.type), ', ' ORDER BY d.nth)
                FILTER (WHERE d.column_name <> 'order_id') AS definitions
        FROM (SELECT *, row_number() OVER () AS nth FROM @extschema@.impilo_data_dictionary()) d
        JOIN (SELECT relation, split_part(json_path, '/', 2) AS member FROM @extschema@.impilo_data_dictionary()
            WHERE column_name = 'document') b USING (relation)
        LEFT JOIN @extschema@.impilo_data_dictionary() s ON s.relation = 'orders' AND s.json_path = '/' || b.member
        LEFT JOIN pg_attribute a
            ON a.attrelid = to_regclass(format('%I.%I', mirror, d.relation)) AND a.attname = d.column_name
        WHERE EXISTS (SELECT FROM pg_attribute c WHERE c.attrelid = data AND NOT c.attisdropped
            AND c.attname = coalesce(s.column_name, d.column_name))
        GROUP BY d.relation, b.member, s.column_name
    LOOP
        EXECUTE format(CASE target.member WHEN ''
            THEN 'CREATE OR REPLACE VIEW %1$I.orders AS SELECT %3$s FROM %4$s WHERE gone_at IS NULL'
            ELSE 'CREATE OR REPLACE VIEW %1$I.%2$I AS SELECT %3$s FROM (SELECT o.id AS order_id, r.* FROM %4$s o '
                'CROSS JOIN LATERAL @extschema@.impilo_order_rows(%2$L, o.id, '
                'json_build_object(%5$L, o.%6$I)::text) AS r (%7$s) WHERE o.gone_at IS NULL) AS rows' END,
            mirror, target.relation, target.names, data, target.member, target.source, target.definitions);
    END LOOP;
END
$function$;

-- Reads pages, orders by id, or the whole list into the stage.  A document is
-- left out if order_data has it.
CREATE FUNCTION impilo_mirror_fetch(step integer, source text, numbers bigint[]) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    nothing text := 'NULL::bigint AS list_page, NULL::bigint AS list_total, NULL::bigint AS list_size, ';
BEGIN
    EXECUTE format($query$
        INSERT INTO order_stage (step, list_page, list_place, list_total, list_size, id, hash, document)
        SELECT $1, list_page, list_place, list_total, list_size, s.id, s.hash, CASE WHEN d.hash = s.hash
            AND d.gone_at IS NULL AND (d.listed OR list_place IS NULL) THEN NULL ELSE s.document END
        FROM (SELECT *, hashtextextended(document, 0) AS hash
            FROM (SELECT id, coalesce(document, '{"id":' || id || '}') AS document, %s OFFSET 0) l OFFSET 0) s
        LEFT JOIN order_data d ON d.id = s.id
        $query$, CASE source
        WHEN 'pages' THEN 'list_page, list_place, list_total, list_size FROM order_list WHERE list_page = ANY ($2)'
        WHEN 'ids' THEN nothing || 'NULL::bigint AS list_place FROM order_list WHERE id = ANY ($2)'
        ELSE nothing || 'row_number() OVER () AS list_place FROM order_list' END)
    USING step, numbers;
END
$function$;

-- Reads the end of the list where new orders appear, in passes.  Returns
-- 'proven', 'unproven' after five passes, or why the whole list is needed:
-- known orders 'moved', or the total or size of the pages 'changed'; the new
-- ids by rank; and how many pages it read.
CREATE FUNCTION impilo_mirror_newest(INOUT step integer, OUT verdict text, OUT appended bigint[], OUT pages bigint)
LANGUAGE plpgsql AS $function$
DECLARE
    state record; got record;
    newest boolean;
    start bigint;               -- the page that each pass begins with
    last bigint; needed bigint; -- pages of this pass
    known bigint;               -- number of ids
    total bigint := 0;          -- the greatest of the passes before
    fresh bigint[];
BEGIN
    SELECT * INTO state FROM mirror_state;
    newest := state.list_order = 'newest';
    start := CASE WHEN newest THEN 1 ELSE greatest(state.listed - 1, 0) / state.list_size + 1 END;
    appended := '{}';
    pages := 0;
    FOR pass IN 1..5 LOOP
        known := state.listed + cardinality(appended);
        step := step + 1;
        last := start - 1;
        needed := start;
        WHILE needed > last LOOP
            PERFORM @extschema@.impilo_mirror_fetch(step, 'pages', ARRAY(SELECT generate_series(last + 1, needed)));
            pages := pages + needed - last;
            last := needed;
            SELECT max(s.list_total) AS total, bool_and(coalesce(
                s.list_size = state.list_size AND s.list_total >= greatest(total, known), false)) AS fits
            INTO got FROM order_stage s WHERE s.step = impilo_mirror_newest.step;
            IF got.fits IS NOT TRUE THEN
                verdict := 'changed';
                RETURN;
            END IF;
            needed := greatest(got.total - 1, 0) / state.list_size + 1;
            IF newest THEN      -- up to the page where a known order must be
                needed := least(needed, (got.total - known) / state.list_size + 1);
            END IF;
        END LOOP;
        total := got.total;

        IF state.list_order = 'unordered' THEN
            SELECT array_agg(DISTINCT s.id) INTO fresh FROM order_stage s LEFT JOIN order_data d ON d.id = s.id
            WHERE s.step = impilo_mirror_newest.step AND s.id <> ALL (appended) AND d.listed IS NOT TRUE;
        ELSE
            -- Each known order must be at its rank, and behind them new ones
            -- without gaps.
            WITH seen AS (
                SELECT DISTINCT s.id,
                    CASE WHEN newest THEN s.list_total - s.list_place + 1 ELSE s.list_place END AS rank
                FROM order_stage s WHERE s.step = impilo_mirror_newest.step AND s.id IS NOT NULL
            ), expected AS (
                SELECT i.id, (r.block - 1) * state.list_size + i.nth AS rank
                FROM order_rank r CROSS JOIN LATERAL unnest(r.ids) WITH ORDINALITY i (id, nth)
                WHERE r.block >= (SELECT (min(rank) - 1) / state.list_size + 1 FROM seen)
                UNION ALL
                SELECT a.id, state.listed + a.nth FROM unnest(appended) WITH ORDINALITY a (id, nth)
            )
            SELECT bool_or(CASE WHEN s.rank > known THEN s.id = ANY (appended) OR d.listed IS TRUE
                    ELSE e.id IS DISTINCT FROM s.id END) AS moved,
                count(DISTINCT s.id) FILTER (WHERE s.rank > known) AS ids,
                count(DISTINCT s.rank) FILTER (WHERE s.rank > known) AS ranks, max(s.rank) - known AS furthest,
                array_agg(s.id ORDER BY s.rank) FILTER (WHERE s.rank > known) AS fresh
            INTO got FROM seen s LEFT JOIN expected e ON e.rank = s.rank LEFT JOIN order_data d ON d.id = s.id;
            fresh := got.fresh;
            IF got.moved OR NOT got.ids = ALL (ARRAY[got.ranks, cardinality(fresh), greatest(got.furthest, 0)]) THEN
                verdict := 'moved';
                RETURN;
            END IF;
        END IF;
        appended := appended || fresh;
        IF fresh IS NULL AND (total = known OR state.list_order = 'unordered') THEN
            verdict := CASE total WHEN known THEN 'proven' ELSE 'changed' END;
            RETURN;
        END IF;
    END LOOP;
    verdict := 'unproven';
END
$function$;

-- Reads the blocks that are due.  Returns the number of requests, the blocks,
-- and their ids that the API does not have.
CREATE FUNCTION impilo_mirror_due(
    now timestamptz, total bigint, INOUT step integer, OUT requests bigint, OUT blocks bigint[], OUT gone bigint[])
LANGUAGE plpgsql AS $function$
DECLARE
    state record; wanted bigint[];
BEGIN
    SELECT * INTO state FROM mirror_state;
    requests := 0;
    gone := '{}';
    blocks := ARRAY(SELECT b.block FROM order_block b JOIN order_rank r USING (block)
        WHERE now - b.read_at > state.freshness * (now - b.progress_at)
            AND NOT r.ids <@ ARRAY(SELECT s.id FROM order_stage s WHERE s.id IS NOT NULL));
    IF blocks = '{}' THEN RETURN; END IF;
    -- By page.  The list may have moved, so an order was read only if its id
    -- was seen.  Unknown orders are left to the next refresh.
    step := step + 1;
    wanted := ARRAY(SELECT DISTINCT p.page
        FROM unnest(blocks) b (block) CROSS JOIN unnest(ARRAY[1, state.list_size]) n (nth) CROSS JOIN LATERAL (
            SELECT CASE state.list_order WHEN 'newest'
                THEN (total - (b.block - 1) * state.list_size - n.nth) / state.list_size + 1 ELSE b.block END) p (page)
        WHERE p.page > 0 AND NOT EXISTS (SELECT FROM order_stage s WHERE s.list_page = p.page));
    PERFORM @extschema@.impilo_mirror_fetch(step, 'pages', wanted);
    requests := cardinality(wanted);
    DELETE FROM order_stage s WHERE s.step = impilo_mirror_due.step
        AND NOT EXISTS (SELECT FROM order_data d WHERE d.id = s.id AND d.listed);

    -- The rest by id.
    wanted := ARRAY(SELECT i.id FROM order_rank r CROSS JOIN LATERAL unnest(r.ids) i (id)
        WHERE r.block = ANY (blocks) AND NOT EXISTS (SELECT FROM order_stage s WHERE s.id = i.id));
    IF wanted <> '{}' THEN
        step := step + 1;
        PERFORM @extschema@.impilo_mirror_fetch(step, 'ids', wanted);
        requests := requests + cardinality(wanted);
        gone := ARRAY(SELECT w.id FROM unnest(wanted) w (id)
            WHERE NOT EXISTS (SELECT FROM order_stage s WHERE s.id = w.id));
    END IF;
END
$function$;

-- Reads the whole list: by page if the responses agree, else as a scan of a
-- foreign table does.  Returns the ids by rank, the order of the list, the
-- size of its pages, whether the ranks are certain, and the requests.
CREATE FUNCTION impilo_mirror_whole(
    by_page boolean, INOUT step integer, OUT ids bigint[], OUT direction text, OUT page_size bigint,
    OUT certain boolean, OUT requests bigint)
LANGUAGE plpgsql AS $function$
DECLARE
    state record; got record;
    ends text[];                -- from which the places can be counted
    wanted bigint[] := '{1}';
BEGIN
    SELECT * INTO state FROM mirror_state;
    page_size := state.list_size;
    requests := 0;
    certain := false;
    DELETE FROM order_stage;
    FOR attempt IN 1..CASE WHEN by_page THEN 8 ELSE 0 END LOOP
        step := step + 1;
        PERFORM @extschema@.impilo_mirror_fetch(step, 'pages', wanted);
        requests := requests + cardinality(wanted);
        SELECT min(s.list_total) AS least, max(s.list_total) AS most, max(s.list_page) AS last,
            min(s.list_size) AS size, max(s.list_size) AS greatest_size,
            bool_and(s.list_total IS NOT NULL) AS counted, count(DISTINCT s.id) AS orders
        INTO got FROM order_stage s;
        page_size := CASE WHEN got.counted AND got.size > 0 THEN got.size END;
        EXIT WHEN page_size IS NULL OR got.size <> got.greatest_size;
        wanted := ARRAY(SELECT generate_series(got.last + 1, greatest(got.most - 1, 0) / page_size + 1));
        CONTINUE WHEN wanted <> '{}';

        -- Each id has one rank and each rank one id, without gaps, if the
        -- places are counted from one end or from the other.
        ends := ARRAY(SELECT r.direction FROM (
                SELECT DISTINCT n.direction, s.id,
                    CASE n.direction WHEN 'newest' THEN s.list_total - s.list_place + 1 ELSE s.list_place END AS rank
                FROM order_stage s CROSS JOIN (VALUES ('newest'), ('oldest')) n (direction)
                WHERE s.id IS NOT NULL AND (n.direction = 'newest' OR got.least < got.most)) r
            GROUP BY r.direction
            HAVING count(*) = ALL (ARRAY[count(DISTINCT r.id), count(DISTINCT r.rank), max(r.rank)]));
        EXIT WHEN ends = '{}' AND got.orders > 0;
        certain := got.orders = got.most;
        EXIT WHEN got.orders >= got.most;
        wanted := ARRAY(SELECT generate_series(     -- what was added meanwhile
            CASE WHEN 'oldest' = ANY (ends) THEN greatest(got.orders - 1, 0) / page_size + 1 ELSE 1 END,
            (got.most - CASE WHEN 'oldest' = ANY (ends) THEN 1 ELSE got.orders END) / page_size + 1));
    END LOOP;
    IF NOT certain THEN
        DELETE FROM order_stage;
        step := step + 1;
        PERFORM @extschema@.impilo_mirror_fetch(step, 'list', NULL);
        requests := requests + (SELECT count(*) / coalesce(page_size, 250) + 1 FROM order_stage);
    ELSIF got.least < got.most AND cardinality(ends) = 1 THEN
        direction := ends[1];
    END IF;

    -- The place of new orders says which end is the newest.  Without any, the
    -- ids are a guess, which the next new orders check.
    SELECT min(s.list_place) FILTER (WHERE d.listed) AS first_known,
        max(s.list_place) FILTER (WHERE d.listed) AS last_known,
        min(s.list_place) FILTER (WHERE d.listed IS NOT TRUE) AS first_fresh,
        max(s.list_place) FILTER (WHERE d.listed IS NOT TRUE) AS last_fresh,
        (array_agg(s.id ORDER BY s.list_place))[1] > (array_agg(s.id ORDER BY s.list_place DESC))[1] AS falling
    INTO got FROM order_stage s LEFT JOIN order_data d ON d.id = s.id WHERE s.id IS NOT NULL;
    direction := CASE state.list_order WHEN 'unordered' THEN 'unordered' ELSE coalesce(direction,
        CASE WHEN got.first_fresh > got.last_known THEN 'oldest' WHEN got.last_fresh < got.first_known THEN 'newest' END,
        state.list_order, CASE WHEN got.falling THEN 'newest' ELSE 'oldest' END) END;
    ids := ARRAY(SELECT s.id FROM order_stage s WHERE s.id IS NOT NULL GROUP BY s.id
        ORDER BY max(CASE WHEN direction <> 'newest' THEN s.list_place
            WHEN certain THEN s.list_total - s.list_place + 1 ELSE -s.list_place END));
END
$function$;

-- Raises an error if the stage may come from another account: many orders
-- have disappeared, or have another patient or site.
CREATE FUNCTION impilo_mirror_account(lost bigint[], accept_loss boolean) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    orders bigint; others bigint;
BEGIN
    IF accept_loss OR cardinality(lost) <= 20
        AND (SELECT count(*) <= 20 FROM order_stage s WHERE s.document IS NOT NULL) THEN RETURN; END IF;
    orders := (SELECT count(*) FROM order_data d WHERE d.gone_at IS NULL);
    -- patient_id is that of r if order_data has none
    others := (SELECT count(*) FROM order_stage s
        CROSS JOIN LATERAL @extschema@.impilo_order_rows('orders', s.id, s.document) AS r (site_id bigint, patient_id bigint)
        WHERE EXISTS (SELECT FROM order_data d WHERE d.id = s.id AND d.gone_at IS NULL
            AND (d.site_id <> r.site_id OR patient_id <> r.patient_id)));
    IF greatest(cardinality(lost), others) > greatest(20, orders / 10) THEN
        RAISE EXCEPTION 'the orders of the API are not those of the mirror'
            USING ERRCODE = 'data_exception',
            DETAIL = format('Of %s orders, %s are missing and %s have another patient or site. The server or its user '
                'mapping may lead to another account. The mirror is unchanged.', orders, cardinality(lost), others),
            HINT = 'If this is the right account, refresh with accept_loss => true.';
    END IF;
END
$function$;

-- Writes what the stage has, and marks orders as gone, unless order_data was
-- read later.  Returns how many orders are new, changed and gone.
CREATE FUNCTION impilo_mirror_store(
    read_at timestamptz, gone bigint[], OUT new_orders bigint, OUT changed_orders bigint, OUT gone_orders bigint)
LANGUAGE plpgsql AS $function$
DECLARE
    lists record;
BEGIN
    UPDATE order_data d SET gone_at = clock_timestamp(), changed_at = clock_timestamp(), listed = false,
        change_no = nextval('order_change')
    WHERE d.id = ANY (gone) AND d.gone_at IS NULL AND d.read_at <= impilo_mirror_store.read_at;
    GET DIAGNOSTICS gone_orders = ROW_COUNT;
    SELECT string_agg(quote_ident(d.column_name), ', ' ORDER BY a.attnum) AS names,
        string_agg(format('%I %s', d.column_name, d.type), ', ' ORDER BY a.attnum) AS definitions,
        string_agg(format('%1$I = excluded.%1$I', d.column_name), ', ' ORDER BY a.attnum) AS assignments
    INTO lists FROM pg_attribute a JOIN @extschema@.impilo_data_dictionary() d ON d.column_name = a.attname
    WHERE a.attrelid = 'order_data'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND d.relation = 'orders';
    EXECUTE format($query$
        WITH written AS (
            INSERT INTO order_data AS d (%1$s, hash, progress_hash, change_no, first_seen, changed_at, read_at,
                last_event_at, listed, invalid_values)
            SELECT r.*, s.hash, hash_record_extended((p.current_status, p.order_events, p.tracking_numbers, p.order_items,
                    p.order_kits, p.order_notes, jsonb_path_query_array(p.devices, '$[*].id')), 0),
                nextval('order_change'), clock_timestamp(), clock_timestamp(), $1,
                (SELECT max(event_timestamp) FROM @extschema@.impilo_order_rows('order_events', s.id, s.document)
                    AS e (event_timestamp timestamptz) WHERE event_timestamp <= $1),
                s.list_place IS NOT NULL,
                @extschema@.impilo_invalid_values(s.document) + (s.document = '{"id":' || s.id || '}')::integer
            FROM order_stage s
            CROSS JOIN LATERAL @extschema@.impilo_order_rows('orders', s.id, s.document) AS r (%2$s)
            CROSS JOIN LATERAL @extschema@.impilo_order_rows('orders', s.id, s.document) AS p (current_status text,
                order_events jsonb, tracking_numbers jsonb, order_items jsonb, order_kits jsonb, order_notes jsonb, devices jsonb)
            WHERE s.document IS NOT NULL AND NOT EXISTS (SELECT FROM order_stage l
                WHERE l.id = s.id AND (l.step, l.ctid) > (s.step, s.ctid))
            ON CONFLICT (id) DO UPDATE SET %3$s, hash = excluded.hash, progress_hash = excluded.progress_hash,
                change_no = excluded.change_no, read_at = excluded.read_at, gone_at = NULL,
                changed_at = CASE WHEN d.progress_hash = excluded.progress_hash AND d.gone_at IS NULL
                    THEN d.changed_at ELSE excluded.changed_at END,
                last_event_at = excluded.last_event_at, listed = d.listed OR excluded.listed,
                invalid_values = excluded.invalid_values
            WHERE d.read_at <= excluded.read_at
            RETURNING xmax = 0 AS inserted
        ) SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written
        $query$, lists.names, lists.definitions, lists.assignments)
    INTO new_orders, changed_orders USING read_at;
    IF new_orders > 1000 THEN ANALYZE order_data; END IF;
END
$function$;

-- Stores the ids of the list by rank, from a block on, and when blocks were
-- read: the blocks given and those from `low` on, if the stage has all orders.
CREATE FUNCTION impilo_mirror_rank(
    now timestamptz, size bigint, first_block bigint, ids bigint[], low bigint, blocks bigint[]) RETURNS void
LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO order_rank AS r
    SELECT n.block, n.ids
    FROM (SELECT first_block + (i.nth - 1) / size AS block, array_agg(i.id ORDER BY i.nth) AS ids
        FROM unnest(impilo_mirror_rank.ids) WITH ORDINALITY i (id, nth) GROUP BY 1) n
    WHERE NOT EXISTS (SELECT FROM order_rank o WHERE o.block = n.block AND o.ids = n.ids)
    ON CONFLICT (block) DO UPDATE SET ids = excluded.ids;
    DELETE FROM order_rank r WHERE r.block >= first_block + (cardinality(impilo_mirror_rank.ids) + size - 1) / size;
    DELETE FROM order_block b WHERE NOT EXISTS (SELECT FROM order_rank r WHERE r.block = b.block);
    INSERT INTO order_block
    SELECT r.block, CASE WHEN every(s.id IS NOT NULL) THEN now ELSE coalesce(o.read_at, now) END,
        coalesce(max(greatest(d.last_event_at, CASE WHEN d.changed_at > m.first_full THEN d.changed_at END)),
            now - interval '1 year')    -- of what the first load saw, events alone say how old it is
    FROM order_rank r CROSS JOIN LATERAL unnest(r.ids) i (id)
    CROSS JOIN mirror_state m
    LEFT JOIN order_data d ON d.id = i.id
    LEFT JOIN (SELECT DISTINCT id FROM order_stage) s ON s.id = i.id
    LEFT JOIN order_block o ON o.block = r.block
    WHERE r.block >= low OR r.block = ANY (blocks)
    GROUP BY r.block, o.read_at
    ON CONFLICT (block) DO UPDATE SET read_at = excluded.read_at, progress_at = excluded.progress_at;
END
$function$;

CREATE FUNCTION impilo_create_mirror(
    server name, schema name, document boolean DEFAULT true, patient_data boolean DEFAULT true,
    freshness real DEFAULT 0.02, full_every interval DEFAULT '1 day') RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    private constant text := '^$|^/(patient|devices|packedKits|orderNotes|return)';
    columns record;
    taken name;
BEGIN
    IF NOT freshness BETWEEN 0 AND 1 OR full_every <= interval '0' THEN
        RAISE EXCEPTION 'freshness must be between 0 and 1, and full_every above 0'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM has_server_privilege(server, 'USAGE');  -- an error if there is none
    SELECT c.relname INTO taken FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = schema AND (c.relname IN ('mirror_state', 'order_data', 'order_list')
        OR c.relname IN (SELECT d.relation FROM @extschema@.impilo_data_dictionary() d))
    ORDER BY c.relname <> 'mirror_state', c.relname LIMIT 1;
    IF taken = 'mirror_state' THEN
        RAISE EXCEPTION 'schema "%" is already a mirror', schema
            USING ERRCODE = 'duplicate_table', HINT = 'Drop it with impilo_drop_mirror(), or use another schema.';
    ELSIF taken IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" already contains relation "%"', schema, taken
            USING ERRCODE = 'duplicate_table', HINT = 'Use another schema for the mirror.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = schema) THEN
        EXECUTE format('CREATE SCHEMA %I', schema);
    END IF;
    -- Names and birth dates do not go into pg_statistic.
    SELECT string_agg(format('%I %s', column_name, type), ', ') AS definitions, string_agg(
            format(', ALTER %I SET STATISTICS 0', column_name), '') FILTER (
            WHERE json_path ~ private AND json_path <> '/patient/id') AS no_statistics
    INTO columns FROM @extschema@.impilo_data_dictionary()
    WHERE relation = 'orders' AND column_name <> '' AND (column_name <> 'document' OR document)
        AND (patient_data OR json_path !~ private);
    EXECUTE format($ddl$
        CREATE FOREIGN TABLE %1$I.order_list (id bigint, document text OPTIONS (on_invalid 'null'),
            list_page bigint, list_place bigint, list_total bigint, list_size bigint)
            SERVER %2$I OPTIONS (relation 'orders', updatable 'false');
        CREATE TABLE %1$I.order_data (%3$s, hash bigint, progress_hash bigint NOT NULL, change_no bigint NOT NULL,
            first_seen timestamptz NOT NULL, changed_at timestamptz NOT NULL, read_at timestamptz NOT NULL,
            gone_at timestamptz, last_event_at timestamptz, listed boolean NOT NULL, invalid_values bigint NOT NULL,
            PRIMARY KEY (id));
        ALTER TABLE %1$I.order_data ALTER hash SET STATISTICS 0%4$s;
        CREATE INDEX ON %1$I.order_data (site_id);
        CREATE INDEX ON %1$I.order_data USING gin (external_order_ids);
        CREATE INDEX ON %1$I.order_data (change_no);
        CREATE SEQUENCE %1$I.order_change OWNED BY %1$I.order_data.change_no;
        CREATE TABLE %1$I.order_rank (block bigint PRIMARY KEY, ids bigint[] NOT NULL);
        CREATE TABLE %1$I.order_block (
            block bigint PRIMARY KEY, read_at timestamptz NOT NULL, progress_at timestamptz NOT NULL);
        CREATE UNLOGGED TABLE %1$I.order_stage (step integer, list_page bigint, list_place bigint,
            list_total bigint, list_size bigint, id bigint, hash bigint, document text);
        CREATE TABLE %1$I.mirror_state (base_url text, freshness real NOT NULL, full_every interval NOT NULL,
            list_order text, list_size bigint, listed bigint NOT NULL DEFAULT 0, rank_failures integer NOT NULL DEFAULT 0,
            first_full timestamptz, last_full timestamptz, last_refresh timestamptz, last_complete timestamptz);
        ALTER TABLE %1$I.mirror_state REPLICA IDENTITY FULL;    -- for publications of all tables
        INSERT INTO %1$I.mirror_state (freshness, full_every) VALUES (%5$L, %6$L);
        CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %1$I.order_data
            FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.impilo_mirror_guard();
        $ddl$, schema, server, columns.definitions, columns.no_statistics, freshness, full_every);
    IF patient_data THEN
        EXECUTE format('CREATE INDEX ON %I.order_data (patient_id)', schema);
    END IF;
    PERFORM @extschema@.impilo_mirror_views(schema);
END
$function$;
COMMENT ON FUNCTION impilo_create_mirror IS 'creates an empty local copy of the orders of a server';

CREATE FUNCTION impilo_refresh_mirror(
    schema name, INOUT complete boolean DEFAULT false, wait boolean DEFAULT true, accept_loss boolean DEFAULT false,
    OUT kind text, OUT requests bigint, OUT orders_read bigint, OUT new_orders bigint, OUT changed_orders bigint,
    OUT gone_orders bigint, OUT duration interval)
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET impilo_mirror.writer = 'on' AS $function$
DECLARE
    started timestamptz := clock_timestamp();
    key bigint; address record; state record; got record;
    step integer := 0;
    first_block bigint := 1;        -- of ids
    ids bigint[]; lost bigint[] := '{}';
    low bigint := 0; blocks bigint[] := '{}';   -- blocks that were read
BEGIN
    SELECT * INTO address FROM @extschema@.impilo_mirror_enter(schema, true);
    key := hashtextextended('impilo_fdw mirror', 'order_data'::regclass::oid::bigint);
    IF wait THEN
        PERFORM pg_advisory_xact_lock(key);
    ELSIF NOT pg_try_advisory_xact_lock(key) THEN
        SELECT false, 'busy', 0, 0, 0, 0, 0, clock_timestamp() - started
        INTO complete, kind, requests, orders_read, new_orders, changed_orders, gone_orders, duration;
        RETURN;
    END IF;
    SELECT * INTO STRICT state FROM mirror_state;
    IF state.base_url <> address.base_url AND NOT accept_loss THEN
        RAISE EXCEPTION 'server "%" has another base_url than at the refreshes before', address.server
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'If this is the right account, refresh with accept_loss => true.';
    END IF;
    started := clock_timestamp();
    DELETE FROM order_stage;
    kind := CASE WHEN complete OR state.list_size IS NULL OR state.last_full IS NULL
        OR started - state.last_full >= state.full_every THEN 'complete' ELSE 'incremental' END;
    IF kind = 'incremental' THEN
        SELECT * INTO got FROM @extschema@.impilo_mirror_newest(step);
        step := got.step;
        requests := got.pages;
        complete := got.verdict = 'proven';
        IF got.verdict IN ('proven', 'unproven') THEN
            low := CASE state.list_order WHEN 'unordered' THEN 0 ELSE state.listed / state.list_size - got.pages END;
            first_block := state.listed / state.list_size + 1;
            ids := coalesce((SELECT r.ids FROM order_rank r WHERE r.block = first_block), '{}') || got.appended;
            state.listed := state.listed + cardinality(got.appended);
            state.rank_failures := 0;
            SELECT * INTO got FROM @extschema@.impilo_mirror_due(started, state.listed, step);
            requests := requests + got.requests;
            blocks := got.blocks;
            lost := got.gone;
            IF lost <> '{}' THEN        -- all behind it move
                ids := ARRAY(
                    SELECT u.id FROM order_rank r CROSS JOIN LATERAL unnest(r.ids) WITH ORDINALITY u (id, nth)
                    WHERE r.block < first_block AND u.id <> ALL (lost) ORDER BY r.block, u.nth)
                    || ARRAY(SELECT u.id FROM unnest(ids) u (id) WHERE u.id <> ALL (lost));
                first_block := 1;
                state.listed := cardinality(ids);
            END IF;
        ELSE
            kind := 'complete';
            state.rank_failures := CASE got.verdict WHEN 'moved' THEN state.rank_failures + 1 ELSE 0 END;
        END IF;
    END IF;

    IF kind = 'complete' THEN
        complete := true;
        FOR attempt IN 1..2 LOOP
            SELECT * INTO got FROM @extschema@.impilo_mirror_whole(attempt = 1, step);
            requests := coalesce(requests, 0) + got.requests;
            -- EXCEPT, as an anti join may be a nested loop: the statistics of
            -- the stage are often those of an empty table.
            lost := ARRAY(SELECT d.id FROM order_data d WHERE d.gone_at IS NULL EXCEPT SELECT s.id FROM order_stage s);
            EXIT WHEN lost = '{}' OR cardinality(lost) > 1000 AND accept_loss;
            PERFORM @extschema@.impilo_mirror_account(lost, accept_loss);
            -- An order that exists but was not in the list was missed because
            -- another one disappeared meanwhile: read the list again.
            step := got.step + 1;
            PERFORM @extschema@.impilo_mirror_fetch(step, 'ids', lost);
            requests := requests + cardinality(lost);
            lost := ARRAY(SELECT l.id FROM unnest(lost) l (id)
                WHERE NOT EXISTS (SELECT FROM order_stage s WHERE s.id = l.id));
            EXIT WHEN NOT EXISTS (SELECT FROM order_stage s WHERE s.step = got.step + 1);
        END LOOP;
        ids := got.ids;
        -- The list is not in the order of creation if known orders moved
        -- twice and nothing explains it.
        IF lost <> '{}' OR NOT got.certain OR got.direction <> state.list_order THEN
            state.rank_failures := 0;
        END IF;
        state.list_order := CASE WHEN state.rank_failures > 1 THEN 'unordered' ELSE got.direction END;
        state.list_size := got.page_size;
        state.listed := cardinality(ids);
        state.last_full := started;
    END IF;

    PERFORM @extschema@.impilo_mirror_account(lost, accept_loss);
    orders_read := (SELECT count(DISTINCT s.id) FROM order_stage s);
    PERFORM pg_advisory_xact_lock(key + 1);     -- excludes webhooks
    SELECT w.new_orders, w.changed_orders, w.gone_orders INTO new_orders, changed_orders, gone_orders
    FROM @extschema@.impilo_mirror_store(started, lost) w;
    PERFORM @extschema@.impilo_mirror_rank(started, coalesce(state.list_size, 250), first_block, ids, low, blocks);
    UPDATE mirror_state SET base_url = address.base_url, list_order = state.list_order, list_size = state.list_size,
        listed = state.listed, rank_failures = state.rank_failures, last_full = state.last_full,
        first_full = coalesce(first_full, clock_timestamp()), last_refresh = started,
        last_complete = CASE WHEN complete THEN started ELSE last_complete END;
    DELETE FROM order_stage;
    duration := clock_timestamp() - started;
END
$function$;
COMMENT ON FUNCTION impilo_refresh_mirror IS 'brings a mirror up to date';

CREATE FUNCTION impilo_apply_webhook(schema name, payload jsonb) RETURNS text
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET impilo_mirror.writer = 'on' AS $function$
DECLARE
    kind text := payload ->> 'type';
    content jsonb := payload -> 'payload';
    id bigint;
    started timestamptz; written record;
BEGIN
    IF jsonb_typeof(payload -> 'type') IS DISTINCT FROM 'string' OR jsonb_typeof(content) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'not a webhook delivery of the API' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'A delivery is an object with the members "id", "type" (a string) and "payload" (an object).';
    ELSIF kind NOT IN ('order.status', 'order.statusFull') THEN
        RAISE NOTICE 'webhook delivery of type "%" is ignored', left(kind, 64)
            USING HINT = 'The types order.status and order.statusFull are used.';
        RETURN 'ignored';
    END IF;
    SELECT v::text::bigint INTO id FROM unnest(ARRAY[content -> 'orderId', content #> '{order,id}', content -> 'id']) v
    WHERE v::text ~ '^\d{1,18}$' LIMIT 1;
    IF id IS NULL THEN
        RAISE EXCEPTION 'webhook delivery of type "%" has no order id', kind USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'The payload must have a number "orderId", "order.id" or "id".';
    END IF;

    -- The delivery may be late or repeated, so the order is read again.
    PERFORM @extschema@.impilo_mirror_enter(schema, true);
    PERFORM pg_advisory_xact_lock(hashtextextended('impilo_fdw mirror', 'order_data'::regclass::oid::bigint) + 1);
    started := clock_timestamp();
    DELETE FROM order_stage;
    PERFORM @extschema@.impilo_mirror_fetch(1, 'ids', ARRAY[id]);
    SELECT * INTO written FROM @extschema@.impilo_mirror_store(
        started, CASE WHEN NOT EXISTS (SELECT FROM order_stage) THEN ARRAY[id] END);
    DELETE FROM order_stage;
    RETURN CASE WHEN written.new_orders > 0 THEN 'new' WHEN written.changed_orders > 0 THEN 'changed'
        WHEN written.gone_orders > 0 THEN 'gone' ELSE 'unchanged' END;
END
$function$;
COMMENT ON FUNCTION impilo_apply_webhook IS 'reads the order that a webhook delivery names';

CREATE FUNCTION impilo_mirror_status(
    schema name, OUT server name, OUT orders bigint, OUT gone_orders bigint, OUT list_order text,
    OUT last_refresh timestamptz, OUT last_complete timestamptz, OUT last_full timestamptz,
    OUT blocks bigint, OUT blocks_due bigint, OUT oldest_read timestamptz, OUT invalid_values bigint)
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    server := (SELECT e.server FROM @extschema@.impilo_mirror_enter(schema, false) e);
    SELECT d.orders, d.gone, s.list_order, s.last_refresh, s.last_complete, s.last_full, b.*, d.invalid
    INTO orders, gone_orders, list_order, last_refresh, last_complete, last_full,
        blocks, blocks_due, oldest_read, invalid_values
    FROM mirror_state s CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE gone_at IS NULL), count(gone_at),
        coalesce(sum(o.invalid_values) FILTER (WHERE gone_at IS NULL), 0) FROM order_data o) d (orders, gone, invalid)
    CROSS JOIN LATERAL (SELECT count(*), count(*) FILTER (WHERE clock_timestamp() - read_at
        > s.freshness * (clock_timestamp() - progress_at)), min(read_at) FROM order_block) b;
END
$function$;
COMMENT ON FUNCTION impilo_mirror_status IS 'when a mirror was refreshed, and what it holds';

CREATE FUNCTION impilo_upgrade_mirror(schema name) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET impilo_mirror.writer = 'on' AS $function$
DECLARE
    data regclass := format('%I.order_data', schema);
    added text;
BEGIN
    SELECT string_agg(format('ADD COLUMN %I %s', d.column_name, d.type), ', ') INTO added
    FROM @extschema@.impilo_data_dictionary() d
    WHERE d.relation = 'orders' AND d.column_name <> 'document'
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = data AND a.attname = d.column_name)
        AND (d.json_path !~ '^/(patient|devices|packedKits|orderNotes|return)'
            OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = data AND a.attname = 'patient_id'));
    IF added IS NOT NULL THEN       -- the next refresh fills them
        EXECUTE format('ALTER TABLE %s %s', data, added);
        EXECUTE format('UPDATE %s SET hash = NULL WHERE hash IS NOT NULL', data);
        EXECUTE format('UPDATE %I.mirror_state SET last_full = NULL', schema);
    END IF;
    PERFORM @extschema@.impilo_mirror_views(schema);
END
$function$;
COMMENT ON FUNCTION impilo_upgrade_mirror IS 'adds columns and views of a newer version to a mirror';

CREATE FUNCTION impilo_drop_mirror(schema name) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    PERFORM @extschema@.impilo_mirror_enter(schema, false);
    EXECUTE (SELECT 'DROP VIEW ' || string_agg(c.oid::regclass::text, ', ') FROM pg_class c
        WHERE c.relnamespace = quote_ident(schema)::regnamespace AND c.relkind = 'v'
            AND c.relname IN (SELECT relation FROM @extschema@.impilo_data_dictionary()));
    DROP FOREIGN TABLE order_list;
    DROP TABLE order_data, order_rank, order_block, order_stage, mirror_state;
    IF NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_namespace'::regclass
        AND d.refobjid = quote_ident(schema)::regnamespace AND d.deptype IN ('n', 'e'))
    THEN
        EXECUTE format('DROP SCHEMA %I', schema);
    END IF;
END
$function$;
COMMENT ON FUNCTION impilo_drop_mirror IS 'drops a mirror, and its schema if nothing else is in it';

REVOKE EXECUTE ON FUNCTION impilo_create_mirror, impilo_refresh_mirror, impilo_mirror_status,
    impilo_apply_webhook, impilo_upgrade_mirror, impilo_drop_mirror FROM PUBLIC;
