"""No caller is served another one's result: what belongs to a context is in the key, or the cache is refused."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from module_under_test import application, hijack
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.place import parse_place

SOURCE = """
    import contextvars, functools, threading

    user = contextvars.ContextVar("user")
    _tenant = contextvars.ContextVar("tenant", default="none")
    request_id = contextvars.ContextVar("request_id", default=0)
    local = threading.local()
    by_name = {"user": user}
    runs = []

    class Holder:
        current = user
        @property
        def mine(self):
            return user.get()
        def read(self):
            return self.mine

    holder = Holder()

    def greet(name):
        runs.append(name); return f"{name} for {user.get('nobody')}"
    async def greet_later(name):
        runs.append(name); return f"{name} for {user.get('nobody')}"
    def by_method(name):
        runs.append(name); return holder.current.get("nobody")
    def by_thread(name):
        runs.append(name); return getattr(local, "user", "nobody")
    def by_table(name):
        return by_name["user"].get("nobody")
    def by_import(name):
        from {me} import user as imported
        return imported.get("nobody")
    def by_helper(name):
        return one_deeper()
    def one_deeper():
        return [_tenant.get() for _ in range(1)][0]
    def by_partial(name):
        return whole()
    whole = functools.partial(one_deeper)
    def by_closure():
        hidden = user
        def inner(name):
            return hidden.get("nobody")
        return inner
    @functools.lru_cache
    def _cached_helper():
        return user.get("nobody")
    def by_lru(name):
        return _cached_helper()
    def by_three(name):
        return user.get("nobody"), request_id.get(), one_deeper()
    def logged(name):
        runs.append((name, request_id.get())); return name
    class Service:
        def answer(self, name):
            return self._who(name)
        def _who(self, name):
            return user.get("nobody")
        @classmethod
        def of_class(cls, name):
            return cls.shown(name)
        @staticmethod
        def shown(name):
            return Holder().read()
    def innocent(name):
        runs.append(name); return sorted([name])
    class User:
        def __init__(self, id): self.id = id
    class Request:
        def __init__(self, user): self.user = user
    def show(request, page=1):
        runs.append(page); return request.user.id, page
