"""Both languages say everything, and say it in their own grammar."""

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from libs.events.contracts.cases import Clock, ContactOutcome, EscalationReason, Level
from libs.events.contracts.messages import Bounce, MessageChannel, MessageKind, Purpose, SuppressionReason
from libs.events.contracts.responses import Channel, Metric, SurveyKind
from libs.events.contracts.scores import NpsClass, Tier
from libs.events.topics import CASEWORK_CASES, CASEWORK_INITIATIVES, CONTRACTS, NOTIFY_MESSAGES, SURVEY_SCORES
from services.ingest.vendors import VENDORS
from services.notify.domain.hook_outcomes import DeliveryStatus, Trouble
from services.notify.domain.subscriptions import Disabled
from services.portal.domain import campaigns, casefile, hooks, letter_templates, messages, sourceforms
from services.portal.domain.campaigns import Step
from services.portal.domain.casefile import Action
from services.portal.domain.deliveries import STATUSES
from services.portal.domain.health import LoopStep
from services.portal.domain.people import Language, Role
from services.portal.domain.period import Period
from services.portal.domain.stream import Position, StreamEvent
from services.portal.texts import Words, load_texts
from services.portal.texts.stories import tell

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEXTS = load_texts()
PLURALS = ("one", "few", "many", "other")
PORTAL = Path(__file__).parents[3] / "services" / "portal"


def words(language: Language) -> Words:
    return Words(language, TEXTS[language], zone=ZoneInfo("Europe/Moscow"), now=NOW)


def stem(key: str) -> str:
    head, _, tail = key.rpartition(".")
    return head if tail in PLURALS else key


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts() -> None:
    assert {stem(key) for key in TEXTS["ru"]} == {stem(key) for key in TEXTS["en"]}


def test_the_same_text_has_the_same_gaps_in_both_languages() -> None:
    for key in TEXTS["ru"].keys() & TEXTS["en"].keys():
        assert placeholders(TEXTS["ru"][key]) == placeholders(TEXTS["en"][key]), key


def test_russian_is_written_in_russian_and_english_in_english() -> None:
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    assert not [key for key, text in TEXTS["en"].items() if cyrillic.search(text) and key != "lang.ru"]
    latin_only = [key for key, text in TEXTS["ru"].items() if not cyrillic.search(text)]
    assert latin_only == ["lang.en"]


def test_every_key_that_a_template_or_a_module_names_exists() -> None:
    named = set()
    for path in [*PORTAL.glob("templates/*.html"), *PORTAL.glob("**/*.py")]:
        named |= set(re.findall(r"""\b(?:t|words)\(\s*"([a-z0-9_.\-]+)"[,)]""", path.read_text()))
        counted = re.findall(r"""\bt\.count\(\s*"([a-z0-9_.]+)",""", path.read_text())
        named |= {f"{key}.other" for key in counted}
    assert len(named) > 100
    assert named - TEXTS["en"].keys() == set()


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("role", list(Role)),
        ("status", casefile.STATUSES),
        ("level", get_args(Level)),
        ("to_level", get_args(Level)),
        ("tier", get_args(Tier)),
        ("contact", casefile.CONTACT_OUTCOMES),
        ("reason", casefile.ESCALATION_REASONS),
        ("message_kind", get_args(MessageKind)),
        ("loop_step", list(LoopStep)),
        ("nps.period", list(Period)),
        ("nps_class", get_args(NpsClass)),
        ("clock", get_args(Clock)),
        ("contact", get_args(ContactOutcome)),
        ("reason", get_args(EscalationReason)),
        ("reason", get_args(SuppressionReason)),
        ("survey_kind", get_args(SurveyKind)),
        ("outcome", ["confirmed", "unconfirmed"]),
        ("action", list(Action)),
        ("action_button", list(Action)),
        ("done", list(Action)),
        ("delivery_status", STATUSES),
        ("deliveries", [f"meaning_{status}" for status in STATUSES]),
        ("testing", [f"then_{status}" for status in STATUSES]),
        ("field", sourceforms.FIELDS),
        ("metric", get_args(Metric)),
        ("message_status", messages.STATUSES),
        ("reason", messages.REASONS),
        ("message_channel", get_args(MessageChannel)),
        ("message_bounce", get_args(Bounce)),
        ("campaign_status", campaigns.STATUSES),
        ("campaign_which", campaigns.WHICH),
        ("campaign_side", campaigns.SIDES),
        ("campaign_step", list(Step)),
        ("campaign_step_hint", list(Step)),
        ("campaign_done", [*Step, "written", "edited"]),
        ("purpose", get_args(Purpose)),
        ("list_wrong", ["no_address", "no_language", "no_id", "long_name", "too_many"]),
        ("rules_wrong", ["no_number", "none_ticked", "no_channel", "no_clock"]),
        ("hook_state", ["on", "trouble", *Disabled]),
        ("hook_delivery", hooks.STATUSES),
        ("hook_delivery", list(DeliveryStatus)),
        ("hook_trouble", list(Trouble)),
        ("hook_url", [*hooks.URL_TROUBLES.values(), "credentials"]),
        ("hook_sees", ["facts", *hooks.SEEN]),
        ("event_family", list(hooks.families(CONTRACTS))),
        ("template_reader", letter_templates.READERS),
        ("template_reader_lede", letter_templates.READERS),
        ("templates", [f"part_{part}" for part in letter_templates.PARTS]),
        ("channel", get_args(Channel)),
        ("vendor_what", sorted(VENDORS)),
        ("vendor_where", sorted(VENDORS)),
    ],
)
def test_every_code_has_its_word(kind: str, codes: list[str]) -> None:
    assert [code for code in codes if f"{kind}.{code}" not in TEXTS["ru"]] == []


