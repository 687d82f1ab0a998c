"""A pretend AWS account on one machine: it runs the synthesized template, and real traffic, without AWS."""
