//! Length-prefixed frames with a maximum.
