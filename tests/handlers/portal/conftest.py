from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from tests.portal_company import Company, Visitor, a_company


class Databases(Protocol):
    """The server of `tests/conftest.py`."""

    def create_for_service(self, service: str) -> str: ...
    def drop(self, url: str) -> None: ...


@pytest.fixture(scope="session")
async def company_for_all(postgres: Databases) -> AsyncIterator[Company]:
    made: list[str] = []

    def make(service: str) -> str:
        made.append(postgres.create_for_service(service))
        return made[-1]

    async with a_company(make) as company:
        yield company
    for url in made:
        postgres.drop(url)


@pytest.fixture
async def company(company_for_all: Company) -> Company:
    await company_for_all.renew()
    return company_for_all


@pytest.fixture
async def stranger(company: Company) -> AsyncIterator[Visitor]:
    visitor = company.visitor()
    yield visitor
    await visitor.close()


@pytest.fixture
async def irina(company: Company) -> AsyncIterator[Visitor]:
    """The agent Irina, logged in; she reads Russian."""
    visitor = await company.visitor().log_in("irina")
    yield visitor
    await visitor.close()


@pytest.fixture
async def olga(company: Company) -> AsyncIterator[Visitor]:
    """The manager Olga, logged in."""
    visitor = await company.visitor().log_in("olga")
    yield visitor
    await visitor.close()
