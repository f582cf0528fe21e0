"""Results kept by canonical key. Law: never a wrong value; what cannot be keyed safely is not cached."""
