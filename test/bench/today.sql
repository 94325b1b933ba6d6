-- What users write today in plpython3u.  It is efficient: it keeps one connection,
-- and returns rows as they arrive.
CREATE EXTENSION IF NOT EXISTS plpython3u;

CREATE FUNCTION today_orders(host text, key text)
RETURNS TABLE (id bigint, external_order_ids text[], current_status text,
	patient_id bigint, patient_first_name text, patient_last_name text,
	patient_date_of_birth date, patient_address_city text, site_name text,
	order_items jsonb, order_events jsonb, devices jsonb)
LANGUAGE plpython3u AS $$
import http.client, json
api = http.client.HTTPConnection(host)
page = 1
while True:
    api.request('GET', f'/api/v3/order?page={page}&size=250', headers={'Impilo-API-Key': key})
    answer = json.loads(api.getresponse().read())
    for o in answer['content']:
        p = o.get('patient') or {}
        yield (o['id'], o.get('externalOrderIds'), o.get('currentStatus'),
               p.get('id'), p.get('firstName'), p.get('lastName'), p.get('dateOfBirth'),
               (p.get('address') or {}).get('city'), (o.get('site') or {}).get('name'),
               json.dumps(o.get('orderItems')), json.dumps(o.get('orderEvents')), json.dumps(o.get('devices')))
    if answer['last']:
        break
    page += 1
$$;

CREATE FUNCTION today_ids(host text, key text)
RETURNS SETOF bigint LANGUAGE plpython3u AS $$
import http.client, json
api = http.client.HTTPConnection(host)
page = 1
while True:
    api.request('GET', f'/api/v3/order?page={page}&size=250', headers={'Impilo-API-Key': key})
    answer = json.loads(api.getresponse().read())
    for o in answer['content']:
        yield o['id']
    if answer['last']:
        break
    page += 1
$$;

CREATE FUNCTION today_status(host text, key text, ids bigint[])
RETURNS SETOF text LANGUAGE plpython3u AS $$
import http.client, json
api = http.client.HTTPConnection(host)
for i in ids:
    api.request('GET', f'/api/v3/order/{i}', headers={'Impilo-API-Key': key})
    yield json.loads(api.getresponse().read()).get('currentStatus')
$$;

CREATE FUNCTION today_create(host text, key text, count integer)
RETURNS SETOF bigint LANGUAGE plpython3u AS $$
import http.client, json
api = http.client.HTTPConnection(host)
for n in range(count):
    body = {'patient': {'id': n + 1}, 'externalOrderIds': [f'py_{n}'],
            'orderItems': [{'item': {'id': 1000}, 'count': 2}]}
    api.request('POST', '/api/v3/order', json.dumps(body),
                {'Impilo-API-Key': key, 'Content-Type': 'application/json'})
    yield json.loads(api.getresponse().read())['id']
$$;
