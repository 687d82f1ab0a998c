"""The repository that the versions come from: its pushes, and what is told back to it."""
