"""The block planner: covers every register, breaks no limit, and no plan has fewer requests."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.profiles import Profile, Register
from collector.quantity import QUANTITIES
from collector.registers import plan

NAMES = list(QUANTITIES)
KINDS = ["u16", "s32", "u48", "f64"]


@st.composite
def registers(draw, most):
    count = draw(st.integers(1, most))
    rows = []
    for name in NAMES[:count]:
        row = {"quantity": name, "address": draw(st.integers(0, 40))}
        row |= {"type": draw(st.sampled_from(KINDS)), "group": draw(st.sampled_from(["", "", "g"]))}
        if draw(st.booleans()):
            row["scale_register"] = draw(st.integers(0, 44))
        rows.append(row)
    return tuple(Register(**row) for row in rows)


@st.composite
def profiles(draw, most):
    made = draw(registers(most))
    free = [(44, 46)] if draw(st.booleans()) else []
    lone = draw(st.integers(0, 40))
    if not any(low <= lone < high for low, high in (one.span for one in made if not one.group)):
        group = [one.span for one in made if one.group]
        if not group or not min(x[0] for x in group) <= lone < max(x[1] for x in group):
            free.append((lone, lone))
    taken = {a for one in made for a in range(*one.span)}
    free = [pair for pair in free if not taken & set(range(pair[0], pair[1] + 1))]
    return Profile(id="p", title="p", reference="test", registers=made, forbidden=tuple(free))


def allowed(spans, limit, gap, forbidden):
    """Tell whether one request may read `spans`: an independent wording of the rules."""
    first, end = min(s[1] for s in spans), max(s[2] for s in spans)
    covered = sorted({a for s in spans for a in range(s[1], s[2])})
    holes = [b - a - 1 for a, b in pairwise(covered)]
    touched = range(first, end)
    return (
        len({s[0] for s in spans}) == 1
        and end - first <= limit
        and max(holes, default=0) <= gap
        and not any(low <= a <= high for a in touched for low, high in forbidden)
    )


def partitions(items):
    if not items:
        yield []
        return
    head, rest = items[0], items[1:]
    for parts in partitions(rest):
        yield [[head], *parts]
        for place, part in enumerate(parts):
            yield [*parts[:place], [head, *part], *parts[place + 1 :]]


@settings(max_examples=60, deadline=None)
@given(profiles(5), st.integers(4, 60), st.integers(0, 12))
def test_no_plan_has_fewer_requests(profile, limit, gap):
    spans = list(profile.spans().values())
    if max(end - first for _, first, end in spans) > limit:
        return  # refused, see test_registers
    layout = plan(profile, limit, gap)
    best = min(
        len(parts)
        for parts in partitions(spans)
        if all(allowed(part, limit, gap, profile.forbidden) for part in parts)
    )
    assert len(layout.blocks) == best


@settings(max_examples=60, deadline=None)
@given(profiles(9), st.integers(4, 125), st.integers(0, 20))
def test_a_plan_covers_every_register_and_breaks_no_limit(profile, limit, gap):
    if max(end - first for _, first, end in profile.spans().values()) > limit:
        return
    layout = plan(profile, limit, gap)
    places = [(b.function, b.start + i) for b in layout.blocks for i in range(b.count)]
    assert layout.width == len(places)
    rows = zip(profile.registers, layout.offsets, layout.scales, strict=True)
    for register, offsets, scale in rows:
        assert places[offsets[0]] == (3, register.address)
        if register.scale_register is not None:
            assert places[scale] == (3, register.scale_register)
    for block in layout.blocks:
        assert block.count <= limit
        read = range(block.start, block.start + block.count)
        assert not any(low <= a <= high for a in read for low, high in profile.forbidden)


def test_a_meter_may_allow_a_smaller_gap_than_the_bus():
    made = tuple(
        Register(quantity=name, address=address, type="u16")
        for name, address in (("power_kw", 0), ("frequency_hz", 4))
    )
    profile = Profile(id="p", title="p", reference="test", registers=made, max_gap=2)
    assert [b.start for b in plan(profile, 125, 8).blocks] == [0, 4]
    assert len(plan(profile.model_copy(update={"max_gap": 3}), 125, 8).blocks) == 1
