"""A site's month: bill with every line explained, tariff periods, power quality; pure HTML."""

import re
from datetime import date, timedelta
from html import escape
from typing import Any

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_month import MonthPage
from processors.tariff.contract import next_month
from processors.tariff.periods import PERIOD

Row = dict[str, Any]


def head(view: MonthPage, t: Words) -> str:
    """The site, the month, and the way to other months."""
    before = (view.month - timedelta(days=1)).replace(day=1)
    forward = "" if view.month >= view.running else _month(view, next_month(view.month), "›")
    back = (
        f'<a class="chip" href="{parts.address(f"/site/{view.site.id}")}">{escape(t("site"))}</a>'
    )
    return (
        f'<div class="head"><h1>{escape(t.pick(view.site.name))}</h1>'
        f'<span class="soft">{escape(t("month_page"))} · {escape(view.site.id)}</span>'
        f'<span class="push chips">{_month(view, before, "‹")}<b>{view.month:%Y-%m}</b>'
        f"{forward}{back}</span></div>"
    )


def _month(view: MonthPage, month: date, words: str) -> str:
    link = parts.address(f"/site/{view.site.id}/month", month=f"{month:%Y-%m}")
    return f'<a class="chip" href="{link}">{words}</a>'


def bill(view: MonthPage, t: Words) -> str:
    """Every line with its figures, and below it the formula and each factor's source."""
    rows = view.bill.to_dicts()
    heads = (
        ("num", t("bill_line")), ("", t("bill_item")), ("num", t("bill_quantity")),
        ("num", t("bill_price")), ("num", t("bill_amount")), ("num", t("coverage")),
        ("", t("bill_remarks")),
    )  # fmt: skip
    mark = text.tag(t("bill_simulated"), "doubt")
    title = f'<div class="title"><b>{escape(t("bill_title"))}</b>{mark}</div>'
    why = f'<div class="soft">{escape(t("bill_why"))}</div>'
    return title + why + parts.table(heads, (_line(one, t) for one in rows))


def _line(row: Row, t: Words) -> str:
    period = f" · {t('tariff_' + row['period'])}" if row["period"] else ""
    said = [t("bill_note_" + note) for note in row["notes"]]
    why = f'<span class="doubt">{escape(t("bill_reason_" + row["reason"]))}</span> ' if (
        row["reason"]
    ) else ""  # fmt: skip
    amount = text.figure(row["amount_yuan"], 2)
    strong = f"<b>{amount}</b>" if row["item"] == "total" else amount
    return (
        f'<tr><td class="num">{row["line"]}</td>'
        f"<td>{escape(t('bill_item_' + row['item']) + period)}</td>"
        f'<td class="num">{_quantity(row, t)}</td><td class="num">{_price(row)}</td>'
        f'<td class="num">{strong}</td><td class="num">{text.percent(row["coverage"])}</td>'
        f'<td class="says-all">{why}{escape(" · ".join(said))} '
        f"{parts.provenance(row['provenance'] or '', t)}</td></tr>{_explained(row, t)}"
    )


def _quantity(row: Row, t: Words) -> str:
    if row["quantity"] is None and row["item"] == "total":
        return ""
    if row["quantity"] is None:
        return text.DASH
    unit = t("bill_yuan") if row["unit"] == "yuan" else row["unit"]
    return escape(f"{text.figure(row['quantity'], 2)} {unit}")


def _price(row: Row) -> str:
    """Yuan a unit; the power factor's as percent of the charges."""
    price = row["price_yuan"]
    if row["item"] == "power_factor":
        return text.DASH if price is None else f"{price * 100:+.2f} %"
    if price is None:
        return "" if row["item"] == "total" else text.DASH
    return f"{price:.4f}"


def _explained(row: Row, t: Words) -> str:
    factors = row["factors_zh" if t.language == "zh" else "factors"]
    formula = re.sub(r"\byuan\b", t("bill_yuan"), row["formula"] or "")
    told = [one for one in (formula, *factors) if one]
    if not told:
        return ""
    words = "<br>".join(escape(one) for one in told)
    return f'<tr class="explains"><td></td><td colspan="6" class="says-all">{words}</td></tr>'


