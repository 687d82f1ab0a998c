"""What doctor looks at: one module per part of the settings, each a generator of findings."""
