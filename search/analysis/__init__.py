"""What a study found, as numbers and typed rows: nothing here draws or writes files."""
