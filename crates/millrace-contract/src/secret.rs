use millrace_spec::secret::Secrets;

/// Where secrets come from. Asked for each attempt anew, since people set them while a server is up.
pub trait SecretSource: Send + Sync {
    /// All of them, as they are now.
    fn secrets(&self) -> Secrets;
}
