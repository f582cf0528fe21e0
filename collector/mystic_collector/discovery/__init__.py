"""What functions exist: read from source with ``ast``. Law: nothing is ever imported or executed."""
