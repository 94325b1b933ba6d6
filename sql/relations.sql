--
-- One relation for each array of an order
--
\i :setup
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';
\pset null -
-- an order with all members, one with none, one with those of the guide's samples,
-- and one whose elements are null
\! ctl only '{"id": 1, "externalOrderIds": ["xyz_0", "xyz_1"], "orderItems": [{"item": {"id": 1000, "name": "Cuff", "model": "M-1", "sku": "0001000", "orderable": true, "manufacturer": {"id": 3, "name": "Nonin"}}, "count": 10}, {"item": {"id": 1001}, "count": 1}], "orderKits": [{"kit": {"id": 2000, "name": "Starter", "archived": false, "kitItems": [{"item": {"id": 1000}, "count": 1}]}, "count": 2}], "orderEvents": [{"name": "orderCreated", "eventTimestamp": "2024-01-01T03:30:00Z"}, {"name": "shipped", "eventTimestamp": "2024-01-02T03:30:00.25Z"}], "trackingNumbers": [{"carrier": "UPS", "value": "1Z"}], "devices": [{"id": 5000, "item": {"id": 1000, "name": "Cuff", "manufacturer": {"id": 3}}, "currentStatus": "withPatient", "used": true, "currentPatient": {"id": 10, "externalIdentifier": "e10", "firstName": "Ada", "lastName": "L", "dateOfBirth": "1980-01-01T00:00:00Z", "email": "a@example.com", "phoneNumber": "+1", "archived": false, "address": {"lineOne": "1 Way", "lineTwo": "b", "lineThree": "c", "city": "Basel", "state": "BS", "zipCode": "04001", "country": "CH", "note": "bell"}, "site": {"id": 30, "name": "Home", "active": true, "phoneNumber": "+2", "address": {"city": "Bern"}}, "enrolled": true, "sex": "female"}, "site": {"id": 20, "name": "Clinic", "active": false, "phoneNumber": "+3", "address": {"lineOne": "2 Way", "zipCode": "3000"}}, "lastHealthCheck": "yesterday", "deviceIdentifiers": [{"type": "imei", "value": "00123"}], "deviceEvents": [], "externalIdentifier": "d-1", "disabledReadings": false}], "packedKits": [{"kit": {"id": 2000, "name": "Starter"}, "devices": [{"id": 5001, "used": false}, {"id": 5002}]}, {"kit": {"id": 2001}, "devices": []}, {"kit": {"id": 2002}, "devices": [{"id": 5003, "site": {"id": 21}}]}], "orderNotes": [{"note": "Ring twice", "createdAt": "2024-01-01T00:00:00+01:00", "createdBy": {"id": 9, "firstName": "Bo", "lastName": "K", "email": "b@example.com"}}]}' '{"id": 2}' '{"id": 3, "externalOrderIds": [], "orderItems": [{}], "orderKits": [{"count": 1}], "orderEvents": [{"name": "n"}], "trackingNumbers": [{}], "devices": [{"id": 1, "site": {"id": 1}, "deviceIdentifiers": [{}]}], "packedKits": [{"devices": [{"id": 1}]}, {}], "orderNotes": [{}]}' '{"id": 4, "externalOrderIds": [null, "four", 4], "orderItems": null, "orderKits": [null], "orderEvents": [null], "packedKits": [null, {"devices": null}, {"devices": [null]}], "devices": [null]}'

SELECT * FROM impilo.order_external_ids ORDER BY order_id, position;
SELECT * FROM impilo.order_items ORDER BY order_id, position;
SELECT * FROM impilo.order_kits ORDER BY order_id, position;
SELECT * FROM impilo.order_events ORDER BY order_id, position;
SELECT * FROM impilo.order_tracking_numbers ORDER BY order_id, position;
SELECT * FROM impilo.order_packed_kits ORDER BY order_id, position;
SELECT * FROM impilo.order_notes ORDER BY order_id, position;
SELECT order_id, kit_position, position, device_id, used, site_id, document FROM impilo.order_packed_kit_devices ORDER BY order_id, kit_position, position;
\x on
SELECT * FROM impilo.order_devices WHERE order_id = 1;
SELECT * FROM impilo.orders WHERE id = 1;
\x off
SELECT order_id, position, device_id, site_id, device_identifiers, document FROM impilo.order_devices WHERE order_id > 1 ORDER BY order_id;

-- a look-up by the order
\! ctl log-reset
SELECT kit_position, position, device_id FROM impilo.order_packed_kit_devices WHERE order_id = 1;
SELECT count(*) FROM impilo.order_items WHERE order_id = 2;
\! ctl log
SELECT count(*) FROM impilo.order_packed_kit_devices;

-- the relations are read-only
INSERT INTO impilo.order_items (order_id, item_id) VALUES (1, 1000);