def test_what_the_page_offers_is_what_the_contracts_know() -> None:
    assert set(casefile.LEVELS) == set(get_args(Level))
    assert set(casefile.TIERS) == set(get_args(Tier))
    assert set(casefile.CONTACT_OUTCOMES) == set(get_args(ContactOutcome))
    assert set(casefile.ESCALATION_REASONS) < set(get_args(EscalationReason))
    assert set(sourceforms.METRICS) == set(get_args(Metric))
    assert set(sourceforms.KINDS) == set(get_args(SurveyKind))
    assert set(sourceforms.CHANNELS) == set(get_args(Channel))
    assert VENDORS.keys() >= sourceforms.GENERATED


def test_the_refusals_and_reasons_of_casework_have_their_words() -> None:
    casework = PORTAL.parent / "casework"
    codes = set(re.findall(r'^    code = "([a-z-]+)"', (casework / "domain" / "errors.py").read_text(), re.MULTILINE))
    codes |= set(re.findall(r'slug="([a-z-]+)"', (casework / "api" / "commands.py").read_text()))
    assert len(codes) >= 8
    assert {f"refused.{code}" for code in codes} - TEXTS["en"].keys() == set()
    reasons = set(re.findall(r'Choice\(agent, "([a-z_]+)"', (casework / "domain" / "routing.py").read_text()))
    assert len(reasons) >= 5
    assert {f"owner_reason.{reason}" for reason in reasons} - TEXTS["en"].keys() == set()


def test_whatever_is_wrong_with_a_template_has_its_words() -> None:
    notify = PORTAL.parent / "notify"
    found = [(notify / name).read_text() for name in ("templating.py", "trials.py")]
    codes = {code for source in found for code in re.findall(r'_fault\([^"()]*(?:"[a-z]+"|part), "([a-z_]+)"', source)}
    codes |= {code for source in found for code in re.findall(r'\("([a-z_]+)", f?"[A-Z]', source)}
    codes |= {code for source in found for code in re.findall(r'return "([a-z_]+)", f?"', source)}
    codes |= {code for source in found for code in re.findall(r'_found\["([a-z]+)"\]', source)}
    codes |= {code for source in found for code in re.findall(r'code="([a-z_]+)"', source)}
    assert len(codes) >= 20
    assert {f"template_fault.{code}" for code in codes} - TEXTS["en"].keys() == set()


def test_the_time_of_another_day_tells_the_day() -> None:
    assert words("en").time(NOW) == "15:00:00"
    assert words("en").time(NOW - timedelta(days=1)) == "20 Nov, 15:00"


def test_a_code_that_nobody_has_named_yet_is_shown_as_it_is() -> None:
    assert words("ru").word("reason", "solar_storm") == "solar storm"
    assert words("ru").word("reason", None) == "неизвестно"


@pytest.mark.parametrize(
    ("n", "ru", "en"),
    [
        (1, "по 1 ответу", "from 1 answer"),
        (2, "по 2 ответам", "from 2 answers"),
        (5, "по 5 ответам", "from 5 answers"),
        (21, "по 21 ответу", "from 21 answers"),
        (1_234, "по 1\xa0234 ответам", "from 1,234 answers"),
    ],
)
def test_counts_take_the_form_of_their_language(n: int, ru: str, en: str) -> None:
    assert words("ru").count("nps.answers", n) == ru
    assert words("en").count("nps.answers", n) == en


def test_an_nps_is_written_with_its_sign_and_a_true_minus() -> None:
    assert [words("en").signed(value) for value in (31.6, 0.2, 0, -0.3, -14.3)] == ["+32", "0", "0", "0", "−14"]


@pytest.mark.parametrize(
    ("left", "state", "ru"),
    [
        (timedelta(hours=45), "later", "осталось 45 ч"),
        (timedelta(hours=3), "soon", "осталось 3 ч"),
        (timedelta(seconds=20), "soon", "осталось 1 мин"),
        (timedelta(), "overdue", "просрочено на 1 мин"),
        (-timedelta(minutes=90), "overdue", "просрочено на 90 мин"),
        (-timedelta(days=3), "overdue", "просрочено на 3 дн."),
    ],
)
def test_a_deadline_says_how_long_and_how_loud(left: timedelta, state: str, ru: str) -> None:
    due = words("ru").due(NOW + left)
    assert (due.state, due.relative) == (state, ru)


def test_times_are_told_in_the_companys_zone() -> None:
    assert words("en").moment(NOW) == "21 Nov, 15:00"
    assert words("ru").moment(NOW - timedelta(days=300)) == "25 янв. 2026 г., 15:00".replace(" г.", "")
    assert words("en").iso(NOW) == "2026-11-21T12:00:00Z"


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_event_has_a_sentence_even_when_all_its_facts_are_hidden(language: Language) -> None:
    for topic in (SURVEY_SCORES, CASEWORK_CASES, CASEWORK_INITIATIVES, NOTIFY_MESSAGES):
        for contract in topic.types:
            story = tell(StreamEvent(Position(1, 1), "e", contract.TYPE, "", NOW, {}), words(language))
            assert story.title
            assert story.title != contract.TYPE
            assert "{" not in story.title


def test_an_event_of_an_unknown_type_is_told_by_its_type() -> None:
    story = tell(StreamEvent(Position(1, 1), "e", "weather.changed.v1", "", NOW, {"x": 1}), words("en"))
    assert story.title == "weather.changed.v1"
    assert story.group == "other"
