"""What a process must know of the machine under it; every room may import this one, and it imports none."""
