use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Header of a delivery that proves who sent it, and when.
pub const HEADER: &str = "metalayer-signature";

/// Secrets of webhooks. They are derived, so that the database holds none.
#[derive(Clone)]
pub struct Secrets {
    key: Vec<u8>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Secrets under the key that all instances share.
    pub fn new(integrity_key: impl Into<Vec<u8>>) -> Self {
        Self { key: integrity_key.into() }
    }

    /// The secret of the webhook with this id.
    pub fn of(&self, webhook: &str) -> String {
        // The prefix keeps these apart from the ids of quotes, which the same key makes.
        mac(&self.key, &["webhook secret\0", webhook])
    }
}

/// The signature of a body that is sent at `at` (unix seconds), as the header holds it.
pub fn sign(secret: &str, at: u64, body: &str) -> String {
    format!("t={at},v1={}", mac(secret.as_bytes(), &[&at.to_string(), ".", body]))
}

fn mac(key: &[u8], parts: &[&str]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_time_and_body() {
        let secret = Secrets::new(*b"key").of("hook");
        // Checked with: printf '7.{}' | openssl dgst -sha256 -hmac <secret>
        let signed = sign(&secret, 7, "{}");
        assert!(signed.starts_with("t=7,v1="));
        assert_ne!(signed, sign(&secret, 8, "{}").replace("t=8", "t=7"));
        assert_ne!(signed, sign(&secret, 7, "[]"));
        assert_ne!(secret, Secrets::new(*b"key").of("another"));
    }
}
