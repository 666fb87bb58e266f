"""Loads the policy folder: every fault with file, line and key; a bad pack is left out whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from collector.yamlfile import Fault, Loaded, faults_of, load_yaml
from processors.policy.pack import FactorPack, Pack, SurchargePack, TablePack

PACK: TypeAdapter[TablePack | SurchargePack | FactorPack] = TypeAdapter(Pack)


@dataclass(frozen=True, slots=True)
class Packs:
    """All editions of all packs."""

    tables: tuple[TablePack, ...] = ()
    surcharges: tuple[SurchargePack, ...] = ()
    factors: tuple[FactorPack, ...] = ()

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

    def table(self, pack_id: str, edition: str) -> TablePack | None:
        """Return the very edition a verdict names."""
        return next((t for t in self.tables if (t.id, t.edition) == (pack_id, edition)), None)

    def surcharge(self, pack_id: str, day: date) -> SurchargePack | None:
        """Return the surcharge edition in force on `day`."""
        return next(
            (
                one
                for one in self.surcharges
                if one.id == pack_id
                and one.validity.begin <= day
                and (one.validity.until is None or day < one.validity.until)
            ),
            None,
        )


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
    read: list[tuple[Path, int, TablePack | SurchargePack | FactorPack]] = []
    for path in sorted(folder.glob("*.yaml")):
        loaded = load_yaml(path)
        faults += loaded.faults
        read += _packs_of(path, loaded, faults)
    faults += _clashes(read)
    packs = [pack for _, _, pack in read]
    return Packs(
        tuple(one for one in packs if isinstance(one, TablePack)),
        tuple(one for one in packs if isinstance(one, SurchargePack)),
        tuple(one for one in packs if isinstance(one, FactorPack)),
    ), faults


def _packs_of(
    path: Path, loaded: Loaded, faults: list[Fault]
) -> list[tuple[Path, int, TablePack | SurchargePack | FactorPack]]:
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
    read: list[tuple[Path, int, TablePack | SurchargePack | FactorPack]],
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
