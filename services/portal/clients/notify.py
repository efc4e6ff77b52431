"""Notify, as the portal asks it: what is written to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.portal.clients.campaigns import Campaigns
from services.portal.clients.digests import Digests
from services.portal.clients.hooks import Hooks
from services.portal.clients.letter_templates import LetterTemplates
from services.portal.clients.messages import Messages
from services.portal.clients.people_lists import PeopleLists
from services.portal.clients.providers import Providers
from services.portal.clients.reach import Reach

if TYPE_CHECKING:
    from services.portal.clients.service import Service


class Notify:
    """The pages' way to notify."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.campaigns = Campaigns(service)
        self.digests = Digests(service)
        self.hooks = Hooks(service)
        self.messages = Messages(service)
        self.people_lists = PeopleLists(service)
        self.providers = Providers(service)
        self.reach = Reach(service)
        self.templates = LetterTemplates(service)

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()
