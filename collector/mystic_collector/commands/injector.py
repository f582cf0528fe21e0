"""``mystic injector``: the admission webhook that puts the agent into pods which ask for it."""

from __future__ import annotations

import argparse

from mystic_agent.cli.command import Command

from mystic_collector.commands.ending import Failed, ending


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes nothing but what every command takes; the environment says the rest."""


@ending
def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    # Imported here, so that listing the commands stays quick.
    from kubernetes.config import ConfigException
    from yaml import YAMLError

    from mystic_collector.injection.registration import Webhook
    from mystic_collector.injection.server import Injector
    from mystic_collector.injection.settings import load
    from mystic_collector.listener import start_logging
    from mystic_collector.settings import load as load_collector

    # The last two: the client takes any YAML for a kubeconfig and then finds that it has another shape.
    unusable = (ConfigException, YAMLError, OSError, ValueError, TypeError, AttributeError)
    start_logging(load_collector().log_level)
    settings = load()
    try:
        registration = Webhook(settings.name)
    except unusable as error:
        text = f"no cluster is known here ({error})"
        raise Failed(text, "run it in a pod, or set KUBECONFIG") from error
    try:
        server = Injector(settings, registration).server()
    except OSError as error:
        raise Failed(str(error), "set MYSTIC_INJECTOR_PORT to a free port") from error
    server.run()
    return 0


command = Command(
    name="injector",
    help="put the agent into Kubernetes pods annotated with mystic.io/inject",
    example="mystic injector",
    configure=configure,
    run=run,
)
