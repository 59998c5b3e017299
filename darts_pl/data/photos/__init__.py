"""Photos in folders: which there are, how one is read, and how worker processes make batches of them."""