def shares(view: MonthPage, t: Words) -> str:
    """Energy of each tariff period, its share, its greatest demand."""
    order = PERIOD.categories.to_list()
    rows = sorted(view.shares.to_dicts(), key=lambda row: _place(row["tariff_period"], order))
    days = max((row["heat_unknown_days"] for row in rows), default=0)
    doubt = f'<span class="doubt">{days} {escape(t("heat_unknown"))}</span>' if days else ""
    title = f'<div class="title"><b>{escape(t("shares_title"))}</b>{doubt}</div>'
    if not rows:
        return f'{title}<div class="quiet">{escape(t("no_data"))}</div>'
    heads = (
        ("", ""), ("num", "kWh"), ("num", t("shares_share")), ("num", t("shares_max")),
        ("num", t("coverage")), ("", ""),
    )  # fmt: skip
    return title + parts.table(heads, (_share(one, t) for one in rows))


def _place(period: str | None, order: list[str]) -> int:
    return order.index(period) if period else len(order)


def _of_whole(share: float | None) -> str:
    """Return a share, rounded to the nearest: the column adds up, coverage must not."""
    return text.DASH if share is None else f"{share * 100:.1f} %"


def _share(row: Row, t: Words) -> str:
    why = escape(t("bill_reason_" + row["reason"])) if row["reason"] else ""
    return (
        f"<tr><td>{escape(t('tariff_' + (row['tariff_period'] or 'none')))}</td>"
        f'<td class="num">{text.figure(row["energy_kwh"])}</td>'
        f'<td class="num">{_of_whole(row["share"])}</td>'
        f'<td class="num">{text.figure(row["max_block_demand_kw"])}</td>'
        f'<td class="num">{text.percent(row["coverage"])}</td><td class="doubt">{why}</td></tr>'
    )


def quality(view: MonthPage, t: Words) -> str:
    """Each quantity of each main meter against its limit, with the standard's number."""
    title = (
        f'<div class="title"><b>{escape(t("quality_title"))}</b>'
        f"<span>{escape(t('quality_why'))}</span></div>"
    )
    rows = view.quality.to_dicts()
    if not rows:
        return f'{title}<div class="quiet">{escape(t("quality_none"))}</div>'
    heads = (
        ("", t("meters")), ("", t("quality_quantity")), ("num", t("quality_rate")),
        ("num", t("quality_limit")), ("num", t("quality_mean")), ("num", t("quality_range")),
        ("num", t("quality_readings")), ("num", t("coverage")), ("", t("quality_standard")),
    )  # fmt: skip
    return title + parts.table(heads, (_judged(one, t) for one in rows))


def _judged(row: Row, t: Words) -> str:
    share, unit = row["qualified_share"], "" if row["unit"] == "1" else f" {row['unit']}"
    look = "over" if share is not None and share < 1 else ""
    why = escape(t("quality_reason_" + row["reason"])) if row["reason"] else ""
    mark = parts.provenance(row["provenance"] or "", t)
    basis = f"({t('quality_basis_' + row['basis'])})" if row["basis"] else ""
    spread = [text.figure(row[name], 2) for name in ("min", "max")]
    return (
        f"<tr><td>{escape(row['meter_id'])}</td>"
        f"<td>{escape(t('quality_' + row['quantity']))}</td>"
        f'<td class="num {look}">{text.percent(share, 2)}</td>'
        f'<td class="num">{escape(_limits(row) + unit)}</td>'
        f'<td class="num">{escape(text.figure(row["mean"], 2) + unit)}</td>'
        f'<td class="num">{escape(" … ".join(spread))}</td>'
        f'<td class="num">{text.figure(row["readings"])}</td>'
        f'<td class="num">{text.percent(row["coverage"])}</td>'
        f"<td>{escape(row['standard'] or '')} {escape(basis)} {mark} "
        f'<span class="doubt">{why}</span></td></tr>'
    )


def _limits(row: Row) -> str:
    low, high = row["limit_low"], row["limit_high"]
    if high is None:
        return text.DASH
    return f"≤ {high:g}" if low is None or low == 0 else f"{low:g} … {high:g}"
