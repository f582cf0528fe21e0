"""Exceptions, warnings and log records tell the same story as without the agent (H13)."""

from __future__ import annotations

import logging
import traceback
import warnings

import pytest
from mystic_agent import lifecycle
from mystic_agent.trampoline import MARK

SOURCE = """
    import logging, warnings

    class Refused(Exception):
        pass

    error = Refused("no")
    error.add_note("a note")

    def direct():
        raise error

    def chained():
        try:
            {}["key"]
        except KeyError as cause:
            raise error from cause

    def through():
        return direct()

    def raising(what):
        raise what

    async def raising_later(what):
        raise what

    def generating(what):
        yield 1
        raise what

    async def streaming(what):
        yield 1
        raise what

    def handling():
        try:
            direct()
        except Refused as caught:
            return caught

    def warn(level):
        warnings.warn("old", DeprecationWarning, stacklevel=level)

    def warn_through(level):
        warn(level)

    def log(level):
        logging.getLogger("application").warning("hello", stacklevel=level)

    def log_through(level):
        log(level)
"""


def frames(error):
    """Return the frames of the traceback as (file, function), ours apart."""
    found = traceback.extract_tb(error.__traceback__)
    return [f.name for f in found if not f.filename.startswith(MARK)], [f for f in found if f.filename.startswith(MARK)]


def test_the_same_exception_arrives_with_its_cause_and_notes(load):
    app = load(SOURCE)
    with pytest.raises(app.Refused) as caught:
        app.direct()
    assert caught.value is app.error
    assert caught.value.__notes__ == ["a note"]
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    with pytest.raises(app.Refused) as caught:
        app.chained()
    assert caught.value is app.error
    assert type(caught.value.__cause__) is KeyError
    assert caught.value.__context__ is caught.value.__cause__
    assert app.handling() is app.error


def test_a_traceback_has_at_most_one_frame_more_for_each_call_and_it_is_marked(load):
    app = load(SOURCE)
    with pytest.raises(app.Refused) as caught:
        app.through()
    theirs, ours = frames(caught.value)
    assert theirs[1:] == ["through", "direct"]
    assert [frame.name for frame in ours] == ["through", "direct"]
    assert [frame.line for frame in ours] == ["def through():", "def direct():"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, ExceptionGroup])
def test_exceptions_of_every_kind_pass_through_as_the_same_object(load, kind):
    app = load(SOURCE)
    error = kind("several", [ValueError(1), TypeError(2)]) if kind is ExceptionGroup else kind("why")
    with pytest.raises(kind) as caught:
        app.raising(error)
    assert caught.value is error
    with pytest.raises(kind) as caught:
        app.raising_later(error).send(None)
    assert caught.value is error
    generator = app.generating(error)
    assert next(generator) == 1
    with pytest.raises(kind) as caught:
        next(generator)
    assert caught.value is error
    stream = app.streaming(error)
    with pytest.raises(StopIteration):
        stream.__anext__().send(None)
    with pytest.raises(kind) as caught:
        stream.__anext__().send(None)
    assert caught.value is error


def test_a_part_of_an_exception_group_is_handled_by_the_application(load):
    app = load(
        """
        def several():
            raise ExceptionGroup("several", [ValueError(1), TypeError(2)])

        def handling():
            try:
                several()
            except* ValueError as group:
                return_value.append(group.exceptions)
        return_value = []
        """
    )
    with pytest.raises(ExceptionGroup) as caught:
        app.handling()
    assert [type(one) for one in caught.value.exceptions] == [TypeError]
    assert [str(one) for one in app.return_value[0]] == ["1"]


def test_only_exceptions_are_errors(load):
    app = load(SOURCE)
    for error in (ValueError(), SystemExit(), KeyboardInterrupt(), StopIteration(), GeneratorExit()):
        with pytest.raises(type(error)):
            app.raising(error)
    meter = lifecycle.current().attachments.by_name["application:raising"].meter
    assert (meter.calls, meter.read().errors) == (5, 1)


def _warned(call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    return [(warning.filename, warning.lineno) for warning in seen]


def _logged(call):
    records = []
    logger, handler = logging.getLogger("application"), logging.Handler()
    handler.emit = lambda record: records.append((record.pathname, record.lineno, record.funcName))
    logger.addHandler(handler)
    try:
        call()
    finally:
        logger.removeHandler(handler)
    return records


def _both(recorded, direct, through, level):
    return [recorded(lambda: call(level)) for call in (direct, through)]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_warnings_name_the_same_line(load, level):
    app = load(SOURCE)
    ours = _both(_warned, app.module.warn, app.module.warn_through, level)
    assert (app.calls("warn"), app.calls("warn_through")) == (2, 1)
    lifecycle.stop()
    assert ours == _both(_warned, app.module.warn, app.module.warn_through, level)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_log_records_name_the_same_line_and_function(load, level):
    app = load(SOURCE)
    ours = _both(_logged, app.module.log, app.module.log_through, level)
    assert (app.calls("log"), app.calls("log_through")) == (2, 1)
    lifecycle.stop()
    assert ours == _both(_logged, app.module.log, app.module.log_through, level)
