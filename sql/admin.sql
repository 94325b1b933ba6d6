-- SQL functions for the administrator of a server: connections, ping, versions.
\i :setup

-- a session without connections
SELECT impilo_fdw_disconnect_all() IN (true, false) AS begun;
SELECT * FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect('impilo'), impilo_fdw_disconnect_all();

-- one session for each user mapping
SELECT id FROM impilo.orders WHERE id = 7;
SELECT server_name, user_name = current_user AS me, valid, in_use FROM impilo_fdw_get_connections();
-- a connection with changed options is closed at once, as in postgres_fdw
ALTER SERVER impilo OPTIONS (ADD fetch_size '100');
SELECT server_name, valid FROM impilo_fdw_get_connections();
SELECT id FROM impilo.orders WHERE id = 7;
SELECT server_name, valid FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect('impilo');
SELECT * FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect('impilo');
SELECT impilo_fdw_disconnect('nobody');
SELECT impilo_fdw_disconnect(NULL);

-- the sandbox sees the connection closed and opened again
\! ctl log-reset
SELECT id FROM impilo.orders WHERE id IN (7, 8);
SELECT impilo_fdw_disconnect_all();
SELECT id FROM impilo.orders WHERE id IN (7, 8);

-- a connection that an open cursor uses is not closed
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM impilo.orders;
FETCH 1 FROM c;
SELECT server_name, in_use FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect('impilo');
SELECT impilo_fdw_disconnect_all();
FETCH 1 FROM c;
-- the cursor continues with its connection, next to a new one
ALTER SERVER impilo OPTIONS (SET fetch_size '90');
SELECT server_name, valid, in_use FROM impilo_fdw_get_connections();
SELECT id FROM impilo.orders WHERE id = 7;
SELECT server_name, valid, in_use FROM impilo_fdw_get_connections();
FETCH 1 FROM c;
CLOSE c;
SELECT impilo_fdw_disconnect('impilo');
COMMIT;
-- a connection that a transaction needs for its commit is not closed
CREATE FOREIGN TABLE impilo.later (patient_id bigint, order_items jsonb)
    SERVER impilo OPTIONS (relation 'orders', post_at 'commit');
BEGIN;
INSERT INTO impilo.later VALUES (1, impilo_order_item(1000));
SELECT server_name, valid, in_use FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect_all();
ROLLBACK;
SELECT server_name, valid, in_use FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect('impilo');
-- a change that is rolled back closes the connection, too
SELECT id FROM impilo.orders WHERE id = 7;
BEGIN;
ALTER SERVER impilo OPTIONS (SET fetch_size '80');
SELECT id FROM impilo.orders WHERE id = 7;
ROLLBACK;
SELECT id FROM impilo.orders WHERE id = 7;
SELECT count(*) FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect_all();
-- every role can close the connections of its session; a dropped server has none
CREATE SERVER impilo_two FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url :'base_url');
CREATE USER MAPPING FOR CURRENT_USER SERVER impilo_two OPTIONS (api_key 'sandbox-key');
CREATE FOREIGN TABLE impilo.two (id bigint) SERVER impilo_two OPTIONS (relation 'orders');
SELECT id FROM impilo.orders WHERE id = 7 UNION ALL SELECT id FROM impilo.two WHERE id = 8;
SELECT server_name FROM impilo_fdw_get_connections() ORDER BY 1;
CREATE ROLE impilo_guest;
SET ROLE impilo_guest;
SELECT impilo_fdw_disconnect('impilo');
RESET ROLE;
DROP ROLE impilo_guest;
SET client_min_messages = warning;
DROP SERVER impilo_two CASCADE;
RESET client_min_messages;
SELECT * FROM impilo_fdw_get_connections();
SELECT impilo_fdw_disconnect('impilo_two');
-- a connection that the statement itself uses is not closed
SELECT impilo_fdw_disconnect('impilo') FROM impilo.orders WHERE id = 7;

