//! millrace-training
