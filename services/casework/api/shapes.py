"""What all bodies of requests have in common."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """The body of a request: a field that we do not know is an error, not a wish that is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)
