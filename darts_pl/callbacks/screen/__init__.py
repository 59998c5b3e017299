"""What a run says on screen, or in a file, while it is active."""
