"""Ingest over HTTP, for operators' commands: where it is, the key for it, and its refusals in words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from deploy.local.running import of_running_stack
from deploy.local.secrets_file import load_or_make
from deploy.local.settings import SERVICES, StackSettings
from deploy.troubles import CommandError

_SECONDS: Final = 30.0


class IngestCalls:
    """Asks ingest, and says what it refuses."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:  # noqa: ANN401 - JSON
        """What is at `path`."""
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to a command."""
        return self._ask("POST", path, json=body)

    def pages(self, path: str, params: Mapping[str, str | int]) -> Iterator[list[dict[str, Any]]]:
        """A list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, {**params, **({} if cursor is None else {"cursor": cursor})})
            yield page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = self._http.request(method, path, params=params, json=json)
        except httpx.TransportError as error:
            raise CommandError(
                f"Ingest is not reachable at {self._http.base_url}: {type(error).__name__}. "
                "`otklik doctor` looks at everything."
            ) from error
        if answer.is_success:
            return answer.json()
        raise CommandError(_refusal(answer))


@contextmanager
def ingest(settings: StackSettings) -> Iterator[IngestCalls]:
    """Ingest as the settings say, else the one of the stack that runs here."""
    url = settings.ingest_url
    key = None if settings.ingest_key is None else settings.ingest_key.get_secret_value()
    if url is None or key is None:
        running = of_running_stack(settings.data_dir)
        if running is None:
            raise CommandError(
                "Nothing runs here: start it with `otklik up`, or set OTKLIK_INGEST_URL and OTKLIK_INGEST_KEY"
            )
        url = url or running.urls["ingest"]
        key = key or load_or_make(settings.data_dir / "secrets.json", roles=SERVICES).operators_ingest_key
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS, trust_env=False
    ) as http:
        yield IngestCalls(http)


def _refusal(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return f"Ingest answered {answer.status_code}"
    said = " ".join(str(problem[name]) for name in ("title", "detail") if problem.get(name))
    wrong = "; ".join(f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", ()))
    return f"Ingest answered {answer.status_code}: {said}{f' ({wrong})' if wrong else ''}"
