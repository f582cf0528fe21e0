"""What exported decorators are made of, copied file by file. Law: the standard library alone, and nothing of ours."""
