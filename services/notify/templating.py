"""What a company may write into a template: sandboxed, bounded, and checked before it is used.

A template is data that people edit, so it can say things and choose between them, and nothing else: values are written
out and asked for, blocks of the shipped layout are filled, short lists are gone through. There are no filters, no
attributes, no arithmetic, no macros of one's own and no loops in loops: what a template can write is bounded by its own
length and that of its values, and rendering it takes time in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import FunctionLoader, StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notify.mime import Letter, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jinja2 import Template

    from libs.events.contracts.customers import Language

TEMPLATES: Final = Path(__file__).parent / "templates"
LONGEST_SOURCE: Final = 32_768
LONGEST_SUBJECT: Final = 1_024
LONGEST_OUTPUT: Final = 262_144
"""Characters of one body; a mail that is longer is cut off by the clients that most people have."""
CHOICES: Final = frozenset(
    (
        *("language", "company", "contact", "reason", "clock", "taken_over", "as_owner", "overdue"),
        # What a campaign says is the same for all whom it tells.
        *("headline", "about", "learned", "changed", "next_steps"),
        # So is a digest, for those of a role.
        *("period", "span", "scores", "quotes", "themes", "departments", "deeds", "loop", "thanked", "owed"),
    )
)
"""Values by which templates choose what to say; of all others they ask at most whether they are there."""
_LAYOUT: Final = "mail.html"
_PARTS: Final = "mail_parts.html"
_LONGEST_LIST: Final = 50
MARKS: Final = frozenset("\ue000\ue001")
"""See `forms`."""
_NO_MARKS: Final = {ord(mark): None for mark in MARKS}
_ALLOWED: Final[tuple[type[nodes.Node], ...]] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.For,
    nodes.List,
    nodes.Tuple,
    nodes.Concat,
    nodes.Extends,
    nodes.Block,
    nodes.FromImport,
    nodes.CallBlock,
    nodes.Call,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A template as it is written: `subject` and `text` are plain, `html` extends the shipped layout."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a template cannot be used: where, and what. `code` stays, whatever language it is told in."""

    part: str
    """`subject`, `text` or `html`."""
    code: str
    detail: str
    line: int | None = None


class NotATemplateError(ValueError):
    """The source cannot be used; `faults` say why."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(", ".join(f"{fault.part}: {fault.code}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template that can be rendered."""

    subject: Template
    text: Template
    html: Template

    def render(self, values: Mapping[str, Any]) -> Letter:
        """The letter for `values`, of which `language` is one; raises what Jinja raises, and NotATemplateError."""
        language: Language = values["language"]
        subject = one_line(self.subject.render(values))
        text = self.text.render(values).strip("\n") + "\n"
        html = self.html.render(values, subject=subject)
        for part, body in (("text", text), ("html", html)):
            if len(body) > LONGEST_OUTPUT:
                raise NotATemplateError(_fault(part, "too_long", f"It comes to more than {LONGEST_OUTPUT} characters."))
        return Letter(subject=subject, text=text, html=html, language=language)


def shipped(language: Language, kind: str) -> Source:
    """The template that comes with this release."""
    subject, _, text = (TEMPLATES / language / f"{kind}.txt").read_text(encoding="utf-8").partition("\n")
    html = (TEMPLATES / language / f"{kind}.html").read_text(encoding="utf-8")
    return Source(subject=subject, text=text.strip("\n") + "\n", html=html)


def compiled(source: Source) -> Compiled:
    """The template of a source; raises NotATemplateError where it holds what templates may not."""
    faults = [*_too_long(source)]
    if not faults:
        faults = [
            *_faults("subject", source.subject, layout=False),
            *_faults("text", source.text, layout=False),
            *_faults("html", source.html, layout=True),
        ]
    if faults:
        raise NotATemplateError(*faults)
    plain, markup = _environments()
    return Compiled(plain.from_string(source.subject), plain.from_string(source.text), markup.from_string(source.html))


def _too_long(source: Source) -> Iterator[Fault]:
    for part, written, longest in (
        ("subject", source.subject, LONGEST_SUBJECT),
        ("text", source.text, LONGEST_SOURCE),
        ("html", source.html, LONGEST_SOURCE),
    ):
        if MARKS.intersection(written):
            yield _fault(part, "characters", "It holds characters for private use that stand for blanks.")
        if len(written) > longest:
            yield _fault(part, "too_long", f"It is longer than {longest} characters.")


