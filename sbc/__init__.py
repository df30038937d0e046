"""A session border controller: SIP over TLS on one side, any trunk on the other, and the media in between."""

__version__ = "0.1.0"
