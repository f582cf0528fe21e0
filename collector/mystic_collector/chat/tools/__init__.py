"""One function a tool. Law: each does one thing a person would say, and tells a model when to use it."""
