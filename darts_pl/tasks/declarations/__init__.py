"""What the configuration accepts: the registry of tasks, the sections, checks across them, the page of all keys."""
