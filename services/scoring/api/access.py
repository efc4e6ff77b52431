"""Who may do what with scoring: one name per rule, and the database behind a request."""

from typing import Annotated

from libs.webapi.auth import Principal, requires

_CUSTOMER_FACING = frozenset({"agent", "manager", "executive", "administrator"})

Reader = Annotated[Principal, requires("customers:read", roles=_CUSTOMER_FACING)]
Writer = Annotated[Principal, requires("customers:write", roles={"manager", "administrator"})]
Eraser = Annotated[Principal, requires("customers:write", roles={"administrator"})]
RulesReader = Annotated[Principal, requires("rules:read", roles={"manager", "executive", "administrator"})]
RulesWriter = Annotated[Principal, requires("rules:write", roles={"executive", "administrator"})]
# Their names stand beside every number by theme.
ThemesReader = Annotated[Principal, requires("rules:read")]
ThemesWriter = Annotated[Principal, requires("rules:write", roles={"manager", "executive", "administrator"})]
# They show words of customers.
SuggestionsReader = Annotated[Principal, requires("rules:read", roles={"manager", "executive", "administrator"})]
# Every employee, whatever the role, sees how the company is doing.
MetricsReader = Annotated[Principal, requires("metrics:read")]
