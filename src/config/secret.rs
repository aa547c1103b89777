//! stub
/// A secret.
#[derive(Clone)]
pub struct Secret(String);
impl Secret {
    /// Made.
    pub fn new(s: String) -> Self {
        Self(s)
    }
    /// Exposes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
