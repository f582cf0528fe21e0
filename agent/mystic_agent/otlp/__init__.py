"""Records turned into OTLP messages, as bytes.

Law: pure. No I/O, no clock, no protobuf library; field numbers are those of ``opentelemetry-proto`` 1.x, and
the tests parse every message back with the official classes. Text that is not valid Unicode is replaced,
never refused: an encoder that raises would lose the batch.
"""

from mystic_agent.otlp.logs import encode_logs
from mystic_agent.otlp.metrics import encode_metrics
from mystic_agent.otlp.reply import Rejection, read_rejection
from mystic_agent.otlp.resource import encode_resource
from mystic_agent.otlp.spans import encode_spans

__all__ = ["Rejection", "encode_logs", "encode_metrics", "encode_resource", "encode_spans", "read_rejection"]
