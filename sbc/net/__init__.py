"""Everything that touches a signalling socket: listeners, connections, the resolver, and the engine that drives the core."""
