"""What the routes are, described by area; ``openapi`` puts them together. Law: pure data."""
