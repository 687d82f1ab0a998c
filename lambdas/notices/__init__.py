"""Messages that a human can act on."""