"""


@pytest.fixture
def app(tmp_path):
    with application(tmp_path, SOURCE.replace("{me}", "__placeholder__")) as (module, attachments):
        sys.modules["__placeholder__"] = module

        def cache(function, **options):
            attachments.apply([hijack(f"{module.__name__}:{function}", {"cache": {"ttl": "1h", **options}})])
            return attachments.reports()[f"{module.__name__}:{function}"]

        try:
            yield module, attachments, cache
        finally:
            del sys.modules["__placeholder__"]


def as_user(variable, value, work, *args):
    def run():
        variable.set(value)
        return work(*args)

    return contextvars.Context().run(run)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("greet", "{me}:user"),
        ("greet_later", "{me}:user"),
        ("by_method", "current"),
        ("by_thread", "{me}:local"),
        ("by_table", "{me}:by_name"),
        ("by_import", "{me}:user"),
        ("by_helper", "{me}:_tenant"),
        ("by_partial", "{me}:_tenant"),
        ("by_lru", "{me}:user"),
        ("Service.answer", "{me}:user"),
        ("Service.of_class", "{me}:user"),
    ],
)
def test_a_function_that_reads_context_local_state_is_refused_with_what_it_reads(app, function, named):
    module, _, cache = app
    report = cache(function)
    assert report.state == "failed"
    assert named.format(me=module.__name__) in report.reason
    assert "cache.vary_by" in report.reason


def test_a_refusal_names_all_that_has_to_be_named_at_once_and_nothing_that_is(app):
    module, _, cache = app
    places = [f"contextvar:{module.__name__}:{name}" for name in ("user", "request_id", "_tenant")]
    assert all(repr(place) in cache("by_three").reason for place in places)
    told = cache("by_three", ignore=places[1:2]).reason
    assert [repr(place) in told for place in places] == [True, False, True]
    assert cache("by_three", ignore=places[1:], vary_by=places[:1]).state == "attached"


def test_the_function_runs_for_each_user_while_the_cache_is_refused(app):
    module, _, cache = app
    cache("greet")
    assert as_user(module.user, "ada", module.greet, "tea") == "tea for ada"
    assert as_user(module.user, "bob", module.greet, "tea") == "tea for bob"


def test_what_reads_nothing_of_a_context_is_cached(app):
    _, _, cache = app
    assert cache("innocent").state == "attached"


def test_two_users_in_two_contextvars_have_each_their_own_result(app):
    module, _, cache = app
    assert cache("greet", vary_by=[f"contextvar:{module.__name__}:user"]).state == "attached"
    for _ in range(2):
        assert as_user(module.user, "ada", module.greet, "tea") == "tea for ada"
        assert as_user(module.user, "bob", module.greet, "tea") == "tea for bob"
        assert contextvars.Context().run(module.greet, "tea") == "tea for nobody"
    assert len(module.runs) == 3


def test_an_unset_variable_is_no_value_that_one_could_set(app):
    module, _, cache = app
    cache("greet", vary_by=[f"contextvar:{module.__name__}:user"])
    assert contextvars.Context().run(module.greet, "tea") == "tea for nobody"
    for value in (None, "unset", ("unset",), ()):
        assert as_user(module.user, value, module.greet, "tea") == f"tea for {value}"


def test_two_tasks_of_two_users_have_each_their_own_result(app):
    module, _, cache = app
    cache("greet_later", vary_by=f"contextvar:{module.__name__}:user")

    async def ask(name):
        module.user.set(name)
        return [await module.greet_later("tea") for _ in range(3)]

    async def both():
        return await asyncio.gather(*(asyncio.create_task(ask(name)) for name in ("ada", "bob") * 20))

    answers = asyncio.run(both())
    assert answers == [[f"tea for {name}"] * 3 for name in ("ada", "bob") * 20]
    assert len(module.runs) == 2


def test_two_threads_with_two_values_of_a_thread_local_have_each_their_own_result(app):
    module, _, cache = app
    assert cache("by_thread", vary_by=f"local:{module.__name__}:local.user").state == "attached"
    gate = threading.Barrier(2)

    def ask(name):
        module.local.user = name
        gate.wait(20)
        return [module.by_thread("tea") for _ in range(3)]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, ("ada", "bob"))) == [["ada"] * 3, ["bob"] * 3]
    assert len(module.runs) == 2
    assert module.by_thread("tea") == "nobody"


def test_a_variable_that_the_result_does_not_depend_on_can_be_left_out_by_name(app):
    module, _, cache = app
    assert cache("logged").state == "failed"
    assert cache("logged", ignore=[f"contextvar:{module.__name__}:request_id"]).state == "attached"
    as_user(module.request_id, 1, module.logged, "tea")
    as_user(module.request_id, 2, module.logged, "tea")
    assert module.runs == [("tea", 1)]


@pytest.mark.parametrize(
    "strategy",
    [
        {"log": {}},
        {"retry": {}},
        {"circuit_breaker": {}},
        {"rate_limit": {}},
        {"fault": {"latency": "1ms", "share": 0}},
        {"mock": {"sequence": [1], "then": "original"}},
        {"cache": {"ignore": ["contextvar:{me}:_tenant"]}},
    ],
    ids=lambda strategy: next(iter(strategy)),
)
def test_a_hijacked_helper_is_looked_through(app, strategy):
    module, attachments, _ = app
    me = module.__name__
    strategy = eval(repr(strategy).replace("{me}", me))
    attachments.apply([hijack(f"{me}:one_deeper", strategy, identity="helper")])
    attachments.apply(
        [
            hijack(f"{me}:one_deeper", strategy, identity="helper"),
            hijack(f"{me}:by_helper", {"cache": {}}, identity="cached"),
        ]
    )
    reports = attachments.reports()
    assert reports[f"{me}:one_deeper"].state == "attached"
    assert (reports[f"{me}:by_helper"].state, "_tenant" in reports[f"{me}:by_helper"].reason) == ("failed", True)


def test_naming_one_variable_does_not_cover_another(app):
    module, _, cache = app
    report = cache("greet", vary_by=[f"contextvar:{module.__name__}:_tenant"])
    assert report.state == "failed"
    assert f"{module.__name__}:user" in report.reason


def test_an_attribute_of_an_argument_stands_for_it_and_a_missing_one_bypasses(app):
    module, attachments, cache = app
    assert cache("show", ignore=["request"], vary_by=["request.user.id"]).state == "attached"
    ada, bob = (module.Request(module.User(name)) for name in ("ada", "bob"))
    for _ in range(2):
        assert module.show(ada) == ("ada", 1)
        assert module.show(module.Request(module.User("ada"))) == ("ada", 1)
        assert module.show(bob) == ("bob", 1)
        assert module.show(bob, 2) == ("bob", 2)
    assert module.runs == [1, 1, 2]
    with pytest.raises(AttributeError):
        module.show(module.Request(None))
    [attached] = [a for a in attachments.by_name.values() if a.qualname == "show"]
    told = {dict(c.attributes).get("mystic.reason") for c in attached.meter.counts()}
    assert "no request.user.id" in told


@pytest.mark.parametrize(
    ("option", "place", "says"),
    [
        ("vary_by", "person.id", "parameters are name"),
        ("vary_by", "contextvar:no.such.module:user", "not loaded"),
        ("vary_by", "contextvar:{me}:nothing", "names nothing"),
        ("vary_by", "contextvar:{me}:local", "no context variable"),
        ("vary_by", "local:{me}:user", "no thread-local"),
        ("vary_by", "local:{me}:runs", "no thread-local"),
        ("ignore", "contextvar:{me}:nothing", "names nothing"),
    ],
)
def test_a_place_that_is_none_is_refused_with_the_reason(app, option, place, says):
    module, _, cache = app
    report = cache("innocent", **{option: [place.format(me=module.__name__)]})
    assert report.state == "failed"
    assert says in report.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.__class__",
        "contextvar:m:__builtins__",
        "contextvar:m:user.__class__",
        "contextvar:user",
        "eval:m:x",
        "local:m:a b",
        "local:m:a._b",
        "local:os.path:x()",
        5,
        "contextvar:" + "m" * 300 + ":x",
    ],
)
def test_a_place_is_a_name_and_no_code(text):
    with pytest.raises(Invalid):
        parse_place(text, "vary_by")


DJANGO = """
    from django.utils import timezone, translation
    from django.utils.translation import gettext as _

    def named(item):
        return _("item") + item
    def language():
        return translation.get_language()
    def today():
        return timezone.localdate()
    def now():
        return timezone.now()
