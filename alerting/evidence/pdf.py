"""The report for reading: Chinese and English where a Chinese font is installed, else English."""

import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
from fpdf import FPDF
from fpdf.enums import WrapMode

from alerting.evidence import words
from alerting.evidence.finding import Finding
from alerting.evidence.material import Material
from collector.counting import Counted

FONTS = (
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 0),
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0),
    ("/System/Library/Fonts/STHeiti Light.ttc", 1),
    ("/Library/Fonts/Arial Unicode.ttf", 0),
)
"""Places where systems keep a Chinese font, and the simplified Chinese face in the collection."""


def report(
    material: Material,
    finding: Finding,
    about: Mapping[str, str],
    fonts: Iterable[tuple[str, int]] = FONTS,
) -> bytes:
    """Return the report as PDF.

    Args:
        material: the package's content.
        finding: its verdict.
        about: who exported, when, with which software, key and ledger position.
        fonts: where to look for a font with Chinese; none found: English only, and it says so.
    """
    page = _Page(fonts)
    page.title(words.TITLE, _outcome(finding))
    page.table(_site(material))
    page.heading(words.VERDICT)
    page.table(_verdict(material, finding))
    page.curve(words.CURVE, _curve(material), finding.row.get("contract_demand_kw"))
    page.heading(words.TIMELINE)
    page.table(
        [((link.at[:19] + "Z",) * 2, f"{link.act} - {link.actor}") for link in material.links]
    )
    page.heading(words.CUSTODY)
    page.table([(words.ABOUT[name], value) for name, value in about.items()])
    return page.bytes()


Rows = list[tuple[tuple[str, str], str]]


def _outcome(finding: Finding) -> tuple[str, str]:
    standing = finding.standing or ""
    one, other = words.OUTCOMES[finding.outcome], words.STANDINGS[standing]
    return one[0] + other[0], one[1] + other[1]


def _site(material: Material) -> Rows:
    site = material.site
    rows: Rows = [
        (words.SITE, f"{site.name.zh} / {site.name.en} ({site.id})"),
        (words.CREDIT, site.credit_code or "-"),
        (words.ADDRESS, site.address or "-"),
        (words.ALERT, str(material.alert["alert_id"])),
        (words.TEXT, f"{material.alert['text_zh']} / {material.alert['text_en']}"),
    ]
    for meter in site.meters:
        check = meter.verification
        valid = f"{check.certificate}, {check.valid_until}" if check else "-"
        ratio = f"CT {meter.ct_ratio[-1].value:g}" if meter.ct_ratio else "CT -"
        rows.append((words.METER, f"{meter.id} ({meter.role}), {ratio}, {valid}"))
        told = meter.counts.of if meter.counts is not None else ()
        rows += [(words.COUNT, _stands_for(meter.id, one)) for one in told]
    kept = material.readings["register_words"].count()
    rows.append((words.RAW, f"{kept:,} / {material.readings.height:,}"))
    return rows


def _stands_for(meter_id: str, one: Counted) -> str:
    by = one.declared_by or "-"
    return f"{meter_id}: {one.per_count:g} {one.unit} {one.product}, {one.since} …, {by}"


def _verdict(material: Material, finding: Finding) -> Rows:
    rows: Rows = [(words.RULE, f"{material.rule.id}: {material.rule.when}")]
    zone = ZoneInfo(material.site.timezone)
    rows += [
        (both, words.PROVENANCES.get(str(finding.row[name])) or _figure(finding.row[name], zone))
        for name, both in words.FIGURES.items()
        if name in finding.row
    ]
    told = [words.REASONS.get(reason, (reason, reason)) for reason in finding.reasons]
    rows += [(words.REASON, f"{zh} / {en}" if zh != en else en) for zh, en in told]
    return rows