--
-- Values that are not an array where one is expected
--
\! ctl only '{"id": 1, "orderItems": {"item": {"id": 1}}}'
SELECT order_id, count FROM impilo.order_items;
\echo :LAST_ERROR_SQLSTATE
SELECT id FROM impilo.orders;
\! ctl only '{"id": 1, "packedKits": [{"devices": []}, {"devices": "none"}]}'
SELECT order_id, device_id FROM impilo.order_packed_kit_devices;
SELECT order_id, position, devices FROM impilo.order_packed_kits;
\! ctl only '{"id": 1, "orderItems": [{"count": 1}, {"count": "many"}]}'
SELECT order_id, count FROM impilo.order_items;
SELECT order_id, position FROM impilo.order_items;
\! ctl only '{"id": 1, "packedKits": [{}, {"devices": [{"id": 1}, {"id": 1.5}]}]}'
SELECT device_id FROM impilo.order_packed_kit_devices;

--
-- A thousand orders: the relations have the same rows as the arrays in orders
--
\! ctl reset
CREATE TEMPORARY TABLE o AS SELECT * FROM impilo.orders;
SELECT count(*), count(DISTINCT id) FROM o;
-- rows without an element, and elements without a row
SELECT 'external ids' AS relation, count(*) > 0 AS any, count(*) FILTER (WHERE e.external_order_id IS DISTINCT FROM r.external_order_id) AS differ
FROM (SELECT id AS order_id, position, external_order_id FROM o, unnest(external_order_ids) WITH ORDINALITY u(external_order_id, position)) e
FULL JOIN impilo.order_external_ids r USING (order_id, position)
UNION ALL
SELECT 'items', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->'count', e.v->'item'->'id', e.v->'item'->>'sku', e.v->'item'->'manufacturer'->>'name') IS DISTINCT FROM (r.document, to_jsonb(r.count), to_jsonb(r.item_id), r.item_sku, r.item_manufacturer_name))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(order_items) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_items r USING (order_id, position)
UNION ALL
SELECT 'kits', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->'count', e.v->'kit'->'id', e.v->'kit'->'kitItems') IS DISTINCT FROM (r.document, to_jsonb(r.count), to_jsonb(r.kit_id), r.kit_kit_items))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(order_kits) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_kits r USING (order_id, position)
UNION ALL
SELECT 'events', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->>'name', (e.v->>'eventTimestamp')::timestamptz) IS DISTINCT FROM (r.document, r.name, r.event_timestamp))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(order_events) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_events r USING (order_id, position)
UNION ALL
SELECT 'tracking numbers', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->>'carrier', e.v->>'value') IS DISTINCT FROM (r.document, r.carrier, r.value))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(tracking_numbers) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_tracking_numbers r USING (order_id, position)
UNION ALL
SELECT 'devices', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->'id', e.v->>'currentStatus', e.v->'currentPatient'->>'lastName', e.v->'site'->>'name') IS DISTINCT FROM (r.document, to_jsonb(r.device_id), r.current_status, r.current_patient_last_name, r.site_name))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(devices) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_devices r USING (order_id, position)
UNION ALL
SELECT 'packed kits', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->'kit'->'id', nullif(e.v->'devices', 'null')) IS DISTINCT FROM (r.document, to_jsonb(r.kit_id), r.devices))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(packed_kits) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_packed_kits r USING (order_id, position)
UNION ALL
SELECT 'packed kit devices', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->'id', e.v->'item'->>'name') IS DISTINCT FROM (r.document, to_jsonb(r.device_id), r.item_name))
FROM (SELECT id AS order_id, kit_position, position, v FROM o, jsonb_array_elements(packed_kits) WITH ORDINALITY k(kit, kit_position), jsonb_array_elements(nullif(kit->'devices', 'null')) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_packed_kit_devices r USING (order_id, kit_position, position)
UNION ALL
SELECT 'notes', count(*) > 0, count(*) FILTER (WHERE (e.v, e.v->>'note', e.v->'createdBy'->>'email', (e.v->>'createdAt')::timestamptz) IS DISTINCT FROM (r.document, r.note, r.created_by_email, r.created_at))
FROM (SELECT id AS order_id, position, v FROM o, jsonb_array_elements(order_notes) WITH ORDINALITY u(v, position)) e
FULL JOIN impilo.order_notes r USING (order_id, position)
;
-- the columns of orders have the same values as the document
SELECT count(*) AS orders,
	count(*) FILTER (WHERE patient_id IS DISTINCT FROM (document->'patient'->>'id')::bigint
		OR patient_last_name IS DISTINCT FROM document->'patient'->>'lastName'
		OR patient_date_of_birth IS DISTINCT FROM (document->'patient'->>'dateOfBirth')::date
		OR patient_address_zip_code IS DISTINCT FROM document->'patient'->'address'->>'zipCode'
		OR site_id IS DISTINCT FROM (document->'site'->>'id')::bigint
		OR current_status IS DISTINCT FROM document->>'currentStatus'
		OR order_items IS DISTINCT FROM nullif(document->'orderItems', 'null')
		OR email_label IS DISTINCT FROM (document->>'emailLabel')::boolean) AS differ
FROM o;
DROP TABLE o;
