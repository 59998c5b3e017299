"""Text: how it becomes numbered words, and how it is cut into sequences."""
