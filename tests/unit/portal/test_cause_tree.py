"""The tree of root causes is shown whole and in order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.portal.clients.root_causes import StoredCause
from services.portal.domain.causetree import branches, ids_below


def cause(id_: str, parent_id: str | None = None) -> StoredCause:
    return StoredCause(
        id=id_, parent_id=parent_id, name_ru=f"я{id_}", name_en=id_, retired=False, version=1, choosable=True
    )


def test_each_stands_below_what_it_belongs_to_and_brothers_by_name() -> None:
    causes = [cause("b"), cause("a"), cause("a.2", "a"), cause("a.1", "a"), cause("a.1.x", "a.1"), cause("lost", "?")]
    assert [(each.id, each.depth) for each in branches(causes, "en")] == [
        ("a", 0),
        ("a.1", 1),
        ("a.1.x", 2),
        ("a.2", 1),
        ("b", 0),
        ("lost", 0),
    ]
    assert ids_below(causes, "a") == {"a", "a.1", "a.1.x", "a.2"}


@settings(max_examples=50)
@given(st.lists(st.integers(min_value=-1, max_value=20), max_size=20))
def test_no_cause_of_a_tree_is_lost_or_shown_twice(parents: list[int]) -> None:
    causes = [cause(str(at), str(above) if 0 <= above < at else None) for at, above in enumerate(parents)]
    assert sorted(each.id for each in branches(causes, "ru")) == sorted(each.id for each in causes)
