"""The services that the portal speaks to, each on behalf of the person at the page."""

from services.portal.clients.casework import Casework
from services.portal.clients.ingest import Ingest
from services.portal.clients.notify import Notify
from services.portal.clients.scoring import Scoring
from services.portal.clients.service import ClientError, Refusal, Service, ServiceAwayError

__all__ = ["Casework", "ClientError", "Ingest", "Notify", "Refusal", "Scoring", "Service", "ServiceAwayError"]
