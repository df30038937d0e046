"""A call: two legs that talk to each other in six neutral words."""
