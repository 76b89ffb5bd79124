"""pymemcache's whole surface against HOST PORT [CA_FILE], or against the unix socket PATH.

With CA_FILE it is over TLS, and the server's certificate has to be signed by that authority.
"""

import json
import pathlib
import ssl
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from facts import done, fact, part, raises

from pymemcache import serde
from pymemcache.client.base import Client, KeepaliveOpts, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.client.rendezvous import RendezvousHash
from pymemcache.client.retrying import RetryingClient
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheIllegalInputError,
    MemcacheServerError,
)

ADDRESS = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 2 else sys.argv[1]
LARGE = b"0123456789abcdef" * 65530  # near 1 MiB, item header included
PATIENCE = {"timeout": 20, "connect_timeout": 20}
if len(sys.argv) > 3:
    PATIENCE["tls_context"] = ssl.create_default_context(cafile=sys.argv[3])


def store(client):
    fact("set", client.set("a", b"1"))
    fact("get", client.get("a"), b"1")
    fact("get of a miss", client.get("none"), None)
    fact("get of a miss with a default", client.get("none", "default"), "default")
    fact("add of what is there", client.add("a", b"2"), False)
    fact("add", client.add("new", b"2"))
    fact("replace", client.replace("a", b"3"))
    fact("replace of a miss", client.replace("none", b"3"), False)
    fact("append", client.append("a", b">"))
    fact("prepend", client.prepend("a", b"<"))
    fact("both were joined on", client.get("a"), b"<3>")
    fact("append to a miss", client.append("none", b">"), False)
    fact("prepend to a miss", client.prepend("none", b"<"), False)
    fact("set of nothing", client.set("empty", b""))
    fact("get of nothing", client.get("empty"), b"")
    fact("set with a past expiration", client.set("gone", b"x", expire=-1))
    fact("get of what has expired", client.get("gone"), None)
    fact("set with an expiration", client.set("stays", b"x", expire=1000))
    fact("get of what expires later", client.get("stays"), b"x")
    client["item"] = b"by index"
    fact("set and get by index", client["item"], b"by index")
    del client["item"]
    raises("get of a miss by index", KeyError, lambda: client["item"])


def swap(client):
    client.set("c", b"1")
    value, cas = client.gets("c")
    fact("gets gives the value", value, b"1")
    fact("gets gives a cas", cas, lambda cas: cas.isdigit())
    fact("cas that is right", client.cas("c", b"2", cas))
    fact("cas that is stale", client.cas("c", b"3", cas), False)
    fact("cas of a miss", client.cas("none", b"3", cas), None)
    fact("the right one stored", client.get("c"), b"2")
    fact("gets of a miss", client.gets("none"), (None, None))
    client.set("c2", b"1")
    fact("gets_many", sorted(client.gets_many(["c", "c2", "none"])), ["c", "c2"])
    before = client.gets("c")
    client.set("c", before[0])
    fact("each store gives a new cas", client.gets("c")[1] != before[1])
    raises("cas that is no number", MemcacheIllegalInputError, client.cas, "c", b"", b"word")


def count(client):
    client.set("n", b"10")
    fact("incr", client.incr("n", 5), 15)
    fact("decr", client.decr("n", 6), 9)
    fact("decr keeps the length", client.get("n"), b"9 ")
    fact("decr stops at 0", client.decr("n", 100), 0)
    fact("incr of a miss", client.incr("none", 1), None)
    fact("decr of a miss", client.decr("none", 1), None)
    fact("incr to the last number", client.incr("n", 2**64 - 1), 2**64 - 1)
    fact("incr beyond it begins again", client.incr("n", 1), 0)
    client.set("word", b"word")
    raises("incr of a word", MemcacheClientError, client.incr, "word", 1)
    raises("incr by 2^64", MemcacheClientError, client.incr, "n", 2**64)
    fact("touch", client.touch("n", 100))
    fact("touch of a miss", client.touch("none", 100), False)
    fact("touch with a past expiration", client.touch("n", -1))
    fact("which removes", client.get("n"), None)
    client.set("n", b"1")
    fact("delete", client.delete("n"))
    fact("delete of a miss", client.delete("n"), False)


