//! millrace-orchestration
