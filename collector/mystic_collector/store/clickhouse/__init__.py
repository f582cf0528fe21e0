"""The store on ClickHouse: several collectors write to and read from one engine, and any of them shows the whole fleet.

Law: whatever is inserted twice counts once, because nobody can say whether an insert whose answer got lost was kept.
Values and names reach the engine as parameters or encoded blocks, never as text of a statement.
"""
