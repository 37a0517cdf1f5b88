//! millrace-compute
