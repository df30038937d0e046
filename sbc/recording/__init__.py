"""Calls as files: recorded from a living core, run again by `sbc replay`."""
