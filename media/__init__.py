"""Media engines behind one protocol: see media.api."""
