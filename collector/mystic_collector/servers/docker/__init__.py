"""Servers as containers of a Docker engine.

Law: what runs is never privileged, never root, has no mount of the host, no capability and no way to gain one;
whatever is ours carries our label, so that nothing of it is ever lost, and nothing of anybody else ever touched.
"""
