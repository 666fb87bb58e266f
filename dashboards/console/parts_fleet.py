"""The Fleet page's figures and filters; pure HTML from the view model."""

from html import escape

from dashboards.console import parts, text
from dashboards.console.words import Words
from dashboards.view_fleet import UNWELL, FleetPage, Wanted
from processors.condition import State

_WELL = ("ok", "file")
_TABS = ("meters", "anomalies", "gaps", "rejects")


def kpis(view: FleetPage, t: Words) -> str:
    """Coverage by meters and by power, how many are well, and what the gaps come to."""
    share = view.heard / view.expected if view.expected else None
    cards = (
        _well(view, t),
        _share(t("coverage_meters"), share, f"{view.heard:,} / {view.expected:,}", t("why_fleet")),
        _share(t("coverage_kw"), view.kw_heard, _rated(view, t), t("why_kw")),
        _open(view, t),
        _week(view, t),
    )
    return f'<div class="kpis">{"".join(cards)}</div>'


def _well(view: FleetPage, t: Words) -> str:
    bad = [(one.value, view.counts.get(one.value, 0)) for one in State if one.value not in _WELL]
    told = " · ".join(f"{t('state_' + name)} {count:,}" for name, count in bad if count)
    well, total = view.counts.get("ok", 0), sum(view.counts.values())
    look = "doubt" if any(count for _, count in bad) else ""
    return parts.kpi(
        t("well"), f"{well:,}", f"/ {total:,}", escape(told or t("state_ok")), look, t("why_well")
    )


def _share(what: str, share: float | None, beside: str, why: str) -> str:
    look = "" if share is None or share >= 0.95 else "doubt"
    figure = text.percent(share).removesuffix(" %")
    return parts.kpi(what, figure, "" if share is None else "%", escape(beside), look, why)


def _rated(view: FleetPage, t: Words) -> str:
    return t("kw_unknown") if view.kw_heard is None else t("mains_only")


def _open(view: FleetPage, t: Words) -> str:
    if view.open_causes is None:
        return parts.kpi(t("open_gaps"), text.DASH, "", escape(t("not_known_here")))
    total = sum(view.open_causes.values())
    causes = sorted(view.open_causes.items(), key=lambda one: -one[1])
    told = " · ".join(f"{t('cause_' + name)} {count:,}" for name, count in causes)
    look = "doubt" if total else ""
    card = parts.kpi(
        t("open_gaps"), f"{total:,}", "", escape(told or t("gap_closed")), look, t("why_open_gaps")
    )
    return f'<a href="{parts.address("/fleet", tab="gaps", state="open")}">{card}</a>'


def _week(view: FleetPage, t: Words) -> str:
    figure, unit = text.scaled(view.spread_kwh, "kWh")
    late, late_unit = text.scaled(view.recovered_kwh, "kWh")
    beside = escape(f"{t('recovered_7d')} {late} {late_unit}")
    return parts.kpi(t("spread_7d"), figure, unit, beside, "", t("why_spread"))


def filters(view: FleetPage, t: Words) -> str:
    """Tabs and states with their counts, as links, so a filtered list can be sent to somebody."""
    wanted = view.wanted
    count = f" {view.open_anomalies:,}" if view.open_anomalies else ""
    named = [(name, t(name) + (count if name == "anomalies" else "")) for name in _TABS]
    tabs = "".join(chip(one, link(Wanted(tab=name)), on=name == wanted.tab) for name, one in named)
    gap = '<span class="soft">&nbsp;</span>'
    chosen = _chosen(wanted, t)
    return f'<div class="chips">{tabs}{gap}{_states(view, t)}{chosen}</div>'


def _states(view: FleetPage, t: Words) -> str:
    wanted = view.wanted
    if wanted.tab == "rejects":
        return ""
    if wanted.tab == "anomalies":
        named = [("", t("all")), *((one, t(f"gap_{one}")) for one in ("open", "closed"))]
    elif wanted.tab == "gaps":
        named = [
            ("", t("all")),
            *((one, t(f"gap_{one}")) for one in ("open", "closed", "recovered")),
        ]
    else:
        bad = sum(count for name, count in view.counts.items() if name not in _WELL)
        counted = [(one.value, view.counts.get(one.value, 0)) for one in State]
        named = [("", t("all")), (UNWELL, f"{t('unwell')} {bad:,}")]
        named += [(name, f"{t('state_' + name)} {n:,}") for name, n in counted if n]
    return "".join(
        chip(words, link(wanted, state=name), on=name == wanted.state) for name, words in named
    )


def _chosen(wanted: Wanted, t: Words) -> str:
    """What narrows the list besides, to be taken away by a click."""
    one = f"{t('site')} {wanted.site} ✕"
    return chip(one, link(wanted, site=""), on=True) if wanted.site else ""


def form(view: FleetPage, t: Words) -> str:
    """The fields that narrow the list; no part of what is redrawn, or typing would be lost."""
    wanted = view.wanted
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in wanted.query().items()
        if name in {"tab", "state", "site"}
    )
    selects = ""
    if wanted.tab != "rejects":
        selects = _select("district", view.districts, wanted.district, t("district"))
        selects += _select("link", view.links, wanted.link, t("link"))
    return (
        f'<form class="push no-wall chips" action="/fleet">{hidden}{selects}'
        f'<input class="find" name="q" value="{escape(wanted.q)}" '
        f'placeholder="{escape(t("search"))}" aria-label="{escape(t("search"))}"></form>'
    )


def _select(name: str, values: tuple[str, ...], chosen: str, words: str) -> str:
    options = "".join(
        f'<option value="{escape(one)}" {"selected" if one == chosen else ""}>{escape(one)}'
        "</option>"
        for one in values
    )
    return (
        f'<select class="find" name="{name}" aria-label="{escape(words)}" '
        f'onchange="this.form.submit()"><option value="">{escape(words)}</option>{options}</select>'
    )


def chip(words: str, address: str, *, on: bool) -> str:
    """A link that looks like a switch."""
    return f'<a class="chip {"on" if on else ""}" href="{address}">{escape(words)}</a>'


def link(wanted: Wanted, **changed: str | int) -> str:
    """Return the address of what is wanted, with some fields changed."""
    return parts.address("/fleet", **wanted.query(**changed))
