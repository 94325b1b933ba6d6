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
