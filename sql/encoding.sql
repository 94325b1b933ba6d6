--
-- Databases whose encoding is not UTF-8
--
\set database :DBNAME
SET client_min_messages = warning;
DROP DATABASE IF EXISTS impilo_latin1;
DROP DATABASE IF EXISTS impilo_ascii;
RESET client_min_messages;
CREATE DATABASE impilo_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE impilo_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C';

\c impilo_latin1
\i :setup
\encoding UTF8
\pset null -
\! ctl only '{"id": 1, "v": "Zoë", "a": ["é", "\u00e9"], "o": {"ç" : "ü"}}' '{"id": 2, "v": "Zo\u00eb \u0041", "o": {"k": "\u00fc"}}' '{"id": 3, "v": "Łódź", "a": ["Ł"], "o": {"k": "Ł"}}' '{"id": 4, "v": "\u0141", "o": {"k": "\u0141"}}' '{"id": 5, "v": 42, "o": [1.50]}'
CREATE FOREIGN TABLE t (
	id bigint,
	v text OPTIONS (json_pointer '/v'),
	v3 varchar(3) OPTIONS (json_pointer '/v'),
	lenient text OPTIONS (json_pointer '/v', on_invalid 'null'),
	a text[] OPTIONS (json_pointer '/a', on_invalid 'null'),
	o jsonb OPTIONS (json_pointer '/o'),
	j json OPTIONS (json_pointer '/o', on_invalid 'null')
) SERVER impilo OPTIONS (relation 'orders');
SELECT id, lenient, octet_length(lenient), a, j FROM t ORDER BY id;
SELECT v3 FROM t WHERE id = 1;
SELECT o, o->>'ç' FROM t WHERE id = 1;
SELECT o FROM t WHERE id = 2;
SELECT o FROM t WHERE id = 5;
SELECT v FROM t WHERE id = 3;
\echo :LAST_ERROR_SQLSTATE
SELECT v FROM t WHERE id = 4;
\set VERBOSITY terse
SELECT a, o FROM t WHERE id = 3;
SELECT o FROM t WHERE id = 4;
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
-- a column that is not used raises no error
SELECT count(*), sum(id) FROM t;

\c impilo_ascii
\i :setup
\pset null -
CREATE FOREIGN TABLE t (
	id bigint,
	v text OPTIONS (json_pointer '/v'),
	j json OPTIONS (json_pointer '/o')
) SERVER impilo OPTIONS (relation 'orders');
-- the bytes are those of the API
SELECT id, octet_length(v), encode(v::bytea, 'hex') AS hex, octet_length(j::text) AS json FROM t ORDER BY id;

\c :database
DROP DATABASE impilo_latin1;
DROP DATABASE impilo_ascii;
