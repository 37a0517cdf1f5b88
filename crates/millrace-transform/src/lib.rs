//! millrace-transform
