"""
What brings Runback into a real account: look whether everything is there, show what would change, deploy it.

Run it as `python -m install`, or as `make doctor`, `make diff` and `make deploy`. Nothing else imports this package.
"""
