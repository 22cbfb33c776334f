"""Task groups, their tasks and scopes, and checkpoints."""
