"""Test peers that ship with the product: a small SIP user agent, a callee to aim at and a caller that listens."""
