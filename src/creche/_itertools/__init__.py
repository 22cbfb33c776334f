"""The async tools that `creche.itertools` publishes, and what they are made of."""
