//! From a spec to a plan: every setting with its reason.
