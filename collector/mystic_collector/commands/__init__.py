"""The collector's commands of the ``mystic`` program. Law: one file each; a collector is asked over HTTP."""
