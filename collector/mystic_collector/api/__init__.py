"""What people and programs ask. Law: thin endpoints, query → store, registry or fleet → reply; no rule lives here."""
