"""The page `/docs`: an app's reference, rendered from its own OpenAPI without a script or a foreign asset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, select_autoescape
from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from fastapi import FastAPI

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --quiet: #777; --accent: #0b6b5e }
@media (prefers-color-scheme: dark) { :root { --quiet: #9a9a9a; --accent: #5fd0bd } }
* { box-sizing: border-box }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 6rem }
h1 { margin: 0 } h2 { font-size: 1rem; margin: 2.2rem 0 .4rem } code, pre { font: .9em/1.5 ui-monospace, monospace }
h2 b { color: var(--accent); display: inline-block; min-width: 4.5rem }
pre { overflow: auto; border: 1px solid var(--line); border-radius: 6px; padding: .7rem; margin: .4rem 0 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; font-weight: normal }
small { color: var(--quiet) } summary { cursor: pointer } :focus-visible { outline: 2px solid var(--accent) }
"""

_TEMPLATE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ api.info.title }} – API</title><link rel="stylesheet" href="docs.css"></head><body>
<header><h1>{{ api.info.title }}</h1><p>{{ api.info.description }}</p>
<p><small>Version {{ api.info.version }} · <a href="openapi.json">openapi.json</a></small></p></header><main>
{% for path, methods in api.paths.items() %}{% for method, operation in methods.items() %}
<section><h2 id="{{ operation.operationId }}"><b>{{ method | upper }}</b> <code>{{ path }}</code></h2>
<p>{{ operation.summary }}{% if operation.description %}<br><small>{{ operation.description }}</small>{% endif %}</p>
{% for rule in operation.security or [] %}{% for name, scopes in rule.items() %}
<p><small>Needs {{ name }}{% if scopes %} with the scope {{ scopes | join(", ") }}{% endif %}</small></p>
{% endfor %}{% endfor %}
{% if operation.parameters %}<table>{% for parameter in operation.parameters %}
<tr><td><code>{{ parameter.name }}</code>{% if parameter.required %} *{% endif %}</td><td>{{ parameter.in }}</td>
<td>{{ parameter.description or "" }}</td></tr>{% endfor %}</table>{% endif %}
{% for label, content in operation | bodies %}
<details><summary>{{ label }}</summary><pre>{{ content | schema }}</pre></details>
{% endfor %}</section>
{% endfor %}{% endfor %}
{% if api.components and api.components.schemas %}<h1>Schemas</h1>
{% for name, content in api.components.schemas.items() %}
<details id="{{ name }}"><summary><code>{{ name }}</code></summary><pre>{{ content | schema }}</pre></details>
{% endfor %}{% endif %}
</main></body></html>"""


def _bodies(operation: dict[str, Any]) -> list[tuple[str, Any]]:
    """What goes in and what comes out, each with its schema."""
    found = [
        (f"Body: {media_type}", content.get("schema", {}))
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    for status, answer in operation.get("responses", {}).items():
        for media_type, content in answer.get("content", {}).items():
            if content.get("schema") and status != "default":
                found.append((f"{status}: {media_type}", content["schema"]))
    return found


def _schema(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2)


_PAGES: Final = Environment(autoescape=select_autoescape(default=True))
_PAGES.filters.update(bodies=_bodies, schema=_schema)
_PAGE: Final = _PAGES.from_string(_TEMPLATE)


def install(app: FastAPI) -> None:
    """Serve `/docs` and its style sheet."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_PAGE.render(api=app.openapi()))

    @app.get("/docs.css", include_in_schema=False)
    async def style() -> Response:
        return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})
