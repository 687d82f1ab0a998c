"""The Auto Scaling groups of the two colors."""
