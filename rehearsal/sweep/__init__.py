"""Break it everywhere: every fault at every moment of every path, and what must hold after it."""
