"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("gnosis-mystic")
except PackageNotFoundError:  # a copied tree
    VERSION = "unknown"
