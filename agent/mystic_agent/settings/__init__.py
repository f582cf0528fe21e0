"""What the agent was told: MYSTIC_* variables and ``.mystic/config.json``, read once and frozen.

Law: never raises. A value that cannot be used is left at its default and named, with its remedy, in
``Settings.warnings``. An empty variable is an unset one. Environment goes before file, file before default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.target import Target
from mystic_agent.settings import value

CONFIG_FILE = ".mystic/config.json"
IGNORED = ("*.pyc", "__pycache__", ".git", ".venv")
ROOT_MARKS = (CONFIG_FILE, "pyproject.toml", "setup.py", "setup.cfg", ".git")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
EXPORTERS = ("otlp", "otel")
_SECRET = frozenset({"api_key", "cache_key"})


class Settings(NamedTuple):
    """The agent's settings, each with its origin.

    Attributes:
        enabled: MYSTIC_ENABLED; None when unset.
        host, port: where the collector listens.
        stage: MYSTIC_ENV, the stage whose strategies are in force.
        service: the name hijacks and telemetry know this program by.
        targets: functions to observe; empty means the packages under ``project_root``.
        overhead_budget: share of one core that the agent may cost; 0.0 switches the governor off.
        api_key: sent to the collector; empty for none. Never in ``repr``.
        cache_key: what agents sign shared cache entries with; never sent anywhere, never in ``repr``.
        project_root: folder of the application, absolute; empty when it cannot be told.
        ignore_patterns: globs of files and folders under the root that are not the application's.
        log_level: of the agent's own logger.
        exporter: ``otlp``, or ``otel`` to hand everything to the application's OpenTelemetry SDK.
        interval: seconds between two exports.
        sample_rate: traces kept per second; ``inf`` for all, 0.0 for none.
        allow: module globs that a hijack may name code from; empty means the application's own packages.
        analyze: note, unasked, how often calls repeat where a cache could matter.
        allowed_strategies: names of those that hijacks may use here; None for all, empty for observing alone.
        auto_discover, mcp_enabled: from the file, for the collector.
        origins: setting name → ``environment NAME``, ``file PATH`` or ``default``.
        warnings: what could not be used, why, and what to do.
    """

    enabled: bool | None = None
    host: str = "127.0.0.1"
    port: int = 8899
    stage: str = "development"
    service: str = "unknown_service"
    targets: tuple[Target, ...] = ()
    overhead_budget: float = 0.03
    api_key: str = ""
    cache_key: str = ""
    project_root: str = ""
    ignore_patterns: tuple[str, ...] = IGNORED
    log_level: str = "WARNING"
    exporter: str = "otlp"
    interval: float = 1.0
    sample_rate: float = 5.0
    allow: tuple[str, ...] = ()
    analyze: bool = True
    allowed_strategies: tuple[str, ...] | None = None
    auto_discover: bool = True
    mcp_enabled: bool = True
    origins: Mapping[str, str] = MappingProxyType({})
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Leave the keys out: what is printed or logged is read by others."""
        shown = ", ".join(f"{name}={item!r}" for name, item in self._asdict().items() if name not in _SECRET)
        return f"Settings({shown})"


def load(environ: Mapping[str, str] = os.environ, cwd: str | None = None) -> Settings:
    """Read the settings of a process.

    Args:
        environ: its environment.
        cwd: its working directory; asked of the operating system when None.
    """
    reader = _Reader(environ)
    _read_root(reader, _folder(cwd))
    reader.take("enabled", "MYSTIC_ENABLED", value.flag)
    reader.take("host", "MYSTIC_HOST", value.host)
    reader.take("port", "MYSTIC_PORT", value.port)
    reader.take("stage", "MYSTIC_ENV", value.label)
    reader.take("overhead_budget", "MYSTIC_OVERHEAD_BUDGET", value.budget)
    reader.take("log_level", "LOG_LEVEL", value.one_of(str.upper, LEVELS))
    reader.take("exporter", "MYSTIC_EXPORTER", value.one_of(str.lower, EXPORTERS))
    reader.take("analyze", "MYSTIC_ANALYZE", value.flag)
    reader.take("interval", "MYSTIC_EXPORT_INTERVAL", value.interval)
    reader.take("sample_rate", "MYSTIC_TRACES_PER_SECOND", value.rate)
    reader.take("api_key", "MYSTIC_API_KEY", value.key)
    if "api_key" not in reader.values:
        reader.take("api_key", "MYSTIC_API_KEY_FILE", value.key_file)
    reader.take("cache_key", "MYSTIC_CACHE_KEY", value.long_key)
    if "cache_key" not in reader.values:
        reader.take("cache_key", "MYSTIC_CACHE_KEY_FILE", value.long_key_file)
    reader.take_each("targets", "MYSTIC_TARGETS", value.target)
    reader.take_each("allow", "MYSTIC_ALLOW", value.module_glob)
    _read_strategies(reader)
    _read_service(reader)
    return Settings(**reader.values, origins=reader.origins, warnings=tuple(reader.warnings))


