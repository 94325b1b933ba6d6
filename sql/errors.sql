--
-- Error messages
--
\i :setup
\set wrong :sandbox /api/v2

-- no user mapping, no key, wrong keys
DROP USER MAPPING FOR CURRENT_USER SERVER impilo;
CREATE ROLE errors_user;
GRANT USAGE ON SCHEMA impilo TO errors_user;
GRANT SELECT ON ALL TABLES IN SCHEMA impilo TO errors_user;
SET ROLE errors_user;
SELECT id FROM impilo.orders WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders WHERE id = 1;
RESET ROLE;
CREATE USER MAPPING FOR errors_user SERVER impilo;
SET ROLE errors_user;
SELECT id FROM impilo.orders WHERE id = 1;
RESET ROLE;
ALTER USER MAPPING FOR errors_user SERVER impilo OPTIONS (ADD api_key 'not-a-key-of-any-account');
SET ROLE errors_user;
SELECT id FROM impilo.orders;
SELECT id FROM impilo.orders WHERE id = 1;
SELECT count(*) FROM impilo.orders;
RESET ROLE;
ALTER USER MAPPING FOR errors_user SERVER impilo OPTIONS (SET api_key 'forbidden-key');
SET ROLE errors_user;
SELECT id FROM impilo.orders;
RESET ROLE;
DROP OWNED BY errors_user;
DROP ROLE errors_user;
CREATE USER MAPPING FOR CURRENT_USER SERVER impilo OPTIONS (api_key 'sandbox-key');

-- columns and relations that do not exist
CREATE FOREIGN TABLE impilo.typo (id bigint, pateint_id bigint) SERVER impilo OPTIONS (relation 'orders');
SELECT pateint_id FROM impilo.typo;
EXPLAIN SELECT pateint_id FROM impilo.typo;
CREATE FOREIGN TABLE impilo.strange (id bigint) SERVER impilo;
SELECT id FROM impilo.strange;

-- the wrong address: not "no such order"
ALTER SERVER impilo OPTIONS (SET base_url :'wrong');
SELECT id FROM impilo.orders WHERE id = 1;
SELECT id FROM impilo.orders;
SELECT count(*) FROM impilo.orders;
ALTER SERVER impilo OPTIONS (SET base_url :'base_url');

-- a server that does not exist
ALTER SERVER impilo OPTIONS (SET base_url 'http://127.0.0.1:1/api/v3', ADD max_retries '0');
\set VERBOSITY terse
SELECT id FROM impilo.orders;
SELECT id FROM impilo.orders WHERE id = 1;
\set VERBOSITY default
ALTER SERVER impilo OPTIONS (SET base_url :'base_url');

-- responses that are not the API's
\! ctl fault '{"path":"order","do":{"redirect":"http://example.com/login"}}'
SELECT count(*) FROM impilo.orders;
\! ctl fault '{"path":"order","do":{"content_type":"text/html","raw":"<html>Log in</html>"}}'
SELECT count(*) FROM impilo.orders;
\! ctl fault '{"path":"order","do":{"raw":"{\"content\":[{\"id\":1},"}}'
SELECT id FROM impilo.orders;
\! ctl fault '{"path":"order","do":{"raw":"[1,2]"}}'
SELECT id FROM impilo.orders;
\! ctl fault '{"path":"order","do":{"raw":"{\"orders\":[]}"}}'
SELECT id FROM impilo.orders;
\! ctl fault '{"path":"order","do":{"raw":"{\"content\":[{\"id\":1},{\"name\":\"Jane\"}],\"total\":2}"}}'
SELECT id FROM impilo.orders;
\! ctl fault '{"path":"order","do":{"raw":"{\"content\":[7],\"total\":1}"}}'
SELECT id FROM impilo.orders;
\! ctl fault '{"path":"order/*","do":{"raw":"{\"id\":1,\"patient\":{\"firstName\":\"Jane\""}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order/*","do":{"raw":""}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order","do":{"status":500}}'
SELECT id FROM impilo.orders;
\! ctl nofault

-- a value that does not fit the column: the error names the place, but not the value
\! ctl only '{"id":1,"patient":{"dateOfBirth":"1980-13-45","lastName":"Doe"},"orderItems":{"no":"array"}}'
SELECT patient_date_of_birth FROM impilo.orders;
SELECT item_id FROM impilo.order_items;
ALTER FOREIGN TABLE impilo.orders ALTER patient_last_name TYPE integer;
SELECT id, patient_last_name FROM impilo.orders;

-- successful responses in another form than the API's: each error once, without a retry
\! ctl reset
\! ctl fault '{"path":"order/*","do":{"status":204,"raw":""}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order/*","do":{"raw_base64":"77u/eyJpZCI6MX0="}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order/*","do":{"headers":{"Content-Encoding":"gzip"}}}'
\set VERBOSITY terse
SELECT id FROM impilo.orders WHERE id = 1;
\set VERBOSITY default
\! ctl fault '{"path":"order/*","do":{"content_type":"text/json"}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order/*","do":{"content_type":"application/json; charset=iso-8859-1","raw_base64":"eyJpZCI6MSwiYSI6IuQifQ=="}}'
SELECT document FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order/*","do":{"content_type":"application/json; charset=utf-16","raw_base64":"ewAiAGkAZAAiADoAMQB9AA=="}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl fault '{"path":"order/*","do":{"raw":" \n"}}'
SELECT id FROM impilo.orders WHERE id = 1;
\! ctl count singles

-- a page that is not found, of a server that has answered: not the address
\! ctl fault '{"path":"order","page":2,"do":{"status":404,"body":"{\"message\":\"order 300 cannot be read\"}"}}'
SELECT count(document) FROM impilo.orders;
-- the text of an error response: of known members only, in any encoding
\! ctl fault '{"do":{"status":400,"body_base64":"77u/eyJtZXNzYWdlIjoiYmFkIHJlcXVlc3QifQ=="}}'
SELECT count(document) FROM impilo.orders;
\! ctl fault '{"do":{"status":400,"body_base64":"77u/eyJwYXRpZW50Ijp7ImZpcnN0TmFtZSI6IkphbmUifX0="}}'
SELECT count(document) FROM impilo.orders;
\! ctl fault '{"do":{"status":400,"body_base64":"//57ACIAcABhAHQAaQBlAG4AdAAiADoAewAiAGYAaQByAHMAdABOAGEAbQBlACIAOgAiAEoAYQBuAGUAIgB9AH0A"}}'
SELECT count(document) FROM impilo.orders;

-- the session continues
\! ctl reset
SELECT count(*), sum(id) FROM (SELECT id FROM impilo.orders OFFSET 0) o;
