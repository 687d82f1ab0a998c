"""The way back: recorded before a release changes anything, claimed when it is needed."""
