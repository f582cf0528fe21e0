"""What people and programs ask: thin endpoints, query → store, registry or fleet → reply."""