-- a mapping for PUBLIC causes a warning, once
DROP USER MAPPING FOR CURRENT_USER SERVER impilo;
CREATE USER MAPPING FOR PUBLIC SERVER impilo OPTIONS (api_key 'sandbox-key');
SELECT id FROM impilo.orders WHERE id = 7;
SELECT id FROM impilo.orders WHERE id = 8;
SELECT user_name FROM impilo_fdw_get_connections();
SELECT ok FROM impilo_fdw_ping('impilo');
DROP USER MAPPING FOR PUBLIC SERVER impilo;
CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');

-- ping: its result in each case
SELECT ok, http_status, sqlstate, problem, http_version, orders, lookup_ms >= 0 AS lookup, connect_ms >= 0 AS connect,
    tls_ms, first_byte_ms >= 0 AS first_byte, total_ms >= first_byte_ms AS total
FROM impilo_fdw_ping('impilo');
\! ctl fault '{"do":{"status":503}}'
\! ctl log-reset
SELECT ok, http_status, sqlstate, problem, orders, total_ms > 0 AS total FROM impilo_fdw_ping('impilo');
-- ping does not retry: it reports the current state
\! ctl log
\! ctl fault '{"do":{"body":"<html>"}}'
SELECT ok, http_status, sqlstate, problem FROM impilo_fdw_ping('impilo');
\! ctl fault '{"do":{"reset":"after"}}'
SELECT ok, http_status, sqlstate, first_byte_ms FROM impilo_fdw_ping('impilo');
\! ctl fault '{"do":{"status":404}}'
SELECT ok, http_status, sqlstate, problem, orders FROM impilo_fdw_ping('impilo');
\! ctl nofault
-- times are whole microseconds
SELECT count(*), count(*) FILTER (WHERE ping::text ~ '\.\d{4}') AS too_long
FROM (SELECT impilo_fdw_ping('impilo') FROM generate_series(1, 20) OFFSET 0) pings (ping);
ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'expired-key');
SELECT ok, http_status, sqlstate, problem FROM impilo_fdw_ping('impilo');
ALTER USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (SET api_key 'sandbox-key');
ALTER SERVER impilo OPTIONS (SET base_url 'http://127.0.0.1:1/api/v3');
SELECT ok, http_status, sqlstate, connect_ms, first_byte_ms FROM impilo_fdw_ping('impilo');
-- ping requires the privilege to use the server
CREATE ROLE impilo_guest;
SET ROLE impilo_guest;
SELECT * FROM impilo_fdw_ping('impilo');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER impilo TO impilo_guest;
SET ROLE impilo_guest;
SELECT * FROM impilo_fdw_ping('impilo');
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER impilo FROM impilo_guest;
DROP ROLE impilo_guest;
SELECT * FROM impilo_fdw_ping('nobody');

-- versions and settings for bug reports
SELECT name, value IS NOT NULL AS known FROM impilo_fdw_diag();
SELECT value = (SELECT extversion FROM pg_extension WHERE extname = 'impilo_fdw') AS same
FROM impilo_fdw_diag() WHERE name = 'impilo_fdw extension';
SELECT name, value FROM impilo_fdw_diag()
WHERE NOT CASE name
    WHEN 'TLS' THEN value ~ '^(no|[A-Za-z]\w*/\d.*)$'
        AND (value = 'no' OR position(value IN (SELECT value FROM impilo_fdw_diag() WHERE name = 'libcurl')) > 0)
    WHEN 'HTTP/2' THEN value ~ '^(no|yes, nghttp2 \d.*)$'
        AND (value = 'no') = ((SELECT value FROM impilo_fdw_diag() WHERE name = 'libcurl') !~ 'nghttp2/')
    ELSE true END;
SELECT count(*) FROM impilo_fdw_diag() WHERE value ~ 'key|127.0.0.1';
