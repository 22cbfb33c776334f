"""Who waits for what, and who for whom in a circle."""
