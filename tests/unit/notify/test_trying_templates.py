"""A template is tried before it is used: what it may not hold, what it must, and how it looks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.contracts.messages import MessageKind
from services.notify.letters import Addressed, Letters
from services.notify.templating import LONGEST_OUTPUT, LONGEST_SOURCE, NotATemplateError, Source, compiled, shipped
from services.notify.trials import try_out

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
THANKS = shipped("en", "thanks")


def with_html(addition: str, source: Source = THANKS) -> Source:
    before, mark, after = source.html.rpartition("{% endblock %}\n{% block foot %}")
    return replace(source, html=before + addition + mark + after)


def codes(letters: Letters, source: Source, kind: MessageKind = "thanks") -> set[str]:
    return {fault.code for fault in try_out(letters, kind, "en", source)[0]}


@pytest.mark.parametrize("kind", get_args(MessageKind))
def test_what_is_shipped_has_no_faults_and_every_sample_is_shown(letters: Letters, kind: MessageKind) -> None:
    for language in ("ru", "en"):
        faults, shown = try_out(letters, kind, language, shipped(language, kind))
        assert faults == []
        assert shown
        assert all(each.letter.subject and each.letter.text.strip() for each in shown)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("{{ ''.__class__.__mro__ }}", "not_allowed"),
        ("{{ name['__class__'] }}", "not_allowed"),
        ("{{ name|upper }}", "not_allowed"),
        ("{{ name|safe }}", "not_allowed"),
        ("{{ 'a' * 100000000 }}", "not_allowed"),
        ("{{ '%100000000d' % 1 }}", "not_allowed"),
        ("{% set a = name ~ name %}{{ a }}", "not_allowed"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "not_allowed"),
        ("{% include 'mail.html' %}", "not_allowed"),
        ("{% autoescape false %}{{ name }}{% endautoescape %}", "not_allowed"),
        ("{{ range(1000000) }}", "no_calls"),
        ("{{ self.body() }}", "no_calls"),
        ("{% for a in [1] %}{% for b in [1] %}x{% endfor %}{% endfor %}", "nested_loop"),
        ("{% for a in " + str([1] * 51) + " %}x{% endfor %}", "loop"),
        ("{% if name == 'John Smith' %}x{% endif %}", "decides_by_value"),
        ("{% for letter in name %}{{ letter }}-{% endfor %}", "decides_by_value"),
        ("{{ nothing }}", "cannot_be_written"),
        ("{% if %}", "syntax"),
        ("\ue000name\ue001", "characters"),
        ("{% raw %}{{ name }}{% endraw %}", "braces"),
    ],
)
def test_what_a_template_may_not_hold(letters: Letters, written: str, code: str) -> None:
    assert code in codes(letters, with_html(written))
    assert code in codes(letters, replace(THANKS, text=THANKS.text + written))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("<script>alert(1)</script>", "element"),
        ("<p onclick='x()'>x</p>", "element"),
        ("<a href={{ name }}>x</a>", "element"),
        ('<a href="{{ name }}">x</a>', "href"),
        ('<img src="https://tracker.example/pixel">', "loads"),
        ("<div>", "unclosed"),
        ("</div>", "unclosed"),
    ],
)
def test_what_html_may_not_hold(letters: Letters, written: str, code: str) -> None:
    assert code in codes(letters, with_html(written))


def test_a_question_without_its_link_is_of_no_use(letters: Letters) -> None:
    question = shipped("en", "confirmation_request")
    assert codes(letters, replace(question, text="Is it solved?"), "confirmation_request") == {"link_missing"}


def test_what_says_too_much_or_nothing_is_refused(letters: Letters) -> None:
    assert codes(letters, replace(THANKS, text="x" * (LONGEST_SOURCE + 1))) == {"too_long"}
    assert codes(letters, replace(THANKS, text=" \n")) == {"empty"}
    assert codes(letters, replace(THANKS, subject="{% if agent %}{% endif %}")) == {"subject"}
    assert codes(letters, replace(THANKS, subject="x" * 201)) == {"subject"}
    loops = "{% for a in " + str(list(range(50))) + " %}" + "x" * 10_000 + "{% endfor %}"
    assert codes(letters, replace(THANKS, text=loops)) == {"too_long"}


PIECES = st.sampled_from(
    ["{{ name }}", "{{ agent }}", "{{", "}}", "{% if agent %}", "{% endif %}", "{% for a in name %}", "{% endfor %}",
     "{{ company ~ name }}", "{% extends 'mail.html' %}", "{% block body %}", "{% endblock %}", "x", "|e", "<b>", "{#",
     "{% import 'x' as y %}", "{{ caller() }}", "{{ loop.index }}", "{% call p() %}", "{{ not name }}"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_is_refused_or_rendered_within_bounds(letters: Letters, pieces: list[str]) -> None:
    source = replace(THANKS, text="".join(pieces))
    faults, shown = try_out(letters, "thanks", "en", source)
    assert faults or shown
    assert all(len(each.letter.text) <= LONGEST_OUTPUT for each in shown)
    if not shown and not any(fault.code in ("cannot_be_written", "too_long") for fault in faults):
        with pytest.raises(NotATemplateError):
            compiled(source)


def test_a_version_is_learned_and_used_by_those_that_began_with_it(
    letters: Letters, a_message: Callable[..., Addressed]
) -> None:
    letters.learn(("thanks", "en", 7), replace(THANKS, subject="Seven, {{ name }}"))
    message = a_message("thanks", language="en")
    assert letters.write(message, MONDAY).subject == "Thank you for your answer"
    assert letters.write(replace(message, version=7), MONDAY).subject == "Seven, Иван Иванов"
    mail = letters.mail(replace(message, version=7), MONDAY)
    assert mail != letters.mail(message, MONDAY)
