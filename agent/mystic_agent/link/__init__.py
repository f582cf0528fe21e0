"""The way from the agent to its collector and back: telemetry up, hijacks down, reports up.

Law: everything here happens on daemon threads of our own, within bounds of time and bytes, and ends quietly.
A server is believed nothing: redirects are not followed, replies are cut, hijacks are validated one by one,
and garbage leaves the last good set in force. What is needed from the standard library beyond threads is
imported on those threads.
"""

from mystic_agent.link.archive import CollectorArchive
from mystic_agent.link.endpoint import Destination, Endpoint
from mystic_agent.link.gate import hold, let_go, renew
from mystic_agent.link.link import Link
from mystic_agent.link.otlp_urls import OtlpUrls, otlp_urls

__all__ = [
    "CollectorArchive",
    "Destination",
    "Endpoint",
    "Link",
    "OtlpUrls",
    "hold",
    "let_go",
    "otlp_urls",
    "renew",
]
