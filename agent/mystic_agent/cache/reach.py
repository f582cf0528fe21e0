"""What the code of a function reaches besides its arguments: time, chance, files, networks, variables it changes.

Found from the code, without running any of it, as :mod:`mystic_agent.cache.ambient` finds what belongs to a context;
the names of the standard library and of well-known packages decide. What is computed by name it cannot see, and code of
other packages is looked at only where the application calls it directly: this is evidence beside what calls show, and
no proof.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, takewhile
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mystic_agent.cache.ambient import SILENT, Names, ambient, behind, looked_up, unwrapped
from mystic_agent.contract.named import NamedTuple

DEEPEST = 8
DEEPEST_FOREIGN = 1
MOST_FUNCTIONS = 300
MOST_TOUCHES = 40

_RULES = {
    "time": """
        time.time time.time_ns time.localtime time.gmtime time.ctime time.asctime time.strftime datetime.datetime.now
        datetime.datetime.utcnow datetime.datetime.today datetime.date.today django.utils.timezone.now
        pandas.Timestamp.now
    """,
    "clock": """
        time asyncio.sleep asyncio.tasks.sleep timeit
    """,
    "random": """
        random secrets uuid.uuid1 uuid.uuid4 os.urandom os.getrandom numpy.random
    """,
    "network": """
        socket ssl http urllib.request urllib3 requests httpx httpcore aiohttp ftplib imaplib poplib telnetlib
        xmlrpc grpc websockets websocket boto3 botocore paramiko socketserver asyncio.streams.open_connection
    """,
    "writes": """
        requests.api.post requests.api.put requests.api.patch requests.api.delete httpx._api.post httpx._api.put
        httpx._api.patch httpx._api.delete smtplib tempfile shutil os.remove os.unlink os.rename os.replace
        os.mkdir os.makedirs os.rmdir os.removedirs os.symlink os.link os.truncate os.write os.kill os.chmod
        os.chown os.utime
    """,
    "process": """
        subprocess os.system os.popen os.fork os.forkpty os.posix_spawn os.execv os.execve os.getpid os.getppid
        multiprocessing pty asyncio.subprocess psutil concurrent.futures
    """,
    "database": """
        sqlite3 psycopg psycopg2 psycopg_pool pymysql MySQLdb mysql asyncpg aiosqlite sqlalchemy redis pymongo
        motor peewee django.db elasticsearch pymemcache diskcache dbm shelve cassandra
    """,
    "file": """
        io.open os.open os.read os.stat os.lstat os.listdir os.scandir os.walk os.access os.path.exists
        os.path.isfile os.path.isdir os.path.getmtime os.path.getsize os.path.lexists glob linecache mmap
        fileinput
    """,
    "environment": """
        os.environ os.getenv os.getcwd os.uname platform locale pwd grp
    """,
    "logging": """
        logging structlog loguru builtins.print warnings syslog
    """,
    "context": """
        threading.current_thread threading.get_ident thread.get_ident asyncio.current_task
        asyncio.tasks.current_task inspect.currentframe sys.getframe
    """,
}
"""Category → names as their own modules call them; a name stands for what is under it, and the longest one decides."""
_CATEGORY = {name: category for category, names in _RULES.items() for name in names.split()}
_UNKNOWN_READS = frozenset({"read_text", "read_bytes", "iterdir", "rglob"})
_UNKNOWN_WRITES = frozenset({"write_text", "write_bytes", "unlink", "executemany", "commit", "sendall", "sendto"})
_ADDING = {"add", "append", "appendleft", "extend", "extendleft", "insert", "setdefault", "update"}
_MUTATING = frozenset(_ADDING | {"clear", "discard", "pop", "popitem", "popleft", "remove"})
_MUTABLE = frozenset({"dict", "list", "set", "bytearray", "defaultdict", "OrderedDict", "Counter", "deque"})
_WRITING_MODE = re.compile(r"(?=.*[wax+])[rwaxbtU+]{1,4}").fullmatch
_SAME = {"posix": "os", "nt": "os", "posixpath": "os.path", "genericpath": "os.path", "_io": "io"}


class Touch(NamedTuple):
    """Something outside of the arguments that the code reaches.

    Attributes:
        category: see ``mystic_agent.contract.analysis.REACH``.
        name: e.g. ``time.time``.
        path: ``module:qualname`` of the functions on the way there, the first one included.
    """

    category: str
    name: str
    path: tuple[str, ...]


def reach(function: FunctionType, holder: type | None, ours: Callable[[str], bool]) -> list[Touch]:
    """Return what ``function`` reaches, each thing once, by the shortest way.

    Args:
        function: the original, not a trampoline.
        holder: the class it is a method of, if any.
        ours: true of the application's modules, whose functions are followed.
    """
    search = _Search(ours)
    search.root = behind(function).__code__
    name = f"{function.__module__}:{function.__qualname__}"
    for one in ambient(function, holder, ours):
        search.touch("context", one.name, (name,) if one.reader == name else (name, one.reader))
    search.enter(function, holder, (), 0)
    while search.waiting and len(search.seen) < MOST_FUNCTIONS:
        search.read(*search.waiting.popleft())
    return list(search.found.values())


class _Search:
    def __init__(self, ours: Callable[[str], bool]) -> None:
        self.ours = ours
        self.root: CodeType | None = None
        self.found: dict[tuple[str, str], Touch] = {}
        self.seen: set[int] = set()
        self.waiting: deque[tuple[FunctionType, type | None, tuple[str, ...], int]] = deque()

    def touch(self, category: str, name: str, path: tuple[str, ...]) -> None:
        if len(self.found) < MOST_TOUCHES:
            self.found.setdefault((category, name), Touch(category, name, path))

    def enter(self, function: FunctionType, holder: type | None, path: tuple[str, ...], foreign: int) -> None:
        function = behind(function)
        code = function.__code__
        if code is self.root and path:
            self.touch("recursion", path[0], path)
        if id(code) not in self.seen and len(path) <= DEEPEST:
            self.seen.add(id(code))
            self.waiting.append((function, holder, (*path, f"{function.__module__}:{function.__qualname__}"), foreign))

    def read(self, function: FunctionType, holder: type | None, path: tuple[str, ...], foreign: int) -> None:
        """Look at one function, and at what is defined inside it."""
        for code in _codes(function.__code__):
            for thing, _, owner in Names(code, function, holder).named():
                self.visit(thing, owner, path, foreign)
            for category, name in _done(code, function, holder):
                if not foreign:
                    self.touch(category, name, path)

    def visit(self, thing: Any, owner: type | None, path: tuple[str, ...], foreign: int) -> None:
        """Look at one thing that the code names."""
        thing = unwrapped(thing)
        if isinstance(thing, ModuleType):
            return
        label = _label(thing)
        category = _category(label)
        if category:
            self.touch(category, label, path)
            return
        module = label.partition(".")[0]
        if type(thing) is FunctionType:
            self.follow(thing, owner, path, foreign)
        elif isinstance(thing, type):
            made = unwrapped(looked_up(thing, "__init__"))
            if type(made) is FunctionType:
                self.follow(made, thing, path, foreign)
        elif module not in sys.stdlib_module_names:
            called = unwrapped(looked_up(type(thing), "__call__"))
            if type(called) is FunctionType:
                self.follow(called, type(thing), path, foreign)

    def follow(self, function: FunctionType, holder: type | None, path: tuple[str, ...], foreign: int) -> None:
        """Go into a function of the application, or one step into another package's."""
        module = str(function.__module__)
        if self.ours(module):
            self.enter(function, holder, path, 0)
        elif module.partition(".")[0] not in sys.stdlib_module_names:
            if not foreign:
                self.touch("foreign", f"{module}.{function.__qualname__}", path)
            if foreign < DEEPEST_FOREIGN:
                self.enter(function, holder, path, foreign + 1)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _label(thing: Any) -> str:
    """Return the name of a thing as its own module calls it, e.g. ``time.time``; of an instance that of its class."""
    if type(thing).__name__ in ("method_descriptor", "classmethod_descriptor", "builtin_function_or_method"):
        bound = getattr(thing, "__self__", None)
        owner = getattr(thing, "__objclass__", None) or (
            type(bound) if not isinstance(bound, ModuleType | None) else None
        )
        owner = bound if isinstance(bound, type) else owner
        module, name = (owner or thing).__module__, thing.__qualname__
    elif type(thing) is FunctionType or isinstance(thing, type):
        module, name = thing.__module__, thing.__qualname__
    elif type(thing).__qualname__ == "_Environ":
        return "os.environ"
    else:
        module, name = type(thing).__module__, type(thing).__qualname__
    module = _SAME.get(str(module), str(module))
    return f"{module.lstrip('_')}.{name}"


