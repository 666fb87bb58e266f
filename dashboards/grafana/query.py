"""InfluxQL targets: Grafana's query model for InfluxDB, which the SDK does not carry."""

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE = DataSourceRef(type_val="influxdb", uid="demandwatch")
"""The data source that deploy/grafana/provisioning makes."""


@dataclass(frozen=True, slots=True)
class InfluxTarget(Dataquery):
    """One query of a panel, as Grafana stores it."""

    ref_id: str
    query: str
    alias: str
    result_format: Literal["time_series", "table"]

    def to_json(self) -> dict[str, object]:
        """Return the object of Grafana's JSON."""
        return {
            "refId": self.ref_id,
            "datasource": SOURCE.to_json(),
            "rawQuery": True,
            "query": self.query,
            "resultFormat": self.result_format,
            "alias": self.alias,
        }


@dataclass(frozen=True, slots=True)
class Influx(Builder[Dataquery]):
    """Builds a target; `alias` may use `$tag_meter_id`, `$col`."""

    query: str
    alias: str = ""
    ref_id: str = "A"
    result_format: Literal["time_series", "table"] = "time_series"

    def build(self) -> Dataquery:
        """Return the target."""
        return InfluxTarget(self.ref_id, self.query, self.alias, self.result_format)


def select(fields: str, where: str, then: str = "", source: str = '"interval"') -> str:
    """Return an InfluxQL query; `then` groups and fills."""
    text = f"SELECT {fields} FROM {source} WHERE {where} {then}"  # noqa: S608 - our own constants
    return text.strip()
