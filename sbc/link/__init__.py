"""The site link without its sockets: what is said over one QUIC connection between a remote site and the edge, and what is kept of it."""
