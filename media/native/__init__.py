"""The engine in C: relays on threads of its own. Built with the product where a C compiler and libcrypto's headers are."""
