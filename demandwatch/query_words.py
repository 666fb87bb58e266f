"""The words of `demandwatch query`."""

from enum import StrEnum


class Table(StrEnum):
    """What may be asked for."""

    INTERVALS = "intervals"
    DAYS = "days"
    MONTHS = "months"
    VERDICTS = "verdicts"
    ALERTS = "alerts"
    FLEET = "fleet"
    VALIDATION = "validation"
    REJECTS = "rejects"
    GAPS = "gaps"
    INDICES = "indices"
    WEEKDAYS = "weekdays"
    YEAR_ON_YEAR = "year-on-year"
    TYPICAL_DAYS = "typical-days"
    DURATION = "duration"
    TARIFF_SHARES = "tariff-shares"
    QUALITY = "quality"
    SUMS = "sums"
    BALANCE = "balance"
    QUOTAS = "quotas"
    ANOMALIES = "anomalies"
    ANOMALIES_SOUGHT = "anomalies-sought"
    TARGETS = "targets"
    CARBON = "carbon"
    CARBON_LABELS = "carbon-labels"


class Format(StrEnum):
    """How it is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
