//! A group as those who are not in it can follow it.
