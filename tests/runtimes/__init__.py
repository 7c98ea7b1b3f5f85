"""Jobs on the platforms' own programs: AWS's runtime client and emulator, and RunPod's SDK."""
