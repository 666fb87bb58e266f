"""Units in which files state a quantity, and what makes them the quantity's own. Pure."""

from collector.quantity import QUANTITIES

_MULTIPLES: dict[str, dict[str, float]] = {
    "kWh": {"Wh": 0.001, "kWh": 1.0, "MWh": 1e3, "GWh": 1e6},
    "kvarh": {"varh": 0.001, "kvarh": 1.0, "Mvarh": 1e3},
    "kW": {"W": 0.001, "kW": 1.0, "MW": 1e3},
    "kvar": {"var": 0.001, "kvar": 1.0, "Mvar": 1e3},
    "kVA": {"VA": 0.001, "kVA": 1.0, "MVA": 1e3},
    "V": {"V": 1.0, "kV": 1e3},
    "A": {"mA": 0.001, "A": 1.0, "kA": 1e3},
}
_MEAN_OF = {"kWh": "kW", "kvarh": "kvar"}
"""The power whose mean over an interval times the interval is the energy of it."""


def factor(quantity: str, unit: str, interval_minutes: int | None = None) -> float:
    """Return what multiplies a figure in `unit` to give the quantity.

    Args:
        quantity: a name of `collector.quantity`.
        unit: as the mapping says; the quantity's own if empty.
        interval_minutes: length of the interval the figure is for; a mean power then is the
            interval's energy.

    Raises:
        ValueError: the unit is not one of this quantity; tells which are.
    """
    own = QUANTITIES[quantity].unit
    known = dict(_MULTIPLES.get(own, {own: 1.0}))
    if interval_minutes and own in _MEAN_OF:
        means = _MULTIPLES[_MEAN_OF[own]].items()
        known |= {name: times * interval_minutes / 60 for name, times in means}
    if unit and unit not in known:
        raise ValueError(f"{unit!r} is no unit of {quantity}: write one of {', '.join(known)}")
    return known[unit or own]