def _category(label: str) -> str:
    """Return the category of the longest rule that the label falls under, or an empty text."""
    while label:
        found = _CATEGORY.get(label)
        if found:
            return found
        label = label.rpartition(".")[0]
    return ""


def _done(code: CodeType, function: FunctionType, holder: type | None) -> Iterator[tuple[str, str]]:
    """Yield (category, name) of what the instructions themselves do: assign, open, print, change containers."""
    import dis

    steps = [one for one in dis.get_instructions(code) if one.opname not in SILENT]
    space, module = function.__globals__, str(function.__module__)
    for at, step in enumerate(steps):
        operation, name = step.opname, step.argval
        if operation in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            yield "global", f"{module}.{name}"
        elif operation in ("STORE_ATTR", "DELETE_ATTR") and holder is not None and _of_self(steps[:at]):
            if function.__name__ not in ("__init__", "__new__", "__post_init__"):
                yield "self", f"self.{name}"
        elif operation in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            for before in steps[max(0, at - 4) : at]:
                if before.opname == "LOAD_GLOBAL" and type(space.get(before.argval)).__name__ in _MUTABLE:
                    yield "global", f"{module}.{before.argval}"
        elif operation in ("LOAD_ATTR", "LOAD_METHOD"):
            yield from _asked(steps[at - 1] if at else None, name, space, module)
            if name == function.__name__ and not name.startswith("__"):  # its base's __init__ is another function
                yield "recursion", f"….{name}"
        elif operation == "LOAD_GLOBAL" and name == "getattr" and _by_name_on_self(steps[at + 1 : at + 9]):
            yield "recursion", "getattr(self, …)"
        elif operation == "LOAD_GLOBAL" and name in ("open", "print", "input") and name not in space:
            yield _builtin(name, steps[at + 1 : at + 9])


