"""What the application's functions do outside of their process: sockets they talk to, programs they start.

Found from behaviour, so that it holds for every library that goes through Python's sockets or ``subprocess``. While
nothing of the kind happens nothing of ours runs: the methods of ``socket.socket`` and ``subprocess.Popen`` are stood in
for, and everything else is as it was. Who is calling is read from the stack, once for each request and bounded.

Law: only sockets that this process has connected are looked at, so that what a server answers is no external call; the
agent's own threads pass by; nothing here raises into a call, and the original runs exactly once.
"""
