--
-- Types of columns: the values that convert, and the errors of the others
--
\i :setup
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';
SET extra_float_digits = 1;
\pset null -
-- one order for each value of its member v, and one without it
\! ctl only '{"id": 1, "v": 42}' '{"id": 2, "v": -42}' '{"id": 3, "v": "42"}' '{"id": 4, "v": "042"}' '{"id": 5, "v": 42.0}' '{"id": 6, "v": 4.2e1}' '{"id": 7, "v": 4.25}' '{"id": 8, "v": 9223372036854775807}' '{"id": 9, "v": 9223372036854775808}' '{"id": 10, "v": 32768}' '{"id": 11, "v": 1e400}' '{"id": 12, "v": 0.1000}' '{"id": 13, "v": 1e-400}' '{"id": 14, "v": 1e-20000}' '{"id": 15, "v": true}' '{"id": 16, "v": "yes"}' '{"id": 17, "v": "NaN"}' '{"id": 18, "v": "1980-01-01"}' '{"id": 19, "v": "1980-01-01T00:00:00Z"}' '{"id": 20, "v": "2024-05-06T07:08:09.1234567+02:00"}' '{"id": 21, "v": "2024-05-06 07:08:09"}' '{"id": 22, "v": "2024-02-30"}' '{"id": 23, "v": "06.05.2024"}' '{"id": 24, "v": "infinity"}' '{"id": 25, "v": "00112233-4455-6677-8899-AABBCCDDEEFF"}' '{"id": 26, "v": ""}' '{"id": 27, "v": "  42"}' '{"id": 28, "v": "a"}' '{"id": 29, "v": "ab  "}' '{"id": 30, "v": "abcdef"}' '{"id": 31, "v": "é\u00e9\ud83d\ude00"}' '{"id": 32, "v": "nul \u0000"}' '{"id": 33, "v": "half \ud83d"}' '{"id": 34, "v": [1, "2"]}' '{"id": 35, "v": ["a", null, "3"]}' '{"id": 36, "v": []}' '{"id": 37, "v": [[1,2],[3]]}' '{"id": 38, "v": {"a" : 1.50}}' '{"id": 39, "v": {"k\u0000": 1}}' '{"id": 40, "v": [1e200000]}' '{"id": 41, "v": null}' '{"id": 42}'

-- every value that a type takes; raw is the value as the API sent it
CREATE FOREIGN TABLE anything (
	id bigint,
	raw json OPTIONS (json_pointer '/v'),
	as_int2 smallint OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_int4 integer OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_int8 bigint OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_float4 real OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_float8 double precision OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_num numeric OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_bool boolean OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_date date OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_ts timestamp OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_tstz timestamptz OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_tstz3 timestamptz(3) OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_uuid uuid OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_text text OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_varchar varchar(3) OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_char char(3) OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_json json OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_jsonb jsonb OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_texts text[] OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_ints integer[] OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_jsonbs jsonb[] OPTIONS (json_pointer '/v', on_invalid 'null'),
	as_varchars varchar(1)[] OPTIONS (json_pointer '/v', on_invalid 'null')
) SERVER impilo OPTIONS (relation 'orders');
SELECT raw, as_int2 FROM anything WHERE as_int2 IS NOT NULL ORDER BY id;
SELECT raw, as_int4 FROM anything WHERE as_int4 IS NOT NULL ORDER BY id;
SELECT raw, as_int8 FROM anything WHERE as_int8 IS NOT NULL ORDER BY id;
SELECT raw, as_float4 FROM anything WHERE as_float4 IS NOT NULL ORDER BY id;
SELECT raw, as_float8 FROM anything WHERE as_float8 IS NOT NULL ORDER BY id;
SELECT raw, left(as_num::text, 30) AS as_num FROM anything WHERE as_num IS NOT NULL ORDER BY id;
SELECT raw, as_bool FROM anything WHERE as_bool IS NOT NULL ORDER BY id;
SELECT raw, as_date FROM anything WHERE as_date IS NOT NULL ORDER BY id;
SELECT raw, as_ts FROM anything WHERE as_ts IS NOT NULL ORDER BY id;
SELECT raw, as_tstz FROM anything WHERE as_tstz IS NOT NULL ORDER BY id;
SELECT raw, as_tstz3 FROM anything WHERE as_tstz3 IS NOT NULL ORDER BY id;
SELECT raw, as_uuid FROM anything WHERE as_uuid IS NOT NULL ORDER BY id;
SELECT raw, as_text FROM anything WHERE as_text IS NOT NULL ORDER BY id;
SELECT raw, as_varchar FROM anything WHERE as_varchar IS NOT NULL ORDER BY id;
SELECT raw, as_char FROM anything WHERE as_char IS NOT NULL ORDER BY id;
SELECT raw, left(as_jsonb::text, 40) AS as_jsonb FROM anything WHERE as_jsonb IS NOT NULL ORDER BY id;
SELECT raw, as_texts FROM anything WHERE as_texts IS NOT NULL ORDER BY id;
SELECT raw, as_ints FROM anything WHERE as_ints IS NOT NULL ORDER BY id;
SELECT raw, as_jsonbs FROM anything WHERE as_jsonbs IS NOT NULL ORDER BY id;
SELECT raw, as_varchars FROM anything WHERE as_varchars IS NOT NULL ORDER BY id;
-- null and missing members are NULL, and every value converts to JSON
SELECT id, raw, as_json::text = raw::text AS same FROM anything WHERE raw IS NULL OR as_json::text <> raw::text ORDER BY id;
-- text is stored as text: an array with no elements has no dimensions
SELECT raw, array_ndims(as_texts), as_texts[3] FROM anything WHERE as_texts IS NOT NULL ORDER BY id;
SELECT raw, octet_length(as_char), length(as_varchar) FROM anything WHERE as_char IS NOT NULL AND octet_length(as_char) <> 3 ORDER BY id;

