"""The record of what serves and who works: the lease, the live release and every release's own history."""
