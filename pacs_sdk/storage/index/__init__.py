"""The index database: its tables, and what is written to them."""
