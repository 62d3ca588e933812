//! What a member does in cases that have names.