"""


@pytest.mark.parametrize("function", ["named", "language", "today"])
def test_what_django_answers_for_the_users_language_or_time_zone_is_refused(tmp_path, function):
    pytest.importorskip("django", reason="Django is not installed here")
    with application(tmp_path, DJANGO) as (module, attachments):
        name = f"{module.__name__}:{function}"
        attachments.apply([hijack(name, {"cache": {"ttl": "1h"}})])
        report = attachments.reports()[name]
        assert (report.state, "django.utils" in report.reason) == ("failed", True)
        attachments.apply([hijack(f"{module.__name__}:now", {"cache": {"ttl": "1h"}})])
        assert attachments.reports()[f"{module.__name__}:now"].state == "attached"


FLASK = """
    import flask
    app = flask.Flask(__name__)
    runs = []

    @app.before_request
    def who():
        flask.g.user = flask.request.headers["user"]

    def greeting(item):
        runs.append(item); return f"{item} for {flask.g.user}"

    @app.get("/<item>")
    def show(item):
        return greeting(item)
"""


def test_flask_serves_each_user_their_own_result(tmp_path):
    pytest.importorskip("flask", reason="Flask is not installed here")
    with application(tmp_path, FLASK) as (module, attachments):
        name = f"{module.__name__}:greeting"
        client = module.app.test_client()

        def ask(user):
            return client.get("/tea", headers={"user": user}).text

        attachments.apply([hijack(name, {"cache": {"ttl": "1h"}})])
        report = attachments.reports()[name]
        assert (report.state, "flask:g" in report.reason) == ("failed", True)
        assert [ask("ada"), ask("bob"), ask("ada")] == ["tea for ada", "tea for bob", "tea for ada"]
        module.runs.clear()

        attachments.apply([hijack(name, {"cache": {"ttl": "1h", "vary_by": ["local:flask:g.user"]}})])
        assert attachments.reports()[name].state == "attached"
        assert [ask(u) for u in ("ada", "bob") * 3] == ["tea for ada", "tea for bob"] * 3
        assert module.runs == ["tea", "tea"]


FASTAPI = """
    import contextvars
    from fastapi import FastAPI, Request
    app = FastAPI()
    user = contextvars.ContextVar("user")
    runs = []

    @app.middleware("http")
    async def who(request: Request, call_next):
        user.set(request.headers["user"])
        return await call_next(request)

    def greeting(item):
        runs.append(item); return f"{item} for {user.get()}"

    async def later(item):
        return greeting(item)

    @app.get("/threads/{item}")
    def in_a_thread(item: str):
        return greeting(item)

    @app.get("/tasks/{item}")
    async def in_a_task(item: str):
        return await later(item)
"""


def test_fastapi_serves_each_user_their_own_result(tmp_path):
    httpx = pytest.importorskip("httpx", reason="httpx is not installed here")
    with application(tmp_path, FASTAPI) as (module, attachments):
        names = [f"{module.__name__}:{function}" for function in ("greeting", "later")]

        async def ask():
            transport = httpx.ASGITransport(module.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                asked = [(user, way) for user in ("ada", "bob") for way in ("threads", "tasks")] * 3
                replies = await asyncio.gather(
                    *(client.get(f"/{way}/tea", headers={"user": user}) for user, way in asked)
                )
            return [reply.json() == f"tea for {user}" for reply, (user, _) in zip(replies, asked, strict=True)]

        attachments.apply([hijack(name, {"cache": {"ttl": "1h"}}, identity=name.partition(":")[2]) for name in names])
        assert [attachments.reports()[name].state for name in names] == ["failed", "failed"]
        assert all(asyncio.run(ask()))
        module.runs.clear()

        vary = {"cache": {"ttl": "1h", "vary_by": [f"contextvar:{module.__name__}:user"]}}
        attachments.apply([hijack(name, vary, identity=name.partition(":")[2]) for name in names])
        assert [attachments.reports()[name].state for name in names] == ["attached", "attached"]
        assert all(asyncio.run(ask()))
        assert len(module.runs) == 2