class _Reader:
    """Collects values with their origins, and warnings instead of errors."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.values: dict[str, Any] = {}
        self.origins = dict.fromkeys(Settings._fields[: -len(("origins", "warnings"))], "default")
        self.warnings: list[str] = []

    def get(self, variable: str) -> str:
        return self.environ.get(variable, "").strip()

    def put(self, name: str, chosen: object, origin: str) -> None:
        self.values[name] = chosen
        self.origins[name] = origin

    def warn(self, error: Invalid, outcome: str) -> None:
        self.warnings.append(f"{error}; {outcome}")

    def take(self, name: str, variable: str, read: Callable[[str, str], object]) -> None:
        """Set ``name`` from ``variable`` when it is there and ``read`` accepts it."""
        text = self.get(variable)
        if not text:
            return
        try:
            self.put(name, read(text, variable), f"environment {variable}")
        except Invalid as error:
            self.warn(error, "the default is used")

    def take_each(self, name: str, variable: str, read: Callable[[str, str], object]) -> None:
        """Set ``name`` to the tuple of what ``read`` accepts of the comma-separated ``variable``."""
        good = []
        for item in filter(None, (part.strip() for part in self.get(variable).split(","))):
            try:
                good.append(read(item, variable))
            except Invalid as error:
                self.warn(error, "this item is left out")
        if good:
            self.put(name, tuple(good), f"environment {variable}")


def _read_root(reader: _Reader, cwd: str) -> None:
    """Set the project root, and what the configuration file in it says."""
    given = reader.get("PROJECT_ROOT")
    root = os.path.abspath(os.path.join(cwd, os.path.expanduser(given))) if given else ""
    if root and not os.path.isdir(root):
        reader.warn(Invalid("PROJECT_ROOT", given, "give a folder that exists"), "the default is used")
        root = ""
    if root:
        reader.put("project_root", root, "environment PROJECT_ROOT")
    elif cwd:
        root = _nearest_root(cwd)
        reader.values["project_root"] = root
    if root and os.path.isfile(os.path.join(root, CONFIG_FILE)):
        _read_file(reader, root, os.path.join(root, CONFIG_FILE))


def _nearest_root(cwd: str) -> str:
    """Return the nearest folder around ``cwd`` that looks like a project, else ``cwd``; never the home or ``/``."""
    home = os.path.realpath(os.path.expanduser("~"))
    folder = cwd
    while folder != os.path.dirname(folder) and os.path.realpath(folder) != home:
        if any(os.path.exists(os.path.join(folder, mark)) for mark in ROOT_MARKS):
            return folder
        folder = os.path.dirname(folder)
    return "" if cwd == os.path.dirname(cwd) or os.path.realpath(cwd) == home else cwd


def _read_file(reader: _Reader, root: str, path: str) -> None:
    """Take over ``.mystic/config.json``: project_name, project_root, ignore_patterns and flags."""
    import json  # only where there is a file to read

    try:
        with open(path, encoding="utf-8") as file:
            content = json.loads(file.read(value.MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        reader.warnings.append(f"{path!r} cannot be read ({error}): write JSON, or run 'mystic init'; it is ignored")
        return
    if not isinstance(content, dict):
        reader.warn(Invalid(path, content, "write a JSON object"), "it is ignored")
        return
    for key, given in content.items():
        known = _FILE_KEYS.get(key)
        try:
            if known is None:
                raise Invalid(f"{path} {key}", given, f"unknown key; known are {', '.join(_FILE_KEYS)}")
            name, read = known
            if key == "project_root" and isinstance(given, str):
                given = os.path.join(root, given)
            if reader.origins.get(name, "default") == "default":
                reader.put(name, read(given, f"{path} {key}"), f"file {path}")
        except Invalid as error:
            reader.warn(error, "it is ignored")
    reader.values.pop("version", None)
    reader.origins.pop("version", None)


def _read_strategies(reader: _Reader) -> None:
    """Set the allowed strategies. What cannot be used allows nothing: a mistake must not open what was to be closed."""
    if reader.get("MYSTIC_ALLOWED_STRATEGIES"):
        reader.put("allowed_strategies", (), "environment MYSTIC_ALLOWED_STRATEGIES")
        reader.take_each("allowed_strategies", "MYSTIC_ALLOWED_STRATEGIES", value.strategy)


def _read_service(reader: _Reader) -> None:
    """Set the service: MYSTIC_SERVICE, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, the file's name, the folder's."""
    resource = dict(pair.split("=", 1) for pair in reader.get("OTEL_RESOURCE_ATTRIBUTES").split(",") if "=" in pair)
    for variable, text in (
        ("MYSTIC_SERVICE", reader.get("MYSTIC_SERVICE")),
        ("OTEL_SERVICE_NAME", reader.get("OTEL_SERVICE_NAME")),
        ("OTEL_RESOURCE_ATTRIBUTES", resource.get("service.name", "").strip()),
    ):
        if text:
            reader.put("service", value.fit(text), f"environment {variable}")
            if value.fit(text) != text:
                remedy = "hijacks name a service by up to 63 letters, digits, '.', '_' or '-'"
                reader.warn(Invalid(variable, text, remedy), f"{value.fit(text)!r} is used")
            return
    if "service" not in reader.values and reader.values.get("project_root"):
        reader.values["service"] = value.fit(os.path.basename(reader.values["project_root"]))


def _folder(cwd: str | None) -> str:
    try:
        return os.path.abspath(os.getcwd() if cwd is None else cwd)
    except OSError:  # the working directory has been deleted
        return ""


_FILE_KEYS: dict[str, tuple[str, Callable[[Any, str], object]]] = {
    "version": ("version", value.version),
    "project_name": ("service", lambda given, name: value.fit(value.title(given, name))),
    "project_root": ("project_root", value.directory),
    "ignore_patterns": ("ignore_patterns", value.patterns),
    "auto_discover": ("auto_discover", value.flag),
    "mcp_enabled": ("mcp_enabled", value.flag),
}
