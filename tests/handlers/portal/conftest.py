from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.portal_company import Company, Databases, a_company_on
from tests.portal_visitor import Visitor


@pytest.fixture(scope="session")
async def company_for_all(postgres: Databases) -> AsyncIterator[Company]:
    async with a_company_on(postgres) as company:
        yield company


@pytest.fixture
async def company(company_for_all: Company) -> Company:
    await company_for_all.renew()
    return company_for_all


@pytest.fixture
async def stranger(company: Company) -> AsyncIterator[Visitor]:
    visitor = company.visitor()
    yield visitor
    await visitor.close()


@asynccontextmanager
async def _logged_in(company: Company, login: str) -> AsyncIterator[Visitor]:
    visitor = await company.visitor().log_in(login)
    yield visitor
    await visitor.close()


@pytest.fixture
async def irina(company: Company) -> AsyncIterator[Visitor]:
    """The agent Irina, logged in; she reads Russian."""
    async with _logged_in(company, "irina") as visitor:
        yield visitor


@pytest.fixture
async def olga(company: Company) -> AsyncIterator[Visitor]:
    """The manager Olga, logged in."""
    async with _logged_in(company, "olga") as visitor:
        yield visitor


@pytest.fixture
async def ada(company: Company) -> AsyncIterator[Visitor]:
    """The administrator Ada, logged in; she reads English."""
    async with _logged_in(company, "ada") as visitor:
        yield visitor


@pytest.fixture
async def oleg(company: Company) -> AsyncIterator[Visitor]:
    """The operator Oleg, logged in; he reads English."""
    async with _logged_in(company, "oleg") as visitor:
        yield visitor


@pytest.fixture
async def viktor(company: Company) -> AsyncIterator[Visitor]:
    """The executive Victor, logged in; he reads English."""
    async with _logged_in(company, "viktor") as visitor:
        yield visitor
