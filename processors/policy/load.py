"""Loads the policy folder: every fault with file, line and key; a bad pack is left out whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from collector.yamlfile import Fault, Loaded, faults_of, load_yaml
from processors.policy.anomaly_pack import AnomalyPack
from processors.policy.correction import FACTOR, POSITIVE
from processors.policy.header import Header
from processors.policy.pack import AnyPack, FactorPack, Pack, SurchargePack, TablePack
from processors.policy.power_factor_pack import PowerFactorPack
from processors.policy.target_pack import TargetPack
from processors.policy.tariff_pack import TariffPack

PACK: TypeAdapter[AnyPack] = TypeAdapter(Pack)
Edition = TypeVar("Edition", bound=Header)


@dataclass(frozen=True, slots=True)
class Packs:
    """All editions of all packs."""

    tables: tuple[TablePack, ...] = ()
    surcharges: tuple[SurchargePack, ...] = ()
    factors: tuple[FactorPack, ...] = ()
    tariffs: tuple[TariffPack, ...] = ()
    power_factors: tuple[PowerFactorPack, ...] = ()
    targets: tuple[TargetPack, ...] = ()
    anomalies: tuple[AnomalyPack, ...] = ()

    def every(self) -> tuple[AnyPack, ...]:
        """Return all packs."""
        return (
            *self.tables, *self.surcharges, *self.factors, *self.tariffs,
            *self.power_factors, *self.targets, *self.anomalies,
        )  # fmt: skip

    def guide(self, pack_id: str, start: date, end: date) -> TablePack | None:
        """Return the guide's edition in force throughout `[start, end)`, or None."""
        return _edition(self.tables, "guide", pack_id, start, end)

    def guide_known(self, pack_id: str) -> bool:
        """Return whether any edition of a guide is loaded."""
        return any(one.kind == "guide" and one.id == pack_id for one in self.tables)

    def quotas(self, product: str, start: date, end: date) -> tuple[TablePack, ...]:
        """Return the product quotas in force throughout `[start, end)` that judge `product`."""
        return tuple(
            one
            for one in self.tables
            if one.kind == "product_quota"
            and one.validity.holds(start, end)
            and one.rows_of(product)
        )

    def product_known(self, product: str) -> bool:
        """Return whether any edition of any quota judges `product`."""
        return any(one.kind == "product_quota" and one.rows_of(product) for one in self.tables)

    def positive_inputs(self) -> frozenset[str]:
        """Return the inputs of corrections of which 0 is no fact: of the formulas, and factors."""
        steps = (step for one in self.tables for row in one.rows for step in row.corrections)
        return POSITIVE | {step.input for step in steps if step.formula == FACTOR}

    def table(self, pack_id: str, edition: str) -> TablePack | None:
        """Return the very edition a verdict names."""
        return next((t for t in self.tables if (t.id, t.edition) == (pack_id, edition)), None)

    def surcharge(self, pack_id: str, day: date) -> SurchargePack | None:
        """Return the surcharge edition in force on `day`."""
        return _on(self.surcharges, pack_id, day)

    def tariff(self, pack_id: str, day: date) -> TariffPack | None:
        """Return the tariff edition in force on `day`."""
        return _on(self.tariffs, pack_id, day)

    def power_factor(self, pack_id: str, day: date) -> PowerFactorPack | None:
        """Return the edition of a power-factor adjustment in force on `day`."""
        return _on(self.power_factors, pack_id, day)

    def factor_pack(self, pack_id: str) -> FactorPack | None:
        """Return the latest edition of a factor pack: each factor names its own year."""
        mine = [one for one in self.factors if one.id == pack_id]
        return max(mine, key=lambda one: one.validity.begin, default=None)

    def target(self, pack_id: str) -> TargetPack | None:
        """Return the latest edition of a target pack: it names its own years."""
        mine = [one for one in self.targets if one.id == pack_id]
        return max(mine, key=lambda one: one.validity.begin, default=None)

    def anomaly(self, pack_id: str, day: date) -> AnomalyPack | None:
        """Return the edition of anomaly thresholds in force on `day`."""
        return _on(self.anomalies, pack_id, day)


