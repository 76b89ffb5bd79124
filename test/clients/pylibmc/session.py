"""pylibmc's whole surface: `session.py text|binary SERVER [USER PASSWORD]`.

SERVER is HOST:PORT, or the path of a unix socket. What libmemcached does otherwise in its two
protocols is told by BINARY.
"""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from facts import done, fact, part, raises

import pylibmc

BINARY = sys.argv[1] == "binary"
SERVER = sys.argv[2]
LOGIN = dict(zip(("username", "password"), sys.argv[3:]))
PATIENCE = {"connect_timeout": 20000, "send_timeout": 20_000_000, "receive_timeout": 20_000_000}
LARGE = b"0123456789abcdef" * 65500


def connect(**behaviors):
    return pylibmc.Client([SERVER], binary=BINARY, behaviors={**PATIENCE, **behaviors}, **LOGIN)


def missing(call, name, in_text):
    """In the binary protocol a miss is raised."""
    if BINARY:
        raises(f"{name} of a miss", pylibmc.NotFound, call, "none", "3")
    else:
        fact(f"{name} of a miss", call("none", "3"), in_text)


def store(client):
    fact("set", client.set("a", "1"))
    fact("get", client.get("a"), "1")
    fact("get of a miss", client.get("none"), None)
    fact("get of a miss with a default", client.get("none", 7), 7)
    fact("add of what is there", client.add("a", "2"), False)
    fact("add", client.add("new", "2"))
    fact("replace", client.replace("a", "3"))
    missing(client.replace, "replace", False)
    fact("append", client.append("a", ">"))
    fact("prepend", client.prepend("a", "<"))
    fact("both were joined on", client.get("a"), "<3>")
    fact("append to a miss", client.append("none", ">"), False)
    fact("prepend to a miss", client.prepend("none", "<"), False)
    fact("set with an expiration", client.set("stays", b"x", time=1000))
    fact("get of what expires later", client.get("stays"), b"x")
    fact("set with a long past expiration", client.set("gone", b"x", time=1_000_000_000))
    fact("get of what has expired", client.get("gone"), None)
    fact("delete", client.delete("new"))
    fact("delete of a miss", client.delete("new"), False)
    fact("touch", client.touch("a", 1000))
    fact("touch of a miss", client.touch("none", 1000), False)
    fact("touch with a long past expiration", client.touch("a", 1_000_000_000))
    fact("which removes", client.get("a"), None)
    client["index"] = "by index"
    fact("set and get by index", client["index"], "by index")
    fact("a key is in", "index" in client)
    fact("a key is not in", "none" in client, False)
    del client["index"]
    raises("get of a miss by index", KeyError, lambda: client["index"])


def kinds(client):
    """Each kind has its own flags; they come back with the value."""
    for name, value in (
        ("bytes", bytes(range(256))),
        ("text", "größe 日本語\r\nEND\r\n"),
        ("an int", -42),
        ("a long int", 2**80),
        ("True", True),
        ("False", False),
        ("nothing", b""),
        ("a pickled value", {"list": [1, 2.5, None]}),
        ("a compressed value", "again " * 5000),
        ("nearly 1 MiB", LARGE),
    ):
        key = "kind-" + name.replace(" ", "-")
        compressed = {"min_compress_len": 100} if name.startswith("a compressed") else {}
        fact(f"set of {name}", client.set(key, value, **compressed))
        fact(f"get of {name}", client.get(key) == value)
    fact("what compresses well may be above 1 MiB", client.set("packed", b"0" * 8_000_000, min_compress_len=1))
    fact("and comes back", client.get("packed") == b"0" * 8_000_000)
    raises("a key of 251 bytes", ValueError, client.set, "k" * 251, "1")
    fact("a key of 250 bytes", client.set("k" * 250, "1") and client.get("k" * 250), "1")


def swap():
    client = connect(cas=True)
    client.set("c", "1")
    value, cas = client.gets("c")
    fact("gets gives the value", value, "1")
    fact("gets gives a cas", cas, lambda cas: cas > 0)
    fact("cas that is right", client.cas("c", "2", cas))
    fact("cas that is stale", client.cas("c", "3", cas), False)
    raises("cas of a miss", pylibmc.NotFound, client.cas, "none", "3", cas)
    fact("the right one stored", client.get("c"), "2")
    fact("gets of a miss", client.gets("none"), (None, None))
    client.disconnect_all()


def count(client):
    client.set("n", 10)
    fact("incr by one", client.incr("n"), 11)
    fact("incr", client.incr("n", 4), 15)
    fact("decr", client.decr("n", 6), 9)
    fact("decr stops at 0", client.decr("n", 100), 0)
    raises("incr of a miss", pylibmc.NotFound, client.incr, "none")
    raises("decr of a miss", pylibmc.NotFound, client.decr, "none")
    client.set_multi({"n1": 1, "n2": 2})
    client.incr_multi(["n1", "n2"], delta=10)
    fact("incr_multi", client.get_multi(["n1", "n2"]), {"n1": 11, "n2": 12})
    client.set("word", "word")
    raises("incr of a word", pylibmc.Error, client.incr, "word")
    fact("the connection goes on", client.get("word"), "word")


