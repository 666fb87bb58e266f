"""CalTRACK 2 daily and hourly by opendsm (the extra `savings`), with its verdicts on data; pure.

opendsm's `legacy` daily model and its `hourly_caltrack` are the published CalTRACK 2 methods
(docs.caltrack.org); its newer models are not used. Traps of it that this module closes:

- Hourly energy with holes given to the daily model is stretched over the holes: days are summed
  here, and a day with a hole is absent.
- The hourly data class counts days between the first and the last row, so that 365 days are 364
  and never suffice: an empty row at the end closes the last hour.
- The hourly data class keeps the list of warnings and forgets which of them were critical: all are
  but that of extreme values (its `caltrack_sufficiency_criteria`).
- Negative energy disqualifies (CalTRACK 2.3.5); its daily criteria do not look at electricity.
- Its optimiser ends in an error where the temperature never varies.

Electricity of 0 kWh counts as missing (CalTRACK 2.1.1.2): a site at rest at weekends does not
suffice. The criteria are the baseline's; of the time judged, `coverage` says how much is compared.
"""

import importlib.metadata
import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from collector.reading import UTC_US
from processors.normalised import FINDING, NORMALISED, Fitted, Method, Span, days

_ROWS = {name: kind for name, kind in NORMALISED.items() if name != "site_id"}
_FINDINGS = {name: kind for name, kind in FINDING.items() if name != "site_id"}
_NO_DATA = ("baseline", "no_data", True, "No energy, or no temperature, is known.", "{}")
_NEGATIVE = ("baseline", "negative_meter_values", True, "Energy is negative: net metering?", "{}")
_STEADY = ("baseline", "temperature_does_not_vary", True, "One temperature all year.", "{}")


class NotInstalledError(ImportError):
    """The extra is absent."""


def fit(hourly: pl.DataFrame, span: Span, method: Method) -> Fitted:
    """Fit the baseline's year and say what it would have used in the time judged.

    Args:
        hourly: HOUR rows that cover both times of `span`.
        span: what is compared; CalTRACK wants 365 days of baseline.
        method: which model.

    Raises:
        NotInstalledError: opendsm is not installed.
    """
    at = pl.col("start")
    base = hourly.filter(at >= span.baseline_start, at < span.baseline_end)
    then = hourly.filter(at >= span.start, at < span.end)
    model = f"opendsm {_version()}, CalTRACK 2 {method.value}"
    if wrong := list(_unfit(base)):
        return Fitted(_rows(), _findings(wrong), None, model)
    with _quiet():  # by itself: what it loads sets filters of warnings of its own
        from opendsm import eemeter  # noqa: PLC0415 - an extra that takes seconds to load
    with _quiet():
        state = _daily if method is Method.DAILY else _hourly
        rows, findings, cvrmse = state(eemeter, base, then, span.zone)
    return Fitted(rows, _findings(findings), cvrmse, model)


def _version() -> str:
    try:
        return importlib.metadata.version("opendsm")
    except importlib.metadata.PackageNotFoundError as error:
        raise NotInstalledError(
            "opendsm is not installed: pip install 'demandwatch[savings]' "
            "(from a checkout: make setup EXTRAS=dev,savings)"
        ) from error


_Finding = tuple[str, str, bool, str, str]
_Told = tuple[pl.DataFrame, list[_Finding], float | None]


def _unfit(base: pl.DataFrame) -> Iterator[_Finding]:
    """Tell what the library does not look at, or fails on."""
    warm, kwh = pl.col("temperature_c"), pl.col("energy_kwh")
    used = base.filter(warm.is_not_null(), kwh.is_not_null(), kwh != 0)
    if used.is_empty():
        yield _NO_DATA
    elif used["temperature_c"].n_unique() == 1:
        yield _STEADY
    if used.filter(kwh < 0).height:
        yield _NEGATIVE


def _daily(eemeter: Any, base: pl.DataFrame, then: pl.DataFrame, zone: str) -> _Told:  # noqa: ANN401 - untyped library
    energy = _series(days(base, zone), "energy_kwh", zone)
    known = eemeter.DailyBaselineData.from_series(energy, _fahrenheit(base, zone), True)
    findings = [*_of("baseline", known.disqualification, disqualifies=True)]
    findings += _of("baseline", known.warnings, disqualifies=False)
    if known.disqualification:
        return _rows(), findings, None
    model = eemeter.DailyModel(model="legacy").fit(known)
    findings += _of("model", model.disqualification, disqualifies=True)
    cvrmse = _number(model.baseline_metrics.cvrmse_adj)
    if model.disqualification:
        return _rows(), findings, cvrmse
    actual = days(then, zone)
    told = model.predict(_reporting(eemeter, actual, then, zone))
    return _joined(actual, told, "predicted_unc"), findings, cvrmse


