"""The counting mail server, the processes' accounts, the answers of the survey."""

import asyncio
import base64
import hashlib
import hmac
import os
import subprocess
import sys
import time

import pytest

from bench.mail_sink import Sink, taken
from bench.processes import family_cpu_seconds, memory_mb
from bench.survey import DETRACTORS, Survey, Wave


async def test_the_mail_server_counts_mails_however_they_come_in_pieces() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = await asyncio.to_thread(taken, port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    envelope = b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"
    try:
        writer.write(envelope + b"Subject: one\r\n\r\nDATA\r\n..\r\n.\r\n" + envelope + b"Subject: two\r\n")
        await reader.readuntil(b"250 taken\r\n")
        writer.write(b"\r\n.")
        await writer.drain()
        assert await asyncio.to_thread(taken, port) == before + 1
        writer.write(b"\r\nQUIT\r\n")
        await reader.readuntil(b"221 bye\r\n")

        assert await asyncio.to_thread(taken, port) == before + 2
    finally:
        writer.close()
        server.close()


def test_the_account_of_a_process_has_what_its_children_used() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"child = subprocess.Popen([sys.executable, '-c', {burn!r} + '\\nimport signal; signal.pause()'])\n"
        "print(flush=True); sys.stdin.read(); child.kill(); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 30
        while family_cpu_seconds(process.pid) < 0.6:
            assert time.monotonic() < deadline


def test_memory_at_its_highest_is_not_less_than_now() -> None:
    assert memory_mb(os.getpid(), peak=True) >= memory_mb(os.getpid()) > 1


@pytest.fixture
def survey() -> Survey:
    made = Survey()
    made.know([f"c-{number}" for number in range(1_000)])
    return made


def test_each_unhappy_customer_has_no_case_yet(survey: Survey) -> None:
    first, second = survey.answers(400), survey.answers(400)

    unhappy = [*first.detractors.values(), *second.detractors.values()]
    assert len(set(unhappy)) == len(unhappy) == 2 * int(400 * DETRACTORS)


def test_no_customer_answers_twice_in_a_wave(survey: Survey) -> None:
    wave = survey.answers(1_000)

    assert len(wave.requests) == len(set(wave.requests)) == 1_000
    said = b"".join(wave.requests)
    assert all(b'"c-%d"' % number in said for number in range(1_000))


def test_more_unhappy_customers_than_there_are_is_refused(survey: Survey) -> None:
    with pytest.raises(LookupError):
        survey.answers(10_000)


def test_requests_are_whole_and_signed(survey: Survey) -> None:
    wave = survey.answers(200)

    for request in wave.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert int(headers["content-length"]) == len(body)
    assert _signed_as_typeform(wave)


def _signed_as_typeform(wave: Wave) -> bool:
    secret = hashlib.sha256(b"of a source that nobody else reaches").hexdigest().encode()
    branch = [request for request in wave.requests if request.startswith(b"POST /v1/webhooks/branch ")]
    return bool(branch) and all(
        base64.b64encode(hmac.digest(secret, request.partition(b"\r\n\r\n")[2], "sha256")) in request
        for request in branch
    )
