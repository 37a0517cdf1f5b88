//! millrace-tracking
