"""When customers may be called: what is entered, and the body that casework takes."""

import pytest

from services.portal.domain.contactforms import MINUTES, contact_rules_of, entered_contact_rules
from services.portal.domain.policyforms import WEEKDAYS, WrongEntryError

ENTERED = (
    dict.fromkeys(WEEKDAYS[:5], "09:00-13:00, 14:00-20:00")
    | dict.fromkeys(WEEKDAYS[5:], "")
    | dict.fromkeys(MINUTES, "30")
    | {"zone": "Europe/Moscow"}
)


def test_rules_that_are_shown_and_sent_back_are_the_same_rules() -> None:
    body = contact_rules_of(ENTERED)
    assert entered_contact_rules(body) == ENTERED
    assert body["week"] == {
        day: [{"start": "09:00", "end": "13:00"}, {"start": "14:00", "end": "20:00"}] for day in WEEKDAYS[:5]
    }


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"zone": "Moscow"}, {"zone"}),
        ({"zone": ""}, {"zone"}),
        ({"zone": "../etc"}, {"zone"}),
        ({"monday": "nine to five"}, {"monday"}),
        ({"monday": "09:00-08:00"}, {"monday"}),
        ({"monday": "09:00-25:00"}, {"monday"}),
        ({"monday": "09:75-10:00"}, {"monday"}),
        ({"monday": "09:00-13:00, 12:00-15:00"}, {"monday"}),
        (dict.fromkeys(WEEKDAYS, ""), {"week"}),
        (dict.fromkeys(WEEKDAYS, "09:00-09:45"), {"week"}),
        ({"pause_minutes": "1441", "grace_minutes": "-1"}, {"pause_minutes", "grace_minutes"}),
    ],
)
def test_what_cannot_be_so_is_named(changes: dict[str, str], wrong: set[str]) -> None:
    with pytest.raises(WrongEntryError) as refused:
        contact_rules_of(ENTERED | changes)
    assert refused.value.fields == wrong