def many(client):
    values = {f"many{i}": str(i).encode() * 50 for i in range(1000)}
    fact("set_many of 1000", client.set_many(values), [])
    fact("get_many of 1001", client.get_many(list(values) + ["none"]), values)
    fact("delete_many of 1000", client.delete_many(list(values)))
    fact("they are gone", client.get_many(list(values)), {})
    fact("set_multi", client.set_multi({"x": b"1", "y": b"2"}), [])
    fact("get_multi", client.get_multi(["x", "y", "z"]), {"x": b"1", "y": b"2"})
    fact("delete_multi", client.delete_multi(["x", "y"]))
    fact("get_many of nothing", client.get_many([]), {})


def silent(client):
    client.set("q", b"1", noreply=True)
    client.add("q", b"2", noreply=True)
    client.append("q", b"2", noreply=True)
    client.prepend("q", b"0", noreply=True)
    fact("set, append, prepend with noreply", client.get("q"), b"012")
    client.replace("q", b"7", noreply=True)
    client.incr("q", 3, noreply=True)
    fact("replace, incr with noreply", client.get("q"), b"10")
    client.decr("q", 3, noreply=True)
    client.touch("q", 100, noreply=True)
    client.cas("q", b"9", b"1", noreply=True)
    fact("decr, touch and a stale cas with noreply", client.get("q"), b"7 ")
    client.delete("q", noreply=True)
    fact("delete with noreply", client.get("q"), None)
    client.set_many({f"s{i}": b"v" for i in range(500)}, noreply=True)
    fact("set_many with noreply", len(client.get_many([f"s{i}" for i in range(500)])), 500)
    client.delete_many([f"s{i}" for i in range(1, 500)], noreply=True)
    fact("delete_many with noreply", list(client.get_many([f"s{i}" for i in range(500)])), ["s0"])
    client.flush_all(noreply=True)
    fact("flush_all with noreply", client.get("s0"), None)


def values(client):
    text = "größe 日本語 \U0001f600\r\nEND\r\n".encode()
    client.set("text", text)
    fact("text with line ends", client.get("text"), text)
    every = bytes(range(256)) * 100
    client.set("every", every)
    fact("every byte", client.get("every"), every)
    fact("set of nearly 1 MiB", client.set("large", LARGE))
    fact("get of nearly 1 MiB", client.get("large") == LARGE)
    fact("get_many with a large one", client.get_many(["large", "text"]) == {"large": LARGE, "text": text})
    raises("set of 2 MiB", MemcacheServerError, client.set, "large", LARGE * 2)
    fact("what did not fit replaces nothing", client.get("large"), None)
    key = "k" * 250
    client.set(key, b"longest key")
    fact("a key of 250 bytes", client.get(key), b"longest key")
    raises("a key of 251 bytes", MemcacheIllegalInputError, client.get, key + "k")
    fact("the connection goes on", client.get(key), b"longest key")


def flags():
    client = Client(ADDRESS, serde=serde.PickleSerde(), default_noreply=False, **PATIENCE)
    value = {"list": [1, 2.5, None], "text": "größe"}
    client.set("pickled", value)
    fact("flags tell what was pickled", client.get("pickled"), value)
    client.set("number", 42)
    fact("flags tell what is a number", client.get("number"), 42)
    client.set("string", "größe")
    fact("flags tell what is text", client.get("string"), "größe")

    class Flags:
        def serialize(self, key, value):
            return json.dumps(value), 4294967295

        def deserialize(self, key, value, flags):
            return json.loads(value), flags

    largest = Client(ADDRESS, serde=Flags(), default_noreply=False, **PATIENCE)
    largest.set("largest", [1])
    fact("the largest flags", largest.get("largest"), ([1], 4294967295))
    largest.set("flagged", [2], flags=7)
    fact("flags of one set", largest.get("flagged"), ([2], 7))
    unicode = Client(ADDRESS, allow_unicode_keys=True, key_prefix=b"pre:", **PATIENCE)
    unicode.set("schlüssel", b"1", noreply=False)
    fact("a key with a prefix, not ASCII", unicode.get("schlüssel"), b"1")
    fact("get_many takes the prefix off", unicode.get_many(["schlüssel"]), {"schlüssel": b"1"})
    fact("the prefix is part of the key", client.get("pre:none", "miss"), "miss")
    for each in (client, largest, unicode):
        each.close()


