-- A model of the API's list, to test the refresh of a mirror.
--
-- It replaces impilo_mirror_fetch() by a function that reads the table sim_order
-- and, between any two requests, adds and deletes orders.  After each refresh
-- that returns complete, it compares the mirror with that table.
--
--   psql -f mirror.sql
--   SELECT * FROM sim_run(1000);
--
-- A run is six refreshes of one account, with a random page size, rate of new
-- orders and rate of deletions.  New orders appear at the end of a list that
-- begins with the oldest or the newest order, or ('middle') anywhere.
--
-- Of the result, missing, stale and old_status count wrong mirrors, and must be
-- 0; unpromised counts those in cases that docs/mirror.md excludes.

CREATE EXTENSION IF NOT EXISTS impilo_fdw;
CREATE SERVER sim FOREIGN DATA WRAPPER impilo_fdw;
SELECT impilo_create_mirror('sim', 'm');

CREATE UNLOGGED TABLE sim_order (id bigint PRIMARY KEY, place float8 UNIQUE, status integer NOT NULL DEFAULT 0);
CREATE UNLOGGED TABLE sim (size bigint, appear text, creations float8, deletions float8, next_id bigint,
 requests bigint, lie float8);
CREATE UNLOGGED TABLE sim_deleted (id bigint);

-- One event at most, with the probabilities of the run.
CREATE FUNCTION sim_event(factor float8) RETURNS void LANGUAGE plpgsql SET search_path = public AS $$
DECLARE s sim; first float8; last float8;
BEGIN
	SELECT * INTO s FROM sim;
	IF random() < s.creations * factor THEN
		FOR i IN 1..1 + floor(random() * 3)::int LOOP
			SELECT coalesce(min(place), 0), coalesce(max(place), 0) INTO first, last FROM sim_order;
			INSERT INTO sim_order VALUES (s.next_id, CASE s.appear WHEN 'oldest' THEN last + 1
				WHEN 'newest' THEN first - 1 ELSE first - 1 + random() * (last - first + 2) END);
			s.next_id := s.next_id + 1 + floor(random() * 2)::int;
		END LOOP;
		UPDATE sim SET next_id = s.next_id;
	END IF;
	IF random() < s.deletions * factor THEN
		WITH d AS (DELETE FROM sim_order WHERE id IN (SELECT id FROM sim_order ORDER BY random()
			LIMIT 1 + floor(random() * 2)::int) RETURNING id)
		INSERT INTO sim_deleted SELECT id FROM d;
	END IF;
END $$;