def many(client):
    values = {f"many{i}": str(i) * 50 for i in range(1000)}
    fact("set_multi of 1000", client.set_multi(values), [])
    fact("get_multi of 1001", client.get_multi([*values, "none"]), values)
    fact("get_multi of nothing", client.get_multi([]), {})
    fact("delete_multi of 1000", client.delete_multi(list(values)))
    fact("they are gone", client.get_multi(list(values)), {})
    fact("set_multi with a prefix", client.set_multi({"x": 1, "y": 2}, key_prefix="pre-", time=100), [])
    fact("the prefix is part of the key", client.get("pre-x"), 1)
    fact("get_multi with a prefix", client.get_multi(["x", "y", "z"], key_prefix="pre-"), {"x": 1, "y": 2})
    fact("add_multi", client.add_multi({"x": 1, "new": 2}), lambda failed: failed in ([], ["pre-x"]))
    fact("delete_multi with a prefix", client.delete_multi(["x", "y"], key_prefix="pre-"))
    large = {f"large{i}": LARGE[i:] for i in range(20)}
    fact("set_multi of 20 MiB", client.set_multi(large), [])
    fact("get_multi of 20 MiB", client.get_multi(list(large)) == large)
    client.delete_multi(list(large))


def behave():
    """The ways to reach a server; each has to lead to the same."""
    for behaviors in (
        {"tcp_nodelay": True},
        {"no_block": True},
        {"no_block": True, "tcp_nodelay": True, "_poll_timeout": 20000},
        {"ketama": True, "tcp_keepalive": True},
        {"ketama_weighted": True, "remove_failed": 1},
        {"distribution": "consistent", "hash": "md5"},
        {"distribution": "consistent ketama", "hash": "murmur"},
        {"distribution": "modula", "hash": "crc"} if BINARY else {"verify_keys": True},
        {"num_replicas": 0, "auto_eject": True, "retry_timeout": 1, "failure_limit": 1},
        {"cas": True, "_socket_send_size": 4096, "_socket_recv_size": 4096},
    ):
        title = ", ".join(f"{name} {value}" for name, value in behaviors.items())
        client = connect(**behaviors)
        values = {f"behave{i}": "v" * i for i in range(200)}
        fact(f"{title}: set_multi", client.set_multi(values), [])
        fact(f"{title}: get_multi", client.get_multi(list(values)), values)
        fact(f"{title}: set", client.set("behave", "1"))
        fact(f"{title}: get", client.get("behave"), "1")
        fact(f"{title}: delete", client.delete("behave"))
        fact(f"{title}: get of what was deleted", client.get("behave"), None)
        client.disconnect_all()
    keys = [f"silent{i}" for i in range(100)]
    silent = connect(_noreply=True)
    for key in keys:
        silent.set(key, "silent")
    fact("noreply: all were set", silent.get_multi(keys), dict.fromkeys(keys, "silent"))
    silent.disconnect_all()


def pools():
    client = connect(tcp_nodelay=True)
    client.set("shared", 0)
    for title, pool in (
        ("ClientPool", pylibmc.ClientPool(client, 4)),
        ("ThreadMappedPool", pylibmc.ThreadMappedPool(client)),
    ):
        client.set("shared", 0)

        def count_up():
            for _ in range(100):
                with pool.reserve(**({"block": True} if title == "ClientPool" else {})) as one:
                    one.incr("shared")

        threads = [threading.Thread(target=count_up) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fact(f"8 threads count to 800 by a {title}", client.get("shared"), 800)
    clone = client.clone()
    fact("a clone sees the same", clone.get("shared"), 800)


def control(client):
    [(name, stats)] = client.get_stats()
    fact("stats names the server", name.decode(), lambda name: name.startswith(SERVER))
    for each in ("pid", "curr_items", "cmd_get", "limit_maxbytes", "threads"):
        fact(f"stats: {each}", stats[each], lambda value: value.isdigit())
    fact("stats: version", stats["version"], lambda version: version.count(b".") >= 2)
    for each in ("settings", "items", "slabs", "sizes"):  # the client keeps none of their lines
        fact(f"stats {each} comes to its end", len(client.get_stats(each)), 1)
    client.set("soon", "gone")
    fact("flush_all in a while", client.flush_all(time=1000))
    fact("which does not empty yet", client.get("soon"), "gone")
    fact("flush_all", client.flush_all())
    fact("which empties", client.get("soon"), None)
    client.disconnect_all()
    fact("a client comes back after disconnect_all", client.set("again", 1))


def refused():
    stranger = pylibmc.Client([SERVER], binary=True, username=LOGIN["username"], password="wrong")
    raises("a wrong password", pylibmc.Error, stranger.get, "a")


plain = connect()
plain.flush_all()
for function in (store, kinds, count, many, control):
    part(function.__name__, function, plain)
for function in (swap, behave, pools):
    part(function.__name__, function)
if LOGIN:
    part("refused", refused)
done()
