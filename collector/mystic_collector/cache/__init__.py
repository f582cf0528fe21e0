"""Results that several processes share, kept beside the application.

Law: bytes in, the same bytes out. Nothing is ever unpickled, no path outside the folder is opened, and what is not in
the form we wrote is dropped and counted.
"""
