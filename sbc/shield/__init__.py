"""What a stranger may cost us."""
