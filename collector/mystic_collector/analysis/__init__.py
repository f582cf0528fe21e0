"""Answers computed from what a store holds. Law: pure functions over records; no I/O, no clock."""
