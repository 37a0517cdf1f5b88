//! millrace-monitoring
