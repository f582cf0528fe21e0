"""What the agent makes of its environment and its file."""

from __future__ import annotations

import json
import math

import pytest
from mystic_agent.cli.config import shown
from mystic_agent.contract.target import Target
from mystic_agent.settings import CONFIG_FILE, IGNORED, Settings, load


@pytest.fixture
def project(tmp_path):
    """A project folder, named as a service may be."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


def configure(project, content):
    file = project / CONFIG_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_an_empty_environment_gives_the_defaults_without_a_warning(project):
    settings = load({}, str(project))
    assert settings == Settings(service="shop", project_root=str(project), origins=settings.origins)
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == set(Settings._fields) - {"origins", "warnings"}


def test_an_empty_or_blank_variable_is_an_unset_one(project):
    names = ("MYSTIC_ENABLED", "MYSTIC_HOST", "MYSTIC_PORT", "MYSTIC_ENV", "MYSTIC_SERVICE", "MYSTIC_TARGETS")
    more = ("MYSTIC_OVERHEAD_BUDGET", "MYSTIC_API_KEY", "MYSTIC_API_KEY_FILE", "PROJECT_ROOT", "LOG_LEVEL")
    assert load(dict.fromkeys(names, ""), str(project)) == load(dict.fromkeys(more, "  "), str(project))
    assert load(dict.fromkeys(names, ""), str(project)) == load({}, str(project))


@pytest.mark.parametrize(
    ("variable", "text", "name", "expected"),
    [
        ("MYSTIC_ENABLED", "Yes", "enabled", True),
        ("MYSTIC_ENABLED", "off", "enabled", False),
        ("MYSTIC_HOST", "mystic", "host", "mystic"),
        ("MYSTIC_HOST", "0.0.0.0", "host", "127.0.0.1"),
        ("MYSTIC_HOST", "[::1]", "host", "::1"),
        ("MYSTIC_PORT", "1", "port", 1),
        ("MYSTIC_ENV", "staging", "stage", "staging"),
        ("MYSTIC_SERVICE", "gnosis-ocr", "service", "gnosis-ocr"),
        ("OTEL_SERVICE_NAME", "from.otel", "service", "from.otel"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=res, c=d", "service", "res"),
        ("MYSTIC_OVERHEAD_BUDGET", "3%", "overhead_budget", 0.03),
        ("MYSTIC_OVERHEAD_BUDGET", "0.5", "overhead_budget", 0.5),
        ("MYSTIC_OVERHEAD_BUDGET", "off", "overhead_budget", 0.0),
        ("MYSTIC_OVERHEAD_BUDGET", "0", "overhead_budget", 0.0),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("MYSTIC_EXPORTER", "OTEL", "exporter", "otel"),
        ("MYSTIC_EXPORT_INTERVAL", "0.25", "interval", 0.25),
        ("MYSTIC_EXPORT_INTERVAL", "500ms", "interval", 0.5),
        ("MYSTIC_TRACES_PER_SECOND", "all", "sample_rate", math.inf),
        ("MYSTIC_TRACES_PER_SECOND", "0", "sample_rate", 0.0),
        ("MYSTIC_API_KEY", "s3cret", "api_key", "s3cret"),
        ("MYSTIC_TARGETS", "app", "targets", (Target("app", "*"),)),
        ("MYSTIC_TARGETS", " a.b:C.* ,, d.* ", "targets", (Target("a.b", "C.*"), Target("d.*", "*"))),
        ("MYSTIC_ALLOW", "app, lib.*", "allow", ("app", "lib.*")),
    ],
)
def test_a_variable_sets_its_value_and_is_named_as_the_origin(project, variable, text, name, expected):
    settings = load({variable: text}, str(project))
    assert getattr(settings, name) == expected
    assert settings.origins[name] == f"environment {variable}"
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("variable", "text", "remedy"),
    [
        ("MYSTIC_ENABLED", "ture", "give true or false"),
        ("MYSTIC_HOST", "http://mystic:8899", "without scheme and port"),
        ("MYSTIC_HOST", "mystic:8899", "without scheme and port"),
        ("MYSTIC_HOST", "a\nb", "without scheme and port"),
        ("MYSTIC_PORT", "0", "from 1 to 65535"),
        ("MYSTIC_PORT", "65536", "from 1 to 65535"),
        ("MYSTIC_PORT", "0088990", "from 1 to 65535"),
        ("MYSTIC_PORT", "٣", "from 1 to 65535"),
        ("MYSTIC_PORT", "tcp://10.0.0.1:8899", "from 1 to 65535"),
        ("MYSTIC_ENV", "my stage", "letters, digits"),
        ("MYSTIC_OVERHEAD_BUDGET", "3", "'3%' or '0.03'"),
        ("MYSTIC_OVERHEAD_BUDGET", "nan", "'3%' or '0.03'"),
        ("MYSTIC_OVERHEAD_BUDGET", "-1%", "'3%' or '0.03'"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO"),
        ("MYSTIC_EXPORTER", "zipkin", "otlp, otel"),
        ("MYSTIC_EXPORT_INTERVAL", "2h", "'50ms' to '1h'"),
        ("MYSTIC_EXPORT_INTERVAL", "soon", "positive duration"),
        ("MYSTIC_TRACES_PER_SECOND", "-5", "'all', or 0"),
        ("MYSTIC_TRACES_PER_SECOND", "nan", "'all', or 0"),
        ("MYSTIC_TARGETS", "a b:c", "package.module:qualname"),
        ("MYSTIC_ALLOW", "a/b", "'package.module', globs allowed"),
        ("PROJECT_ROOT", "/not/there", "give a folder that exists"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_remedy_and_the_default_stays(project, variable, text, remedy):
    settings = load({variable: text}, str(project))
    plain = load({}, str(project))
    [warning] = settings.warnings
    assert warning.startswith(f"{variable} is ")
    assert repr(text)[:70] in warning
    assert remedy in warning
    assert settings == Settings(**{name: getattr(plain, name) for name in plain._fields[:-1]}, warnings=(warning,))


def test_the_good_targets_are_kept_when_one_is_bad(project):
    settings = load({"MYSTIC_TARGETS": "app, a b, lib:f"}, str(project))
    assert settings.targets == (Target("app", "*"), Target("lib", "f"))
    assert len(settings.warnings) == 1


def test_our_service_name_goes_before_opentelemetrys_and_both_before_the_files(project):
    configure(project, {"project_name": "filed"})
    ours, otel = {"MYSTIC_SERVICE": "ours"}, {"OTEL_SERVICE_NAME": "otel"}
    assert load({**ours, **otel}, str(project)).service == "ours"
    assert load(otel, str(project)).service == "otel"
    assert load({}, str(project)).service == "filed"


def test_a_service_name_that_no_hijack_could_give_is_fitted_and_said(project):
    settings = load({"OTEL_SERVICE_NAME": "My shop (é)"}, str(project))
    assert settings.service == "My-shop"
    assert "'My-shop' is used" in settings.warnings[0]


def test_a_service_without_any_name_is_unknown():
    assert load({}, "/").service == "unknown_service"


# -- the key -----------------------------------------------------------------------------------------


def test_the_key_is_never_shown(project):
    settings = load({"MYSTIC_API_KEY": "s3cret"}, str(project))
    assert "s3cret" not in repr(settings)


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(project):
    settings = load({"MYSTIC_API_KEY": "s3c\nret"}, str(project))
    assert settings.api_key == ""
    assert "s3c" not in settings.warnings[0]
    assert "printable ASCII" in settings.warnings[0]


def test_the_key_is_read_from_its_file_without_the_final_newline(project):
    (project / "key").write_text("s3cret\n")
    settings = load({"MYSTIC_API_KEY_FILE": str(project / "key")}, str(project))
    assert (settings.api_key, settings.origins["api_key"]) == ("s3cret", "environment MYSTIC_API_KEY_FILE")


def test_the_variable_goes_before_the_file(project):
    (project / "key").write_text("filed")
    environ = {"MYSTIC_API_KEY_FILE": str(project / "key"), "MYSTIC_API_KEY": "direct"}
    assert load(environ, str(project)).api_key == "direct"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"a\nb"])
def test_a_key_file_that_cannot_be_used_is_named_without_its_content(project, content):
    path = project / "key"
    if content is not None:
        path.write_bytes(content)
    settings = load({"MYSTIC_API_KEY_FILE": str(path)}, str(project))
    assert settings.api_key == ""
    assert settings.warnings[0].startswith("MYSTIC_API_KEY_FILE is ")


# -- the project root --------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["pyproject.toml", "setup.py", "setup.cfg", ".git", ".mystic/config.json"])
def test_the_nearest_folder_that_looks_like_a_project_is_the_root(tmp_path, mark):
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "project" / mark).parent.mkdir(exist_ok=True)
    (tmp_path / "project" / mark).write_text("{}")
    (tmp_path / "setup.py").touch()
    assert load({}, str(inner)).project_root == str(tmp_path / "project")


def test_a_given_root_needs_no_mark_and_may_be_relative(tmp_path):
    (tmp_path / "plain").mkdir()
    settings = load({"PROJECT_ROOT": "plain"}, str(tmp_path))
    assert settings.project_root == str(tmp_path / "plain")
    assert settings.origins["project_root"] == "environment PROJECT_ROOT"


@pytest.mark.parametrize("given", ["/", "~"])
def test_the_whole_disk_or_home_is_the_root_only_when_it_is_asked_for(tmp_path, monkeypatch, given):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()
    folder = "/" if given == "/" else str(tmp_path)
    assert load({}, folder).project_root == ""
    assert load({"PROJECT_ROOT": given}, str(tmp_path)).project_root == folder


def test_a_home_kept_in_git_is_not_the_project_of_what_lies_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()
    (tmp_path / "scripts").mkdir()
    assert load({}, str(tmp_path / "scripts")).project_root == str(tmp_path / "scripts")


def test_a_working_directory_that_is_gone_leaves_the_root_unknown(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load({}).project_root == ""


# -- the file ----------------------------------------------------------------------------------------


def test_the_file_sets_its_values_and_is_named_as_their_origin(project):
    (project / "app").mkdir()
    content = {
        "version": 1,
        "project_name": "OCR project",
        "project_root": "app",
        "ignore_patterns": ["*.pyc", "old"],
        "auto_discover": False,
        "mcp_enabled": False,
    }
    file = configure(project, content)
    settings = load({}, str(project))
    assert settings.warnings == ()
    assert (settings.service, settings.project_root) == ("OCR-project", str(project / "app"))
    assert (settings.ignore_patterns, settings.auto_discover, settings.mcp_enabled) == (("*.pyc", "old"), False, False)
    assert settings.origins["ignore_patterns"] == f"file {file}"


def test_the_environment_goes_before_the_file(project, tmp_path):
    configure(project, {"project_root": "/", "project_name": "filed"})
    settings = load({"PROJECT_ROOT": str(project), "MYSTIC_SERVICE": "given"}, str(tmp_path))
    assert (settings.project_root, settings.service) == (str(project), "given")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[1]", "write a JSON object"),
        ("[" * 100_000, "cannot be read"),
        ({"colour": "red"}, "unknown key; known are version, project_name"),
        ({"version": 2}, "this release reads version 1"),
        ({"version": True}, "this release reads version 1"),
        ({"project_name": 3}, "give a name"),
        ({"project_root": "/not/there"}, "give a folder that exists"),
        ({"ignore_patterns": "*.pyc"}, "give a list of globs"),
        ({"auto_discover": "maybe"}, "give true or false"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_used_is_named_and_its_defaults_stay(project, content, said):
    file = configure(project, content)
    settings = load({}, str(project))
    assert len(settings.warnings) == 1
    assert str(file) in settings.warnings[0]
    assert said in settings.warnings[0]
    assert (settings.service, settings.project_root, settings.ignore_patterns) == ("shop", str(project), IGNORED)


def test_a_file_that_may_not_be_decoded_is_named(project):
    configure(project, {}).write_bytes(b"\xff")
    assert "cannot be read" in load({}, str(project)).warnings[0]


def test_the_key_of_the_shared_cache_is_read_long_enough_and_never_shown(project):
    secret = "a secret of sixteen or more"
    (project / "key").write_text(secret + "\n")
    for environ in ({"MYSTIC_CACHE_KEY": secret}, {"MYSTIC_CACHE_KEY_FILE": str(project / "key")}):
        settings = load(environ, str(project))
        assert settings.cache_key == secret
        assert secret not in repr(settings) + str(shown(settings))
    short = load({"MYSTIC_CACHE_KEY": "tooshort"}, str(project))
    assert (short.cache_key, "tooshort" in short.warnings[0]) == ("", False)
    assert "16 characters" in short.warnings[0]
