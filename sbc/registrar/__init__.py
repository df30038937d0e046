"""Who is registered, and where."""
