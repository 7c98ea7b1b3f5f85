"""What jobs took and will take, in time and dollars."""
