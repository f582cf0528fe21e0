"""Route tables hold functions that were stored before the agent could wrap them; they are reached all the same (H9)."""

from __future__ import annotations

import asyncio
import textwrap

import httpx
import pytest
from mystic_agent import lifecycle

FASTAPI = """
    from typing import Annotated
    from fastapi import APIRouter, Depends, FastAPI

    def limit(n: int = 3) -> int:
        return n * 2

    async def user(limit: Annotated[int, Depends(limit)]) -> str:
        return f"user{limit}"

    class Session:
        def __init__(self, name: Annotated[str, Depends(user)]) -> None:
            self.name = name

    def create_app():
        app = FastAPI()
        router = APIRouter(prefix="/inner")

        @app.get("/sync")
        def sync(session: Annotated[Session, Depends()]) -> dict[str, str]:
            return {"name": session.name}

        @router.get("/async/{item}")
        async def asynchronous(item: int, limit: Annotated[int, Depends(limit)]) -> list[int]:
            return [item] * limit

        app.include_router(router)
        return app

    application = create_app()

    @application.get("/flat")
    def flat() -> str:
        return "flat"
"""

FLASK = """
    from flask import Blueprint, Flask
    from flask.views import MethodView

    class Items(MethodView):
        init_every_request = False

        def get(self, item):
            return {"item": item}

        def post(self, item):
            return {"posted": item}

    def create_app():
        app = Flask("shop")
        pages = Blueprint("pages", "shop", url_prefix="/pages")

        @app.route("/")
        def index():
            return "index"

        @pages.route("/<int:n>")
        def page(n):
            return f"page {n}"

        @app.before_request
        def look():
            pass

        @app.errorhandler(404)
        def missing(error):
            return "nothing", 404

        app.register_blueprint(pages)
        app.add_url_rule("/items/<item>", view_func=Items.as_view("items"))
        return app

    application = create_app()
"""

DJANGO = """
    import django
    from django.conf import settings

    settings.configure(
        DEBUG=False, SECRET_KEY="k", ROOT_URLCONF="site_of_django", ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["site_of_django.middleware"],
    )
    django.setup()

    from django.http import HttpResponse
    from django.urls import include, path
    from django.views import View

    def middleware(get_response):
        def around(request):
            response = get_response(request)
            response["X-Seen"] = "yes"
            return response
        return around

    def index(request):
        return HttpResponse("index")

    async def slow(request):
        return HttpResponse("slow")

    class Item(View):
        def get(self, request, item):
            return HttpResponse(f"item {item}")

    def nested():
        def inside(request):
            return HttpResponse("inside")
        return inside

    urlpatterns = [
        path("", index),
        path("slow", slow),
        path("item/<int:item>", Item.as_view()),
        path("more/", include([path("inside", nested())])),
    ]

    from django.core.handlers.wsgi import WSGIHandler
    application = WSGIHandler()
"""


def test_fastapi_routes_and_dependencies(load):
    site = load(FASTAPI, "site_of_fastapi")

    async def visit():
        transport = httpx.ASGITransport(site.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
            for _ in range(3):
                assert (await client.get("/sync")).json() == {"name": "user6"}
                assert (await client.get("/inner/async/7?n=1")).json() == [7, 7]
                assert (await client.get("/flat")).json() == "flat"
            assert (await client.get("/inner/async/x")).status_code == 422

    asyncio.run(visit())
    names = ["create_app.<locals>.sync", "create_app.<locals>.asynchronous", "flat", "user", "Session.__init__"]
    assert {name: site.calls(name) for name in names} == dict.fromkeys(names, 3)
    assert site.calls("limit") == 7


def test_fastapi_describes_itself_the_same(load):
    site = load(FASTAPI, "site_of_fastapi")
    hijacked = site.application.openapi()
    site.application.openapi_schema = None
    lifecycle.stop()
    assert site.application.openapi() == hijacked
    assert {"/sync", "/inner/async/{item}", "/flat"} == set(hijacked["paths"])


def test_flask_views_of_every_kind(load):
    site = load(FLASK, "site_of_flask")
    client = site.application.test_client()
    for _ in range(2):
        assert client.get("/").text == "index"
        assert client.get("/pages/4").text == "page 4"
        assert client.get("/items/a").json == {"item": "a"}
        assert client.post("/items/a").json == {"posted": "a"}
        assert client.get("/absent").text == "nothing"
    inner = ["index", "page", "missing"]
    names = [f"create_app.<locals>.{name}" for name in inner] + ["Items.get", "Items.post"]
    assert {name: site.calls(name) for name in names} == dict.fromkeys(names, 2)
    assert site.calls("create_app.<locals>.look") == 10


@pytest.mark.parametrize("order", ["imported before the agent", "imported after the agent"])
def test_django_views_of_every_kind(program, order):
    program.write("site_of_django.py", DJANGO)
    starting = """
        from mystic_agent import lifecycle
        from mystic_agent.contract.target import parse_target
        from mystic_agent.settings import Settings
        lifecycle.start(Settings(targets=(parse_target("site_of_django:*"),), port=9, interval=3600.0), "test")
    """
    asking = """
        from django.test import Client
        for path in ("/", "/slow", "/item/5", "/more/inside"):
            for _ in range(2):
                answer = Client().get(path)
                print(answer.content.decode(), answer["X-Seen"])
        for name, one in lifecycle.current().attachments.by_name.items():
            print(name, one.meter.calls)
        lifecycle.stop()
    """
    first, second = ("import site_of_django", starting) if "before" in order else (starting, "import site_of_django")
    script = program.write("script.py", "\n".join(textwrap.dedent(part) for part in (first, second, asking)))
    ended = program.run([script])
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:8] == [f"{text} yes" for text in ("index", "slow", "item 5", "inside") for _ in range(2)]
    counted = dict(line.rsplit(" ", 1) for line in lines[8:])
    names = ["index", "slow", "Item.get", "nested.<locals>.inside"]
    assert {name: counted.get(f"site_of_django:{name}") for name in names} == dict.fromkeys(names, "2")
    assert counted["site_of_django:middleware.<locals>.around"] == "8"
