"""Web hooks: where they may go, what they tell, how they are signed, when they are tried again, whose turn it is."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.contracts.cases import Employee
from services.notify.domain.addresses import Networks
from services.notify.domain.hook_outcomes import (
    LONGEST_REST,
    SCHEDULE,
    DeliveryStatus,
    Trouble,
    attempt_of,
    judge,
    wished,
)
from services.notify.domain.hook_signatures import key_of, secret_of, signature
from services.notify.domain.subscriptions import Subscription, SubscriptionId, meant, url_trouble
from services.notify.domain.visibility import visible
from services.notify.hook_lanes import MOST_AHEAD, Lanes
from services.notify.store.hook_deliveries import Claimed

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOWHERE = Networks()


PRIVATE = """
    127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 ::1 ::
    fe80::1 fe80::1%eth0 fd00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1
    2002:7f00:1:: 2002:a00:1:: nonsense
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_no_address_leads_into_a_private_network_in_whatever_way_it_is_written(address: str) -> None:
    assert not NOWHERE.allows(address)


def test_public_addresses_and_allowed_networks_may_be_connected_to() -> None:
    assert all(NOWHERE.allows(address) for address in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"))
    allowed = Networks.parse(["10.0.0.0/8", "::1"])
    assert allowed.allows("10.9.9.9")
    assert allowed.allows("::ffff:10.9.9.9")
    assert allowed.allows("::1")
    assert not allowed.allows("192.168.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "http://public.example/",
        "ftp://public.example/",
        "https://",
        "https://user:word@public.example/",
        "https://public.example/#part",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost:9/",
        "https://public.example/with space",
        "https://public.example:99999/",
        "https://пример.рф/",
        "https://public.example/" + "x" * 2_048,
        "//public.example/",
    ],
)
def test_an_end_point_that_cannot_be_is_refused_when_it_is_told(url: str) -> None:
    assert url_trouble(url, allow_http=False, networks=NOWHERE) is not None


def test_end_points_are_https_unless_the_settings_allow_more() -> None:
    assert url_trouble("https://public.example:8443/hooks?team=1", allow_http=False, networks=NOWHERE) is None
    inside = Networks.parse(["127.0.0.0/8"])
    assert url_trouble("http://127.0.0.1:8080/hooks", allow_http=True, networks=inside) is None
    assert url_trouble("http://localhost:8080/hooks", allow_http=True, networks=inside) is None


