"""The listener: which share of the traffic each color receives."""
