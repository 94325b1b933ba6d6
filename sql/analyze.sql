--
-- ANALYZE: a sample of pages; no names in pg_statistic unless requested
--
\i :setup
\! ctl generate 14000

-- 60 pages, of which 40 are read, none twice
\! ctl log-reset
ANALYZE impilo.orders;
\! ctl count pages
\! ctl log sort | uniq -d
SELECT reltuples, relpages FROM pg_class WHERE oid = 'impilo.orders'::regclass;
SELECT null_frac, n_distinct, correlation IS NOT NULL AS ordered FROM pg_stats
WHERE schemaname = 'impilo' AND tablename = 'orders' AND attname = 'id';
SELECT most_common_vals::text::text[] @> '{shipped,delivered,created}' AS statuses FROM pg_stats
WHERE schemaname = 'impilo' AND tablename = 'orders' AND attname = 'current_status';
-- persons: how often the columns are NULL, and no value
SELECT attname, null_frac BETWEEN 0.15 AND 0.25 AS known, n_distinct BETWEEN -0.85 AND -0.75 AS assumed_distinct,
	avg_width < 100 AS narrow, most_common_vals IS NULL AND histogram_bounds IS NULL AS no_value
FROM pg_stats WHERE schemaname = 'impilo' AND tablename = 'orders'
	AND attname IN ('patient_first_name', 'patient_last_name', 'patient_address_city') ORDER BY 1;
SELECT attname, null_frac, n_distinct, most_common_vals IS NULL AND histogram_bounds IS NULL AS no_value
FROM pg_stats WHERE schemaname = 'impilo' AND tablename = 'orders'
	AND attname IN ('document', 'devices', 'patient_date_of_birth') ORDER BY 1;
SELECT attname FROM pg_stats WHERE schemaname = 'impilo' AND tablename = 'orders' AND attname ~ '^patient'
	AND (most_common_vals IS NOT NULL OR histogram_bounds IS NOT NULL) ORDER BY 1;
SELECT count(*) AS names FROM pg_stats s, (SELECT DISTINCT patient_last_name AS name FROM impilo.orders LIMIT 1000) n
WHERE s.schemaname = 'impilo' AND length(name) > 3
	AND (s.most_common_vals::text ILIKE '%' || name || '%' OR s.histogram_bounds::text ILIKE '%' || name || '%')
	AND s.attname NOT LIKE '%site%';
-- its estimates are used, also those of columns without values
\c -
CREATE FUNCTION pg_temp.rows_of(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' -> 'Plan Rows';
END $$;
SELECT pg_temp.rows_of('SELECT id FROM impilo.orders') AS all_of_them,
	pg_temp.rows_of('SELECT id FROM impilo.orders WHERE id = 5') AS one,
	pg_temp.rows_of('SELECT id FROM impilo.orders WHERE id IN (5, 6, 7)') AS three,
	pg_temp.rows_of('SELECT id FROM impilo.orders WHERE current_status = ''shipped''') BETWEEN 1500 AND 2300 AS an_eighth;
SELECT pg_temp.rows_of('SELECT id FROM impilo.orders WHERE patient_last_name IS NULL') BETWEEN 2100 AND 3500 AS a_fifth,
	pg_temp.rows_of('SELECT id FROM impilo.orders WHERE patient_last_name IS NOT NULL') BETWEEN 10500 AND 12900 AS the_others,
	pg_temp.rows_of('SELECT id FROM impilo.orders WHERE patient_last_name = ''x''') AS one_person;

-- children, consent
ANALYZE impilo.order_items;
SELECT reltuples BETWEEN 22000 AND 23000 AS rows FROM pg_class WHERE oid = 'impilo.order_items'::regclass;
SELECT pg_temp.rows_of('SELECT item_id FROM impilo.order_items WHERE order_id = 7') AS of_one_order;
ALTER SERVER impilo OPTIONS (ADD analyze_patient_data 'true');
ANALYZE impilo.orders (patient_last_name, patient_date_of_birth);
SELECT most_common_vals IS NOT NULL OR histogram_bounds IS NOT NULL AS names FROM pg_stats
WHERE schemaname = 'impilo' AND tablename = 'orders' AND attname = 'patient_last_name';

-- an empty account; a list that does not say how long it is
\! ctl only
ANALYZE impilo.orders;
SELECT reltuples FROM pg_class WHERE oid = 'impilo.orders'::regclass;
\! ctl reset
\! ctl config '{"omit":["total"]}'
ANALYZE impilo.orders;
SELECT reltuples FROM pg_class WHERE oid = 'impilo.orders'::regclass;

-- only use_remote_estimate sends a request during planning
\c -
\! ctl reset
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders;
\! ctl log
ALTER SERVER impilo OPTIONS (ADD use_remote_estimate 'true');
EXPLAIN (COSTS OFF) SELECT id FROM impilo.orders;
\! ctl log
