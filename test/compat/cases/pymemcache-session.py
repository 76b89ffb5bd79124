"""A session of pymemcache: every command that it has. Prints `done`, or fails on an assertion."""

import sys
import threading

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

ADDRESS = (sys.argv[1], int(sys.argv[2]))
LARGE = b"0123456789abcdef" * 65530  # near 1 MiB, item header included


def same(got, wanted):
    assert got == wanted, f"got {got!r:.200}, wanted {wanted!r:.200}"


def fails(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call} did not raise {error}")


def store(client):
    same(client.set("a", b"1"), True)
    same(client.get("a"), b"1")
    same(client.get("none"), None)
    same(client.get("none", "default"), "default")
    same(client.add("a", b"2"), False)
    same(client.add("new", b"2"), True)
    same(client.replace("a", b"3"), True)
    same(client.replace("none", b"3"), False)
    same(client.append("a", b">"), True)
    same(client.prepend("a", b"<"), True)
    same(client.get("a"), b"<3>")
    same(client.append("none", b">"), False)
    same(client.prepend("none", b"<"), False)
    same(client.set("flagged", b"x", flags=7), True)
    same(client.set("empty", b""), True)
    same(client.get("empty"), b"")
    same(client.set("gone", b"x", expire=-1), True)
    same(client.get("gone"), None)
    same(client.set("stays", b"x", expire=1000), True)
    same(client.get("stays"), b"x")


def swap(client):
    client.set("c", b"1")
    value, cas = client.gets("c")
    same(value, b"1")
    same(client.cas("c", b"2", cas), True)
    same(client.cas("c", b"3", cas), False)
    same(client.cas("none", b"3", cas), None)
    same(client.get("c"), b"2")
    same(client.gets("none"), (None, None))
    many = client.gets_many(["c", "a", "none"])
    same(sorted(many), ["a", "c"])


def count(client):
    client.set("n", b"10")
    same(client.incr("n", 5), 15)
    same(client.decr("n", 6), 9)
    same(client.get("n").rstrip(), b"9")
    same(client.decr("n", 100), 0)
    same(client.incr("none", 1), None)
    same(client.decr("none", 1), None)
    same(client.incr("n", 2**64 - 1), 2**64 - 1)
    same(client.incr("n", 1), 0)
    client.set("word", b"word")
    fails(MemcacheClientError, client.incr, "word", 1)
    same(client.touch("n", 100), True)
    same(client.touch("none", 100), False)
    same(client.delete("n"), True)
    same(client.delete("n"), False)


def many(client):
    values = {f"many{i}": str(i).encode() * 50 for i in range(1000)}
    same(client.set_many(values), [])
    same(client.get_many(list(values) + ["none"]), values)
    same(client.delete_many(list(values)), True)
    same(client.get_many(list(values)), {})
    same(client.set_multi({"x": b"1", "y": b"2"}), [])
    same(client.get_multi(["x", "y", "z"]), {"x": b"1", "y": b"2"})


def silent(client):
    client.set("q", b"1", noreply=True)
    client.add("q", b"2", noreply=True)
    client.append("q", b"2", noreply=True)
    client.prepend("q", b"0", noreply=True)
    same(client.get("q"), b"012")
    client.replace("q", b"7", noreply=True)
    client.incr("q", 3, noreply=True)
    same(client.get("q"), b"10")
    client.decr("q", 3, noreply=True)
    same(client.get("q").rstrip(), b"7")
    client.touch("q", 100, noreply=True)
    client.cas("q", b"9", b"1", noreply=True)
    same(client.get("q").rstrip(), b"7")
    client.delete("q", noreply=True)
    same(client.get("q"), None)
    client.set_many({f"s{i}": b"v" for i in range(500)}, noreply=True)
    same(len(client.get_many([f"s{i}" for i in range(500)])), 500)
    client.flush_all(noreply=True)
    same(client.get("s1"), None)


def values(client):
    text = "größe 日本語 \U0001f600\r\nEND\r\n".encode()
    client.set("text", text)
    same(client.get("text"), text)
    every = bytes(range(256)) * 100
    client.set("every", every)
    same(client.get("every"), every)
    client.set("large", LARGE)
    same(client.get("large"), LARGE)
    same(client.get_many(["large", "text"]), {"large": LARGE, "text": text})
    fails(MemcacheServerError, client.set, "large", LARGE * 2)
    same(client.get("large"), None)
    key = "k" * 250
    client.set(key, b"longest key")
    same(client.get(key), b"longest key")


def control(client):
    assert client.version()
    stats = client.stats()
    assert stats[b"curr_items"] >= 1 and stats[b"cmd_get"] >= 1, stats
    assert client.stats("settings")
    assert b"items:" in b"".join(client.stats("items"))
    same(client.flush_all(), True)
    same(client.get("text"), None)
    same(client.set("after", b"flush"), True)
    same(client.get("after"), b"flush")
    same(client.flush_all(delay=1000), True)
    same(client.get("after"), b"flush")
    same(client.flush_all(), True)


def threads():
    pool = PooledClient(ADDRESS, max_pool_size=8, default_noreply=False, timeout=20)
    pool.set("shared", b"0")
    count_up = lambda: [pool.incr("shared", 1) for _ in range(200)]
    workers = [threading.Thread(target=count_up) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    same(pool.get("shared"), b"1600")
    pool.close()


def ring():
    client = HashClient([ADDRESS], timeout=20)
    same(client.set("hashed", b"1", noreply=False), True)
    same(client.get_many(["hashed"]), {"hashed": b"1"})
    client.close()


plain = Client(ADDRESS, default_noreply=False, timeout=20, connect_timeout=20)
for part in (store, swap, count, many, silent, values, control):
    part(plain)
plain.quit()
threads()
ring()
print("done")
