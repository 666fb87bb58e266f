"""What must be known of a meter before it can look wrong; and its readings as sorted rows; pure."""

from collections.abc import Iterable, Iterator

import polars as pl

from collector.imported import origins, standing
from collector.reading import KEY, UTC_US
from collector.site import Meter, Site

FACTS: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "nominal_v": pl.Float64(),
    "basic_a": pl.Float64(),
    "phase_kw": pl.Float64(),
    "basic_kw": pl.Float64(),
    "basis": pl.String(),
    "rated_kw": pl.Float64(),
    "max_a": pl.Float64(),
    "max_kw": pl.Float64(),
    "max_basis": pl.String(),
    "modulus_kwh": pl.Float64(),
    "phases": pl.Int8(),
    "three_wire": pl.Boolean(),
    "one_way": pl.Boolean(),
    "gap_s": pl.Float64(),
    "wholly": pl.Boolean(),
}
"""One row a meter that measures energy. `nominal_v` Un (V); `basic_a` Ib (A) and `phase_kw` Pb = Un
x Ib (kW), primary; `basis` says what they rest on: `basic_current` as told, or `rated_power`, from
which they are derived: Pb = rated power / phases, Ib = Pb / Un (three-wire: rated / (1.732 Un)).
`basic_kw` is Pb of all phases. `max_a` and `max_kw`, of a phase, are Imax and Imax x Un as the
rated power of the connection allows (`max_basis` rated_power).
`one_way`: power never flows back by design; false for meters of generation, storage and export, and
for all meters of a site that has any. `wholly`: sub-meters cover all of the site."""

QUANTITIES = (
    *("energy_import_kwh", "power_kw", "reactive_power_kvar", "apparent_power_kva", "power_factor"),
    *(f"power_{phase}_kw" for phase in "abc"),
    *(f"voltage_{phase}_v" for phase in "abc"),
    *(f"current_{phase}_a" for phase in "abc"),
)
"""The columns of a reading that anomalies are seen in."""

NO_ENERGY = {"weather", "count"}
"""Roles of meters in which no anomaly is looked for."""
_BOTH_WAYS = {"generation", "discharge", "charge", "export"}


def facts(sites: Iterable[Site]) -> pl.DataFrame:
    """Return FACTS of all meters of electricity, by meter_id."""
    return pl.DataFrame(list(_rows(sites)), schema=FACTS, orient="row").sort("meter_id")


def _rows(sites: Iterable[Site]) -> Iterator[tuple[object, ...]]:
    for site in sites:
        one_way = not any(meter.role in _BOTH_WAYS for meter in site.meters)
        for meter in site.meters:
            if meter.role not in NO_ENERGY:
                wholly = site.wholly_sub_metered
                yield (meter.id, site.id, *_electric(meter), one_way, _gap_s(meter), wholly)


def _gap_s(meter: Meter) -> float:
    return float(meter.max_interpolation_gap_s)


def _electric(meter: Meter) -> tuple[object, ...]:
    volts, amps, rated = meter.nominal_voltage_v, meter.basic_current_a, meter.rated_power_kw
    phases, basis = meter.supply_phases, ""
    share = 3.0**0.5 if meter.three_wire else float(phases)
    max_kw = None if rated is None else rated / phases
    max_a = None if rated is None or volts is None else rated * 1000.0 / (share * volts)
    phase_kw = basic_kw = None
    if amps is not None:
        basis = "basic_current"
        phase_kw = None if volts is None else volts * amps / 1000.0
        basic_kw = None if phase_kw is None else share * phase_kw
    elif rated is not None:
        basis, phase_kw, basic_kw, amps = "rated_power", max_kw, rated, max_a
    told = (volts, amps, phase_kw, basic_kw, basis, rated, max_a, max_kw, "rated_power")
    return (*told, meter.register_modulus_kwh, phases, meter.three_wire)


def sampled(readings: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return what stands of READING rows, an instant a row, with the meters' FACTS.

    Of several versions of an instant the later received stands, column by column; what an import
    told and withdrew does not. `at` and `end` are the instant; `form` how an imported row stands
    (`collector.imported`).
    """
    stands = standing(readings).sort(*KEY, "received_at")
    forms = origins(stands["source"])
    form = pl.lit(0, pl.Int32()) if forms is None else forms % 4
    rows = stands.select(*KEY, *QUANTITIES, form.alias("form")).with_columns(
        pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in QUANTITIES
    )
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in KEY)
    if rows.select(again.any()).item():
        last = [pl.col(name).drop_nulls().last() for name in QUANTITIES]
        rows = rows.group_by(KEY, maintain_order=True).agg(*last, pl.col("form").last())
    at = pl.col("measured_at").cast(UTC_US)
    return rows.with_columns(at=at, end=at, **_load()).join(
        known, on="meter_id", how="inner", maintain_order="left"
    )


def _load() -> dict[str, pl.Expr]:
    """Return the power factor (0..1) and apparent power (kVA) by whichever pair a reading tells."""
    active, told = pl.col("power_kw").abs(), pl.col("power_factor").abs()
    square = (active**2 + pl.col("reactive_power_kvar") ** 2).sqrt()
    quotient = pl.when(told > 0).then(active / told)
    load = pl.coalesce("apparent_power_kva", square, quotient)
    factor = pl.coalesce(told, pl.when(load > 0).then(active / load))
    return {"apparent_kva": load, "factor": factor}
