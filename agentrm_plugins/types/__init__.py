"""What passes between the floors: plain values, no behaviour of note."""