def control(client):
    fact("version", client.version(), lambda version: version[:1].isdigit())
    stats = client.stats()
    fact("stats counts items", stats[b"curr_items"], lambda items: items >= 1)
    fact("stats counts gets", stats[b"cmd_get"], lambda gets: gets >= 1)
    fact("stats counts threads", stats[b"threads"], lambda threads: threads >= 1)
    settings = client.stats("settings")
    fact("stats settings: evictions", settings[b"evictions"], b"on")
    fact("stats settings: cas_enabled", settings[b"cas_enabled"], b"yes")
    fact("stats items", client.stats("items"), lambda lines: b"items:1:number" in lines)
    fact("stats slabs", client.stats("slabs"), lambda lines: lines[b"active_slabs"] >= 1)
    fact("stats sizes", client.stats("sizes"), dict)
    fact("stats conns", client.stats("conns"), lambda lines: len(lines) >= 1)
    fact("cache_memlimit", client.cache_memlimit(100))
    fact("flush_all", client.flush_all())
    fact("which empties", client.get("text"), None)
    client.set("after", b"flush")
    fact("what is set after it stays", client.get("after"), b"flush")
    fact("flush_all in a while", client.flush_all(delay=1000))
    fact("which does not empty yet", client.get("after"), b"flush")
    fact("flush_all again", client.flush_all())


def pool():
    pool = PooledClient(
        ADDRESS,
        max_pool_size=8,
        default_noreply=False,
        no_delay=True,
        socket_keepalive=None if isinstance(ADDRESS, str) else KeepaliveOpts(),
        **PATIENCE,
    )
    pool.set("shared", b"0")

    def count_up():
        for _ in range(200):
            pool.incr("shared", 1)

    workers = [threading.Thread(target=count_up) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    fact("8 threads of a pool count to 1600", pool.get("shared"), b"1600")
    fact("a pool adds", pool.add("pooled", b"1"))
    fact("a pool replaces", pool.replace("pooled", b"2"))
    fact("a pool appends", pool.append("pooled", b"3"))
    fact("a pool prepends", pool.prepend("pooled", b"1"))
    value, cas = pool.gets("pooled")
    fact("a pool swaps", (value, pool.cas("pooled", b"5", cas)), (b"123", True))
    fact("a pool gets many", pool.gets_many(["pooled"])["pooled"][0], b"5")
    fact("a pool touches", pool.touch("pooled", 100))
    fact("a pool decrements", pool.decr("pooled", 1), 4)
    fact("a pool deletes", (pool.delete("pooled"), pool.delete_many(["x"])), (True, True))
    fact("a pool asks for stats", pool.stats()[b"curr_connections"], lambda count: count >= 1)
    fact("a pool asks for the version", pool.version(), bytes)
    fact("a pool flushes", pool.flush_all())
    pool.close()


def ring():
    for title, more in (("", {}), (" with pools", {"use_pooling": True, "max_pool_size": 4})):
        client = HashClient([ADDRESS], hasher=RendezvousHash, default_noreply=False, **more, **PATIENCE)
        values = {f"hashed{i}": b"%d" % i for i in range(100)}
        fact(f"a ring{title} sets", client.set("hashed", b"1"))
        fact(f"a ring{title} sets many", client.set_many(values), [])
        fact(f"a ring{title} gets many", client.get_many(list(values)), values)
        fact(f"a ring{title} counts", (client.incr("hashed", 4), client.decr("hashed", 2)), (5, 3))
        fact(f"a ring{title} adds", client.add("hashed", b"2"), False)
        fact(f"a ring{title} replaces", client.replace("hashed", b"2"))
        fact(f"a ring{title} joins", (client.append("hashed", b"3"), client.prepend("hashed", b"1")), (True, True))
        value, cas = client.gets("hashed")
        fact(f"a ring{title} swaps", (value, client.cas("hashed", b"1", cas)), (b"123", True))
        fact(f"a ring{title} touches", client.touch("hashed", 100))
        fact(f"a ring{title} deletes", client.delete("hashed"))
        fact(f"a ring{title} deletes many", client.delete_many(list(values)))
        client.flush_all()
        client.quit()
        client.close()


def retry():
    base = Client(ADDRESS, default_noreply=False, **PATIENCE)
    client = RetryingClient(base, attempts=3, retry_delay=0.01, retry_for=[MemcacheServerError, OSError])
    fact("a retrying client sets", client.set("again", b"1"))
    base.sock.close()  # as if it had been cut
    fact("it comes back where it was cut", client.get("again"), b"1")
    client["again"] = b"2"
    fact("it sets and gets by index", client["again"], b"2")
    client.quit()


plain = Client(ADDRESS, default_noreply=False, **PATIENCE)
for function in (store, swap, count, many, silent, values, control):
    part(function.__name__, function, plain)
plain.quit()
for function in (flags, pool, ring, retry):
    part(function.__name__, function)
done()