def _faults(part: str, written: str, *, layout: bool) -> Iterator[Fault]:
    plain, markup = _environments()
    try:
        tree = (markup if layout else plain).parse(written)
    except TemplateSyntaxError as error:
        yield _fault(part, "syntax", error.message or "It cannot be read.", error.lineno)
        return
    except RecursionError:
        yield _fault(part, "too_deep", "It is nested too deeply.")
        return
    imported = {name for node in tree.find_all(nodes.FromImport) for name in node.names if isinstance(name, str)}
    yield from _walk(part, tree, imported | {"caller"}, layout=layout, in_loop=False)


def _walk(part: str, node: nodes.Node, callable_: set[str], *, layout: bool, in_loop: bool) -> Iterator[Fault]:
    fault = _fault_of(node, callable_, layout=layout, in_loop=in_loop)
    if fault is not None:
        code, detail = fault
        yield _fault(part, code, detail, node.lineno)
        return
    in_loop = in_loop or isinstance(node, nodes.For)
    for child in node.iter_child_nodes():
        yield from _walk(part, child, callable_, layout=layout, in_loop=in_loop)


def _fault_of(node: nodes.Node, callable_: set[str], *, layout: bool, in_loop: bool) -> tuple[str, str] | None:
    """What is wrong with one node, as a code and a sentence."""
    found: tuple[str, str] | None = None
    match node:
        case nodes.Extends() | nodes.FromImport() | nodes.Block() | nodes.CallBlock():
            found = _fault_of_layout(node) if layout else ("no_layout", "Plain text has no layout and no blocks.")
        case nodes.For():
            found = ("nested_loop", "A loop stands in no other loop.") if in_loop else _fault_of_loop(node)
        case nodes.Call(node=nodes.Name(name=name)) if name in callable_:
            found = None
        case nodes.Call():
            found = ("no_calls", f"Nothing can be called but the parts of {_PARTS}.")
        case nodes.Compare() if any(name.name not in CHOICES for name in node.find_all(nodes.Name)):
            found = ("decides_by_value", f"Templates decide by {', '.join(sorted(CHOICES))} alone.")
        case _ if not isinstance(node, (*_ALLOWED, nodes.Keyword)):
            found = ("not_allowed", f"Templates know no {type(node).__name__}.")
    return found


def _fault_of_layout(node: nodes.Node) -> tuple[str, str] | None:
    match node:
        case nodes.Extends(template=nodes.Const(value=name)) if name == _LAYOUT:
            return None
        case nodes.Extends():
            return "other_layout", f"Only {_LAYOUT} can be extended."
        case nodes.FromImport(template=nodes.Const(value=name)) if name == _PARTS:
            return None
        case nodes.FromImport():
            return "other_parts", f"Parts come from {_PARTS} alone."
    return None


def _fault_of_loop(loop: nodes.For) -> tuple[str, str] | None:
    match loop.iter:
        case nodes.Name() if not loop.recursive:
            return None
        case nodes.List(items=items) | nodes.Tuple(items=items) if len(items) <= _LONGEST_LIST and not loop.recursive:
            return None
    return "loop", f"A loop goes through a value, or a list of at most {_LONGEST_LIST} things."


def plain_line(text: str) -> str:
    """What people wrote, on one line; characters that stand for blanks in forms are none of theirs."""
    return " ".join(one_line(text.translate(_NO_MARKS)).split())


def _fault(part: str, code: str, detail: str, line: int | None = None) -> Fault:
    return Fault(part=part, code=code, detail=detail, line=line)


@cache
def _environments() -> tuple[ImmutableSandboxedEnvironment, ImmutableSandboxedEnvironment]:
    """For plain text, and for HTML, which escapes by itself. A missing value is an error; functions there are none."""
    plain, markup = (
        ImmutableSandboxedEnvironment(
            loader=FunctionLoader(_layout),
            autoescape=autoescape,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=0 if not autoescape else 8,
        )
        for autoescape in (False, True)
    )
    for environment in (plain, markup):
        environment.globals.clear()
    return plain, markup


def _layout(name: str) -> str | None:
    """The two shipped files that a template may build on."""
    return (TEMPLATES / name).read_text(encoding="utf-8") if name in (_LAYOUT, _PARTS) else None
