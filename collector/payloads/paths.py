"""Finding values inside decoded JSON. Pure."""

from collections.abc import Sequence


def dig(content: object, path: Sequence[str]) -> object:
    """Return what stands at `path`, None if nothing does."""
    for step in path:
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


def scaled(value: object, scale: float) -> object:
    """Return a number times `scale`; what is no number stays as it is, to be rejected."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    try:
        return value * scale
    except OverflowError:
        return float("inf")


def paired(content: object, listed: object, name: str, value: str) -> dict[str, object]:
    """Return a list of name-value objects as one object beside the other keys.

    A name told twice with different values says nothing.
    """
    found = dict(content) if isinstance(content, dict) else {}
    told_here: dict[str, object] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get(name), str | int):
            key = str(one[name])
            same = key not in told_here or told_here[key] == one.get(value)
            told_here[key] = one.get(value) if same else None
    return found | told_here
