"""pylibmc or pymemcache writes values for the pool, or says what it reads of the pool's:
`foreign.py pylibmc|pymemcache write|read HOST PORT [KEYS]`."""
import hashlib
import json
import sys

library, mode, host, port = sys.argv[1:5]
if library == 'pylibmc':
    import pylibmc
    cache = pylibmc.Client([f'{host}:{port}'])
    def store(key, value, **options):
        cache.set(key, value, **options)
else:
    import zlib
    from pymemcache import Client, serde
    class Compressed(serde.PickleSerde):
        """As CompressedSerde of later versions."""
        def serialize(self, key, value):
            bytes, flags = super().serialize(key, value)
            if isinstance(bytes, str):
                bytes = bytes.encode()
            if len(bytes) < 1000:
                return bytes, flags
            return zlib.compress(bytes), flags | serde.FLAG_COMPRESSED
        def deserialize(self, key, value, flags):
            if flags & serde.FLAG_COMPRESSED:
                value, flags = zlib.decompress(value), flags & ~serde.FLAG_COMPRESSED
            return super().deserialize(key, value, flags)
    cache = Client((host, int(port)), serde=Compressed(), default_noreply=False)
    def store(key, value, **_):
        cache.set(key, value)

if mode == 'read':
    for key in sys.argv[5].split(' '):
        value = cache.get(key)
        kind = type(value).__name__
        if isinstance(value, (str, bytes)) and len(value) > 1000:
            value = hashlib.md5(value.encode() if kind == 'str' else value).hexdigest()
        if isinstance(value, bytes):
            value = value.hex()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = repr(value)
        print(json.dumps([key, kind, value]))
    sys.exit(0)
values = {
    'text': 'größe', 'empty': '', 'bytes': b'\x00\xff', 'int': 42, 'negative': -7, 'big': 2 ** 70,
    'float': 0.1, 'whole-float': 1.0, 'inf': float('inf'), 'true': True, 'false': False,
    'none': None, 'list': [1, 2], 'one': 1, 'zero': 0,
}
for key, value in values.items():
    store(f'py:{key}', value)
store('py:long', 'abcdefghij' * 500, min_compress_len=100)
store('py:long-bytes', b'abcdefghij' * 500, min_compress_len=100)
store('py:counter', 100)
cache.decr('py:counter', 1)
