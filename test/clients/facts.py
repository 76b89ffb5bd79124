"""Named facts, printed as TAP. An exception is a fact that fails: the parts after it still run."""

import traceback

_count = 0


def fact(name, got, wanted=True):
    """States that `got` is `wanted`; a type or a function as `wanted` is asked whether it fits."""
    global _count
    _count += 1
    if isinstance(wanted, type):
        holds = isinstance(got, wanted)
    else:
        holds = wanted(got) if callable(wanted) else got == wanted and type(got) is type(wanted)
    said = "" if holds else f" (got {got!r:.200}, wanted {wanted!r:.200})"
    print("ok" if holds else "not ok", _count, "-", name + said, flush=True)


def raises(name, error, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except Exception as raised:
        got = raised
    fact(name, got, error)


def part(title, function, *args):
    try:
        function(*args)
    except Exception:
        said = traceback.format_exc(limit=-2).strip().replace("\n", " | ")
        fact(f"{title} runs to its end: {said}", False)


def done():
    print(f"1..{_count}")
