// node pg.js
const { Client } = require('pg');

const insert = 'INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES ($1, $2, $3)';
const items = JSON.stringify([{ item: { id: 1000 }, count: 2 }]);

async function main() {
  const db = new Client();
  await db.connect();
  const one = async (sql, values) => Object.values((await db.query(sql, values)).rows[0]);
  const requests = async () => Number((await one('SELECT coalesce(sum(requests), 0) FROM impilo_fdw_stats()'))[0]);
  const created = async () => (await one("SELECT count(*) FROM impilo_created_orders() WHERE state = 'created'"))[0];

  let begin = await requests();
  const order = await one('SELECT id, current_status FROM impilo.orders WHERE id = $1', [3]);
  console.log('read:', ...order, (await requests()) - begin);
  begin = await requests();
  let found = 0;
  for (let i = 1; i <= 10; i++)
    found += (await db.query({ name: 'lookup', text: 'SELECT id FROM impilo.orders WHERE id = $1', values: [i] })).rowCount;
  console.log('prepared:', found, (await requests()) - begin);
  const joined = await db.query('SELECT p.mrn, o.id FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id ORDER BY o.id');
  console.log('join:', joined.rows.map((row) => `${row.mrn} ${row.id}`).join(' '));
  await db.query('BEGIN');
  await db.query('DECLARE stream CURSOR FOR SELECT id FROM impilo.orders');
  const ids = [];
  for (let some; (some = (await db.query('FETCH 100 FROM stream')).rows).length > 0;)
    ids.push(...some.map((row) => row.id));
  await db.query('COMMIT');
  console.log('stream:', ids.length, new Set(ids).size);
  console.log('create:', ...await one(insert + ' RETURNING id, external_order_ids[1] AS external, current_status', [1, ['one'], items]));
  // no batches: the rows are arrays in one statement
  const batch = (end) => db.query('INSERT INTO impilo.orders (patient_id, external_order_ids, order_items)'
    + ' SELECT 1, ARRAY[e], $2::jsonb FROM unnest($1::text[]) e' + end, [['batch-0', 'batch-1', 'batch-2'], items]);
  await batch('');
  console.log('batch:', await created());
  await batch(' ON CONFLICT DO NOTHING');
  console.log('repeat:', await created());
  await db.query(insert, [1000000, ['refused'], items]).catch((e) =>
    console.log('refused:', e.code, `${e.schema}.${e.table}`, /patient_does_not_exist/.test(e.message)));
  await db.query(insert + ', ($4, $5, $6)', [1, ['first'], items, 1000000, ['second'], items]).catch((e) =>
    console.log('partly:', e.code, Boolean(e.detail), Boolean(e.hint)));
  await db.end();
}

main().catch((e) => { console.error(e); process.exit(1); });
