"""Uses HOST PORT until stdin ends: upgrade.py HOST PORT NAME. Prints what went wrong, as JSON.

A call that finds its connection closed is repeated once: pymemcache connects again by itself.
"""

import json
import select
import sys

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheUnexpectedCloseError

host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = Client((host, port), no_delay=True)
said = {"calls": 0, "closed": 0, "failed": 0, "wrong": 0, "lost": 0}


def call(method, *args, **kwargs):
    said["calls"] += 1
    for again in (True, False):
        try:
            return getattr(client, method)(*args, **kwargs)
        except (MemcacheUnexpectedCloseError, ConnectionError) as error:
            said["closed" if again else "failed"] += 1
            if isinstance(error, ConnectionRefusedError):
                said["failed"] += 1
    return None


model = {}
serial = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    serial += 1
    key = f"{name}-{serial % 300}"
    value = f"{serial} ".ljust(serial % 3000, "x").encode()
    if call("set", key, value, noreply=False):
        model[key] = value
    if call("get", key) != model[key]:
        said["wrong"] += 1
got = {key: call("get", key) for key in model}
said["lost"] = sum(got[key] != value for key, value in model.items())
print(json.dumps(said))
