"""Frameworks that read signatures and kinds of functions see what they see without the agent (H10)."""

from __future__ import annotations


def test_click_commands_parse_and_answer_the_same(load):
    from click.testing import CliRunner

    app = load(
        '''
        import click

        @click.group(invoke_without_command=False)
        @click.option("--loud/--quiet", default=False)
        @click.pass_context
        def cli(context, loud):
            """A program."""
            context.obj = loud

        @cli.command()
        @click.argument("names", nargs=-1, type=str)
        @click.option("-n", "--number", default=2, show_default=True)
        @click.pass_obj
        def greet(loud, names, number):
            """Greet people."""
            for name in names * number:
                click.echo(name.upper() if loud else name)

        @cli.command(name="fail")
        def failing():
            raise click.ClickException("broken")
        '''
    )
    runner = CliRunner()
    assert runner.invoke(app.cli, ["--loud", "greet", "ann", "-n", "3"]).output == "ANN\nANN\nANN\n"
    assert "[default: 2]" in runner.invoke(app.cli, ["greet", "--help"]).output
    failed = runner.invoke(app.cli, ["fail"])
    assert (failed.exit_code, failed.output) == (1, "Error: broken\n")
    assert (app.calls("cli"), app.calls("greet"), app.calls("failing")) == (3, 1, 1)


def test_pytest_fixtures_of_every_scope_work(program, receiver):
    program.write(
        "test_shop.py",
        """
        import pytest

        @pytest.fixture(scope="module")
        def base():
            yield 1

        @pytest.fixture(params=[2, 3])
        def factor(request, base):
            return request.param * base

        class TestShop:
            @pytest.fixture(autouse=True)
            def prepared(self, factor):
                self.factor = factor

            @pytest.mark.parametrize("n", [1, 2])
            def test_multiple(self, n, factor, tmp_path):
                assert self.factor * n == factor * n

        def priced(n):
            return 3 * n

        def test_source():
            import inspect
            assert inspect.getsource(priced) == "def priced(n):\\n    return 3 * n\\n"

        def test_fails(base):
            assert base == 2
        """,
    )
    ended = program.run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "."], receiver.port)
    assert "1 failed, 5 passed" in ended.out, ended
    expected = {
        "test_shop:base": 1,
        "test_shop:factor": 4,
        "test_shop:TestShop.prepared": 4,
        "test_shop:TestShop.test_multiple": 4,
        "test_shop:test_fails": 1,
    }
    assert receiver.settle(expected) == expected
