"""A post-processor that comes trained: event values that know no class and no detector."""
