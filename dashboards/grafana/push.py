"""Push the boards to a running Grafana, where files cannot be provisioned."""

import json

from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaException
from pydantic import SecretStr

from dashboards.grafana.build import BOARDS, text


class GrafanaRefusedError(RuntimeError):
    """Grafana answered, and did not take a board."""


def push(url: str, token: SecretStr, message: str = "demandwatch") -> list[str]:
    """Create or replace every board; return the addresses Grafana gives them.

    Args:
        url: address of Grafana, e.g. `https://grafana.example.org`.
        token: of a service account that may edit dashboards.
        message: shown in the board's history.

    Raises:
        GrafanaRefusedError: Grafana refused; with its own words.
        OSError: it cannot be reached.
    """
    api = GrafanaApi.from_url(url, token.get_secret_value())
    try:
        return [str(_push(api, name, message)["url"]) for name in BOARDS]
    except GrafanaException as error:
        raise GrafanaRefusedError(f"Grafana at {url} refused the boards: {error}") from error


def _push(api: GrafanaApi, name: str, message: str) -> dict[str, object]:
    board = {"dashboard": json.loads(text(name)), "overwrite": True, "message": message}
    answer: dict[str, object] = api.dashboard.update_dashboard(board)  # type: ignore[no-untyped-call]  # their method has no annotations
    return answer
