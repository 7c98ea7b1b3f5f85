"""A kernel in a child process, which can be killed where the kernel does not return."""