-- Reads the pages in random order, as responses to concurrent requests arrive.
CREATE OR REPLACE FUNCTION impilo_mirror_fetch(step integer, source text, numbers bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s public.sim;
	number bigint;
BEGIN
	IF source = 'list' THEN
		numbers := '{1}';
	END IF;
	FOR number IN SELECT n FROM unnest(numbers) n ORDER BY random() LOOP
		PERFORM public.sim_event(1);
		UPDATE public.sim SET requests = requests + 1 RETURNING * INTO s;
		IF random() < s.lie THEN
			s.size := 2;		-- clamped
		END IF;
		INSERT INTO order_stage (step, list_page, list_place, list_total, list_size, id, document, hash)
		SELECT $1, CASE source WHEN 'pages' THEN number END, CASE WHEN source <> 'ids' THEN o.nth END,
			CASE source WHEN 'pages' THEN o.total END, CASE source WHEN 'pages' THEN s.size END, o.id,
			o.status, o.id * 100 + o.status
		FROM (SELECT *, row_number() OVER (ORDER BY place) AS nth, count(*) OVER () AS total
			FROM public.sim_order) o
		WHERE CASE source WHEN 'ids' THEN o.id = number
			WHEN 'pages' THEN o.nth > (number - 1) * s.size AND o.nth <= number * s.size ELSE true END;
		IF NOT FOUND AND source = 'pages' THEN
			INSERT INTO order_stage (step, list_page, list_total, list_size)
			SELECT $1, number, count(*), s.size FROM public.sim_order;
		END IF;
	END LOOP;
	-- like the original, leave out documents that order_data has
	UPDATE order_stage g SET document = NULL FROM order_data d
	WHERE g.step = $1 AND d.id = g.id AND d.hash = g.hash AND d.gone_at IS NULL
		AND (d.listed OR g.list_place IS NULL);
END $$;

-- Writes the columns of the model.  The statement of the original takes longer
-- than the rest of a refresh.
CREATE OR REPLACE FUNCTION impilo_mirror_store(
	read_at timestamptz, gone bigint[], OUT new_orders bigint, OUT changed_orders bigint, OUT gone_orders bigint)
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE order_data d SET gone_at = $1, listed = false WHERE d.id = ANY ($2);
	INSERT INTO order_data AS d (id, current_status, hash, progress_hash, change_no, first_seen, changed_at, read_at,
		listed, invalid_values)
	SELECT s.id, s.document, s.hash, s.hash, 0, $1, $1, $1, s.list_place IS NOT NULL, 0
	FROM order_stage s
	WHERE s.document IS NOT NULL AND NOT EXISTS (SELECT FROM order_stage l
		WHERE l.id = s.id AND (l.step, l.ctid) > (s.step, s.ctid))
	ON CONFLICT (id) DO UPDATE SET current_status = excluded.current_status, hash = excluded.hash,
		gone_at = NULL, listed = d.listed OR excluded.listed;
	SELECT 0, 0, 0 INTO new_orders, changed_orders, gone_orders;
END $$;

CREATE FUNCTION sim_run(runs integer, OUT runs_done bigint, OUT refreshes bigint, OUT complete bigint,
	OUT whole bigint, OUT requests bigint, OUT missing bigint, OUT stale bigint, OUT old_status bigint,
	OUT unpromised bigint)
LANGUAGE plpgsql SET impilo_mirror.writer = 'on' AS $$
DECLARE
	s sim;
	r record;
	before bigint[];
	statuses jsonb;
	wrong bigint;
	promised boolean;
	deletions_before boolean;
	tainted boolean;		-- orders disappeared while the whole list was read
BEGIN
	runs_done := 0; refreshes := 0; complete := 0; whole := 0; requests := 0; missing := 0; stale := 0;
	old_status := 0; unpromised := 0;
	FOR run IN 1..runs LOOP
		TRUNCATE sim, sim_order, sim_deleted;
		TRUNCATE m.order_data, m.order_rank, m.order_block, m.order_stage;
		UPDATE m.mirror_state SET list_order = NULL, list_size = NULL, listed = 0, rank_failures = 0,
			first_full = NULL, last_refresh = NULL, last_complete = NULL, last_full = NULL;
		INSERT INTO sim VALUES (3 + floor(random() * 4)::int, (ARRAY['oldest', 'newest', 'middle'])[1 + run % 3],
			(ARRAY[0, 0.05, 0.2, 0.5])[1 + floor(random() * 4)::int],
			(ARRAY[0, 0, 0.05, 0.2])[1 + floor(random() * 4)::int], 1, 0,
			CASE WHEN random() < 0.1 THEN 0.05 ELSE 0 END);
		FOR i IN 1..floor(random() * 15)::int LOOP
			PERFORM sim_event(CASE WHEN random() < 0.7 THEN 5 ELSE 0 END);
		END LOOP;
		TRUNCATE sim_deleted;
		deletions_before := false;
		tainted := false;
		FOR n IN 1..6 LOOP
			FOR i IN 1..floor(random() * 3)::int LOOP
				PERFORM sim_event(2);
			END LOOP;
			UPDATE sim_order SET status = status + 1 WHERE random() < 0.05;
			IF random() < 0.3 THEN		-- blocks become due
				UPDATE m.order_block SET read_at = read_at - interval '3 days', progress_at = progress_at - interval '10 days';
			END IF;
			SELECT * INTO s FROM sim;
			deletions_before := deletions_before OR EXISTS (SELECT FROM sim_deleted);
			TRUNCATE sim_deleted;
			before := ARRAY(SELECT id FROM sim_order);
			SELECT jsonb_object_agg(id, status) INTO statuses FROM sim_order;
			SELECT * INTO r FROM impilo_refresh_mirror('m', accept_loss => true);
			refreshes := refreshes + 1;
			requests := requests + r.requests;
			whole := whole + (r.kind = 'complete')::int;
			-- Not promised: deletions while the whole list is read, and
			-- deletions where new orders appear anywhere.
			IF r.kind = 'complete' THEN
				tainted := EXISTS (SELECT FROM sim_deleted);
			END IF;
			promised := NOT tainted AND NOT (s.appear = 'middle' AND r.kind <> 'complete'
					AND (deletions_before OR EXISTS (SELECT FROM sim_deleted)));
			IF r.complete THEN
				complete := complete + 1;
				wrong := (SELECT count(*) FROM sim_order o WHERE o.id = ANY (before)
					AND NOT EXISTS (SELECT FROM m.orders m WHERE m.id = o.id));
				missing := missing + (promised AND wrong > 0)::int;
				unpromised := unpromised + (NOT promised AND wrong > 0)::int;
				wrong := (SELECT count(*) FROM m.orders m WHERE m.id <> ALL (before)
					AND NOT EXISTS (SELECT FROM sim_order o WHERE o.id = m.id)
					AND NOT EXISTS (SELECT FROM sim_deleted d WHERE d.id = m.id));
				stale := stale + (promised AND wrong > 0)::int;
				unpromised := unpromised + (NOT promised AND wrong > 0)::int;
				deletions_before := deletions_before AND NOT (promised AND wrong = 0);
			END IF;
			IF r.kind = 'complete' AND promised THEN
				old_status := old_status + (EXISTS (SELECT FROM m.orders m
					WHERE m.current_status <> statuses ->> m.id::text
						AND EXISTS (SELECT FROM sim_order o WHERE o.id = m.id)))::int;
			END IF;
		END LOOP;
		runs_done := runs_done + 1;
	END LOOP;
END $$;
