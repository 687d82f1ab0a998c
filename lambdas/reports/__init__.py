"""What became of a release, as one page that anybody can read."""
