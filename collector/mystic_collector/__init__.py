"""The collector beside the application: takes OTLP, keeps it, pushes hijacks down, answers people."""
