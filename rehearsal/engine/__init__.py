"""The AWS services that make a release happen, emulated closely enough to run the shipped template and code."""