--
-- Settings of the session do not change the values
--
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Tokyo';
SELECT raw, extract(epoch FROM as_tstz) AS epoch, extract(day FROM as_date) AS day, extract(hour FROM as_ts) AS hour FROM anything WHERE as_date IS NOT NULL ORDER BY id;
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';

--
-- An error names the order, the column, the request and the kind of value
--
CREATE FOREIGN TABLE strict (
	id bigint,
	as_int2 smallint OPTIONS (json_pointer '/v'),
	as_int4 integer OPTIONS (json_pointer '/v'),
	as_int8 bigint OPTIONS (json_pointer '/v'),
	as_float4 real OPTIONS (json_pointer '/v'),
	as_float8 double precision OPTIONS (json_pointer '/v'),
	as_num numeric OPTIONS (json_pointer '/v'),
	as_bool boolean OPTIONS (json_pointer '/v'),
	as_date date OPTIONS (json_pointer '/v'),
	as_ts timestamp OPTIONS (json_pointer '/v'),
	as_tstz timestamptz OPTIONS (json_pointer '/v'),
	as_tstz3 timestamptz(3) OPTIONS (json_pointer '/v'),
	as_uuid uuid OPTIONS (json_pointer '/v'),
	as_text text OPTIONS (json_pointer '/v'),
	as_varchar varchar(3) OPTIONS (json_pointer '/v'),
	as_char char(3) OPTIONS (json_pointer '/v'),
	as_json json OPTIONS (json_pointer '/v'),
	as_jsonb jsonb OPTIONS (json_pointer '/v'),
	as_texts text[] OPTIONS (json_pointer '/v'),
	as_ints integer[] OPTIONS (json_pointer '/v'),
	as_jsonbs jsonb[] OPTIONS (json_pointer '/v'),
	as_varchars varchar(1)[] OPTIONS (json_pointer '/v')
) SERVER impilo OPTIONS (relation 'orders');
SELECT as_date FROM strict;
\echo :LAST_ERROR_SQLSTATE
SELECT as_int4 FROM strict WHERE id = 28;
-- it has them as fields, too
DO $$
DECLARE
	s text; t text; c text;
BEGIN
	PERFORM as_int4 FROM strict WHERE id = 28;
