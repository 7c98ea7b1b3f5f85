"""The bytes of arrays: in chunks in a folder or a bucket, listed in the job's record."""
