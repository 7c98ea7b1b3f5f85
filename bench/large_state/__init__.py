"""One slice of a kernel with a large state, in a process of its own."""
