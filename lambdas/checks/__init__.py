"""Whether a version does what users need: smoke checks, database and cache, errors in the application's log."""
