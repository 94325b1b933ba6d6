-- Connect the database to an account of Impilo. The base_url is that of the
-- sandbox; for the real API, omit it and use your own key.

CREATE EXTENSION impilo_fdw;
CREATE SERVER impilo FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url :'base_url');
CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');
CREATE SCHEMA impilo;
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO impilo;
\d impilo.order_items
