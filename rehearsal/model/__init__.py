"""The customer's world without processes, for virtual time: the same interfaces, the same rules."""