_MADE_UP = frozenset({"BINARY_OP", "BUILD_STRING", "BINARY_SUBSCR", "FORMAT_VALUE"})


def _by_name_on_self(following: Sequence[Any]) -> bool:
    """True for ``getattr(self, name)``: whatever method it finds may lead back to where it is asked for."""
    if len(following) < 3 or not _loads_self(following[0]):
        return False
    name = list(takewhile(lambda step: not step.opname.startswith("CALL"), following[1:]))
    return not name or name[0].opname != "LOAD_CONST" or any(step.opname in _MADE_UP for step in name)


def _asked(before: Any, name: str, space: dict[str, Any], module: str) -> Iterator[tuple[str, str]]:
    """Yield what an attribute's name tells of an object that is not known otherwise."""
    known = space.get(before.argval) if before is not None and before.opname == "LOAD_GLOBAL" else None
    if name in _MUTATING and type(known).__name__ in _MUTABLE:
        yield "global", f"{module}.{before.argval}"
    elif name in _UNKNOWN_WRITES and not isinstance(known, ModuleType):
        yield "writes", f"….{name}"
    elif name in _UNKNOWN_READS and not isinstance(known, ModuleType):
        yield "file", f"….{name}"


def _builtin(name: str, following: Sequence[Any]) -> tuple[str, str]:
    if name == "print":
        return "logging", "print"
    if name == "open":
        for step in following:
            if step.opname.startswith("CALL"):
                break
            if step.opname == "LOAD_CONST" and isinstance(step.argval, str) and _WRITING_MODE(step.argval):
                return "writes", f"open(…, {step.argval!r})"
    return "file", name


def _of_self(before: Sequence[Any]) -> bool:
    """True when what was loaded last is self, be it to be read and assigned again."""
    if before and before[-1].opname == "SWAP":
        near = before[-12:]
        return any(_loads_self(one) and after.opname == "COPY" for one, after in pairwise(near))
    return bool(before) and _loads_self(before[-1])


def _loads_self(step: Any) -> bool:
    last = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
    return step.opname.startswith("LOAD_FAST") and last in ("self", "cls")
