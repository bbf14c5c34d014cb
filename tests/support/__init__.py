"""What is no test: the real things as processes, small models and bundles, peers, and the one fake."""
