# python3 webhook.py
#
# Runs the receiver of docs/mirror.md on a free port, and delivers to it.
import http.client
import os
import re
import socket
import threading
import time

page = open(os.path.join(os.path.dirname(__file__), "../../docs/mirror.md"), encoding="utf-8").read()
receiver = re.search(r"```python\n(.*?)```", page, re.S)[1]
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
os.environ.update(DATABASE_URL="", WEBHOOK_SECRET="a secret")
threading.Thread(target=exec, args=(receiver.replace("8080", str(port)), {}), daemon=True).start()


def deliver(secret, body):
    for attempt in range(100):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/", body, {"Impilo-Webhook-Secret": secret})
            return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.1)


delivery = '{"id": 1, "type": "order.status", "payload": {"orderId": 6}}'
print("webhook:", deliver("another", delivery), deliver("a secret", delivery), deliver("a secret", "{"))
