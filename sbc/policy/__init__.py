"""The policy: YAML files in, one frozen `Snapshot` out, and the decisions that are taken from it."""
