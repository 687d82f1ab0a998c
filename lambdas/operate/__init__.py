"""What humans order while a release is under way or live: pause, resume, promote, abort, end-window, free."""