def _on(packs: Iterable[Edition], pack_id: str, day: date) -> Edition | None:
    next_day = day + timedelta(days=1)
    return next((p for p in packs if p.id == pack_id and p.validity.holds(day, next_day)), None)


def _edition(
    tables: Iterable[TablePack], kind: str, pack_id: str, start: date, end: date
) -> TablePack | None:
    fitting = [
        one
        for one in tables
        if one.kind == kind and one.id == pack_id and one.validity.holds(start, end)
    ]
    return fitting[0] if fitting else None


def load_packs(folder: Path) -> tuple[Packs, list[Fault]]:
    """Read every `*.yaml` of a folder: one pack a file, or a list of packs under `packs:`."""
    if not folder.is_dir():
        return Packs(), [Fault(folder, 0, "", "is not a folder", "a folder of policy packs")]
    faults: list[Fault] = []
    read: list[tuple[Path, int, AnyPack]] = []
    for path in sorted(folder.glob("*.yaml")):
        read += _read(path, faults)
    faults += _clashes(read)
    return _sorted(pack for _, _, pack in read), faults


def laid_over(packs: Packs, path: Path) -> tuple[Packs, list[Fault]]:
    """Return packs with those of one file in place of the same editions, or beside them.

    Nothing is changed where there are faults: also where an edition of the file would be in force
    together with another one of its id.
    """
    faults: list[Fault] = []
    read = _read(path, faults)
    new = {(pack.id, pack.edition) for _, _, pack in read}
    old = [one for one in packs.every() if (one.id, one.edition) not in new]
    faults += _clashes([*((Path("the settings"), 0, one) for one in old), *read])
    if faults:
        return packs, faults
    return _sorted([*old, *(pack for _, _, pack in read)]), []


def _read(path: Path, faults: list[Fault]) -> list[tuple[Path, int, AnyPack]]:
    loaded = load_yaml(path)
    faults += loaded.faults
    return _packs_of(path, loaded, faults)


def _sorted(read: Iterable[AnyPack]) -> Packs:
    packs = list(read)
    return Packs(
        tuple(one for one in packs if isinstance(one, TablePack)),
        tuple(one for one in packs if isinstance(one, SurchargePack)),
        tuple(one for one in packs if isinstance(one, FactorPack)),
        tuple(one for one in packs if isinstance(one, TariffPack)),
        tuple(one for one in packs if isinstance(one, PowerFactorPack)),
        tuple(one for one in packs if isinstance(one, TargetPack)),
        tuple(one for one in packs if isinstance(one, AnomalyPack)),
    )


def _packs_of(path: Path, loaded: Loaded, faults: list[Fault]) -> list[tuple[Path, int, AnyPack]]:
    if loaded.data is None:
        return []
    entries: list[tuple[tuple[str | int, ...], object]] = [((), loaded.data)]
    if isinstance(loaded.data, dict) and isinstance(loaded.data.get("packs"), list):
        entries = [(("packs", n), one) for n, one in enumerate(loaded.data["packs"])]
        unknown = sorted(set(loaded.data) - {"packs"})
        faults += [
            Fault(path, loaded.lines.get((key,), 0), key, "unknown key", "packs") for key in unknown
        ]
    read = []
    for at, data in entries:
        try:
            read.append((path, loaded.lines.get(at, 1), PACK.validate_python(data)))
        except ValidationError as error:
            faults += faults_of(error, path, loaded.lines, at)
    return read


def _clashes(
    read: list[tuple[Path, int, AnyPack]],
) -> list[Fault]:
    """Find editions of one document whose spans overlap: a verdict could not bind to one."""
    faults = []
    for n, (path, line, pack) in enumerate(read):
        for other_path, _, other in read[:n]:
            if pack.id == other.id and pack.validity.meets(other.validity):
                problem = f"{pack.id} {pack.edition} is in force together with {other.edition}"
                where = f"an `until` or `from` that parts it from the edition in {other_path.name}"
                faults.append(Fault(path, line, "validity", problem, where))
    return faults
