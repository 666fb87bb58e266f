"""What every page has: looks, language, header with clock and pulse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

from fastapi import Request
from nicegui import ui

from dashboards.console import parts
from dashboards.console.screen import Screen
from dashboards.console.words import Words, words
from dashboards.desk import Desk

_COOKIE = "demandwatch_language"
_SCRIPT = """<script>
window.dwPx = n => n * parseFloat(getComputedStyle(document.documentElement).fontSize);
</script>"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: whose language, which screen."""

    t: Words
    path: str
    wall: bool
    """Big type for a wall screen."""


def visit(request: Request, default: str) -> Visit:
    """Return language and screen of a request: `?lang=` over the cookie over the settings."""
    asked = request.query_params.get("lang") or request.cookies.get(_COOKIE) or default
    return Visit(words(asked), request.url.path, request.query_params.get("wall") == "1")


def css() -> str:
    """Return the console's style sheet."""
    return (Path(__file__).parent / "console.css").read_text(encoding="utf-8")


@contextmanager
def page(desk: Desk, shown: Visit, *, fixed: bool = False) -> Iterator[None]:
    """Lay out header and body; `fixed` pages fill the screen and scroll inside their panels."""
    ui.add_head_html(f"<style>{css()}</style>{_SCRIPT}{_setup(shown)}")
    with ui.element("div").classes(f"page {'fixed' if fixed else ''}"):
        with ui.element("header").classes("bar"):
            ui.html(_brand(shown), sanitize=False)
            with ui.element("div").classes("right"):
                screen = Screen(desk.live)
                screen.html(lambda live: parts.status(live, desk.timezone, shown.t), "right")
                screen.follow(min(desk.settings.refresh_s, 1.0))
                ui.html(_switches(shown), sanitize=False)
        yield


def _setup(shown: Visit) -> str:
    language = "zh-CN" if shown.t.language == "zh" else "en"
    wall = "document.documentElement.classList.add('wall');" if shown.wall else ""
    cookie = f"{_COOKIE}={shown.t.language};path=/;max-age=31536000;samesite=strict"
    told = f"document.documentElement.lang='{language}';{wall}document.cookie='{cookie}';"
    return f"<script>{told}</script>"


def _brand(shown: Visit) -> str:
    keep = {"wall": "1"} if shown.wall else {}
    links = (("/", "city"), ("/alerts", "alerts"), ("/fleet", "fleet"))
    nav = "".join(
        f'<a class="{"on" if shown.path == path else ""}" href="{parts.address(path, **keep)}">'
        f"{escape(shown.t(word))}</a>"
        for path, word in links
    )
    return (
        f'<div style="display:flex;gap:1.5rem;align-items:center">'
        f'<a class="brand" href="/">{escape(shown.t("brand"))}</a><nav>{nav}</nav></div>'
    )


def _switches(shown: Visit) -> str:
    other = parts.address(shown.path, lang=shown.t.other, wall="1" if shown.wall else "")
    return f'<a class="chip" href="{other}">{escape(shown.t("other_language"))}</a>'


def unknown_site(desk: Desk, shown: Visit) -> None:
    """Lay out a page that says there is no such site."""
    with page(desk, shown):
        ui.html(
            f'<div class="quiet"><div class="says-big">{shown.t("unknown_site")}</div>'
            f'<p><a class="chip" href="/">{shown.t("back")}</a></p></div>',
            sanitize=False,
        )
