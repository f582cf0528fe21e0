"""Proven hijacks as source patches. Law: source text in, source text out; nothing is imported, run or written."""
