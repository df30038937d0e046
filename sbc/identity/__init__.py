"""Who a caller is, proved by signature: PASSporT and STIR/SHAKEN (RFC 8224 to 8226, 8588). Pure: octets, keys and the time are given."""
