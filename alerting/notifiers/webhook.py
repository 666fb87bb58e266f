"""Webhook: POSTs each notice as JSON to one HTTP endpoint."""

import hashlib
import hmac
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException

from alerting.notifiers.answer import Refused, Unavailable
from alerting.settings import WebhookSettings

_RETRY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET and send headers to a stranger."""

    def redirect_request(self, *_: object) -> None:
        return None


class Webhook:
    """One endpoint. `X-Demandwatch-Notice` is the same on a repeat: receivers can drop doubles."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._opener = urllib.request.build_opener(_NoRedirect())

    def send(self, notice_id: str, payload: str) -> None:
        """Deliver one notice.

        Raises:
            Unavailable: no answer in time, or one that asks to try again (408, 425, 429, 5xx).
            Refused: the endpoint says no (any other status that is not 2xx).
        """
        request = self._request(notice_id, payload.encode())
        try:
            with self._opener.open(request, timeout=self._settings.timeout_s) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            with error:
                status = error.code
            again = status in _RETRY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            raise (Unavailable if again else Refused)(f"answered {status}") from error
        except (OSError, HTTPException) as error:  # URLError is an OSError
            raise Unavailable(f"no answer: {error!r}") from error

    def _request(self, notice_id: str, body: bytes) -> urllib.request.Request:
        request = urllib.request.Request(self._settings.url, body, method="POST")  # noqa: S310 - settings allow http(s) only
        request.add_header("Content-Type", "application/json; charset=utf-8")
        request.add_header("X-Demandwatch-Notice", notice_id)
        for name, value in self._settings.headers.items():
            request.add_header(name, value.get_secret_value())
        if self._settings.secret is not None:
            key = self._settings.secret.get_secret_value().encode()
            seal = hmac.new(key, body, hashlib.sha256).hexdigest()
            request.add_header("X-Demandwatch-Signature", f"sha256={seal}")
        return request
