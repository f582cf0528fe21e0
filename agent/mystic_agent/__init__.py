"""The agent that lives inside other people's processes.

Law: standard library and wrapt only; it never throws into, blocks, prints in or outgrows its host.
"""

__version__ = "0.1.0"
