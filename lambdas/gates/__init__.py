"""What alarms and metrics say about a release."""
