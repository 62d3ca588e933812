//! Live cluster facts and every administrative call, straight on the wire.