def _reporting(eemeter: Any, actual: pl.DataFrame, then: pl.DataFrame, zone: str) -> Any:  # noqa: ANN401 - untyped library
    """Return the time judged without its energy: the model needs none, and a hole cuts it short."""
    frame = _series(actual, "temperature_c", zone).to_frame("observed")
    frame["observed"] = float("nan")
    temperature = _fahrenheit(then, zone).to_frame("temperature")
    whole = temperature.join(frame, how="left")
    return eemeter.DailyReportingData(whole, is_electricity_data=True)


def _hourly(eemeter: Any, base: pl.DataFrame, then: pl.DataFrame, zone: str) -> _Told:  # noqa: ANN401 - untyped library
    end = base["start"].dt.offset_by("1h").tail(1).to_frame()
    known = eemeter.HourlyCaltrackBaselineData(
        _frame(pl.concat([base, end], how="diagonal"), zone), is_electricity_data=True
    )
    findings = [
        one
        for told in known.warnings
        for one in _of("baseline", [told], disqualifies="extreme_values" not in told.qualified_name)
    ]
    if any(one[2] for one in findings):
        return _rows(), findings, None
    model = eemeter.HourlyCaltrackModel().fit(known)
    judged = eemeter.HourlyCaltrackReportingData(_frame(then, zone), is_electricity_data=True)
    told = model.predict(judged)
    fits = [one.cvrmse_adj for one in model.model_metrics.values()]
    worst = max((one for one in map(_number, fits) if one is not None), default=None)
    return _joined(then, told, "predicted_uncertainty"), findings, worst


def _joined(actual: pl.DataFrame, told: Any, uncertainty: str) -> pl.DataFrame:  # noqa: ANN401 - pandas
    """Return the model's words beside what was measured, by instant."""
    stamps = told.index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    said = pl.DataFrame(
        {
            "start": pl.Series(stamps).dt.replace_time_zone("UTC").cast(UTC_US),
            "baseline_kwh": told["predicted"].to_numpy(),
            "uncertainty_kwh": told[uncertainty].to_numpy(),
        }
    ).with_columns(pl.col("baseline_kwh", "uncertainty_kwh").fill_nan(None))
    return (
        actual.rename({"energy_kwh": "actual_kwh"})
        .join(said, on="start", how="left")
        .select(pl.col(n).cast(t) for n, t in _ROWS.items())
        .sort("start")
    )


def _frame(rows: pl.DataFrame, zone: str) -> Any:  # noqa: ANN401 - pandas
    frame = _series(rows, "energy_kwh", zone).to_frame("observed")
    frame["temperature"] = _fahrenheit(rows, zone)
    return frame


def _fahrenheit(rows: pl.DataFrame, zone: str) -> Any:  # noqa: ANN401 - pandas
    return _series(rows, "temperature_c", zone) * 1.8 + 32.0


def _series(rows: pl.DataFrame, column: str, zone: str) -> Any:  # noqa: ANN401 - pandas
    import pandas as pd  # noqa: PLC0415 - comes with the extra

    stamps = rows["start"].dt.replace_time_zone(None).to_numpy().astype("datetime64[ns]")
    index = pd.DatetimeIndex(stamps, tz="UTC").tz_convert(zone)
    values = rows[column].cast(pl.Float64).fill_null(float("nan"))
    return pd.Series(values.to_numpy(writable=True), index=index)  # the library writes into it


def _of(period: str, told: Iterable[Any], *, disqualifies: bool) -> Iterator[_Finding]:
    for one in told:
        name, data = one.qualified_name.rpartition(".")[2], json.dumps(one.data, default=float)
        yield period, name, disqualifies, one.description, data


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - NaN


def _findings(rows: Iterable[_Finding]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=_FINDINGS, orient="row")


def _rows() -> pl.DataFrame:
    return pl.DataFrame(schema=_ROWS)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's numerical warnings and log lines off the screen: findings tell them."""
    log = logging.getLogger("eemeter")
    before, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before
