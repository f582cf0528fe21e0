"""What functions really gave, kept until somebody deletes it. Law: data only."""
