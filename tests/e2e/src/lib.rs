//! End-to-end tests of the real executable.
