"""The Mystic server of $name: what `mystic serve` does, in a place where a project can add to it."""

from mystic_collector.listener import start_logging
from mystic_collector.server import CollectorServer
from mystic_collector.settings import load


def main() -> None:
    settings = load()  # from the environment: MYSTIC_HOST, MYSTIC_PORT, PROJECT_ROOT, LOG_LEVEL …
    start_logging(settings.log_level)
    CollectorServer(settings).run()


if __name__ == "__main__":
    main()
