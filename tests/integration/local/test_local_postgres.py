import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import THROW_AWAY, PostgresServer
from deploy.local.schemas import as_role, bootstrap, ensure_database, in_database


def a_server(folder: Path) -> PostgresServer:
    return PostgresServer(
        folder=folder / "postgres",
        password="p@ss/word",
        log=folder / "postgres.log",
        settings={**THROW_AWAY, "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"},
    )


async def test_what_was_committed_is_there_after_a_kill(open_folder: Path) -> None:
    server = a_server(open_folder)
    child = server.start()
    connection = await asyncpg.connect(server.dsn("postgres"))
    await connection.execute("CREATE TABLE kept AS SELECT 'here' AS word")
    child.send(signal.SIGKILL)

    again = server.start()
    try:
        connection = await asyncpg.connect(server.dsn("postgres"))
        assert await connection.fetchval("SELECT word FROM kept") == "here"
        await connection.close()
    finally:
        again.stop()
        child.wipe_out()


def test_a_lock_file_that_names_another_living_process_does_not_block_the_start(open_folder: Path) -> None:
    server = a_server(open_folder)
    server.start().stop()
    (server.data / "postmaster.pid").write_text("1\n/somewhere\n0\n5432\n\n\n0 0\nready\n")

    child = server.start()

    assert child.alive()
    child.stop()


def test_an_unfinished_cluster_is_made_anew(open_folder: Path) -> None:
    server = a_server(open_folder)
    (open_folder / "postgres" / "data.new" / "base").mkdir(parents=True)

    child = server.start()

    assert (server.data / "PG_VERSION").exists()
    child.stop()


def test_a_folder_with_a_long_path_has_its_socket_elsewhere(open_folder: Path) -> None:
    server = a_server(open_folder / ("deep" * 30))

    child = server.start()
    socket_folder = server.socket_folder
    child.stop()

    assert not socket_folder.is_relative_to(open_folder)
    assert socket_folder.stat().st_mode & 0o077 == 0
    shutil.rmtree(socket_folder)


async def test_a_wrong_password_is_refused(make_database: Callable[[], str]) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(as_role(make_database(), "postgres", "guess"))


async def test_roles_do_not_see_each_others_schemas(make_database: Callable[[], str]) -> None:
    admin_dsn = make_database()
    passwords = {"left": "l'eft", "right": "r/ight"}
    await bootstrap(admin_dsn, passwords)
    await bootstrap(admin_dsn, passwords)

    left = await asyncpg.connect(as_role(admin_dsn, "left", "l'eft"))
    right = await asyncpg.connect(as_role(admin_dsn, "right", "r/ight"))
    await left.execute("CREATE TABLE things (id int)")
    assert await left.fetchval("SELECT schemaname FROM pg_tables WHERE tablename = 'things'") == "left"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await right.execute('SELECT FROM "left".things')
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await right.execute("CREATE TABLE public.things (id int)")
    await left.close()
    await right.close()


async def test_an_administrator_without_superuser_rights_can_set_up(make_database: Callable[[], str]) -> None:
    admin_dsn = make_database()
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute("CREATE ROLE managed LOGIN CREATEROLE CREATEDB PASSWORD 'managed'")
    await connection.close()
    managed_dsn = as_role(in_database(admin_dsn, "postgres"), "managed", "managed")

    inside = await ensure_database(managed_dsn, "company")
    assert await ensure_database(managed_dsn, "company") == inside
    await bootstrap(inside, {"third": "third"})
    await bootstrap(inside, {"third": "another"})

    third = await asyncpg.connect(as_role(inside, "third", "another"))
    await third.execute("CREATE TABLE things (id int)")
    await third.close()
