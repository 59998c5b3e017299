"""What is measured, one file per kind of measurement; each returns rows of the table."""
