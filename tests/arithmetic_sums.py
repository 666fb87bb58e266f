"""Helpers of the examples of docs/arithmetic-sums.md."""

from sum_rows import frame, row, site

from collector.formula import parse
from processors.balance import balance, lines
from processors.groups import group_sums
from processors.places import Places
from processors.virtual import terms, virtual_intervals


def sums(by, sites, **kwh):
    """GROUP rows of one block in which the meters read so many kWh (None: a row, no energy)."""
    return group_sums(_rows(kwh), Places.of(sites), by)


def virtual(one, **kwh):
    return virtual_intervals(_rows(kwh), terms([one])).row(0, named=True)


def balanced(one, **kwh):
    return balance(_rows(kwh), lines([one])).row(0, named=True)


def _rows(kwh):
    return frame([row(meter, energy) for meter, energy in kwh.items()])


def meter(name, kw):
    return {"id": name, "rated_power_kw": kw}


HELPERS = {
    "place": site,
    "meter": meter,
    "sums": sums,
    "virtual": virtual,
    "balanced": balanced,
    "parse": parse,
}
