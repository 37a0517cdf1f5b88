//! millrace-metastore
