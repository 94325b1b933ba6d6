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
'orders of an Impilo account';

CREATE FUNCTION impilo_data_dictionary(
    OUT relation text, OUT column_name text, OUT type text,
    OUT json_path text, OUT writable boolean, OUT meaning text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_data_dictionary_1_0'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 350;

COMMENT ON FUNCTION impilo_data_dictionary() IS
'Relations and columns of the API; column_name is null for a relation itself';

-- Comments for the foreign tables of a schema and their columns.  A comment
-- that exists is kept.  The schema of the extension is looked up, as the
-- extension can be moved.
CREATE FUNCTION impilo_comment_tables(schema name)
RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    home name;
    target record;
    written bigint := 0;
BEGIN
    SELECT n.nspname INTO STRICT home
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'impilo_fdw';

    FOR target IN EXECUTE format($query$
        SELECT c.oid::regclass AS relation, a.attname AS column_name, d.meaning
        FROM pg_foreign_table t
        JOIN pg_class c ON c.oid = t.ftrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_foreign_server s ON s.oid = t.ftserver
        JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
        JOIN pg_depend p ON p.classid = 'pg_proc'::regclass
            AND p.objid = w.fdwhandler AND p.deptype = 'e'
        JOIN pg_extension e ON p.refclassid = 'pg_extension'::regclass
            AND e.oid = p.refobjid AND e.extname = 'impilo_fdw'
        JOIN %I.impilo_data_dictionary() d ON d.relation = coalesce(
            (SELECT o.option_value FROM pg_options_to_table(t.ftoptions) o
             WHERE o.option_name = 'relation'), c.relname)
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid
            AND a.attname = d.column_name AND NOT a.attisdropped
            AND NOT EXISTS (
                SELECT FROM pg_options_to_table(a.attfdwoptions) o
                WHERE o.option_name = 'json_pointer')
        WHERE n.nspname = $1
            AND (d.column_name IS NULL OR a.attnum IS NOT NULL)
            AND col_description(c.oid, coalesce(a.attnum, 0)) IS NULL
            AND (d.column_name IS NOT NULL
                OR obj_description(c.oid, 'pg_class') IS NULL)
        ORDER BY c.relname, a.attnum NULLS FIRST
    $query$, home) USING schema
    LOOP
        IF target.column_name IS NULL THEN
            EXECUTE format('COMMENT ON FOREIGN TABLE %s IS %L',
                           target.relation, target.meaning);
        ELSE
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L',
                           target.relation, target.column_name,
                           target.meaning);
        END IF;
        written := written + 1;
    END LOOP;
    RETURN written;
END
$function$;

COMMENT ON FUNCTION impilo_comment_tables(name) IS
'Write the meaning of foreign tables and columns of a schema as comments; returns how many';

/* ---------------------------------------------------------------------
 * Building orders
 * ---------------------------------------------------------------------
 */

CREATE FUNCTION impilo_order_item(id bigint, count integer DEFAULT 1)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'impilo_order_item_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION impilo_order_item(bigint, integer) IS
'one item of an order to be created, for column order_items: join several with ||';

CREATE FUNCTION impilo_order_kit(id bigint, count integer DEFAULT 1)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'impilo_order_kit_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION impilo_order_kit(bigint, integer) IS
'one kit of an order to be created, for column order_kits: join several with ||';

CREATE FUNCTION impilo_order_items_step(internal, id bigint, count integer)
RETURNS internal
AS 'MODULE_PATHNAME', 'impilo_order_items_step_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION impilo_order_kits_step(internal, id bigint, count integer)
RETURNS internal
AS 'MODULE_PATHNAME', 'impilo_order_kits_step_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION impilo_order_parts_final(internal)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'impilo_order_parts_final_1_0'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE impilo_order_items(id bigint, count integer) (
	SFUNC = impilo_order_items_step,
	STYPE = internal,
	FINALFUNC = impilo_order_parts_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE impilo_order_items(bigint, integer) IS
'items of an order to be created, one of each row; NULL for no rows';

CREATE AGGREGATE impilo_order_kits(id bigint, count integer) (
	SFUNC = impilo_order_kits_step,
	STYPE = internal,
	FINALFUNC = impilo_order_parts_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE impilo_order_kits(bigint, integer) IS
'kits of an order to be created, one of each row; NULL for no rows';

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

CREATE FUNCTION impilo_check_schema(
    server name, page_size integer DEFAULT 250,
    OUT finding text, OUT foreign_table text, OUT column_name text,
    OUT column_type text, OUT json_path text, OUT kinds text,
    OUT unfit bigint, OUT orders bigint, OUT orders_read bigint,
    OUT statement text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_check_schema_1_0'
LANGUAGE C VOLATILE STRICT COST 100000 ROWS 100;

COMMENT ON FUNCTION impilo_check_schema(name, integer) IS
'Read one page of orders and tell which members no column shows, which columns no order fills, and which types do not fit';

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
'connections that this session keeps, one for each user mapping; one that is not valid closes with the statement that uses it';

CREATE FUNCTION impilo_fdw_disconnect(server_name text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'impilo_fdw_disconnect_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_disconnect(text) IS
'close this session''s connections to a server, unless a statement uses them; returns whether one was closed';

CREATE FUNCTION impilo_fdw_disconnect_all()
RETURNS boolean
AS 'MODULE_PATHNAME', 'impilo_fdw_disconnect_all_1_0'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_disconnect_all() IS
'close all connections of this session that no statement uses; returns whether one was closed';

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
'ask a server for one order over a new connection: does the current user''s key work, and what takes how long';

CREATE FUNCTION impilo_fdw_diag(OUT name text, OUT value text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'impilo_fdw_diag_1_0'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION impilo_fdw_diag() IS
'versions and settings, for a report of a fault; holds no key, address or order';
