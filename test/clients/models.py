# python3 models.py Django | SQLAlchemy
#
# Runs the Python code of a section of docs/clients.md.
import os
import re
import sys

page = open(os.path.join(os.path.dirname(__file__), "../../docs/clients.md"), encoding="utf-8").read()
section = page.split("### %s\n" % sys.argv[1])[1].split("\n##")[0]
blocks = re.findall(r"```python\n(.*?)```", section, re.S)
rows = [{"patient_id": 1, "external_order_ids": ["row-%d" % i], "order_items": [{"item": {"id": 1000}, "count": 1}]}
        for i in range(3)]
scope = {"__name__": "models", "rows": rows}

if sys.argv[1] == "Django":
    import django.conf
    exec(blocks[0], scope)
    scope["DATABASES"]["default"].update(
        HOST=os.environ["PGHOST"], PORT=os.environ["PGPORT"], USER=os.environ["PGUSER"], NAME=os.environ["PGDATABASE"])
    django.conf.settings.configure(DATABASES=scope["DATABASES"])
    django.setup()
    sys.modules["models"] = type(sys)("models")
    blocks[1] = blocks[1].replace("class Meta:", "class Meta:\n        app_label = 'models'")
    exec(blocks[1], scope)
    scope["orders"] = [scope["Order"](**row) for row in rows]
    scope["same_orders"] = [scope["Order"](**row) for row in rows]
    exec(blocks[2], scope)
    print("model:", scope["order"].current_status, all(order.id for order in scope["orders"]))
else:
    import sqlalchemy
    scope["engine"] = sqlalchemy.create_engine("postgresql+psycopg2://")
    exec(blocks[0], scope)
    exec(blocks[1], scope)
    with scope["Session"](scope["engine"]) as session:
        print("model:", session.get(scope["Order"], 1001).current_status,
              session.query(scope["Order"]).filter(scope["Order"].id.between(1001, 1010)).count() == 4)
