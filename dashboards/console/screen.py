"""A page that follows its view: pieces of HTML and charts, redrawn only where they changed."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from nicegui import ui

from dashboards.console.chart_style import Options

View = TypeVar("View")


class Screen(Generic[View]):
    """Renders one view model and keeps following it while the page is open."""

    def __init__(self, read: Callable[[], View]) -> None:
        self._read = read
        self.view = read()
        """The view shown now."""
        self._pieces: list[Callable[[View], object]] = []

    def html(self, render: Callable[[View], str], classes: str = "") -> None:
        """Place a piece of HTML here; `render` escapes what comes from outside."""
        shown = render(self.view)
        element = ui.html(shown, sanitize=False).classes(classes)

        def follow(view: View) -> None:
            told = render(view)
            if told != element.content:
                element.content = told

        self._pieces.append(follow)

    def chart(self, options: Callable[[View], Options], classes: str = "chart") -> None:
        """Place a chart here."""
        shown: list[Options] = [options(self.view)]
        element = ui.echart(_copy(shown[0])).classes(classes)

        def follow(view: View) -> None:
            told = options(view)
            if told != shown[0]:
                shown[0] = told
                element.options.clear()
                element.options.update(_copy(told))
                element.update()

        self._pieces.append(follow)

    def also(self, act: Callable[[View], object]) -> None:
        """Do something else with every view, the present one first."""
        act(self.view)
        self._pieces.append(act)

    def follow(self, every_s: float) -> None:
        """Read and redraw every `every_s` real seconds; reading happens off the event loop."""
        ui.timer(every_s, self._update, immediate=False)

    async def _update(self) -> None:
        self.show(await asyncio.to_thread(self._read))

    def show(self, view: View) -> None:
        """Redraw with `view`."""
        self.view = view
        for piece in self._pieces:
            piece(view)


def _copy(value: Any) -> Any:  # noqa: ANN401 - chart options are free-form JSON
    """Copy options, so that the element's own bookkeeping never touches ours."""
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list | tuple) else value
