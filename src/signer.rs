//! What signs in the name of a GitHub App: a noun, so that the key can live in memory today and elsewhere later.
//!
//! It must not know what is signed, nor where the key lives.

/// Signs with RSASSA-PKCS1-v1_5 over SHA-256, which JSON web tokens call RS256.
pub trait Signer: Send + Sync {
    /// The signature of `message`, raw bytes in the length of the key.
    ///
    /// # Errors
    /// Fails when the key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Where the key is from, as a person knows it: a variable, a file.
    fn origin(&self) -> &str;
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[error("failed to sign with the private key in {origin}")]
pub struct SignError {
    /// Where the key is from.
    pub origin: String,
    /// What the cryptography said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
