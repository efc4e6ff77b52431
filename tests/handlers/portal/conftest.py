from collections.abc import AsyncIterator

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


@pytest.fixture
async def ada(company: Company) -> AsyncIterator[Visitor]:
    """The administrator Ada, logged in; she reads English."""
    visitor = await company.visitor().log_in("ada")
    yield visitor
    await visitor.close()


@pytest.fixture
async def oleg(company: Company) -> AsyncIterator[Visitor]:
    """The operator Oleg, logged in; he reads English."""
    visitor = await company.visitor().log_in("oleg")
    yield visitor
    await visitor.close()


@pytest.fixture
async def viktor(company: Company) -> AsyncIterator[Visitor]:
    """The executive Victor, logged in; he reads English."""
    visitor = await company.visitor().log_in("viktor")
    yield visitor
    await visitor.close()
