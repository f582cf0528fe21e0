"""What every implementation of the interface must do; a further one is an entry of ``LABORATORIES``."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from mystic_collector.servers.errors import NameTaken, NotRunning, ServersError, TooMany, UnknownServer
from mystic_collector.servers.server import Server

from .contract import PATIENCE, Laboratory, Speech, eventually, settled

pytestmark = pytest.mark.anyio
CANARY = "s3cret-canary-value"


async def test_a_started_server_runs_and_is_listed(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    assert (await servers.health()).ok
    assert await servers.listed() == ()
    begun = await servers.start(laboratory.spec("time"))
    assert (begun.name, begun.state) == ("time", "starting")
    found = await settled(servers, "time")
    assert (found.state, found.detail, found.mode) == ("running", "", servers.mode)
    assert found.started_at >= found.created_at > 0
    assert [(one.name, one.state) for one in await servers.listed()] == [("time", "running")]


async def test_a_name_is_taken_until_its_server_is_stopped(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    results = await asyncio.gather(*(servers.start(laboratory.spec("one")) for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["NameTaken"] * 3 + ["Server"]
    await settled(servers, "one")
    with pytest.raises(NameTaken, match="'one'"):
        await servers.start(laboratory.spec("one"))
    assert (await servers.stop("one")).state == "stopped"
    assert await servers.listed() == ()
    assert laboratory.left() == []
    await servers.start(laboratory.spec("one"))
    assert (await settled(servers, "one")).state == "running"


async def test_an_unknown_name_is_said_to_be_unknown_by_every_operation(laboratory: Laboratory) -> None:
    servers = laboratory.open()

    async def opened() -> None:
        async with servers.open("nobody"):
            pass

    async def followed() -> None:
        async for _ in servers.follow("nobody"):
            pass

    for operation in (servers.stop, servers.restart, servers.status, servers.logs):
        with pytest.raises(UnknownServer, match="'nobody'"):
            await operation("nobody")
    for one in (opened, followed):
        with pytest.raises(UnknownServer, match="'nobody'"):
            await one()


async def test_an_image_that_is_not_there_is_a_failure_in_plain_language(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("lost", image="mystic.invalid/nobody/nothing:1"))
    found = await settled(servers, "lost")
    assert found.state == "failed"
    assert "image" in found.detail or "registry" in found.detail
    assert found.remedy
    with pytest.raises(NotRunning):
        async with servers.open("lost"):
            pass
    assert [one.state for one in await servers.listed()] == ["failed"]
    assert await servers.logs("lost") == ()
    await servers.stop("lost")
    assert await servers.listed() == ()


async def test_a_program_that_fails_tells_code_and_last_words(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("bad", "--say", "no licence found", "--leave", "3"))
    found = await eventually(servers, "bad", "failed")
    assert "exit code 3" in found.detail
    assert found.cause == "exit"
    assert "no licence found" in found.detail
    assert [line.text for line in await servers.logs("bad")] == ["no licence found"]
    await servers.stop("bad")
    await servers.start(laboratory.spec("good", "--leave", "0"))
    assert "by itself" in (await eventually(servers, "good", "stopped")).detail


async def test_a_restarted_server_is_a_new_process_of_the_same_spec(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    spec = laboratory.spec("again", "--say", "hello", env={"COLOUR": "green"})
    await servers.start(spec)
    before = await settled(servers, "again")
    await servers.restart("again")
    after = await settled(servers, "again")
    assert (after.state, after.restarts) == ("running", before.restarts + 1)
    assert after.started_at > before.started_at
    assert after.spec == spec
    async with servers.open("again") as pipe:
        assert await Speech(pipe).call("env", name="COLOUR") == "green"


async def test_logs_are_read_in_order_from_the_end_and_from_a_moment(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("chatty", "--say", "first"))
    await settled(servers, "chatty")
    async with servers.open("chatty") as pipe:
        speech = Speech(pipe)
        for text in ("second", "th\x1b[31mird", "fourth"):
            await speech.call("say", text=text)
        found = await servers.logs("chatty")
        assert [line.text for line in found] == ["first", "second", "th [31mird", "fourth"]
        assert {line.stream for line in found} == {"stderr"}
        assert [line.text for line in await servers.logs("chatty", tail=2)] == ["th [31mird", "fourth"]
        assert [line.text for line in await servers.logs("chatty", since=found[2].time)] == ["fourth"]
        assert await servers.logs("chatty", tail=0) == ()


async def test_a_follower_gets_every_further_line_until_the_server_is_stopped(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("live", "--say", "one"))
    await settled(servers, "live")
    seen: list[str] = []
    fresh = asyncio.Event()

    async def follow() -> None:
        async for line in servers.follow("live", tail=10):
            seen.append(line.text)
            fresh.set()

    follower = asyncio.create_task(follow())
    await asyncio.wait_for(fresh.wait(), PATIENCE)
    fresh.clear()
    async with servers.open("live") as pipe:
        await Speech(pipe).call("say", text="two")
        await asyncio.wait_for(fresh.wait(), PATIENCE)
    await servers.stop("live")
    await asyncio.wait_for(follower, PATIENCE)
    assert seen[:2] == ["one", "two"]


async def test_every_session_has_a_process_of_its_own(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("twice"))
    await settled(servers, "twice")
    async with servers.open("twice") as one, servers.open("twice") as two:
        first, second = Speech(one), Speech(two)
        names = {await first.call("whoami"), await second.call("whoami")}
        assert {name.split()[1] for name in names if name} == {"1"}
        assert len({name.split()[0] for name in names if name}) == 2
        assert await first.call("leave", code=1) is None
        assert await second.call("echo", text="still here") == "still here"
    assert len(await servers.listed()) == 1


async def test_sessions_are_as_many_as_may_be(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("busy"))
    await settled(servers, "busy")
    async with AsyncExitStack() as sessions:
        for _ in range(laboratory.most_sessions):
            await sessions.enter_async_context(servers.open("busy"))
        with pytest.raises(TooMany, match="'busy'"):
            async with servers.open("busy"):
                pass


async def test_fifty_parallel_starts_run_as_many_as_may_be(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    specs = [laboratory.spec(f"many-{number}") for number in range(50)]
    results = await asyncio.gather(*(servers.start(spec) for spec in specs), return_exceptions=True)
    begun = [one for one in results if isinstance(one, Server)]
    assert len(begun) == laboratory.most
    assert all(isinstance(one, Server | TooMany) for one in results)
    for one in begun:
        assert (await settled(servers, one.name)).state == "running"
    for one in begun:
        await servers.stop(one.name)
    assert laboratory.left() == []


async def test_the_next_process_finds_the_servers_of_the_last(laboratory: Laboratory) -> None:
    former = laboratory.open()
    spec = laboratory.spec("stays", env={"COLOUR": "green"})
    await former.start(spec)
    before = await settled(former, "stays")
    await former.close()
    later = laboratory.open()
    [found] = await later.listed()
    assert (found.name, found.state, found.spec, found.identity) == ("stays", "running", spec, before.identity)
    async with later.open("stays") as pipe:
        assert await Speech(pipe).call("env", name="COLOUR") == "green"
    await later.stop("stays")


async def test_a_secret_reaches_the_process_and_nobody_else(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    secrets = [{"env": "GITHUB_TOKEN", "secret": "github", "key": "token"}]
    await servers.start(laboratory.spec("keeps", secrets=secrets, env={"PLAIN": "0ther-canary"}))
    found = await settled(servers, "keeps")
    async with servers.open("keeps") as pipe:
        speech = Speech(pipe)
        assert await speech.call("env", name="GITHUB_TOKEN") == CANARY
        await speech.call("say", text=f"token={CANARY} plain=0ther-canary")
        said = [line.text for line in await servers.logs("keeps")]
    assert said == ["token=*** plain=***"]
    for text in (repr(found), str(found.to_json()), laboratory.texts()):
        assert CANARY not in text
        assert "0ther-canary" not in text


async def test_a_secret_that_is_not_there_is_a_failure_that_says_where_to_put_it(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    spec = laboratory.spec("poor", secrets=[{"env": "TOKEN", "secret": "nowhere"}])
    try:
        await servers.start(spec)
        found = await settled(servers, "poor")
        assert found.state == "failed"
        told = f"{found.detail} {found.remedy}"
        await servers.stop("poor")
    except ServersError as error:
        told = str(error)
    assert "nowhere" in told


async def test_a_server_can_be_stopped_while_it_starts(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("brief"))
    await servers.stop("brief")
    assert await servers.listed() == ()
    assert laboratory.left() == []
