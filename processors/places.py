"""Where each meter counts: the groups of its site, and the sign of its role. Vectorised."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from collector.site import Meter, Site

ROLES = ("main", "export", "generation", "charge", "discharge")
"""Roles that count in sums. The import register of each counts one flow: from the grid, to the
grid, from generation on the site, into storage, out of storage. Sub-meters and virtual meters are
parts of what a main meter counts already."""

KINDS = ("site", "park", "district", "industry", "city")
"""Kinds of groups, besides `label:KEY`."""

CITY = "city"

MEMBER: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "role": pl.Int8(),
    "rated_power_kw": pl.Float64(),
    "signed": pl.Boolean(),
    "group_id": pl.String(),
}
"""One row a meter that counts. `role` its place in ROLES; `signed`: its site has a flow besides
import from the grid, so that a missing meter moves the balance either way."""

GROUP_FACTS: dict[str, pl.DataType] = {
    "group_kind": pl.String(),
    "group_id": pl.String(),
    "meters_expected": pl.Int64(),
    "registered_kw": pl.Float64(),
    "signed_expected": pl.Int64(),
    "unmetered": pl.Int64(),
}
"""One row a group. `meters_expected` main meters; `registered_kw` the sum of their rated power,
null if one's is not told; `signed_expected` meters of sites with several flows; `unmetered` meters
of sites that may feed the grid without an `export` meter."""


@dataclass(frozen=True, slots=True)
class Places:
    """Immutable; made anew when the settings are reloaded."""

    meters: pl.DataFrame
    """MEMBER without group_id, and `site_id`, `unmetered`; sorted by meter_id."""
    groups: pl.DataFrame
    """Columns site_id, group_kind, group_id: each site once a kind, `""` where it tells none."""

    @classmethod
    def of(cls, sites: Iterable[Site]) -> "Places":
        """Build the places of `sites`."""
        listed = list(sites)
        schema = {name: kind for name, kind in MEMBER.items() if name != "group_id"}
        meters = [_meter(site, one) for site in listed for one in site.meters if one.role in ROLES]
        keys = sorted({key for site in listed for key in site.labels})
        groups = [
            (site.id, kind, group) for site in listed for kind, group in _groups(site, keys).items()
        ]
        return cls(
            pl.DataFrame(
                meters,
                schema=schema | {"site_id": pl.String(), "unmetered": pl.Boolean()},
                orient="row",
            ).sort("meter_id"),
            pl.DataFrame(groups, schema=["site_id", "group_kind", "group_id"], orient="row"),
        )

    def kinds(self) -> list[str]:
        """Return the kinds of groups there are, `label:KEY` for each key a site tells."""
        return self.groups["group_kind"].unique(maintain_order=True).to_list()

    def members(self, by: str) -> pl.DataFrame:
        """Return MEMBER of the kind `by`, sorted by meter_id.

        Raises:
            ValueError: no site tells the label, or there is no such kind.
        """
        if by not in self.kinds():
            allowed = ", ".join([*KINDS, *(kind for kind in self.kinds() if ":" in kind)])
            raise ValueError(f"cannot group by {by!r}; allowed: {allowed}")
        mine = self.groups.filter(pl.col("group_kind") == by).select("site_id", "group_id")
        return self.meters.join(mine, on="site_id", maintain_order="left")

    def facts(self, by: str) -> pl.DataFrame:
        """Return GROUP_FACTS of the kind `by`, sorted by group_id."""
        main = pl.col("role") == ROLES.index("main")
        rated = pl.col("rated_power_kw").filter(main)
        facts = (
            self.members(by)
            .group_by("group_id")
            .agg(
                main.sum().alias("meters_expected"),
                pl.when(rated.null_count() == 0).then(rated.sum()).alias("registered_kw"),
                pl.col("signed").sum().alias("signed_expected"),
                pl.col("unmetered").sum(),
            )
        )
        named = facts.with_columns(pl.lit(by).alias("group_kind"))
        return named.select(pl.col(n).cast(t) for n, t in GROUP_FACTS.items()).sort("group_id")


def _meter(site: Site, meter: Meter) -> tuple[object, ...]:
    roles = {one.role for one in site.meters}
    feeds = bool(roles & {"generation", "discharge"})
    signed = bool(roles & set(ROLES[1:]))
    unmetered = feeds and "export" not in roles and not site.no_export
    return (
        meter.id,
        ROLES.index(meter.role),
        meter.rated_power_kw,
        signed,
        site.id,
        unmetered,
    )


def _groups(site: Site, keys: Sequence[str]) -> dict[str, str]:
    told = (site.id, site.park, site.district, division(site.industry), CITY)
    labels = {f"label:{key}": site.labels.get(key, "") for key in keys}
    return dict(zip(KINDS, told, strict=True)) | labels


def division(industry: str) -> str:
    """Return the division (大类) of a GB/T 4754 code: `C3911` -> `C39`, section and two digits.

    A code of another form stays as it is.
    """
    found = re.fullmatch(r"([A-Z]\d\d)\d{0,2}", industry.strip().upper())
    return found[1] if found else industry.strip()
