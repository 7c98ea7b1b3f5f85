"""Jobs as people and programs deal with them: submit, follow, steer, wake, remove."""
