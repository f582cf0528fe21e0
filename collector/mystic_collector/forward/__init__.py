"""OTLP onward, to other receivers: offer → intake → a queue on disk for each destination → sender.

Law: nothing here keeps ingest waiting. What cannot be kept or delivered is dropped and counted with the reason.
"""
