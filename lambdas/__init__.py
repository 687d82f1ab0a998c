"""Everything that runs in Lambda: one room per capability, one file per function."""
