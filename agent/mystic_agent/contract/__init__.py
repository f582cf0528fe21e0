"""What the agent and the collector agree on: hijacks, targets, reports and wire names.

Law: pure data. No I/O, no clock, no import of either side; both sides validate with the same code.
"""
