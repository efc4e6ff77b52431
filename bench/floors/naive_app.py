"""What one would write first: FastAPI, a Pydantic body, two ORM rows and a commit for each request.

python -m bench.floors.naive_app PORT SECRET-IN-HEX URL
"""

import base64
import hmac
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import DateTime, LargeBinary, UniqueConstraint, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

TOLERANCE_S = 300
PORT, SECRET = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
engine = create_async_engine(make_url(sys.argv[3]).set(drivername="postgresql+asyncpg"), pool_size=20, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """All tables."""


class Delivery(Base):
    """A delivery that was received."""

    __tablename__ = "naive_deliveries"
    __table_args__ = (UniqueConstraint("source", "key"),)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    source: Mapped[str]
    key: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Outgoing(Base):
    """An event to be published."""

    __tablename__ = "naive_outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class SurveyResponse(BaseModel):
    """The body."""

    response_id: str
    answered_at: datetime
    updated_at: datetime | None = None
    score: int | None = None
    comment: str | None = None
    customer_id: str | None = None
    touchpoint: str | None = None
    language: str | None = None


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


async def opened() -> AsyncIterator[AsyncSession]:
    """One session a request."""
    async with sessions() as session:
        yield session


app = FastAPI(lifespan=lifespan)


@app.post("/v1/webhooks/{source}", status_code=202)
async def webhook(
    source: str,
    response: SurveyResponse,
    request: Request,
    session: Annotated[AsyncSession, Depends(opened)],
) -> dict[str, str]:
    """Verify, store, answer."""
    id_, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    signed = f"{id_}.{timestamp}.".encode() + await request.body()
    expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    if (
        not hmac.compare_digest(request.headers["webhook-signature"], expected)
        or abs(time.time() - int(timestamp)) > TOLERANCE_S
    ):
        raise HTTPException(401)
    known = await session.scalar(select(Delivery).where(Delivery.source == source, Delivery.key == id_))
    if known is None:
        known = Delivery(source=source, key=id_, body=await request.body())
        session.add_all([known, Outgoing(topic="survey.responses", payload=response.model_dump(mode="json"))])
        await session.commit()
    return {"delivery_id": str(known.id), "status": "accepted"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, loop="uvloop", http="httptools", log_config=None, access_log=False)
