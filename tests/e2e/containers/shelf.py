"""An application that nobody here wrote, in an image that knows nothing of Mystic.

pypiserver, an index of Python packages, computes the digest of every file whenever it lists them: a function worth
caching.
"""

from __future__ import annotations

from pathlib import Path

DIGEST = "pypiserver.backend:digest_file"
FILES = 3
PORT = 7799
PAGE = "/simple/pen/"
DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
WORKDIR /srv
RUN python -m pip install --quiet --no-cache-dir --target /srv pypiserver==2.4.2
COPY packages /packages
USER 1000
CMD ["python", "-m", "pypiserver", "run", "-p", "{PORT}", "--disable-fallback", "/packages"]
"""


def write(root: Path) -> None:
    """Write the application's build context."""
    (root / "packages").mkdir(parents=True)
    for number in range(FILES):
        (root / "packages" / f"pen-{number}.0.tar.gz").write_bytes(b"ink" * 1000 * (number + 1))
    (root / "Dockerfile").write_text(DOCKERFILE)
