//! millrace-transfer
