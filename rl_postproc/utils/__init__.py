"""What all rooms share: errors, files, the registry, tensors, threads."""
