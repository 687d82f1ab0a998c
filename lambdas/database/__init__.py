"""The RDS database: its snapshot before anything changes."""
