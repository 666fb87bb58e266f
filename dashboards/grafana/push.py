"""Push the boards to a running Grafana, where files cannot be provisioned."""

import json

from grafana_client.api import GrafanaApi
from pydantic import SecretStr

from dashboards.grafana.build import BOARDS, text


def push(url: str, token: SecretStr, message: str = "demandwatch") -> list[str]:
    """Create or replace every board; return the addresses Grafana gives them.

    Args:
        url: address of Grafana, e.g. `https://grafana.example.org`.
        token: of a service account that may edit dashboards.
        message: shown in the board's history.

    Raises:
        grafana_client.client.GrafanaException: Grafana refused.
        OSError: it cannot be reached.
    """
    api = GrafanaApi.from_url(url, token.get_secret_value())
    return [str(_push(api, name, message)["url"]) for name in BOARDS]


def _push(api: GrafanaApi, name: str, message: str) -> dict[str, object]:
    board = {"dashboard": json.loads(text(name)), "overwrite": True, "message": message}
    answer: dict[str, object] = api.dashboard.update_dashboard(board)  # type: ignore[no-untyped-call]  # their method has no annotations
    return answer
