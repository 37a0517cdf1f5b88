//! millrace-deployment