def _figure(value: object, zone: ZoneInfo) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    text = str(value)
    if "T" not in text or not text[:4].isdigit():
        return text
    return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _curve(material: Material) -> list[float | None]:
    """Return the site's block demand (kW) in order of time, about the first 672 blocks."""
    mains = [meter.id for meter in material.site.meters if meter.role == "main"]
    sums = (
        material.intervals.filter(pl.col("meter_id").is_in(mains))
        .group_by("start")
        .agg(pl.when(pl.col("demand_kw").is_not_null().any()).then(pl.col("demand_kw").sum()))
        .sort("start")
    )
    return sums["demand_kw"].head(672).to_list()


class _Page:
    """A4 portrait in millimetres."""

    def __init__(self, fonts: Iterable[tuple[str, int]]) -> None:
        self._pdf = FPDF()
        self._pdf.set_auto_page_break(auto=True, margin=15)
        self._pdf.add_page()
        found = next(((path, face) for path, face in fonts if Path(path).exists()), None)
        self._chinese = found is not None
        if found:
            self._pdf.add_font("text", "", found[0], collection_font_number=found[1])
        self._family = "text" if found else "Helvetica"

    def _say(self, both: tuple[str, str]) -> str:
        zh, en = both
        return f"{zh}  {en}" if self._chinese and zh != en else en

    def _fitting(self, text: str) -> str:
        return text if self._chinese else text.encode("latin-1", "replace").decode("latin-1")

    def _line(self, text: str, size: float, height: float) -> None:
        self._pdf.set_font(self._family, size=size)
        self._pdf.multi_cell(0, height, self._fitting(text), new_x="LMARGIN", new_y="NEXT")

    def title(self, both: tuple[str, str], outcome: tuple[str, str]) -> None:
        self._line(self._say(both), 16, 9)
        self._line(self._say(outcome), 13, 8)
        if not self._chinese:
            self._line(words.NO_FONT, 9, 5)
        self._pdf.ln(2)

    def heading(self, both: tuple[str, str]) -> None:
        self._pdf.ln(3)
        self._line(self._say(both), 12, 7)

    def table(self, rows: Rows) -> None:
        for name, value in rows:
            self._pdf.set_font(self._family, size=9)
            top = self._pdf.get_y()
            if top > 275:
                self._pdf.add_page()
                top = self._pdf.get_y()
            self._pdf.multi_cell(58, 5, self._fitting(self._say(name)), align="L")
            below = self._pdf.get_y()
            self._pdf.set_xy(70, top)
            self._pdf.multi_cell(128, 5, self._fitting(value), align="L", wrapmode=WrapMode.CHAR)
            self._pdf.set_y(max(below, self._pdf.get_y()) if self._pdf.get_y() > top else below)

    def curve(
        self, both: tuple[str, str], demand_kw: list[float | None], contract_kw: object
    ) -> None:
        """Draw the load curve; gaps stay gaps, the dashed line is the contract demand."""
        limit = contract_kw if isinstance(contract_kw, float) else None
        known = [one for one in demand_kw if one is not None]
        if not known:
            return
        if self._pdf.get_y() > 215:  # heading and curve stay together
            self._pdf.add_page()
        self.heading(both)
        left, top, width, height = 14.0, self._pdf.get_y() + 2, 182.0, 45.0
        most = 1.1 * max(*known, limit or 0.0, 1e-9)
        across = width / max(1, len(demand_kw) - 1)
        points = [
            None if kw is None else (left + n * across, top + height * (1 - kw / most))
            for n, kw in enumerate(demand_kw)
        ]
        self._pdf.rect(left, top, width, height)
        for one, other in pairwise(points):
            if one and other:
                self._pdf.line(*one, *other)
        if limit:
            self._pdf.set_dash_pattern(dash=2, gap=1)
            y = top + height * (1 - limit / most)
            self._pdf.line(left, y, left + width, y)
            self._pdf.set_dash_pattern()
        self._pdf.set_y(top + height + 1)
        self._line(
            f"max {max(known):,.1f} kW" + (f", contract {limit:,.0f} kW" if limit else ""), 8, 5
        )

    def bytes(self) -> bytes:
        with warnings.catch_warnings():
            # a rare character the font lacks becomes a box; the files beside hold the text
            warnings.simplefilter("ignore")
            return bytes(self._pdf.output())
