"""The state machines: one file is one machine, and reads like the runbook."""
