"""The collector's commands of the ``mystic`` program. Law: one file per command; a running collector is asked over HTTP."""
