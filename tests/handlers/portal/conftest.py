from collections.abc import AsyncIterator

import pytest

from tests.portal_company import Company, Databases, Visitor, a_company_on


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
