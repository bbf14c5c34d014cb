"""What the `loaf` command does: it builds, inspects, checks and takes apart bundles."""