def test_signatures_are_those_of_standard_webhooks() -> None:
    # The vector of the reference libraries.
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    said = signature([key], id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_rotated_both_sign() -> None:
    old, new = secret_of(b"o" * 32), secret_of(b"n" * 32)
    assert key_of(old) == b"o" * 32
    subscription = a_subscription(secret=new, previous_secret=old, previous_until=NOW + timedelta(days=1))
    assert subscription.secrets(NOW) == (new, old)
    assert subscription.secrets(NOW + timedelta(days=1)) == (new,)
    both = signature([key_of(each) for each in subscription.secrets(NOW)], id_="e", timestamp=1, body=b"{}")
    assert both.split(" ") == [signature([key], id_="e", timestamp=1, body=b"{}") for key in (b"n" * 32, b"o" * 32)]


def test_a_delivery_is_tried_for_some_three_days_and_then_given_up() -> None:
    random, at, failures = Random(1), NOW, 0
    while (verdict := judge(attempt_of(500, 7, None), failures, at, random)).status is DeliveryStatus.PENDING:
        assert verdict.due_at is not None
        wait = verdict.due_at - at
        assert SCHEDULE[failures] * 0.9 <= wait <= SCHEDULE[failures] * 1.1
        at, failures = verdict.due_at, failures + 1
    assert failures == 9
    assert timedelta(days=2.7) < at - NOW < timedelta(days=3.6)


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_yes(code: int) -> None:
    assert judge(attempt_of(code, 1, None), 0, NOW, Random(1)).status is DeliveryStatus.DELIVERED


def test_410_is_never_again_and_a_redirect_is_a_failure() -> None:
    gone = attempt_of(410, 1, None)
    assert gone.is_gone
    assert judge(gone, 0, NOW, Random(1)).status is DeliveryStatus.FAILED
    assert attempt_of(307, 1, None).trouble is Trouble.REDIRECT
    assert attempt_of(404, 1, None).trouble is Trouble.STATUS


def test_a_receiver_that_says_when_is_asked_then_and_not_before() -> None:
    busy = judge(attempt_of(429, 1, "120"), 0, NOW, Random(1))
    assert (busy.due_at, busy.paused_until) == (NOW + timedelta(seconds=120), NOW + timedelta(seconds=120))
    later = judge(attempt_of(500, 1, "120"), 0, NOW, Random(1))
    assert (later.due_at, later.paused_until) == (NOW + timedelta(seconds=120), None)
    assert judge(attempt_of(503, 1, "1"), 4, NOW, Random(1)).due_at > NOW + timedelta(hours=4)  # type: ignore[operator]


def test_retry_after_is_seconds_or_a_date_and_nothing_beyond_a_day() -> None:
    assert wished("Mon, 02 Mar 2026 09:05:00 GMT", NOW) == timedelta(minutes=5)
    assert wished("Mon, 02 Mar 2020 09:05:00 GMT", NOW) == timedelta(0)
    assert wished("999999999", NOW) == LONGEST_REST
    assert wished("Mon, 02 Mar 2099 09:05:00 -0000", NOW) == LONGEST_REST
    assert wished(None, NOW) is None


@given(st.text(max_size=40))
def test_whatever_a_receiver_writes_there_is_read_or_passed_over(text: str) -> None:
    found = wished(text, NOW)
    assert found is None or timedelta(0) <= found <= LONGEST_REST


def test_patterns_mean_types() -> None:
    known = {"case.opened.v1", "case.clock.breached.v1", "casework.x.v1", "customer.erased.v1"}
    assert meant(["case.*"], known) == {"case.opened.v1", "case.clock.breached.v1"}
    assert meant(["*"], known) == known
    assert meant(["customer.erased.v1", "case.opened.v1"], known) == {"customer.erased.v1", "case.opened.v1"}
    assert meant(["case"], known) == set()


def test_who_may_see_facts_sees_no_words_and_no_people_at_any_depth() -> None:
    payload: dict[str, Any] = {
        "case_id": "case-1",
        "comment": "The courier was rude",
        "owner": {"employee_id": "e-1", "name": "Anna", "email": "anna@company.example", "language": "ru"},
        "parts": [{"points": 3}],
        "priority_parts": ({"factor": "tier", "points": 3, "unheard_of": 1},),
        "unheard_of": "secret",
    }
    facts = visible("case.opened.v1", payload, frozenset({"facts"}))
    assert facts == {
        "case_id": "case-1",
        "owner": {"employee_id": "e-1", "language": "ru"},
        "priority_parts": [{"factor": "tier", "points": 3}],
    }
    words = visible("case.opened.v1", payload, frozenset({"facts", "comments"}))
    assert words == {**facts, "comment": "The courier was rude"}
    people = visible("case.opened.v1", payload, frozenset({"facts", "people"}))
    assert people["owner"] == payload["owner"]
    assert visible("message.failed.v1", {"reason": "550 <anna@x.example>"}, frozenset({"facts"})) == {}
    assert json.loads(msgspec.json.encode(people))["case_id"] == "case-1"


def a_subscription(**changes: object) -> Subscription:
    members: dict[str, Any] = {
        "id": SubscriptionId(uuid4()),
        "owner": "billing",
        "name": "all",
        "url": "https://public.example/",
        "types": ("*",),
        "sees": frozenset({"facts"}),
        "contact": Employee(employee_id="e-1", name="Anna", email="anna@company.example", language="ru"),
        "disabled": None,
        "failing_since": None,
        "paused_until": None,
        "secret": secret_of(b"k" * 32),
        "previous_secret": None,
        "previous_until": None,
        "version": 1,
        "created_at": NOW,
        "changed_at": NOW,
    }
    return Subscription(**{**members, **changes})


def claimed(subscription: Subscription, number: int) -> Claimed:
    return Claimed(subscription.id, UUID(int=number), "case.opened.v1", "facts", 1, 0, b"{}")


@settings(max_examples=30, deadline=None)
@given(hanging=st.integers(1, 12), seed=st.integers(0, 1_000))
def test_receivers_that_hang_leave_the_others_their_share(hanging: int, seed: int) -> None:
    """Each round all that go to the good receiver come back, and a tenth of the others fails by its timeout."""
    slots, random = 16, Random(seed)
    good, *bad = [a_subscription() for _ in range(1 + hanging)]
    lanes = Lanes(most=slots)
    assert lanes.follow([good, *bad]) == []
    on_their_way: list[tuple[Any, Claimed]] = []
    delivered = 0
    for number in range(200):
        rooms = lanes.rooms()
        assert max(rooms.values(), default=0) <= MOST_AHEAD
        for subscription in (good, *bad):
            lanes.add(claimed(subscription, number) for _ in range(rooms.get(subscription.id, 0)))
        while len(on_their_way) < slots and (following := lanes.next()) is not None:
            on_their_way.append(following)
        back = [each for each in on_their_way if each[1].subscription_id == good.id]
        delivered += len(back)
        slow = [each for each in on_their_way if each[1].subscription_id != good.id]
        late = random.sample(slow, len(slow) // 10)
        for each in back:
            each[0].back(well=True)
        for each in late:
            each[0].back(well=False)
        on_their_way = [each for each in slow if each not in late]
    assert len(on_their_way) <= slots
    # However many hang, the good one had a slot at least in each round but the first ones.
    assert delivered >= 150
