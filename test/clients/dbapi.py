# python3 dbapi.py psycopg2 | psycopg | pyodbc
import importlib
import json
import os
import sys

name = sys.argv[1]
driver = importlib.import_module(name)
mark = "?" if name == "pyodbc" else "%s"
if name == "pyodbc":
    db = driver.connect("Driver={PostgreSQL Unicode};Servername=%s;Port=%s;Username=%s;Database=%s" %
                        tuple(os.environ["PG" + x] for x in ("HOST", "PORT", "USER", "DATABASE")))
else:
    db = driver.connect("")
cursor = db.cursor()


def run(sql, *values):
    cursor.execute(sql.replace("%s", mark), values)
    return cursor


def requests():
    return int(run("SELECT coalesce(sum(requests), 0) FROM impilo_fdw_stats()").fetchone()[0])


def created():
    return run("SELECT count(*) FROM impilo_created_orders() WHERE state = 'created'").fetchone()[0]


def error(sql, *values):
    try:
        run(sql, *values)
    except driver.Error as e:
        db.rollback()
        if name == "pyodbc":
            return e.args[0], None, e.args[1], None, None
        return (e.pgcode if name == "psycopg2" else e.sqlstate, "%s.%s" % (e.diag.schema_name, e.diag.table_name),
                e.diag.message_primary, e.diag.message_detail, e.diag.message_hint)


insert = "INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (%s, %s, %s::jsonb)"
items = json.dumps([{"item": {"id": 1000}, "count": 2}])


def ids(external_id):
    return "{%s}" % external_id if name == "pyodbc" else [external_id]


begin = requests()
print("read:", *run("SELECT id, current_status FROM impilo.orders WHERE id = %s", 3).fetchone(), requests() - begin)
begin = requests()
found = [run("SELECT id FROM impilo.orders WHERE id = %s", i).fetchone()[0] for i in range(1, 11)]
print("prepared:", len(found), requests() - begin)
print("join:", *["%s %s" % tuple(row) for row in run(
    "SELECT p.mrn, o.id FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id ORDER BY o.id")])
if name == "pyodbc":
    stream = run("SELECT id FROM impilo.orders")
else:
    stream = db.cursor(name="stream")
    stream.execute("SELECT id FROM impilo.orders")
rows = []
while some := stream.fetchmany(100):
    rows += [row[0] for row in some]
print("stream:", len(rows), len(set(rows)))
db.commit()
row = run(insert + " RETURNING id, external_order_ids[1], current_status", 1, ids("one"), items).fetchone()
print("create:", *row)
db.commit()
batch = [(1, ids("batch-%d" % i), items) for i in range(3)]
cursor.executemany(insert.replace("%s", mark), batch)
db.commit()
print("batch:", created())
cursor.executemany((insert + " ON CONFLICT DO NOTHING").replace("%s", mark), batch)
db.commit()
print("repeat:", created())
state, table, message, detail, hint = error(insert, 1000000, ids("refused"), items)
print("refused:", state, table or "-", "patient_does_not_exist" in message)
state, table, message, detail, hint = error(
    insert + ", (%s, %s, %s::jsonb)", 1, ids("first"), items, 1000000, ids("second"), items)
print("partly:", state, bool(detail), bool(hint))
