--
-- Options: each good and bad value where it may stand, and hints
--
\i :setup
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN sqlstate || ': ' || sqlerrm || coalesce(nullif(' / ' || hint, ' / '), '');
END $$;
-- try(where, option, value): adds the option, and drops it if that succeeds
CREATE FUNCTION pg_temp.try(place text, option text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	result := pg_temp.try(format('%s OPTIONS (ADD %I %L)', place, option, value));
	IF result = 'ok' THEN
		EXECUTE format('%s OPTIONS (DROP %I)', place, option);
	END IF;
	RETURN result;
END $$;

\pset format unaligned
\pset tuples_only on
-- servers
SELECT o, v, pg_temp.try('ALTER SERVER impilo', o, v) FROM (VALUES
	('proxy', 'http://proxy:3128'), ('proxy', 'socks5h://proxy'), ('proxy', 'proxy:3128'), ('proxy', 'http://a b'), ('proxy', ''),
	('ca_file', '/etc/ssl/cert.pem'), ('ca_file', 'cert.pem'),
	('connect_timeout', '5s'), ('connect_timeout', '500ms'), ('connect_timeout', '3'), ('connect_timeout', '0'),
	('connect_timeout', 'soon'), ('connect_timeout', '2h'), ('connect_timeout', '-1s'), ('connect_timeout', '5 parsecs'),
	('request_timeout', '2min'), ('request_timeout', '0'), ('request_timeout', '2d'),
	('max_retries', '0'), ('max_retries', '100'), ('max_retries', '101'), ('max_retries', '-1'), ('max_retries', 'many'), ('max_retries', ''),
	('requests_per_second', '0'), ('requests_per_second', '0.5'), ('requests_per_second', '-1'), ('requests_per_second', 'fast'),
	('requests_per_second', 'NaN'),
	('max_response_size', '1MB'), ('max_response_size', '70000'), ('max_response_size', '1kB'), ('max_response_size', '3GB'),
	('max_pages', '1'), ('max_pages', '0'), ('max_pages', '1e3'), ('scan_timeout', '0'), ('scan_timeout', '90min'), ('scan_timeout', '8d'),
	('keep_connections', 'off'), ('keep_connections', 'sometimes'),
	('fdw_startup_cost', '10'), ('fdw_startup_cost', '-1'), ('fdw_tuple_cost', '0.01'), ('fdw_tuple_cost', 'x'),
	('reconcile_timeout', '0'), ('reconcile_timeout', '1min'), ('reconcile_timeout', '2h'),
	('unique_external_ids', 'true'), ('unique_external_ids', 'off'), ('unique_external_ids', 'unique'), ('external_ids', 'unique'),
	('analyze_patient_data', 'true'), ('analyze_patient_data', 'ask'),
	('fetch_size', '100'), ('fetch_size', '0'), ('max_concurrency', '64'), ('max_concurrency', '65'),
	('batch_size', '1'), ('batch_size', '10001'), ('use_remote_estimate', 'yes'), ('updatable', 'no'), ('post_at', 'commit'),
	('fecth_size', '100'), ('timeout', '5s'), ('api_key', 'secret'), ('relation', 'orders'), ('json_pointer', '/id'), ('xyzzy', '1')) t (o, v);
SELECT v, pg_temp.try(format('ALTER SERVER impilo OPTIONS (SET base_url %L)', v)) FROM (VALUES
	('https://app.impiloplatform.com/api/v3'), ('https://app.impiloplatform.com/api/v3/'), ('HTTPS://host:8443'),
	('http://localhost:80/x'), ('http://[::1]:80/x'), ('http://127.0.0.2'), ('http://example.com/api'), ('ftp://example.com'),
	('example.com'), (''), ('https://'), ('https://user:pw@example.com'), ('https://example.com/?a=b'), ('https://example.com/#x'),
	('https://example.com/a/../b'), ('https://exa mple.com'), ('http://localhost.example.com/')) t (v);

-- values that may contain credentials are not shown
SELECT o, pg_temp.try('ALTER SERVER impilo', o, v) FROM (VALUES
	('proxy', 'http://bob:s3cret@proxy'), ('proxy', 'bob:s3cret@proxy'), ('proxy', 'ftp://h/?s3cret')) t (o, v);
SELECT pg_temp.try(format('ALTER SERVER impilo OPTIONS (SET base_url %L)', v)) FROM (VALUES
	('https://bob:s3cret@h'), ('bob:s3cret@h'), ('https://s3cret@h/api'), ('ftp://bob:s3cret@h'), ('//bob:s3cret@h'), ('https://h?s3cret'),
	('https://h#s3cret'), ('https://h/a b@s3cret'), ('https://h/a@b')) t (v);
SELECT pg_temp.try(format('ALTER SERVER impilo OPTIONS (SET base_url %L)', v)) FROM (VALUES
	('https://h/%2e%2E/'), ('https://h/./a'), ('https://h//a'), ('https://h/a//'), ('https://h/...'), ('https://h/ä'), ('https://h/a|b'),
	('https://:443'), ('http://127.0.0.1.example.com'), ('http://127.1.2.3:1/a'), ('http://[::1]'), ('http://[::2]')) t (v);

-- tables
SELECT o, v, pg_temp.try('ALTER FOREIGN TABLE impilo.orders', o, v) FROM (VALUES
	('fetch_size', '1'), ('fetch_size', '10000'), ('fetch_size', '10001'), ('fetch_size', '2.5'), ('fetch_size', 'all'),
	('max_concurrency', '1'), ('max_concurrency', '0'), ('batch_size', '50'), ('batch_size', '0'),
	('use_remote_estimate', 'on'), ('use_remote_estimate', 'maybe'), ('updatable', 'false'), ('updatable', ''),
	('post_at', 'statement'), ('post_at', 'never'), ('post_at', 'later'),
	('base_url', 'https://example.com'), ('fetchsize', '1')) t (o, v);
SELECT v, pg_temp.try(format('CREATE FOREIGN TABLE pg_temp.t (id bigint) SERVER impilo OPTIONS (relation %L)', v)) FROM (VALUES
	('order'), ('order_item'), ('patients'), ('')) t (v);

-- columns
SELECT o, v, pg_temp.try('ALTER FOREIGN TABLE impilo.orders ALTER site_name', o, v) FROM (VALUES
	('json_pointer', '/a/0/b~1c'), ('json_pointer', ''), ('json_pointer', 'a'), ('json_pointer', '/a~2'),
	('on_invalid', 'null'), ('on_invalid', 'error'), ('on_invalid', 'skip'), ('fetch_size', '1'), ('json_ponter', '/a')) t (o, v);

-- user mappings: values of keys are not shown
SELECT o, v, pg_temp.try('ALTER USER MAPPING FOR CURRENT_USER SERVER impilo', o, v) FROM (VALUES
	('api_key_file', '/tmp/key'), ('apikey', 'x'), ('password', 'x'), ('user', 'x'), ('fetch_size', '1')) t (o, v);
SELECT pg_temp.try(format('ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key %L)', v)) FROM (VALUES
	('another'), ('with space'), (E'line\nend'), (''), ('ümlaut')) t (v);
SELECT pg_temp.try('CREATE USER MAPPING FOR PUBLIC SERVER impilo OPTIONS (api_key_file ''key'')');

-- the wrapper has no options; files require a role
SELECT pg_temp.try('ALTER FOREIGN DATA WRAPPER impilo_fdw OPTIONS (ADD base_url ''x'')');
CREATE ROLE options_user;
GRANT USAGE ON FOREIGN DATA WRAPPER impilo_fdw TO options_user;
SET ROLE options_user;
SELECT pg_temp.try('CREATE SERVER options_server FOREIGN DATA WRAPPER impilo_fdw OPTIONS (ca_file ''/etc/passwd'')');
CREATE SERVER options_server FOREIGN DATA WRAPPER impilo_fdw;
SELECT pg_temp.try('CREATE USER MAPPING FOR options_user SERVER options_server OPTIONS (api_key_file ''/etc/passwd'')');
SELECT pg_temp.try('CREATE USER MAPPING FOR options_user SERVER options_server OPTIONS (api_key ''mine'')');
RESET ROLE;
DROP OWNED BY options_user CASCADE;
DROP ROLE options_user;
\pset format aligned
\pset tuples_only off

-- the option of the table takes precedence
\i :setup
ALTER SERVER impilo OPTIONS (ADD fetch_size '100');
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders;
ALTER FOREIGN TABLE impilo.orders OPTIONS (ADD fetch_size '50');
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders;
EXPLAIN (COSTS OFF) SELECT order_id FROM impilo.order_items;

-- the API returns at most 250 orders per page
ALTER SERVER impilo OPTIONS (SET fetch_size '1000');
ALTER FOREIGN TABLE impilo.orders OPTIONS (DROP fetch_size);
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders;
