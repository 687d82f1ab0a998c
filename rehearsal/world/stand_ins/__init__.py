"""Programs that stand in for others in the container of a build."""
