"""OTLP in: endpoint → body → decode → writer.

Law: decoding is pure and refuses bad input with :class:`mystic_collector.otlp.refused.RefusedError`;
only the writer's thread touches the store.
"""
