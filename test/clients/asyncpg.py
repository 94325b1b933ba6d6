# python3 asyncpg.py
import asyncio
import json
import sys

sys.path.pop(0)  # this folder has a file of the same name
import asyncpg

insert = "INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES ($1, $2, $3)"
items = json.dumps([{"item": {"id": 1000}, "count": 2}])


async def main():
    db = await asyncpg.connect()

    async def requests():
        return int(await db.fetchval("SELECT coalesce(sum(requests), 0) FROM impilo_fdw_stats()"))

    async def created():
        return await db.fetchval("SELECT count(*) FROM impilo_created_orders() WHERE state = 'created'")

    begin = await requests()
    row = await db.fetchrow("SELECT id, current_status FROM impilo.orders WHERE id = $1", 3)
    print("read:", *row, await requests() - begin)
    begin = await requests()
    statement = await db.prepare("SELECT id FROM impilo.orders WHERE id = $1")
    found = [await statement.fetchval(i) for i in range(1, 11)]
    print("prepared:", len(found), await requests() - begin)
    print("join:", *["%s %s" % tuple(row) for row in await db.fetch(
        "SELECT p.mrn, o.id FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id ORDER BY o.id")])
    async with db.transaction():
        rows = [row[0] async for row in db.cursor("SELECT id FROM impilo.orders", prefetch=100)]
    print("stream:", len(rows), len(set(rows)))
    print("create:", *await db.fetchrow(
        insert + " RETURNING id, external_order_ids[1], current_status", 1, ["one"], items))
    batch = [(1, ["batch-%d" % i], items) for i in range(3)]
    await db.executemany(insert, batch)
    print("batch:", await created())
    await db.executemany(insert + " ON CONFLICT DO NOTHING", batch)
    print("repeat:", await created())
    try:
        await db.execute(insert, 1000000, ["refused"], items)
    except asyncpg.PostgresError as e:
        print("refused:", e.sqlstate, "%s.%s" % (e.schema_name, e.table_name), "patient_does_not_exist" in str(e))
    try:
        await db.execute(insert + ", ($4, $5, $6)", 1, ["first"], items, 1000000, ["second"], items)
    except asyncpg.PostgresError as e:
        print("partly:", e.sqlstate, bool(e.detail), bool(e.hint))


asyncio.run(main())
