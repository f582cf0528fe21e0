"""Chat clients on this machine: where each keeps its configuration, and how it is told of the chat.

Law: the file is somebody else's. What is not ours stays as it is, what was there is kept beside it, and a file that is
not understood is not touched.
"""
