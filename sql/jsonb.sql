--
-- jsonb is built from the bytes, without jsonb_in(): the result is the same
--
\i :setup
CREATE FOREIGN TABLE both_ways (
	id bigint,
	value jsonb OPTIONS (json_pointer '/value'),
	written text OPTIONS (json_pointer '/value')
) SERVER impilo OPTIONS (relation 'orders');

CREATE FOREIGN TABLE whole_orders (
	id bigint,
	value jsonb OPTIONS (json_pointer ''),
	written text OPTIONS (json_pointer '')
) SERVER impilo OPTIONS (relation 'orders');

-- the result has the same bytes
SELECT count(*),
	count(*) FILTER (WHERE value::text <> written::jsonb::text
		OR pg_column_size(value) <> pg_column_size(written::jsonb)) AS different
FROM whole_orders;

\! ctl only '{"id":1,"value":1}' '{"id":2,"value":-0}' '{"id":3,"value":1.50}' '{"id":4,"value":1E+5}' '{"id":5,"value":true}' '{"id":6,"value":false}' '{"id":7,"value":null}' '{"id":8,"value":[]}' '{"id":9,"value":{ }}' '{"id":10,"value":[ 1 , "2" , { "k" : "v" , "l" : [ ] , "m" : { } } , [ [ ] ] , null ]}' '{"id":11,"value":[-12345678901234567890123.4500e-3,9223372036854775807,9223372036854775808,-9223372036854775808,0.0]}' '{"id":12,"value":{"bb":1,"a":2,"ccc":{"d":[{"":""}]},"\u0061":4,"bb":{"a":1}}}' '{"id":13,"value":["","\u00e9\ud83d\ude00 \\ \" \/ \n",":","{[,\"]}"]}'
SELECT id, value, value = written::jsonb AND value::text = written::jsonb::text AS same
FROM both_ways ORDER BY id;
\! ctl only '{"id":1,"value":""}' '{"id":2,"value":"caf\u00e9 \\ {"}'
SELECT id, value, value = to_jsonb(written) AS same FROM both_ways ORDER BY id;

-- a value that jsonb cannot contain is an error that does not show it
\! ctl only '{"id":1,"value":{"x":"a\u0000b"}}'
SELECT value FROM both_ways;
\! ctl only '{"id":1,"value":{"a\udc00":1}}'
SELECT value FROM both_ways;
\! ctl only '{"id":1,"value":[1e999999]}'
SELECT value FROM both_ways;
\! ctl only '{"id":1,"value":-1e-99999}'
SELECT value FROM both_ways;
\! ctl only; ctl put64 eyJpZCI6MSwidmFsdWUiOlsi/yJdfQ==
SELECT value FROM both_ways;

DROP FOREIGN TABLE both_ways, whole_orders;
