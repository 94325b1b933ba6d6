-- What connects a database with an account of Impilo. For the real one leave
-- base_url out, which is the sandbox here, and give your own key.

CREATE EXTENSION impilo_fdw;
CREATE SERVER impilo FOREIGN DATA WRAPPER impilo_fdw OPTIONS (base_url :'base_url');
CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');
CREATE SCHEMA impilo;
IMPORT FOREIGN SCHEMA v3 FROM SERVER impilo INTO impilo;
\d impilo.order_items
