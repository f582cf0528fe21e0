"""The collector beside the application: takes OTLP, keeps it, pushes hijacks down, answers people.

Law: of the agent it imports the contract, and what a command is; what agents send is data, never code.
"""
