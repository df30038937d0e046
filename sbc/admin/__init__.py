"""What an operator asks of a running process: a local socket, the questions, and how the answers are shown."""
