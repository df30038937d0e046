"""`sbc doctor TRUNK`: everything that can be wrong between us and one peer, looked at, and what to change."""
