"""A call: two legs that talk to each other in five neutral words."""
