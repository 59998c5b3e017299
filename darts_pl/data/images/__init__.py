"""Small images of one size: where they come from, and how they become batches on the training device."""
