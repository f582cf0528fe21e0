"""The page: static files that ask the API, and the cookie that stands for the key in a browser.

Law: nothing is known here that the API does not tell; nothing is written into HTML on the server.
``static/vendor/uplot`` is uPlot 1.6.32 (MIT, see the licence beside it), unchanged, from its npm release.
"""
