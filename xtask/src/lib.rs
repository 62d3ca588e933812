//! Automation.
