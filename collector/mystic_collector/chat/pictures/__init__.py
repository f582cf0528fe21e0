"""Pictures of figures and traces as PNG. Law: pure; what the API answered in, bytes out."""