EXCEPTION WHEN invalid_text_representation THEN
	GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME, c = COLUMN_NAME;
	RAISE NOTICE '%.%.%', s, t, c;
END $$;
-- the message and the SQLSTATE of every value that does not convert to a type
CREATE FUNCTION error_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text;
BEGIN
	EXECUTE query;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN state || ' ' || substring(detail FROM 'order/[0-9]+ has (.*) at "/v", which cannot be read as') ||
		CASE WHEN message LIKE 'order % has an invalid value for column "as_%" of foreign table "strict"' THEN '' ELSE ' ' || message END;
END $$;
SELECT c.type, e.error, left(string_agg(v.raw::text, '   ' ORDER BY v.id), 60) AS of_values
FROM (SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnum FROM pg_attribute WHERE attrelid = 'strict'::regclass AND attnum > 1) c,
	(SELECT id, raw FROM anything ORDER BY id OFFSET 0) v,
	LATERAL error_of(format('SELECT %I FROM strict WHERE id = %s', c.name, v.id)) e(error)
WHERE e.error IS NOT NULL
GROUP BY c.attnum, c.type, e.error ORDER BY c.attnum, e.error;
DROP FOREIGN TABLE anything, strict;

--
-- Dates and times of every type must be in ISO 8601, no zone means UTC, and a
-- session's settings change nothing, also in arrays, ranges and domains
--
CREATE DOMAIN shift AS timetz;
CREATE FOREIGN TABLE times (
	id bigint,
	as_date date OPTIONS (json_pointer '/v'),
	as_tstz timestamptz OPTIONS (json_pointer '/v'),
	as_time time OPTIONS (json_pointer '/v'),
	as_timetz timetz OPTIONS (json_pointer '/v'),
	as_shift shift OPTIONS (json_pointer '/v'),
	as_interval interval OPTIONS (json_pointer '/v'),
	as_range tstzrange OPTIONS (json_pointer '/v'),
	as_ranges datemultirange OPTIONS (json_pointer '/v'),
	as_dates date[] OPTIONS (json_pointer '/v'),
	as_intervals interval[] OPTIONS (json_pointer '/v')
) SERVER impilo OPTIONS (relation 'orders');
CREATE TEMPORARY TABLE kept (LIKE times, error text);
CREATE FUNCTION keep(n integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	col name;
	state text; detail text;
BEGIN
	FOR i IN 1..n LOOP
		FOR col IN SELECT attname FROM pg_attribute WHERE attrelid = 'times'::regclass AND attnum > 1 LOOP
			BEGIN
				EXECUTE format('INSERT INTO kept (id, %1$I) SELECT id, %1$I FROM times WHERE id = $1', col) USING i;
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
				INSERT INTO kept (id, error) VALUES (i, col || ' ' || state);
			END;
		END LOOP;
	END LOOP;
END $$;
\! ctl only '{"id": 1, "v": "2024-04-03"}' '{"id": 2, "v": "2024-04-03T10:00:00"}' '{"id": 3, "v": "10:00"}' '{"id": 4, "v": "10:00:00.5+02"}' '{"id": 5, "v": "24:00:00Z"}' '{"id": 6, "v": "P1DT2H"}' '{"id": 7, "v": "PT-1M"}' '{"id": 8, "v": "[2024-04-03 10:00,2024-04-03T12:00:00)"}' '{"id": 9, "v": "{[2024-04-03,2024-04-05)}"}' '{"id": 10, "v": ["2024-04-03"]}' '{"id": 11, "v": ["P2D", null]}'
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Tokyo';
SET intervalstyle = 'sql_standard';
SELECT keep(11);
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';
RESET intervalstyle;
SELECT id, string_agg(format('%s %s', c.col, c.value), ', ' ORDER BY col) AS values
FROM kept, LATERAL (VALUES ('date', as_date::text), ('dates', as_dates::text), ('interval', as_interval::text), ('intervals', as_intervals::text),
	('range', as_range::text), ('ranges', as_ranges::text), ('shift', as_shift::text), ('time', as_time::text), ('timetz', as_timetz::text), ('tstz', as_tstz::text)) c (col, value)
WHERE c.value IS NOT NULL GROUP BY id ORDER BY id;
SELECT count(*), count(error) AS errors FROM kept;
TRUNCATE kept;
-- special words and other orders of day, month and year are refused
\! ctl only '{"id": 1, "v": "tomorrow"}' '{"id": 2, "v": "infinity"}' '{"id": 3, "v": "03/04/2024"}' '{"id": 4, "v": "now"}' '{"id": 5, "v": "allballs"}' '{"id": 6, "v": "[today,tomorrow)"}' '{"id": 7, "v": "{[today,tomorrow)}"}' '{"id": 8, "v": ["tomorrow"]}' '{"id": 9, "v": "1 day ago"}' '{"id": 10, "v": "2024-02-30"}' '{"id": 11, "v": "2024-04-03 25:00"}' '{"id": 12, "v": "10:00 America/New_York"}' '{"id": 13, "v": "20240403"}' '{"id": 14, "v": ["1 day"]}'
SELECT keep(14);
SELECT count(*), count(error) AS errors, array_agg(DISTINCT right(error, 5)) AS states FROM kept;
DROP FOREIGN TABLE times;
DROP TABLE kept;
DROP FUNCTION keep;
DROP DOMAIN shift;

--
-- Types that have no conversion of their own: the input function's errors
-- show the value, and are raised again
--
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN given AS text NOT NULL CHECK (VALUE <> '');
CREATE DOMAIN birth AS date;
CREATE FOREIGN TABLE strict (
	id bigint,
	as_mood mood OPTIONS (json_pointer '/v'),
	as_positive positive OPTIONS (json_pointer '/v'),
	as_given given OPTIONS (json_pointer '/v'),
	as_birth birth OPTIONS (json_pointer '/v'),
	as_price numeric(5,2) OPTIONS (json_pointer '/v'),
	as_interval interval OPTIONS (json_pointer '/v'),
	as_point point OPTIONS (json_pointer '/v'),
	as_bytea bytea OPTIONS (json_pointer '/v'),
	as_class regclass OPTIONS (json_pointer '/v'),
	as_range int4range OPTIONS (json_pointer '/v'),
	as_moods mood[] OPTIONS (json_pointer '/v'),
	as_positives positive[] OPTIONS (json_pointer '/v'),
	as_prices numeric(5,2)[] OPTIONS (json_pointer '/v')
) SERVER impilo OPTIONS (relation 'orders');
\! ctl only '{"id": 1, "v": "calm"}' '{"id": 2, "v": 17}' '{"id": 3, "v": "1980-01-01T00:00:00Z"}' '{"id": 4, "v": 123.456}' '{"id": 5, "v": "P2D"}' '{"id": 6, "v": "(1,2)"}' '{"id": 7, "v": ["calm", null]}' '{"id": 8, "v": [1, "2"]}' '{"id": 9, "v": "pg_class"}' '{"id": 10, "v": "[1,5)"}' '{"id": 11, "v": "Secret, Jane"}' '{"id": 12, "v": ["Secret, Jane"]}' '{"id": 13, "v": 123456789.123}' '{"id": 14, "v": -1}' '{"id": 15, "v": [-1]}' '{"id": 16, "v": ""}' '{"id": 17, "v": null}' '{"id": 18}'
SELECT as_mood FROM strict WHERE id = 1;
SELECT as_positive FROM strict WHERE id = 2;
SELECT as_birth FROM strict WHERE id = 3;
SELECT as_price FROM strict WHERE id = 4;
SELECT as_interval FROM strict WHERE id = 5;
SELECT as_point, as_given, as_bytea FROM strict WHERE id = 6;
SELECT as_moods FROM strict WHERE id = 7;
SELECT as_positives, as_prices FROM strict WHERE id = 8;
SELECT as_class FROM strict WHERE id = 9;
SELECT as_range FROM strict WHERE id = 10;
SELECT as_mood, as_positive, as_birth FROM strict WHERE id = 17;
-- terse, as only some versions add a hint about on_invalid
\set VERBOSITY terse
SELECT as_positive FROM strict WHERE id = 14;
SELECT as_given FROM strict WHERE id = 18;
SELECT as_mood FROM strict WHERE id = 11;
\set VERBOSITY default
-- no part of these errors shows the value, and none of them states that the
-- statement is wrong
CREATE FUNCTION secret_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text; context text;
BEGIN
	EXECUTE query;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN state || ' ' || substring(detail FROM 'order/[0-9]+ has (.*) at "/v", which cannot be read as') ||
		CASE WHEN message || detail || hint || context ~ '(Secret|Jane|123456789|-1)' THEN ' SHOWS THE VALUE' ELSE '' END;
END $$;
SELECT c.name, v.id, secret_of(format('SELECT %I FROM strict WHERE id = %s', c.name, v.id)) AS said
FROM (SELECT attname AS name, attnum FROM pg_attribute WHERE attrelid = 'strict'::regclass AND attnum > 1) c,
	generate_series(11, 18) v(id)
WHERE secret_of(format('SELECT %I FROM strict WHERE id = %s', c.name, v.id)) IS NOT NULL
ORDER BY c.attnum, v.id;

-- on_invalid 'null' for these: kept, or refused when a statement is planned
CREATE FOREIGN TABLE lenient (
	id bigint,
	as_mood mood OPTIONS (json_pointer '/v', on_invalid 'null')
) SERVER impilo OPTIONS (relation 'orders');
DO $$
DECLARE
	mood mood;
BEGIN
	SELECT as_mood INTO STRICT mood FROM lenient WHERE id = 11;
	ASSERT mood IS NULL;
	RAISE NOTICE 'on_invalid is kept or refused';
EXCEPTION WHEN feature_not_supported THEN
	ASSERT current_setting('server_version_num')::integer < 160000;
	RAISE NOTICE 'on_invalid is kept or refused';
END $$;
DROP FOREIGN TABLE strict, lenient;

--
-- Bytes that are not UTF-8
--
CREATE FOREIGN TABLE bytes (
	id bigint,
	as_text text OPTIONS (json_pointer '/v'),
	as_texts text[] OPTIONS (json_pointer '/v'),
	as_int integer OPTIONS (json_pointer '/v'),
	as_jsonb jsonb OPTIONS (json_pointer '/v'),
	as_json json OPTIONS (json_pointer '/v'),
	as_point point OPTIONS (json_pointer '/v'),
	lenient text OPTIONS (json_pointer '/v', on_invalid 'null')
) SERVER impilo OPTIONS (relation 'orders');
\! ctl only
\! ctl put64 eyJpZCI6IDEsICJ2IjogImH/In0= eyJpZCI6IDIsICJ2IjogIsMifQ== eyJpZCI6IDMsICJ2IjogWyLtoIAiXX0= eyJpZCI6IDQsICJ2IjogIsCAIn0=
SELECT as_text FROM bytes WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT as_text FROM bytes WHERE id = 2;
SELECT as_texts FROM bytes WHERE id = 3;
SELECT as_text FROM bytes WHERE id = 4;
SELECT as_int FROM bytes WHERE id = 1;
SELECT as_jsonb FROM bytes WHERE id = 3;
SELECT as_json FROM bytes WHERE id = 3;
\set VERBOSITY terse
SELECT as_point FROM bytes WHERE id = 1;
\set VERBOSITY default
SELECT id, lenient FROM bytes ORDER BY id;
DROP FOREIGN TABLE bytes;

--
-- A large array, a deep document
--
CREATE FOREIGN TABLE large (
	id bigint,
	numbers integer[] OPTIONS (json_pointer '/n'),
	deep jsonb OPTIONS (json_pointer '/d')
) SERVER impilo OPTIONS (relation 'orders');
\! ctl only "{\"id\": 1, \"n\": [$(seq -s, 1 5000)], \"d\": $(printf '[%.0s' $(seq 1 30))$(printf ']%.0s' $(seq 1 30))}"
SELECT cardinality(numbers), (SELECT sum(n) FROM unnest(numbers) n), deep FROM large;
DROP FOREIGN TABLE large;

DROP FUNCTION error_of, secret_of;
DROP TYPE mood;
DROP DOMAIN positive, given, birth;
